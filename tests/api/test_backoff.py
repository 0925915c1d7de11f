"""Refused authentications are held back; whoever proves who he is never waits (security class 21)."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from openkls.api.auth import REFUSALS
from openkls.codec.amzdate import build_amz_date
from openkls.config import parse_network
from openkls.control import origin
from openkls.domain import backoff
from support_api import DEADLINE_SECONDS, NOW, Reply, Site

DEMO = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
OWNER = "AKTEST"


class GatedSite(Site):
    """An API whose answers, once held back, stay so until ``gate`` is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        await super().pause(seconds)
        await self.gate.wait()


@pytest.fixture
async def gated() -> AsyncIterator[GatedSite]:
    site = GatedSite()
    await site.start()
    yield site
    site.gate.set()
    await site.close()


async def guess(
    site: Site, access_key: str = OWNER, secret_key: str = "SKGUESSED", headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """A request with a secret that is not the key's."""
    return await site.send(site.signed("GET", "/", b"", headers, access_key, secret_key))


async def until_held(site: Site, count: int) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while site.backoff.held < count:  # noqa: ASYNC110 - what is counted there sets no event
            await asyncio.sleep(0.001)


# -- what is held back -------------------------------------------------------------------------------------------------


async def test_security_21_sixth_refusal_of_a_minute_is_the_first_held_back(site: Site) -> None:
    for _ in range(8):
        assert (await guess(site)).error_code == "SignatureNotMatch"
    assert site.pauses == pytest.approx([0.1, 0.2, 0.4])
    assert site.backoff.held == 0


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"access_key": "AKNOBODY"}, "InvalidAccesskey"),
        ({"amz_date": build_amz_date(NOW - 901)}, "InvalidTimestamp"),
        ({"service": "ec2"}, "ServiceUnavailable"),
        ({"region": "mars"}, "UnavailableRegion"),
        ({"secret_key": "SKGUESSED"}, "SignatureNotMatch"),
    ],
)
async def test_security_21_every_refusal_between_key_and_proof_is_counted(
    site: Site, claims: dict[str, str], code: str
) -> None:
    for _ in range(6):
        assert (await site.send(site.signed("GET", "/", **claims))).error_code == code
    assert site.backoff.refused == 6
    assert len(site.pauses) == 1
    assert len(REFUSALS) == 5


@pytest.mark.parametrize(
    "target", ["/", "/?Action=Nothing&Version=2017-01-01", "/?Action=GetBlacklist&Version=2017-01-01"]
)
async def test_security_21_faults_of_a_request_that_verified_are_never_held_back(site: Site, target: str) -> None:
    for _ in range(20):
        await site.send(site.signed("GET", target))
    site.services.keys.disabled_accounts.add("2000001")
    for _ in range(20):
        assert (await site.send(site.signed("GET", target))).error_code == "UnavailableAccountID"
    assert (site.backoff.refused, site.pauses) == (0, [])


async def test_security_21_requests_that_name_no_key_are_not_counted(site: Site) -> None:
    for _ in range(20):
        await site.send_raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert site.backoff.refused == 0


# -- the owner ---------------------------------------------------------------------------------------------------------


async def test_security_21_owner_is_never_delayed_while_others_hammer_with_his_key_from_his_address(
    gated: GatedSite,
) -> None:
    attack = [asyncio.create_task(guess(gated)) for _ in range(60)]
    await until_held(gated, 55)
    # No gate is open: an answer that waited for one would not come.
    for _ in range(30):
        assert (await gated.call("CheckBlacklist", **DEMO)).data["RetCode"] == 0
    assert gated.backoff.held == 55
    gated.gate.set()
    assert {reply.error_code for reply in await asyncio.gather(*attack)} == {"SignatureNotMatch"}
    assert gated.backoff.held == 0


async def test_security_21_owner_who_mistyped_is_answered_at_once_when_he_is_right(gated: GatedSite) -> None:
    mistakes = [asyncio.create_task(guess(gated)) for _ in range(20)]
    await until_held(gated, 15)
    assert (await gated.call("CheckBlacklist", **DEMO)).data["RetCode"] == 0
    gated.gate.set()
    await asyncio.gather(*mistakes)


async def test_security_21_owner_is_served_when_no_more_answers_can_be_held_back(
    gated: GatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "HELD_LIMIT", 3)
    attack = [asyncio.create_task(guess(gated)) for _ in range(8)]
    await until_held(gated, 3)
    beyond = await guess(gated)
    assert beyond.error_code == "SignatureNotMatch"
    assert beyond.headers["connection"] == "close"
    assert gated.backoff.overflowed >= 1
    reply = await gated.call("CheckBlacklist", **DEMO)
    assert reply.data["RetCode"] == 0
    assert reply.headers.get("connection") != "close"
    gated.gate.set()
    await asyncio.gather(*attack)
    assert gated.backoff.held == 0


