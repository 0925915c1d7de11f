"""What every adapter of the ephemeral ports does: the in-memory twins, and Redis."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openkls.cluster.redis_ports import CLAIMS_PER_SCRIPT, SCRIPTS_PER_PIPELINE
from openkls.domain.keys import StreamName
from openkls.domain.ports import Hold, Part, Posted
from support_cluster import Ports

NAME = StreamName("demo", "live", "s1")
OTHER = StreamName("demo", "直播", "s1~@:2")
CALLER = ("2000001", "ListRealtimeStreamsInfo", "")


# -- claims


async def test_claim_is_granted_to_one_owner_only(ports: Ports) -> None:
    assert not await ports.claims.is_held(NAME)
    assert await ports.claims.take(NAME, "a", "1")
    assert not await ports.claims.take(NAME, "b", "2")
    assert await ports.claims.is_held(NAME)
    assert await ports.claims.take(OTHER, "b", "2")


async def test_claims_asked_for_at_once_have_one_winner(ports: Ports) -> None:
    granted = await asyncio.gather(*(ports.claims.take(NAME, f"node-{n}", str(n)) for n in range(50)))
    assert sum(granted) == 1


async def test_owner_may_take_over_its_own_claim(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "1")
    assert await ports.claims.take(NAME, "a", "2")
    await ports.claims.release("a", {NAME: frozenset("1")})
    assert await ports.claims.is_held(NAME), "the second session's, which the first one's goodbye does not free"


@pytest.mark.parametrize(
    ("owner", "tokens", "freed"), [("a", "1", True), ("a", "91", True), ("a", "2", False), ("b", "1", False)]
)
async def test_release_frees_only_what_is_held_with_one_of_the_tokens(
    ports: Ports, owner: str, tokens: str, freed: bool
) -> None:
    await ports.claims.take(NAME, "a", "1")
    await ports.claims.release(owner, {NAME: frozenset(tokens), OTHER: frozenset("1")})
    assert await ports.claims.is_held(NAME) is not freed
    assert await ports.claims.take(NAME, "c", "3") is freed


async def test_part_of_a_token_is_not_the_token(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "12")
    await ports.claims.release("a", {NAME: frozenset(["1", "2", "123"])})
    assert await ports.claims.is_held(NAME)


async def test_claim_that_is_not_renewed_is_free(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "1")
    await ports.lapse("claim")
    assert not await ports.claims.is_held(NAME)
    assert await ports.claims.take(NAME, "b", "2")


async def test_hold_renews_and_tells_what_is_lost(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "1")
    assert await ports.claims.hold("a", {NAME: Hold("1")}, 0) == []
    assert await ports.claims.hold("b", {NAME: Hold("2"), OTHER: Hold("3")}, 5) == [NAME]
    assert await ports.claims.is_held(OTHER), "what nobody holds is claimed again"
    assert await ports.claims.hold("a", {}, 0) == []


async def test_hold_of_an_owner_says_which_of_its_sessions_it_is(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "2")
    assert await ports.claims.hold("a", {NAME: Hold("1")}, 0) == []
    await ports.claims.release("a", {NAME: frozenset("2")})
    assert await ports.claims.is_held(NAME)


async def test_silent_holder_yields_to_a_new_claim_and_not_to_a_renewal(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "1")
    await ports.claims.hold("a", {NAME: Hold("1", silent=True)}, 0)
    assert await ports.claims.hold("b", {NAME: Hold("0")}, 0) == [NAME]
    assert await ports.claims.take(NAME, "b", "2")
    assert await ports.claims.hold("a", {NAME: Hold("1")}, 0) == [NAME]
    assert not await ports.claims.take(NAME, "a", "3"), "the new holder is not silent"


async def test_holder_that_talks_again_does_not_yield(ports: Ports) -> None:
    await ports.claims.hold("a", {NAME: Hold("1", silent=True)}, 0)
    await ports.claims.hold("a", {NAME: Hold("1")}, 0)
    assert not await ports.claims.take(NAME, "b", "2")


@pytest.mark.parametrize(("token", "wins"), [("1", True), ("3", False), ("2", False)])
async def test_of_two_that_claim_again_the_older_session_wins(ports: Ports, token: str, wins: bool) -> None:
    """An outage admitted both, and Redis came back empty."""
    assert await ports.claims.hold("a", {NAME: Hold("2")}, 5) == []
    assert await ports.claims.hold("b", {NAME: Hold(token)}, 5) == ([] if wins else [NAME])
    assert await ports.claims.hold("a", {NAME: Hold("2")}, 5) == ([NAME] if wins else [])
    assert await ports.claims.hold("b", {NAME: Hold(token)}, 5) == ([] if wins else [NAME])


async def test_claim_that_was_kept_wins_over_an_older_session(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "2")
    assert await ports.claims.hold("b", {NAME: Hold("1")}, 5) == [NAME]


async def test_claim_taken_right_after_an_outage_yields_to_the_older_session(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "2", 5.0)
    assert await ports.claims.hold("b", {NAME: Hold("1")}, 5) == []


async def test_contest_ends_and_a_renewal_does_not_prolong_it(ports: Ports) -> None:
    await ports.claims.take(NAME, "a", "2", 0.05)
    await asyncio.sleep(0.06)
    await ports.claims.hold("a", {NAME: Hold("2")}, 5)
    assert await ports.claims.hold("b", {NAME: Hold("1")}, 5) == [NAME]


@pytest.mark.parametrize(
    "count", [CLAIMS_PER_SCRIPT, CLAIMS_PER_SCRIPT + 1, CLAIMS_PER_SCRIPT * SCRIPTS_PER_PIPELINE + 1]
)
async def test_claims_of_a_whole_node_are_renewed_and_released_at_once(ports: Ports, count: int) -> None:
    names = [StreamName("demo", "live", f"s{number}") for number in range(count)]
    for name in (names[0], names[-1]):
        await ports.claims.take(name, "b", "0")
    lost = await ports.claims.hold("a", {name: Hold(name.stream) for name in names}, 0)
    assert lost == [names[0], names[-1]]
    await ports.claims.release("a", {name: frozenset([name.stream]) for name in names})
    assert [name for name in names if await ports.claims.is_held(name)] == lost


# -- snapshots


BOTH = (Part.NAMES, Part.READINGS)


def snapshot(number: int, readings: bytes, names_number: int = 0, names: bytes = b"") -> dict[Part, Posted]:
    return {Part.NAMES: Posted(names_number, names), Part.READINGS: Posted(number, readings)}


async def test_snapshot_is_shown_until_it_is_withdrawn(ports: Ports) -> None:
    assert await ports.snapshots.newer(BOTH, {}) == {}
    one, two = snapshot(1, b"\x00one", 1, b"\xffnames"), snapshot(7, b"", 3)
    await ports.snapshots.post("boot-1", one)
    await ports.snapshots.post("boot-2", two)
    assert await ports.snapshots.newer(BOTH, {}) == {"boot-1": one, "boot-2": two}
    await ports.snapshots.withdraw("boot-1")
    await ports.snapshots.withdraw("boot-1")
    assert await ports.snapshots.newer(BOTH, {}) == {"boot-2": two}


async def test_part_of_a_snapshot_that_is_known_or_not_asked_for_is_not_sent(ports: Ports) -> None:
    one = snapshot(1, b"one", 1, b"names")
    await ports.snapshots.post("boot-1", one)
    known = {"boot-1": {Part.NAMES: 1, Part.READINGS: 1}, "boot-gone": {Part.NAMES: 3}}
    assert await ports.snapshots.newer(BOTH, known) == {"boot-1": {}}
    assert await ports.snapshots.newer(BOTH, {"boot-1": {Part.NAMES: 1}}) == {
        "boot-1": {Part.READINGS: one[Part.READINGS]}
    }
    two = snapshot(2, b"two", 1, b"names")
    await ports.snapshots.post("boot-1", two)
    assert await ports.snapshots.newer(BOTH, known) == {"boot-1": {Part.READINGS: two[Part.READINGS]}}
    assert await ports.snapshots.newer([Part.NAMES], known) == {"boot-1": {}}
    assert await ports.snapshots.newer([Part.NAMES], {}) == {"boot-1": {Part.NAMES: two[Part.NAMES]}}
    three = snapshot(3, b"three", 3, b"other names")
    await ports.snapshots.post("boot-1", three)
    assert await ports.snapshots.newer(BOTH, known) == {"boot-1": three}
    assert await ports.snapshots.newer([Part.NAMES], known) == {"boot-1": {Part.NAMES: three[Part.NAMES]}}


async def test_snapshot_that_is_not_renewed_vanishes(ports: Ports) -> None:
    await ports.snapshots.post("boot-1", snapshot(2, b"two", 1))
    assert await ports.snapshots.renew("boot-1", 2)
    assert not await ports.snapshots.renew("boot-1", 1)
    await ports.lapse("snapshot:")
    assert await ports.snapshots.newer(BOTH, {"boot-1": {Part.NAMES: 1, Part.READINGS: 2}}) == {}
    assert not await ports.snapshots.renew("boot-1", 2)


# -- bus


@contextlib.asynccontextmanager
async def listening(bus: Any) -> AsyncIterator[tuple[list[bytes], asyncio.Event]]:
    heard: list[bytes] = []
    connected = asyncio.Event()
    task = asyncio.create_task(bus.listen(heard.append, connected.set))
    try:
        async with asyncio.timeout(10):
            await connected.wait()
        yield heard, connected
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(fact: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not fact():  # noqa: ASYNC110 - facts of any kind
            await asyncio.sleep(0.01)


async def test_message_reaches_every_listener_the_sender_too(ports: Ports) -> None:
    async with listening(ports.bus) as (mine, _), listening(ports.other_bus) as (others, _):
        await ports.bus.tell(b"\x00\xffone")
        await ports.other_bus.tell(b"two")
        await eventually(lambda: len(mine) == len(others) == 2)
        assert mine == others == [b"\x00\xffone", b"two"]
    await ports.bus.tell(b"nobody listens")


# -- rates


async def test_shared_rate_accepts_its_limit_and_refuses_the_next(ports: Ports) -> None:
    waits = [await ports.rates.accept(CALLER, 50, 60) for _ in range(51)]
    assert waits[:50] == [0.0] * 50
    assert 59 < waits[50] <= 60
    assert await ports.rates.accept((*CALLER[:2], "top"), 50, 60) == 0


async def test_shared_rate_is_exact_when_asked_at_once(ports: Ports) -> None:
    waits = await asyncio.gather(*(ports.rates.accept(CALLER, 20, 60) for _ in range(60)))
    assert sum(not wait for wait in waits) == 20


async def test_shared_place_is_free_when_its_call_is_a_whole_period_old(ports: Ports) -> None:
    assert not any([await ports.rates.accept(CALLER, 3, 0.2) for _ in range(3)])
    wait = await ports.rates.accept(CALLER, 3, 0.2)
    assert 0 < wait <= 0.2
    await asyncio.sleep(wait + math.ulp(1e6))
    assert await ports.rates.accept(CALLER, 3, 0.2) == 0
