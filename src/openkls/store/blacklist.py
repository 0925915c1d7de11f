"""Bans: BlacklistPort. Rule: a change takes its version within its own transaction; rows are never deleted.

Theory of operation. The row of the counter is read FOR UPDATE first, so that changes stand in line there (SQLite has
one writer anyhow) and commit in the order of their versions: whoever has read up to a version has missed none below.
"""

import functools
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from openkls.control.callback_form import tell_ban, tell_resumption
from openkls.domain.audit import AuditEntry
from openkls.domain.blacklist import Ban
from openkls.domain.keys import StreamKey
from openkls.store.audit import write_entry
from openkls.store.database import insert
from openkls.store.outbox import Announcements
from openkls.store.readers import Readers
from openkls.store.tables import BANS_COUNTER, blacklist, counters
from openkls.store.writer import Writer

# A start reads all bans: in pieces, so that no number of them makes one reading late.
READ_BATCH = 10_000

_KEY = [blacklist.c.unique_name, blacklist.c.pubdomain, blacklist.c.app, blacklist.c.stream]
_COLUMNS = [*_KEY, *(blacklist.c[name] for name in ("forbid_time", "till", "permanent", "resumed", "version"))]

_read_version = select(counters.c.value).where(counters.c.name == BANS_COUNTER).with_for_update()
_write_version = update(counters).where(counters.c.name == BANS_COUNTER).values(value=bindparam("version"))
_find: Select[Any] = select(*_COLUMNS).where(*(column == bindparam(column.name) for column in _KEY))
_put = insert(blacklist)
_put = _put.on_conflict_do_update(
    index_elements=_KEY,
    set_={name: _put.excluded[name] for name in ("forbid_time", "till", "permanent", "resumed", "version")},
)
_since: Select[Any] = (
    select(*_COLUMNS).where(blacklist.c.version > bindparam("version")).order_by(blacklist.c.version).limit(READ_BATCH)
)


class BlacklistStore:
    """BlacklistPort on the database."""

    def __init__(self, writer: Writer, readers: Readers, announcements: Announcements) -> None:
        self._writer = writer
        self._readers = readers
        self._announcements = announcements

    async def forbid(
        self, key: StreamKey, now: int, till: int, permanent: bool, entry: AuditEntry | None = None
    ) -> Ban | None:
        """Forbid until ``till``; None when a ban that holds was made within the very second ``now``."""

        def write(connection: Connection) -> Ban | None:
            version, known = _look(connection, key)
            if known is not None and known.active(now) and known.forbid_time == now:
                return None
            ban = Ban(key, now, till, permanent, resumed=False, version=version + 1)
            _save(connection, ban, entry)
            if self._announcements.wants(key.unique_name):
                self._announcements.add(tell_ban(ban))
            return ban

        return await self._writer.write(write)

    async def resume(self, key: StreamKey, now: int, entry: AuditEntry | None = None) -> Ban | None:
        """Turn the ban that holds at ``now`` into a tombstone; None when there is none."""

        def write(connection: Connection) -> Ban | None:
            version, known = _look(connection, key)
            if known is None or not known.active(now):
                return None
            ban = Ban(key, known.forbid_time, known.till, known.permanent, resumed=True, version=version + 1)
            _save(connection, ban, entry)
            if self._announcements.wants(key.unique_name):
                self._announcements.add(tell_resumption(ban, known.version))
            return ban

        return await self._writer.write(write)

    async def since(self, version: int) -> list[Ban]:
        """All rows above ``version``, in order of their versions."""
        bans: list[Ban] = []
        while True:
            found = await self._readers.ask(functools.partial(_read, version=version))
            bans += found
            if len(found) < READ_BATCH:
                return bans
            # A row that changes meanwhile moves to a higher version, ahead of this reading.
            version = found[-1].version


def _look(connection: Connection, key: StreamKey) -> tuple[int, Ban | None]:
    version: int = connection.execute(_read_version).scalar_one()
    row = connection.execute(
        _find,
        {
            "unique_name": key.unique_name,
            "pubdomain": key.pubdomain,
            "app": key.app,
            "stream": key.stream,
        },
    ).first()
    return version, None if row is None else _ban(row)


def _save(connection: Connection, ban: Ban, entry: AuditEntry | None) -> None:
    connection.execute(
        _put,
        {
            "unique_name": ban.key.unique_name,
            "pubdomain": ban.key.pubdomain,
            "app": ban.key.app,
            "stream": ban.key.stream,
            "forbid_time": ban.forbid_time,
            "till": ban.till,
            "permanent": ban.permanent,
            "resumed": ban.resumed,
            "version": ban.version,
        },
    )
    connection.execute(_write_version, {"version": ban.version})
    if entry is not None:
        write_entry(connection, entry)


def _read(connection: Connection, version: int) -> list[Ban]:
    return [_ban(row) for row in connection.execute(_since, {"version": version})]


def _ban(row: Row[Any]) -> Ban:
    unique_name, pubdomain, app, stream, forbid_time, till, permanent, resumed, version = row
    return Ban(StreamKey(unique_name, pubdomain, app, stream), forbid_time, till, permanent, resumed, version)