async def test_security_21_answers_really_wait_and_the_loop_does_not() -> None:
    site = Site()
    site.services = dataclasses.replace(site.services, pause=asyncio.sleep)
    await site.start()
    try:
        for _ in range(10):
            site.backoff.refuse(OWNER, "127.0.0.1", site.ticks)
        loop = asyncio.get_running_loop()
        began = loop.time()
        held = asyncio.create_task(guess(site))
        await until_held(site, 1)
        assert (await site.call("CheckBlacklist", **DEMO)).data["RetCode"] == 0
        assert not held.done()
        await held
        assert loop.time() - began >= backoff.LONGEST_DELAY_SECONDS * 0.99
    finally:
        await site.close()


async def test_close_ends_what_is_held_back() -> None:
    site = GatedSite()
    await site.start()
    attack = [asyncio.create_task(guess(site)) for _ in range(8)]
    await until_held(site, 3)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await site.close()
        await asyncio.gather(*attack, return_exceptions=True)
    assert site.backoff.held == 0


# -- whose address -----------------------------------------------------------------------------------------------------

TRUSTED = tuple(parse_network(text) for text in ("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"))
HOPS = [
    # The peer, X-Forwarded-For, the client's address.
    ("203.0.113.9", "", "203.0.113.9"),
    ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
    ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
    ("127.0.0.1", "", "127.0.0.1"),
    ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
    ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
    ("11.0.0.1", "198.51.100.7", "11.0.0.1"),
    ("127.0.0.1", "192.0.2.1, 198.51.100.7", "198.51.100.7"),
    ("127.0.0.1", "192.0.2.1,198.51.100.7,10.0.0.2", "198.51.100.7"),
    ("127.0.0.1", "10.9.9.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
    ("127.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("127.0.0.1", "unknown", "127.0.0.1"),
    ("127.0.0.1", "192.0.2.1, unknown", "127.0.0.1"),
    ("127.0.0.1", "192.0.2.1, _hidden, 10.0.0.2", "10.0.0.2"),
    ("127.0.0.1", "192.0.2.1,,", "127.0.0.1"),
    ("127.0.0.1", " 198.51.100.7 ", "198.51.100.7"),
    ("127.0.0.1", "198.51.100.7:50123", "198.51.100.7"),
    ("127.0.0.1", "2001:db8:2::7", "2001:db8:2::7"),
    ("127.0.0.1", "[2001:DB8:2::7]", "2001:db8:2::7"),
    ("127.0.0.1", "[2001:db8:2::7]:50123", "2001:db8:2::7"),
    ("127.0.0.1", "[2001:db8:2::7", "2001:db8:2::7"),
    ("127.0.0.1", "198.51.100.7, 2001:db8:1::5", "198.51.100.7"),
    ("2001:db8:1::9", "198.51.100.7", "198.51.100.7"),
    ("2001:db8:2::9", "198.51.100.7", "2001:db8:2::9"),
    ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
    ("::ffff:203.0.113.9", "198.51.100.7", "203.0.113.9"),
    ("127.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
    ("127.0.0.1", "198.51.100.300", "127.0.0.1"),
    ("127.0.0.1", "198.51.100.7 10.0.0.2", "127.0.0.1"),
    ("", "198.51.100.7", ""),
    ("/run/socket", "198.51.100.7", "/run/socket"),
]


@pytest.mark.parametrize(("peer", "forwarded", "client"), HOPS)
def test_client_is_the_last_address_that_no_trusted_proxy_has(peer: str, forwarded: str, client: str) -> None:
    assert origin.client_address(peer, forwarded, TRUSTED) == client


@pytest.mark.parametrize(
    ("proxies", "client"), [(origin.HOPS_LIMIT - 1, "198.51.100.7"), (origin.HOPS_LIMIT, "10.0.0.1")]
)
def test_hops_followed_are_bounded(proxies: int, client: str) -> None:
    forwarded = ", ".join(["198.51.100.7"] + ["10.0.0.1"] * proxies)
    assert origin.client_address("127.0.0.1", forwarded, TRUSTED) == client


def test_header_is_not_read_when_nobody_is_trusted() -> None:
    headers = [("X-Forwarded-For", "198.51.100.7")]
    assert origin.client_ip("127.0.0.1", headers, ()) == "127.0.0.1"
    assert origin.client_ip("127.0.0.1", headers, TRUSTED) == "198.51.100.7"
    assert origin.client_ip("127.0.0.1", [*headers, ("x-forwarded-for", "192.0.2.1")], TRUSTED) == "192.0.2.1"
    assert origin.client_ip("127.0.0.1", [], TRUSTED) == "127.0.0.1"


@pytest.mark.parametrize(("trusted", "pauses"), [((), 5), (TRUSTED, 0)])
async def test_security_21_clients_behind_a_trusted_proxy_are_told_apart(trusted: tuple, pauses: int) -> None:  # type: ignore[type-arg]
    site = Site()
    site.services = dataclasses.replace(site.services, trusted_proxies=trusted)
    await site.start()
    try:
        for number in range(10):
            await guess(site, headers=(("X-Forwarded-For", f"198.51.100.{number}"),))
        assert len(site.pauses) == pauses
    finally:
        await site.close()
