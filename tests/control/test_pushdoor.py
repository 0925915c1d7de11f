"""Who is let in by address and by a customer's own server, in which order, and what happens while it is asked."""

import logging

import pytest

from openkls import config
from openkls.codec.pushauth import sign_hmac, sign_md5
from openkls.control.admit import PublishAsk, Refused
from openkls.control.directory import Directory
from openkls.control.forbid import TILL_PERMANENT
from openkls.control.pushdoor import PUB_PARAM_LIMIT, examine, judge, read_address_lists
from openkls.domain.ports import PushAnswer, PushFacts, PushServer
from openkls.domain.session import BreakCode, Session
from support_control import EPOCH, Still, ask, at_once
from support_domain import FakePublisher, ban, key

EXT = "ext.demo.local"
LATER = EPOCH + 60


def asking(still: Still, asked: PublishAsk | None = None):  # type: ignore[no-untyped-def]
    """A publish whose server has been asked and has not answered."""
    still.line.healthy = False
    admission = still.loop.create_task(still.house.admission.admit(asked or ask(door=EXT), FakePublisher()))
    still.loop.settle()
    assert [turn.method for turn in still.line.waiting] == ["ask"]
    return admission


# -- address lists ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "deny", "address", "admitted"),
    [
        ((), (), "192.0.2.7", True),
        ((), (), "2001:db8::7", True),
        ((), (), "", True),
        # an allow list admits its members alone
        (("192.0.2.7",), (), "192.0.2.7", True),
        (("192.0.2.7",), (), "192.0.2.8", False),
        (("192.0.2.0/24",), (), "192.0.2.0", True),
        (("192.0.2.0/24",), (), "192.0.2.255", True),
        (("192.0.2.0/24",), (), "192.0.3.0", False),
        (("192.0.2.0/24", "198.51.100.1"), (), "198.51.100.1", True),
        (("0.0.0.0/0",), (), "203.0.113.9", True),
        (("2001:db8::/32",), (), "2001:db8:ffff::1", True),
        (("2001:db8::/32",), (), "2001:db9::1", False),
        (("2001:db8::1",), (), "2001:0db8:0:0::1", True),
        (("0.0.0.0/0",), (), "2001:db8::1", False),
        (("::/0",), (), "192.0.2.7", False),
        (("::/0",), (), "2001:db8::1", True),
        # a deny list refuses its members, and wins
        ((), ("192.0.2.0/24",), "192.0.2.7", False),
        ((), ("192.0.2.0/24",), "192.0.3.7", True),
        ((), ("2001:db8::/32",), "2001:db8::1", False),
        (("192.0.2.0/24",), ("192.0.2.7",), "192.0.2.7", False),
        (("192.0.2.0/24",), ("192.0.2.7",), "192.0.2.8", True),
        (("192.0.2.7",), ("0.0.0.0/0",), "192.0.2.7", False),
        # an IPv4 client of an IPv6 socket, and an IPv4 network in IPv6 notation
        (("192.0.2.0/24",), (), "::ffff:192.0.2.7", True),
        ((), ("192.0.2.0/24",), "::ffff:c000:207", False),
        (("::ffff:192.0.2.0/120",), (), "192.0.2.7", True),
        ((), ("::ffff:192.0.2.7",), "192.0.2.7", False),
        ((), ("::ffff:0:0/96",), "::ffff:203.0.113.1", False),
        (("::/0",), (), "::ffff:192.0.2.7", False),
        # with a zone, as a link-local peer is shown
        (("fe80::/10",), (), "fe80::1%eth0", True),
        ((), ("fe80::/10",), "fe80::1%eth0", False),
        # what is no address is admitted by no list
        (("0.0.0.0/0", "::/0"), (), "", False),
        ((), ("192.0.2.7",), "localhost", False),
        ((), ("192.0.2.7",), "192.0.2.007", False),
    ],
)
def test_address_lists(allow: tuple[str, ...], deny: tuple[str, ...], address: str, admitted: bool) -> None:
    assert read_address_lists(allow, deny).admits(address) is admitted


