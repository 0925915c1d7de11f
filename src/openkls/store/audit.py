"""The audit trail: AuditPort. Rule: this module only inserts; the database refuses everything else (tables.py)."""

import functools
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from openkls.domain.audit import AuditEntry, AuditQuery, Author
from openkls.store.readers import Readers
from openkls.store.tables import audit
from openkls.store.writer import Writer

_COLUMNS = [
    audit.c[name]
    for name in (
        *("number", "at", "account_id", "access_key", "address"),
        *("action", "resource", "request_id", "outcome", "detail"),
    )
]
_insert = insert(audit)


class AuditStore:
    """AuditPort on the database."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def append(self, entry: AuditEntry) -> None:
        """Write a row."""
        await self._writer.write(functools.partial(write_entry, entry=entry))

    async def read(self, query: AuditQuery) -> list[AuditEntry]:
        """The newest rows first."""
        return await self._readers.ask(functools.partial(_read, query=query))

    async def count(self, account_id: str, most: int) -> int:
        """How many rows an account has, counted up to ``most``."""
        return await self._readers.ask(functools.partial(_count, account_id=account_id, most=most))


def write_entry(connection: Connection, entry: AuditEntry) -> None:
    """Add the row within the caller's transaction."""
    connection.execute(
        _insert,
        {
            "at": entry.at,
            "account_id": entry.account_id,
            "access_key": entry.author.access_key,
            "address": entry.author.address,
            "action": entry.action,
            "resource": entry.resource,
            "request_id": entry.author.request_id,
            "outcome": entry.outcome,
            "detail": entry.detail,
        },
    )


def _read(connection: Connection, query: AuditQuery) -> list[AuditEntry]:
    wanted: Select[Any] = select(*_COLUMNS).where(audit.c.at >= query.since)
    if query.action is not None:
        wanted = wanted.where(audit.c.action == query.action)
    if query.access_key is not None:
        wanted = wanted.where(audit.c.access_key == query.access_key)
    if query.account_id is not None:
        wanted = wanted.where(audit.c.account_id == query.account_id)
    wanted = wanted.order_by(audit.c.at.desc(), audit.c.number.desc()).limit(query.limit).offset(query.offset)
    return [_entry(row) for row in connection.execute(wanted)]


def _count(connection: Connection, account_id: str, most: int) -> int:
    rows = select(audit.c.number).where(audit.c.account_id == account_id).limit(most).subquery()
    found: int = connection.execute(select(func.count()).select_from(rows)).scalar_one()
    return found


def _entry(row: Row[Any]) -> AuditEntry:
    number, at, account_id, access_key, address, action, resource, request_id, outcome, detail = row
    author = Author(access_key, address, request_id)
    return AuditEntry(at, account_id, author, action, resource, outcome, detail, number)
