"""The use cases end to end in one process, on the twins and on the real store alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openkls.control.admit import Refused
from openkls.control.forbid import TILL_CUT_ONLY, TILL_PERMANENT
from openkls.domain.errors import BusinessError
from openkls.domain.ports import HistoryQuery, Span
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session
from support_control import ACCOUNTS, EPOCH, Clock, House, ask
from support_domain import FakePublisher, key


@asynccontextmanager
async def process(stores: Any, clock: Clock, boot_id: str) -> AsyncIterator[House]:
    """A process on these stores that dies at the end: what waits in its journal is written, nothing is ended."""
    house = House(
        stores.history,
        stores.blacklist,
        stores.keys,
        accounts=ACCOUNTS,
        wall=clock,
        monotonic=clock,
        boot_id=boot_id,
    )
    await house.reconcile.start()
    feeding = asyncio.create_task(house.journal.run())
    try:
        yield house
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])
        assert await house.journal.drain(5.0)


async def admitted(house: House, **more: Any) -> tuple[Session, FakePublisher]:
    publisher = FakePublisher()
    outcome = await house.admission.admit(ask(**more), publisher)
    assert isinstance(outcome, Session)
    return outcome, publisher


async def refused(house: House, **more: Any) -> BreakCode:
    outcome = await house.admission.admit(ask(**more), FakePublisher())
    assert isinstance(outcome, Refused)
    return outcome.code


async def rows(stores: Any, errors: bool = False, stream: str | None = None) -> list[HistoryRow]:
    query = HistoryQuery(
        "demo", "live", "push.demo.local", stream, EPOCH - 1000, EPOCH + 1000, errors, True, offset=0, limit=1000
    )
    return list((await stores.history.page(query)).rows)


async def test_publish_forbid_refuse_resume_publish(stores: Any) -> None:
    clock = Clock()
    async with process(stores, clock, "boot-1") as house:
        session, publisher = await admitted(house)
        clock.now += 10
        await house.forbids.forbid(key(), TILL_PERMANENT)
        assert publisher.kicks == [BreakCode.FORBIDDEN]
        assert await refused(house) is BreakCode.FORBIDDEN
        assert await refused(house, door="localhost") is BreakCode.FORBIDDEN
        await house.forbids.resume(key())
        again, _ = await admitted(house)
    accepted = await rows(stores)
    assert accepted == [HistoryRow(session.facts, EPOCH + 10, BreakCode.FORBIDDEN, Reason.FORBIDDEN)]
    errors = await rows(stores, errors=True)
    assert [row.code for row in errors] == [BreakCode.FORBIDDEN] * 3
    assert [row.accepted for row in errors] == [True, False, False]
    spans = await stores.history.spans("demo", "live", "push.demo.local", None, EPOCH, EPOCH + 1000, 10)
    assert spans == [Span("s1", EPOCH, EPOCH + 10), Span("s1", EPOCH + 10, None)]
    assert again.started


async def test_forbid_rules_hold_on_the_store(stores: Any) -> None:
    clock = Clock()
    async with process(stores, clock, "boot-1") as house:

        async def code(till: int = 0, resume: bool = False) -> int:
            try:
                await (house.forbids.resume(key()) if resume else house.forbids.forbid(key(), till))
            except BusinessError as error:
                return error.ret_code
            return 0

        assert await code(TILL_CUT_ONLY) == 8502
        assert await code(resume=True) == 8201
        assert await code(EPOCH + 5) == 0
        assert await code(EPOCH + 5) == 3802
        clock.now += 1
        assert await code(EPOCH + 6) == 0
        clock.now += 5
        assert await code(resume=True) == 8201, "it has expired"
        assert await code(EPOCH + 6) == 4001
        assert await code(EPOCH + 60) == 0
        assert await code(resume=True) == 0
        assert await code(EPOCH + 60) == 0, "resumed within the same second, it may be forbidden again"


async def test_bans_outlive_the_process_and_end_by_themselves(stores: Any) -> None:
    clock = Clock()
    async with process(stores, clock, "boot-1") as house:
        await house.forbids.forbid(key(), EPOCH + 100)
        await house.forbids.forbid(key("s2"), TILL_PERMANENT)
        await house.forbids.resume(key("s2"))
    await stores.reopen()
    clock.now += 50
    async with process(stores, clock, "boot-2") as house:
        assert await refused(house) is BreakCode.FORBIDDEN
        await admitted(house, stream="s2")
        clock.now += 50
        await admitted(house)


async def test_sessions_of_a_dead_process_are_history_once(stores: Any) -> None:
    clock = Clock()
    async with process(stores, clock, "boot-1") as house:
        session, _ = await admitted(house)
        late, _ = await admitted(house, stream="late")
        clock.now += 5
        await house.reconcile.beat()
        clock.now += 3
        house.endings.finish(late, BreakCode.SUCCESS, Reason.UNPUBLISH, clock())
    await stores.reopen()
    clock.now += 4
    for boot in ("boot-2", "boot-3"):
        async with process(stores, clock, boot):
            assert await rows(stores, stream="s1") == [
                HistoryRow(session.facts, EPOCH + 5, BreakCode.SUCCESS, Reason.CRASH)
            ]
            assert await rows(stores, stream="late") == [
                HistoryRow(late.facts, EPOCH + 8, BreakCode.SUCCESS, Reason.UNPUBLISH)
            ]
            assert await rows(stores, errors=True) == []


async def test_two_processes_of_one_blacklist_follow_each_other(stores: Any) -> None:
    clock = Clock()
    async with process(stores, clock, "boot-1") as house:
        _, publisher = await admitted(house)
        other = House(
            stores.history,
            stores.blacklist,
            stores.keys,
            accounts=ACCOUNTS,
            wall=clock,
            monotonic=clock,
            boot_id="boot-2",
            node_id="node-2",
        )
        await other.reconcile.start()
        await other.forbids.forbid(key())
        await house.reconcile.sync()
        assert publisher.kicks == [BreakCode.FORBIDDEN]
        assert await refused(house) is BreakCode.FORBIDDEN


async def test_security_17_storm_on_a_store_leaves_one_row_a_session(stores: Any) -> None:
    clock = Clock()
    async with process(stores, clock, "boot-1") as house:
        everyone: list[Session] = []

        async def encode(port: int) -> bool:
            publisher = FakePublisher()
            outcome = await house.admission.admit(
                ask(door=("push.demo.local", "localhost")[port % 2], port=port), publisher
            )
            if isinstance(outcome, Refused):
                return False
            everyone.append(outcome)
            await asyncio.sleep(0)
            assert publisher.kicks or house.registry.holds(outcome)
            house.endings.finish(outcome, BreakCode.SUCCESS, Reason.CLOSED, clock())
            house.endings.finish(outcome, BreakCode.SUCCESS, Reason.IDLE, clock())
            return True

        async def police() -> None:
            for _ in range(10):
                clock.now += 1
                await house.forbids.forbid(key())
                assert house.registry.holder(key().name) is None
                await house.forbids.resume(key())

        policing = asyncio.create_task(police())
        begun = [asyncio.create_task(encode(port)) for port in range(1, 41)]
        while not policing.done():
            begun += [asyncio.create_task(encode(port)) for port in range(len(begun) + 1, len(begun) + 4)]
            await asyncio.sleep(0.001)
        await policing
        outcomes = await asyncio.gather(*begun)
        assert len(house.registry) == 0
        suppressed = house.admission.quota.suppressed
    accepted = await rows(stores)
    errors = await rows(stores, errors=True)
    assert len(accepted) == sum(outcomes) == len(everyone)
    assert {row.facts.session_id for row in accepted} == {session.facts.session_id for session in everyone}
    assert len([row for row in errors if not row.accepted]) == len(outcomes) - len(accepted) - suppressed
    assert len({row.facts.client_port for row in [*accepted, *errors]}) == len(outcomes) - suppressed


async def test_key_made_at_run_time_is_known_after_a_restart(stores: Any, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    async with process(stores, clock, "boot-1") as house:
        await stores.keys.create("2000001", "AKMADE", "made secret", EPOCH)
        await house.reconcile.sync()
        assert house.key_ring.find("AKMADE") is not None
    await stores.reopen()
    async with process(stores, clock, "boot-2") as house:
        found = house.key_ring.find("AKMADE")
        assert found is not None
        assert found.secret_key == "made secret"
        await stores.keys.disable("AKMADE", EPOCH)
        await house.reconcile.sync()
        assert house.key_ring.find("AKMADE") is None
    assert "made secret" not in caplog.text
