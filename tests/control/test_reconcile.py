"""Memory and store of one mind: the start, the sync, the heartbeat, and what is forgotten."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from openkls.control import reconcile as module
from openkls.control.reconcile import HEARTBEAT_SECONDS, LEASE_SECONDS, PRUNE_SECONDS, PURGE_SECONDS, SYNC_SECONDS
from openkls.domain.errors import StoreUnavailable
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session
from support_control import EPOCH, House, Still, ask
from support_domain import FakePublisher, ban, facts, key


def live(still: Still, house: House | None = None, publisher: FakePublisher | None = None) -> Session:
    outcome = still.loop.run((house or still.house).admission.admit(ask(), publisher or FakePublisher()))
    assert isinstance(outcome, Session)
    return outcome


def running(still: Still) -> asyncio.Task[None]:
    return still.loop.create_task(still.house.reconcile.run())


def test_start_ends_the_sessions_of_the_dead_at_their_last_heartbeat(still: Still) -> None:
    still.loop.run(still.house.reconcile.start())
    session = live(still)
    still.loop.advance(7.0)
    still.loop.run(still.house.reconcile.beat())
    still.loop.advance(3.0)
    reborn = still.build("boot-2")
    assert still.loop.run(reborn.reconcile.start()) == 1
    assert list(still.history.rows.values()) == [
        HistoryRow(session.facts, EPOCH + 7, BreakCode.SUCCESS, Reason.CRASH),
    ]
    assert set(still.history.boots) == {"boot-2"}
    assert still.loop.run(still.build("boot-3").reconcile.start()) == 0


def test_start_knows_every_ban_and_key_before_anything_listens(still: Still) -> None:
    still.loop.run(still.bans.forbid(key(), EPOCH, EPOCH + 100, False))
    still.loop.run(still.bans.forbid(key("s2"), EPOCH, EPOCH + 100, False))
    still.loop.run(still.bans.resume(key("s2"), EPOCH))
    still.loop.run(still.keys.create("2000001", "AKMADE", "made", EPOCH))
    still.loop.run(still.house.reconcile.start())
    assert still.house.blacklist.forbids(key(), EPOCH)
    assert not still.house.blacklist.forbids(key("s2"), EPOCH)
    assert still.house.key_ring.find("AKMADE") is not None


def test_start_without_a_store_fails(still: Still) -> None:
    still.history.down = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        still.loop.run(still.house.reconcile.start())


def test_sync_applies_and_cuts_what_another_process_forbade(still: Still) -> None:
    publisher = FakePublisher()
    live(still, publisher=publisher)
    other = still.build("boot-2")
    still.loop.run(other.forbids.forbid(key()))
    assert not publisher.kicks
    still.loop.run(still.house.reconcile.sync())
    assert publisher.kicks == [BreakCode.FORBIDDEN]
    still.loop.run(other.forbids.resume(key()))
    still.loop.run(still.house.reconcile.sync())
    assert not still.house.blacklist.forbids(key(), EPOCH)


def test_sync_goes_on_after_a_cut_that_failed(still: Still) -> None:
    session = live(still, publisher=FakePublisher(broken=OSError("gone")))
    for stream in ("s1", "s2"):
        still.loop.run(still.bans.forbid(key(stream), EPOCH, EPOCH + 100, False))
    still.loop.run(still.house.reconcile.sync())
    assert session.ended
    assert still.house.blacklist.forbids(key("s2"), EPOCH)


def test_sync_reads_only_what_is_new(still: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    for name, port in (("bans", still.bans), ("keys", still.keys)):
        since = port.since

        async def noted(version: int, name: str = name, since: Any = since) -> Any:
            asked.append((name, version))
            return await since(version)

        monkeypatch.setattr(port, "since", noted)
    still.loop.run(still.bans.forbid(key(), EPOCH, EPOCH + 100, False))
    still.loop.run(still.keys.create("2000001", "AKMADE", "made", EPOCH))
    still.loop.run(still.house.reconcile.sync())
    still.loop.run(still.house.reconcile.sync())
    assert asked == [("bans", 0), ("keys", 0), ("bans", 1), ("keys", 1)]


def test_key_that_the_file_has_is_the_files(still: Still, caplog: pytest.LogCaptureFixture) -> None:
    still.loop.run(still.keys.create("2000001", "AKFILE", "of the store", EPOCH))
    still.loop.run(still.keys.create("2000001", "AKMADE", "made", EPOCH))
    still.loop.run(still.house.reconcile.sync())
    found = still.house.key_ring.find("AKFILE")
    assert found is not None
    assert found.secret_key == "of the file"
    assert still.house.key_ring.find("AKMADE") is not None
    assert "AKFILE is in the store and in the configuration" in caplog.text
    assert "of the store" not in caplog.text


def test_beat_vouches_for_this_process_and_ends_those_nobody_vouches_for(
    still: Still, caplog: pytest.LogCaptureFixture
) -> None:
    still.loop.run(still.house.reconcile.start())
    still.history.boots["boot-far"] = ("node-2", EPOCH)
    lost = facts(key("far"), pub_time=EPOCH - 60)
    still.history.live[lost.session_id] = type(lost)(
        lost.session_id, lost.key, lost.client_ip, lost.client_port, lost.node, "boot-far", lost.pub_time
    )
    still.loop.advance(LEASE_SECONDS)
    still.loop.run(still.house.reconcile.beat())
    assert not still.history.rows, "its lease has not lapsed yet"
    assert still.history.boots["boot-1"] == ("node-1", EPOCH + LEASE_SECONDS)
    still.loop.advance(1.0)
    still.loop.run(still.house.reconcile.beat())
    (row,) = still.history.rows.values()
    assert (row.fin_time, row.reason) == (EPOCH, Reason.CRASH)
    assert f"session {lost.session_id} of a dead process" in caplog.text


def test_nobody_is_declared_dead_by_who_was_without_the_store_too(still: Still) -> None:
    still.loop.run(still.house.reconcile.start())
    running(still)
    other = still.build("boot-2", node_id="node-2")
    still.loop.run(other.reconcile.start())
    beating = still.loop.create_task(other.reconcile.run())
    session = replace(facts(), boot_id="boot-2")
    still.history.live[session.session_id] = session
    still.loop.advance(2 * LEASE_SECONDS)
    still.history.down = StoreUnavailable("down")
    still.loop.advance(2 * LEASE_SECONDS)
    still.history.down = None
    still.loop.run(still.house.reconcile.beat())  # before the other's
    still.loop.run(still.build("boot-3", node_id="node-3").reconcile.start())
    assert session.session_id in still.history.live
    still.loop.advance(2 * LEASE_SECONDS)
    assert not still.history.rows
    beating.cancel()
    still.loop.advance(2 * LEASE_SECONDS)
    (row,) = still.history.rows.values()
    assert (row.facts, row.reason) == (session, Reason.CRASH)


def test_purge_deletes_history_older_than_the_retention(still: Still) -> None:
    day = 86400
    for number, age_days in enumerate((89, 90, 91)):
        old = facts(session_id=f"{number:032x}", pub_time=0)
        row = HistoryRow(old, EPOCH - age_days * day, BreakCode.SUCCESS, Reason.CLOSED)
        still.loop.run(still.history.close(row))
    still.loop.run(still.house.reconcile.purge())
    assert {row.fin_time for row in still.history.rows.values()} == {EPOCH - 89 * day, EPOCH - 90 * day}
    still.loop.run(still.house.reconcile.purge())
    assert len(still.history.rows) == 2


def test_prune_forgets_only_what_was_read_a_call_ago(still: Still) -> None:
    still.loop.run(still.bans.forbid(key(), EPOCH, EPOCH + 1, False))
    still.loop.run(still.house.reconcile.sync())
    still.loop.advance(5.0)
    still.house.reconcile.prune()
    assert not still.house.blacklist.apply(ban(version=1)), "the row may still be on its way: it is remembered"
    still.house.reconcile.prune()
    assert still.house.blacklist.apply(ban(version=1, till=EPOCH + 1)), "forgotten"


def test_prune_leaves_alone_what_was_forbidden_here_but_not_yet_read(still: Still) -> None:
    still.loop.run(still.house.forbids.forbid(key()))
    still.loop.run(still.house.forbids.resume(key()))
    still.house.reconcile.prune()
    still.house.reconcile.prune()
    assert not still.house.blacklist.apply(ban(version=1)), "the tombstone must outlive the rows it answers"


def test_loops_beat_sync_prune_and_purge_at_their_times(still: Still) -> None:
    running(still)
    still.history.calls.clear()
    still.bans.calls.clear()
    still.loop.advance(60.0)
    assert still.history.calls.count("heartbeat") == still.history.calls.count("close_lapsed") == 60 / HEARTBEAT_SECONDS
    assert still.bans.calls.count("since") == 60 / SYNC_SECONDS
    still.loop.run(still.house.forbids.forbid(key(), EPOCH + 61))
    still.loop.advance(2 * PRUNE_SECONDS)
    assert not still.house.blacklist._bans
    assert PRUNE_SECONDS == PURGE_SECONDS == 3600.0


def test_ban_expires_without_any_sweep(still: Still) -> None:
    still.loop.run(still.house.forbids.forbid(key(), EPOCH + 5))
    still.loop.advance(5.0)
    live(still)


def test_loops_outlive_a_store_that_is_away_and_say_so_once(still: Still, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    loops = running(still)
    still.history.down = still.bans.down = StoreUnavailable("disk full")
    still.loop.advance(30.0)
    assert not loops.done()
    assert not still.house.reconcile.store_reachable
    assert caplog.text.count("the store does not answer: disk full") == 1
    still.history.down = still.bans.down = None
    still.loop.advance(10.0)
    assert still.house.reconcile.store_reachable
    assert caplog.text.count("the store answers again") == 1


def test_process_that_others_took_for_dead_takes_its_sessions_back(
    still: Still, caplog: pytest.LogCaptureFixture
) -> None:
    still.loop.run(still.house.reconcile.start())
    session = live(still)
    other = still.build("boot-2", node_id="node-2")
    still.loop.run(other.reconcile.start())
    still.loop.advance(LEASE_SECONDS + 1.0)
    still.loop.run(other.reconcile.beat())
    assert still.history.rows[session.facts.session_id].reason is Reason.CRASH
    still.history.down_after = StoreUnavailable("late")
    with pytest.raises(StoreUnavailable):
        still.loop.run(still.house.reconcile.beat())
    still.history.down_after = None
    still.loop.run(still.house.reconcile.beat())
    still.loop.run(still.house.reconcile.beat())
    assert (still.history.live, still.history.rows) == ({session.facts.session_id: session.facts}, {})
    assert caplog.text.count("1 of its sessions had been ended and live on") == 1


def test_prune_says_nothing_about_the_store(still: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRUNE_SECONDS", 30.5)
    running(still)
    still.history.down = still.bans.down = StoreUnavailable("down")
    still.loop.advance(30.4)
    assert not still.house.reconcile.store_reachable
    still.loop.advance(0.2)
    assert not still.house.reconcile.store_reachable


def test_loops_outlive_a_fault_of_ours(still: Still, caplog: pytest.LogCaptureFixture) -> None:
    loops = running(still)
    still.history.down = ValueError("our bug")
    still.loop.advance(12.0)
    assert not loops.done()
    assert "beat failed" in caplog.text
    still.history.down = None
    beats = still.history.calls.count("heartbeat")
    still.loop.advance(HEARTBEAT_SECONDS)
    assert still.history.calls.count("heartbeat") > beats


def test_loops_end_when_they_are_cancelled(still: Still) -> None:
    loops = running(still)
    still.loop.settle()
    loops.cancel()
    still.loop.settle()
    assert loops.cancelled()


def test_sync_follows_the_switches_of_accounts(still: Still) -> None:
    still.loop.run(still.keys.switch_account("2000001", True, EPOCH))
    still.loop.run(still.house.reconcile.start())
    assert still.house.key_ring.disabled_accounts == {"2000001"}
    still.loop.run(still.keys.switch_account("2000001", False, EPOCH))
    still.loop.run(still.house.reconcile.sync())
    assert still.house.key_ring.disabled_accounts == set()
