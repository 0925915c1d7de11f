"""Every ForbidStream and ResumeStream whose signature verified is a row: who, from where, what, when, outcome."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from openkls.domain.audit import REFUSED_ROWS_PER_MINUTE, AuditEntry, Author
from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import AccountSwitch
from openkls.domain.session import BreakCode
from support_api import NOW, Encoder, Site

KEY = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
RESOURCE = "demo/push.demo.local/live/s1"


async def until(fact: Callable[[], object]) -> None:
    """Wait for the fact, at most ten seconds."""
    for _ in range(1000):
        if fact():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not so within 10 s")


async def test_row_says_who_from_where_what_when_and_with_which_request(site: Site) -> None:
    reply = await site.call("ForbidStream", **KEY, ForbidTillUnixTime=NOW + 60)
    assert site.audit.rows == [
        AuditEntry(
            at=NOW,
            account_id="2000001",
            author=Author("AKTEST", "127.0.0.1", reply.json["RequestId"]),
            action="ForbidStream",
            resource=RESOURCE,
            outcome="0",
            detail=f"ForbidTillUnixTime={NOW + 60}",
            number=1,
        )
    ]


async def test_resume_is_a_row_and_so_is_one_that_finds_nothing(site: Site) -> None:
    await site.call("ForbidStream", **KEY)
    await site.call("ResumeStream", **KEY)
    await site.call("ResumeStream", **KEY)
    assert [(row.action, row.outcome, row.detail) for row in site.audit.rows] == [
        ("ForbidStream", "0", ""),
        ("ResumeStream", "0", ""),
        ("ResumeStream", "8201", ""),
    ]


async def test_alias_of_a_publish_domain_is_recorded_by_its_real_name(site: Site) -> None:
    await site.call("ForbidStream", **(KEY | {"Pubdomain": "127.0.0.1"}))
    assert [row.resource for row in site.audit.rows] == [RESOURCE]


@pytest.mark.parametrize(
    ("changes", "outcome", "resource"),
    [
        ({"ForbidTillUnixTime": 2}, "4001", RESOURCE),
        ({"ForbidTillUnixTime": 1}, "8502", RESOURCE),
        ({"ForbidTillUnixTime": "soon"}, "4999", RESOURCE),
        ({"UniqueName": "theirs"}, "6406", "theirs/push.demo.local/live/s1"),
        ({"Stream": "a/b\x1b[2J"}, "1004", "demo/push.demo.local/live/a/b\ufffd[2J"),
        ({"Stream": {"a": 1}}, "4999", "demo/push.demo.local/live/?"),
        ({"Stream": "x" * 300}, "1004", "demo/push.demo.local/live/" + "x" * 256),
        ({"DryRun": True}, "ErrorDryRun", RESOURCE),
    ],
)
async def test_call_that_came_to_nothing_is_a_row_with_its_code(
    site: Site, changes: dict[str, Any], outcome: str, resource: str
) -> None:
    await site.call("ForbidStream", **(KEY | changes))
    assert [(row.outcome, row.resource) for row in site.audit.rows] == [(outcome, resource)]


async def test_body_that_cannot_be_read_is_a_row_without_a_resource(site: Site) -> None:
    await site.send(site.signed("POST", "/?Action=ForbidStream&Version=2017-01-01", b"{"))
    assert [(row.outcome, row.resource) for row in site.audit.rows] == [("InvalidParameterValue", "///")]


async def test_whoever_has_not_proved_who_he_is_makes_no_row(site: Site) -> None:
    target, body = "/?Action=ForbidStream&Version=2017-01-01", json.dumps(KEY).encode()
    await site.send(site.signed("POST", target, body, secret_key="wrong"))
    await site.send(site.signed("POST", target, body, access_key="AKNOBODY"))
    await site.send(site.signed("POST", target, body, amz_date="20200101T000000Z"))
    site.services.keys.apply_switch(AccountSwitch("2000001", True, 1))
    assert (await site.call("ForbidStream", **KEY)).error_code == "UnavailableAccountID"
    assert site.audit.rows == []


async def test_questions_make_no_row(site: Site) -> None:
    await site.call("CheckBlacklist", **KEY)
    await site.call("GetBlacklist", **{name: KEY[name] for name in ("UniqueName", "App", "Pubdomain")})
    assert site.audit.rows == []


async def test_calls_turned_away_before_their_action_are_bounded_and_others_are_not(site: Site) -> None:
    for _ in range(REFUSED_ROWS_PER_MINUTE + 1):
        await site.call("ResumeStream", **(KEY | {"UniqueName": "theirs"}))
    await site.call("ResumeStream", **KEY)
    assert [row.outcome for row in site.audit.rows] == ["6406"] * REFUSED_ROWS_PER_MINUTE + ["8201"]
    assert site.services.audit.quota.suppressed == 1


async def test_row_of_a_change_is_written_with_it_and_not_again(site: Site) -> None:
    await site.call("ForbidStream", **KEY)
    await site.call("ResumeStream", **KEY)
    assert [row.outcome for row in site.audit.rows] == ["0", "0"]
    assert site.audit.calls == []


async def test_stream_is_cut_though_the_row_of_the_cut_could_not_be_written(site: Site) -> None:
    encoder = Encoder()
    site.publish("s1", encoder=encoder)
    site.audit.down = StoreUnavailable("the disk is full")
    assert (await site.call("ForbidStream", **KEY, ForbidTillUnixTime=1)).data["RetCode"] == 0
    assert encoder.kicked_with == [BreakCode.FORBIDDEN]
    assert site.services.audit.lost == 1


async def test_ban_whose_stream_could_not_be_cut_is_a_row_for_each(site: Site) -> None:
    site.publish("s1", encoder=Encoder(failure=OSError("gone")))
    await site.call("ForbidStream", **KEY)
    assert [row.outcome for row in site.audit.rows] == ["0", "8501"]


async def test_ban_that_failed_is_a_row(site: Site) -> None:
    site.bans.down = StoreUnavailable("down")
    await site.call("ForbidStream", **KEY)
    assert [row.outcome for row in site.audit.rows] == ["8200"]


async def test_call_that_is_cut_off_by_the_end_of_the_service_is_a_row(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openkls.api.listener.CLOSE_SECONDS", 0.05)
    site.bans.gate = asyncio.Event()
    calling = asyncio.create_task(site.call("ForbidStream", **KEY))
    await until(lambda: site.bans.calls)
    await site.close()
    await until(lambda: site.audit.rows)
    assert [row.outcome for row in site.audit.rows] == ["Cancelled"]
    await asyncio.gather(calling, return_exceptions=True)
