"""AuditPort, over every adapter; and that the database itself keeps its rows as they are."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from openkls.domain.audit import AuditEntry, AuditQuery, Author
from openkls.store import Store
from support_store import NOON, URL

ENTRY = AuditEntry(
    NOON, "2000001", Author("AK1", "192.0.2.1", "req-1"), "ForbidStream", "demo/push.demo.local/live/s1", "0", "till=1"
)


async def test_rows_come_back_newest_first_with_their_numbers(store: Store) -> None:
    later = replace(ENTRY, at=NOON + 1, outcome="3802")
    for entry in (ENTRY, later, later):
        await store.audit.append(entry)
    assert await store.audit.read(AuditQuery()) == [
        replace(later, number=3),
        replace(later, number=2),
        replace(ENTRY, number=1),
    ]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (AuditQuery(since=NOON + 1), [4, 3, 2]),
        (AuditQuery(since=NOON + 3), [4]),
        (AuditQuery(since=NOON + 4), []),
        (AuditQuery(action="ResumeStream"), [3]),
        (AuditQuery(access_key="cli"), [4]),
        (AuditQuery(action="ForbidStream", access_key="AK1"), [2, 1]),
        (AuditQuery(limit=2), [4, 3]),
        (AuditQuery(limit=2, offset=1), [3, 2]),
        (AuditQuery(offset=4), []),
        (AuditQuery(account_id="2000001"), [4, 3, 1]),
        (AuditQuery(account_id="2000001", limit=1, offset=1), [3]),
        (AuditQuery(account_id="nobody"), []),
    ],
)
async def test_rows_are_picked_by_age_action_and_key(store: Store, query: AuditQuery, numbers: list[int]) -> None:
    for entry in (
        ENTRY,
        replace(ENTRY, at=NOON + 1, account_id="2000002"),
        replace(ENTRY, at=NOON + 2, action="ResumeStream"),
        replace(ENTRY, at=NOON + 3, action="CreateKey", author=Author("cli", "root")),
    ):
        await store.audit.append(entry)
    assert [row.number for row in await store.audit.read(query)] == numbers


async def test_rows_of_an_account_are_counted_up_to_a_bound(store: Store) -> None:
    for number in range(5):
        await store.audit.append(replace(ENTRY, account_id="2000002" if number == 2 else "2000001"))
    for account_id, most, count in (("2000001", 100, 4), ("2000001", 4, 4), ("2000001", 3, 3), ("nobody", 100, 0)):
        assert await store.audit.count(account_id, most) == count


@pytest.mark.parametrize("url", [URL])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET outcome = '0'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT 1, at, account_id, access_key, address, action, resource, request_id, "
        "'0', detail FROM audit",
        "REPLACE INTO audit SELECT * FROM audit",
    ],
)
async def test_no_program_changes_or_removes_a_row(store: Store, tmp_path: Path, statement: str) -> None:
    await store.audit.append(replace(ENTRY, outcome="8201"))
    before = await store.audit.read(AuditQuery())
    await store.close()
    connection = sqlite3.connect(tmp_path / "openkls.db")
    try:
        with pytest.raises(sqlite3.IntegrityError, match="audit is append-only"):
            connection.execute(statement)
        connection.rollback()
        rows = connection.execute("SELECT number, outcome FROM audit").fetchall()
    finally:
        connection.close()
    assert rows == [(before[0].number, "8201")]
