"""The operator's work: numbers, upgrades, and moving to PostgreSQL."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select

from openkls.domain.audit import AuditEntry, AuditQuery, Author
from openkls.domain.callbacks import Event
from openkls.domain.session import BreakCode
from openkls.store import Seal, SetupError, Store, bulk, move, open_database, open_store, read_stats, upgrade
from openkls.store.tables import METADATA
from support_store import KEY, NOON, SECRET, URL, build_facts, build_query, build_row, check_exact, make_at

ENTRY = AuditEntry(NOON, "1", Author("AK1", "192.0.2.1"), "ForbidStream", "s", "0")


async def fill(store: Store) -> None:
    await store.history.begin_boot("boot1", "node1", NOON)
    await store.history.open(build_facts(pub_time=NOON + 5))
    for n in range(700):
        code = BreakCode.FORBIDDEN if n % 9 == 0 else BreakCode.SUCCESS
        await store.history.close(build_row(pub_time=NOON + n * 50, code=code, accepted=n % 27 != 0))
    await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False, entry=ENTRY)
    await store.keys.create("1", "AK1", "hidden", NOON)
    await store.audit.append(ENTRY)


async def test_stats_count_what_there_is(store: Store) -> None:
    await fill(store)
    found = read_stats(store.database)
    assert (found.live, found.processes, found.bans, found.keys, found.audit) == (1, 1, 1, 1, 3)
    assert (found.sessions, found.errors) == (674, 78)
    assert found.oldest == NOON - NOON % 86400
    assert found.newest == (NOON + 699 * 50) // 86400 * 86400
    assert found.size_bytes > 100_000


def test_upgrade_says_from_what_to_what(tmp_path: Path) -> None:
    make_at(tmp_path / "openkls.db", "0001")
    database = open_database(URL, tmp_path)
    with pytest.raises(SetupError, match="openkls db upgrade"):
        read_stats(database)
    assert upgrade(database, Seal(SECRET)) == ("0001", "0004")
    assert upgrade(database, Seal(SECRET)) == ("0004", "0004")
    assert read_stats(database).sessions == 0


def test_stats_of_an_empty_database_say_so(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is empty"):
        read_stats(open_database(URL, tmp_path))


async def test_moved_store_is_the_same_and_goes_on(postgres_url: str, tmp_path: Path) -> None:
    source = await open_store(URL, tmp_path, SECRET, deadline_seconds=20)
    await fill(source)
    for _ in range(3):
        await source.writer.write(lambda _: source.announcements.add(Event(KEY.name, {})))
    first, _, last = waiting = await source.outbox.listed(False, 0, 10)
    expected = await source.history.page(build_query(limit=5000))
    bans, keys, audit = (
        await source.blacklist.since(0),
        await source.keys.since(0),
        await source.audit.read(AuditQuery()),
    )
    await source.close()
    # What older versions wrote when a clock was set back.
    with contextlib.closing(sqlite3.connect(tmp_path / "openkls.db")) as db:
        db.execute("UPDATE history SET fin_time = pub_time - 5 WHERE pub_time = ?", (NOON + 100,))
        db.commit()
    told: list[tuple[str, int, int]] = []
    moved = move(
        tmp_path / "openkls.db", open_database(postgres_url, tmp_path), Seal(SECRET), lambda *step: told.append(step)
    )
    assert moved["history"] == 700
    assert ("history", 700, 700) in told
    target = await open_store(postgres_url, tmp_path, SECRET, deadline_seconds=20)
    page = await target.history.page(build_query(limit=5000))
    assert page.total == expected.total
    assert [row.facts for row in page.rows] == [row.facts for row in expected.rows]
    assert (await target.blacklist.since(0), await target.keys.since(0)) == (bans, keys)
    assert await target.audit.read(AuditQuery()) == audit
    await check_exact(target)
    assert await target.outbox.listed(False, 0, 10) == waiting
    # Numbers and versions go on where they were.
    await target.writer.write(lambda _: target.announcements.add(Event(KEY.name, {})))
    await target.outbox.done(first)
    assert [each.number for each in await target.outbox.due(NOON, {KEY.unique_name: 9})] == [first.number + 1]
    assert (await target.outbox.listed(False, 0, 10))[-1].number == last.number + 1
    assert await target.outbox.lead("boot1", NOON, 15)
    await target.audit.append(ENTRY)
    assert (await target.audit.read(AuditQuery(limit=1)))[0].number == audit[0].number + 1
    assert (await target.keys.create("1", "AK2", "s", NOON)).version == keys[-1].version + 1
    assert len(await target.history.close_lapsed("node1", "boot2", 0)) == 1
    await target.close()
    with pytest.raises(SetupError, match="has rows in"):
        move(tmp_path / "openkls.db", open_database(postgres_url, tmp_path), Seal(SECRET), lambda *_: None)


async def test_move_that_fails_half_way_has_done_nothing(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await open_store(URL, tmp_path, SECRET, deadline_seconds=20)
    await fill(source)
    await source.close()
    target = open_database(postgres_url, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "add_rows", lambda *_: None)
        with pytest.raises(SetupError, match="were counted as 0"):
            move(tmp_path / "openkls.db", target, Seal(SECRET), lambda *_: None)
    with target.connect_reader() as connection:
        for table in METADATA.sorted_tables:
            if table.name not in ("counters", "callback_lease"):
                assert connection.execute(select(table)).first() is None, table.name
    assert move(tmp_path / "openkls.db", target, Seal(SECRET), lambda *_: None)["history"] == 700


def test_move_of_nothing_is_refused(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no database"):
        move(tmp_path / "none.db", open_database(postgres_url, tmp_path), Seal(SECRET), lambda *_: None)