def test_lists_are_parsed_once() -> None:
    allow = ("192.0.2.0/24", "198.51.100.0/24")
    assert read_address_lists(allow, ()) is read_address_lists(tuple(allow), ())


# -- the order of the codes ------------------------------------------------------------------------------------------

DENIED = ("192.0.2.7",)
DIRECTORY = Directory(
    [
        config.Account(
            id="1",
            space=(
                config.Space(
                    unique_name="demo",
                    apps=("live",),
                    publish_domain=(
                        config.PublishDomain(name="a.local", deny=DENIED),
                        config.PublishDomain(name="md5.local", auth="md5", keys=("123456",), deny=DENIED),
                        config.PublishDomain(name="hmac.local", auth="hmac", keys=("AK1:S",), deny=DENIED),
                        config.PublishDomain(name="ext.local", auth="external", external_url="http://h", deny=DENIED),
                    ),
                ),
            ),
        )
    ]
)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (ask(door="a.local"), 426),
        (ask(door="a.local", client_ip="192.0.2.8"), None),
        (ask(door="a.local", app="vod"), 428),
        (ask(door="a.local", stream="a b"), 428),
        (ask(door="md5.local", query=sign_md5("123456", "s1", LATER)), 426),
        (ask(door="md5.local", query=sign_md5("123456", "s1", LATER), client_ip="192.0.2.8"), None),
        (ask(door="md5.local", query=sign_md5("wrong", "s1", LATER)), 426),
        (ask(door="md5.local", query=sign_md5("123456", "s1", EPOCH - 1)), 425),
        (ask(door="md5.local"), 428),
        (ask(door="hmac.local", query=sign_hmac("AK1", "S", LATER, {})), 426),
        (ask(door="hmac.local", query=sign_hmac("AK1", "S", EPOCH - 1, {})), 425),
        (ask(door="hmac.local"), 428),
        (ask(door="ext.local"), 426),
        (ask(door="ext.local", stream="a b"), 428),
    ],
)
def test_denied_address_is_426_after_428_and_425(asked: PublishAsk, code: int | None) -> None:
    door = DIRECTORY.publish_door(asked.tc_url, "", asked.query)
    assert door is not None
    refused = examine(asked, door, EPOCH)
    assert (None if refused is None else refused.code) == code


def test_external_codes_come_in_the_contracts_order_428_426_423_422(still: Still) -> None:
    still.house.blacklist.apply(ban(key(pubdomain=EXT), till=EPOCH + 1000))
    still.loop.run(still.house.admission.admit(ask(), FakePublisher()))  # the name is taken as well
    still.judge.answer = PushAnswer.REFUSED
    codes = [refusal(still, ask(door=EXT, stream="a b")), refusal(still, ask(door=EXT))]
    still.judge.answer = PushAnswer.ACCEPTED
    codes.append(refusal(still, ask(door=EXT)))
    still.house.blacklist.apply(ban(key(pubdomain=EXT), version=2, resumed=True))
    codes.append(refusal(still, ask(door=EXT)))
    assert codes == [428, 426, 423, 422]


def refusal(still: Still, asked: PublishAsk) -> int:
    outcome = still.loop.run(still.house.admission.admit(asked, FakePublisher()))
    assert isinstance(outcome, Refused)
    return outcome.code


# -- the customer's server -------------------------------------------------------------------------------------------


def test_server_is_asked_what_the_contract_says(still: Still) -> None:
    outcome = still.loop.run(still.house.admission.admit(ask(door=EXT, query="token=a%20b&x=1"), FakePublisher()))
    assert isinstance(outcome, Session)
    assert still.judge.asked == [
        (
            PushServer("http://hooks.example/ask?token=secret", ("hook key",), private=False),
            PushFacts("demo", "live", EXT, "s1", "token=a%20b&x=1", "192.0.2.7"),
        )
    ]


def test_only_external_domains_ask_and_only_for_who_may_be_let_in(still: Still) -> None:
    for asked in (ask(), ask(door="md5.demo.local"), ask(door=EXT, app="vod"), ask(door=EXT, stream="")):
        still.loop.run(still.house.admission.admit(asked, FakePublisher()))
    assert still.judge.asked == []


@pytest.mark.parametrize("answer", [answer for answer in PushAnswer if answer is not PushAnswer.ACCEPTED])
def test_everything_but_acceptance_is_426_with_one_error_row(
    still: Still, answer: PushAnswer, caplog: pytest.LogCaptureFixture
) -> None:
    still.judge.answer = answer
    with caplog.at_level(logging.INFO):
        assert refusal(still, ask(door=EXT, query="token=of-the-encoder")) == 426
    (row,) = still.history.rows.values()
    assert (row.code, row.accepted) == (BreakCode.SIGNATURE, False)
    assert f"426, the external server {answer}" in caplog.text
    assert "of-the-encoder" not in caplog.text
    assert "secret" not in caplog.text
    assert len(still.house.registry) == 0


def test_without_anybody_to_ask_the_door_is_shut() -> None:
    asked = ask(door="ext.local", client_ip="192.0.2.8")
    door = DIRECTORY.publish_door(asked.tc_url, "", "")
    assert door is not None
    refused = at_once(judge(asked, door, None, EPOCH))
    assert refused is not None
    assert refused.code is BreakCode.SIGNATURE


def test_longest_query_is_sent_on_and_a_longer_one_is_428(still: Still) -> None:
    outcome = still.loop.run(still.house.admission.admit(ask(door=EXT, query="x" * PUB_PARAM_LIMIT), FakePublisher()))
    assert isinstance(outcome, Session)
    assert refusal(still, ask(door=EXT, stream="s2", query="x" * (PUB_PARAM_LIMIT + 1))) == 428
    assert len(still.judge.asked) == 1


def test_nothing_is_claimed_while_the_server_is_asked(still: Still) -> None:
    admission = asking(still)
    assert len(still.house.registry) == 0
    still.line.heal()
    still.loop.settle()
    assert isinstance(admission.result(), Session)


def test_session_begins_when_the_server_has_said_yes(still: Still) -> None:
    admission = asking(still)
    still.loop.advance(1.5)
    still.line.heal()
    still.loop.settle()
    session = admission.result()
    assert session.facts.pub_time == EPOCH + 1
    session.quality.received(still.loop.now, 1000)
    assert session.quality.read(still.loop.now + 2.0).real_bps == 4000


def test_security_17_stream_forbidden_while_the_server_is_asked_is_never_live(still: Still) -> None:
    admission = asking(still)
    forbidding = still.loop.create_task(still.house.forbids.forbid(key(pubdomain=EXT), TILL_PERMANENT))
    still.loop.settle()
    for _ in range(2):  # the ban is written, and said to be
        still.line.deliver(1)
        still.loop.settle()
    assert forbidding.done()
    assert [turn.method for turn in still.line.waiting] == ["ask"]
    still.line.heal()
    still.loop.settle()
    outcome = admission.result()
    assert isinstance(outcome, Refused)
    assert outcome.code is BreakCode.FORBIDDEN
    assert len(still.house.registry) == 0


def test_ban_that_ends_while_the_server_is_asked_refuses_nobody(still: Still) -> None:
    still.house.blacklist.apply(ban(key(pubdomain=EXT), till=EPOCH + 1))
    admission = asking(still)
    still.loop.advance(1.5)
    still.line.heal()
    still.loop.settle()
    assert isinstance(admission.result(), Session)


def test_security_17_of_two_that_wait_for_the_server_one_gets_the_name(still: Still) -> None:
    still.line.healthy = False
    publishes = [
        still.loop.create_task(still.house.admission.admit(ask(door=EXT, port=port), FakePublisher()))
        for port in (1, 2)
    ]
    still.loop.settle()
    still.line.heal()
    still.loop.settle()
    outcomes = [publish.result() for publish in publishes]
    assert [isinstance(outcome, Session) for outcome in outcomes] == [True, False]
    assert outcomes[1].code is BreakCode.ALREADY_EXISTS  # type: ignore[union-attr]


def test_encoder_that_leaves_while_its_server_is_asked_leaves_nothing(still: Still) -> None:
    admission = asking(still)
    admission.cancel()
    still.loop.settle()
    assert admission.cancelled()
    assert len(still.house.registry) == 0
    assert not still.history.rows
    assert not still.history.live
