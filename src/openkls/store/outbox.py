"""Events that wait to be told, and dead letters: OutboxPort. Rule: an event is written in the transaction of the fact
it tells of, by whoever writes the fact.

Theory of operation. What a write has to say is left with ``Announcements`` and done at the end of its batch, space by
space, under the lock of the space's row in ``callback_spaces``, which is held until COMMIT. So of one space, and with
it of one stream, numbers are given in the order in which they can be seen: nobody meets a higher one first. Spaces are
locked in the order of their names, after history's counts: no two processes wait for each other. Everything else that
changes an event is done there too. The same row counts what waits, so that a limit costs no counting.

Of each stream the first that waits has a ``next_try``, and no other: the index of those is what is due, however much
waits behind.

A space that nobody is told about costs a look into a dictionary. One process tells at a time: who holds the one row of
``callback_lease`` (control.callbacks).
"""

import itertools
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Select,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from openkls.domain.callbacks import DEAD_LIMIT, WAITING_LIMIT, Callback, Event, SpaceCounts
from openkls.domain.keys import StreamName
from openkls.store.database import insert
from openkls.store.readers import Readers
from openkls.store.tables import callback_lease as lease
from openkls.store.tables import callback_outbox as outbox
from openkls.store.tables import callback_spaces as spaces
from openkls.store.writer import Writer

# Dead letters retried or purged in one transaction.
BATCH = 250
LEASE_NAME = "delivery"

_log = logging.getLogger("openkls.store")

Params = dict[str, Any]

_make_space = insert(spaces).values(waiting=0, dead=0, refused=0).on_conflict_do_nothing()
_hold_space: Select[Any] = (
    select(spaces.c.waiting, spaces.c.dead, spaces.c.refused)
    .where(spaces.c.unique_name == bindparam("space"))
    .with_for_update()
)
_write_space = (
    update(spaces)
    .where(spaces.c.unique_name == bindparam("space"))
    .values(waiting=bindparam("waiting"), dead=bindparam("dead"), refused=bindparam("refused"))
)
_waiting_of_stream = [
    *(
        outbox.c[name] == bindparam(f"of_{name}", type_=outbox.c[name].type)
        for name in ("unique_name", "app", "stream")
    ),
    outbox.c.dead_at.is_(None),
]
_GIVEN = ("event_id", "unique_name", "app", "stream", "body", "created_at")
_add = insert(outbox).from_select(
    [*_GIVEN, "attempts", "error", "next_try"],
    select(
        *(bindparam(name, type_=outbox.c[name].type) for name in _GIVEN),
        literal(0),
        literal(""),
        case((exists().where(*_waiting_of_stream), null()), else_=literal(0, BigInteger)),
    ),
)
_first_of_stream = select(func.min(outbox.c.number)).where(*_waiting_of_stream).scalar_subquery()
_promote = update(outbox).where(outbox.c.number == _first_of_stream, outbox.c.next_try.is_(None)).values(next_try=0)
_demote = (
    update(outbox)
    .where(*_waiting_of_stream, outbox.c.next_try.is_not(None), outbox.c.number > bindparam("above"))
    .values(next_try=None)
)
_try_stream = update(outbox).where(*_waiting_of_stream, outbox.c.next_try.is_not(None)).values(next_try=0)
_find = select(outbox).where(outbox.c.number == bindparam("which"))
_remove = delete(outbox).where(outbox.c.number == bindparam("which"))
_put_off = (
    update(outbox)
    .where(outbox.c.number == bindparam("which"), outbox.c.next_try.is_not(None))
    .values(attempts=bindparam("tried"), next_try=bindparam("again"), error=bindparam("said"))
)
_give_up = (
    update(outbox)
    .where(outbox.c.number == bindparam("which"), outbox.c.dead_at.is_(None))
    .values(attempts=bindparam("tried"), next_try=None, dead_at=bindparam("at"), error=bindparam("said"))
)
_revive = (
    update(outbox)
    .where(outbox.c.number == bindparam("which"))
    .values(attempts=0, next_try=None, dead_at=None, error="", created_at=bindparam("at"))
)
_oldest_dead = (
    select(outbox.c.number)
    .where(outbox.c.unique_name == bindparam("space"), outbox.c.dead_at.is_not(None))
    .order_by(outbox.c.dead_at, outbox.c.number)
    .limit(bindparam("many"))
)
_due = (
    select(outbox)
    .where(outbox.c.unique_name == bindparam("space"), outbox.c.next_try <= bindparam("now"))
    .order_by(outbox.c.next_try, outbox.c.number)
    .limit(bindparam("many"))
)
_lead = (
    update(lease)
    .where(lease.c.name == LEASE_NAME, or_(lease.c.owner == bindparam("who"), lease.c.until <= bindparam("now")))
    .values(owner=bindparam("who"), until=bindparam("end"))
)
_resign = update(lease).where(lease.c.name == LEASE_NAME, lease.c.owner == bindparam("who")).values(until=0)


class Space:
    """The row of a space, locked for the rest of a transaction."""

    __slots__ = ("dead", "name", "refused", "waiting")

    def __init__(self, name: str, waiting: int, dead: int, refused: int) -> None:
        self.name = name
        self.waiting = waiting
        self.dead = dead
        self.refused = refused


Change = Callable[[Connection, Space], None]
ChangeOne = Callable[[Connection, Space, Callback], bool]
"""Of one event, as it is under the lock; whether it changed."""


class Announcements:
    """What the writes of a batch say of events, to be done at its end (writer.Pending). ``add`` and ``leave`` are
    called from within a write."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changes: list[tuple[str, Change]] = []
        self._full: set[str] = set()
        self._fresh = False
        self.wants: Callable[[str], bool] = lambda unique_name: False
        """Whether a server is told of a space's streams; asked in the writer's thread."""
        self.on_written: Callable[[], None] = lambda: None
        """Called in the event loop when there are new events."""
        self.refused = 0
        """Events that found WAITING_LIMIT of their space waiting, since the start."""

    def add(self, event: Event) -> None:
        """Write an event down."""

        def change(connection: Connection, space: Space) -> None:
            if space.waiting >= WAITING_LIMIT:
                self._refuse(space)
                return
            self._full.discard(space.name)
            self._fresh = True
            event_id = uuid.uuid4().hex
            given = event.name._asdict()
            body = json.dumps({**event.members, "EventId": event_id})
            made = given | {"event_id": event_id, "body": body, "created_at": int(self._clock())}
            connection.execute(_add, made | _of_stream(event.name))
            space.waiting += 1

        self.leave(event.name.unique_name, change)

    def leave(self, unique_name: str, change: Change) -> None:
        """Have a change of the space's events done."""
        self._changes.append((unique_name, change))

    def mark(self) -> int:
        """How much there is."""
        return len(self._changes)

    def rewind(self, mark: int) -> None:
        """Forget what has come since."""
        del self._changes[mark:]

    def settle(self, connection: Connection) -> None:
        """Do it all, space by space."""
        if not self._changes:
            return
        changes, self._changes = self._changes, []
        changes.sort(key=lambda each: each[0])
        for name, group in itertools.groupby(changes, key=lambda each: each[0]):
            connection.execute(_make_space, {"unique_name": name})
            space = Space(name, *connection.execute(_hold_space, {"space": name}).one())
            for _, change in group:
                change(connection, space)
            counts = {"waiting": space.waiting, "dead": space.dead, "refused": space.refused}
            connection.execute(_write_space, counts | {"space": name})

    def committed(self) -> None:
        """A batch is durable; in the event loop."""
        if self._fresh:
            self._fresh = False
            self.on_written()

    def _refuse(self, space: Space) -> None:
        space.refused += 1
        self.refused += 1
        if space.name not in self._full:
            self._full.add(space.name)
            _log.error(
                "space %s: %d callbacks wait already; new ones are lost until some are delivered: see that the server "
                "of its callback_url answers, or `openkls callbacks drop`",
                space.name,
                space.waiting,
            )


class OutboxStore:
    """OutboxPort on the database."""

    def __init__(self, writer: Writer, readers: Readers, announcements: Announcements) -> None:
        self._writer = writer
        self._readers = readers
        self._announcements = announcements

    async def spaces(self) -> list[SpaceCounts]:
        """The spaces that ever had an event."""

        def question(connection: Connection) -> list[SpaceCounts]:
            return [SpaceCounts(*row) for row in connection.execute(select(spaces).order_by(spaces.c.unique_name))]

        return await self._readers.ask(question)

    async def due(self, now: int, room: Mapping[str, int]) -> list[Callback]:
        """Of each space in ``room`` so many that are due."""

        def question(connection: Connection) -> list[Callback]:
            found: list[Callback] = []
            for name, many in room.items():
                asked = {"space": name, "now": now, "many": many}
                found += [_callback(row) for row in connection.execute(_due, asked)]
            return found

        return await self._readers.ask(question)

    async def done(self, callback: Callback) -> None:
        """Forget an event that was accepted."""
        await self._change(callback, lambda connection, space: _forget(connection, space, callback.number))

    async def put_off(self, callback: Callback, next_try: int, error: str) -> None:
        """Note a failed attempt."""
        values = {"which": callback.number, "tried": callback.attempts + 1, "again": next_try, "said": error}

        def change(connection: Connection, space: Space) -> None:
            connection.execute(_put_off, values)

        await self._change(callback, change)

    async def give_up(self, callback: Callback, now: int, error: str) -> None:
        """Make it a dead letter."""
        values = {"which": callback.number, "tried": callback.attempts + 1, "at": now, "said": error}

        def change(connection: Connection, space: Space) -> None:
            if not connection.execute(_give_up, values).rowcount:
                return
            space.waiting -= 1
            space.dead += 1
            connection.execute(_promote, _of_stream(callback.name))
            if space.dead > DEAD_LIMIT:
                over = connection.execute(_oldest_dead, {"space": space.name, "many": space.dead - DEAD_LIMIT})
                for number in over.scalars().all():
                    _forget(connection, space, number)

        await self._change(callback, change)

    async def listed(self, dead: bool, after: int, limit: int) -> list[Callback]:
        """Those that wait, or the dead letters, above ``after``."""
        kind = outbox.c.dead_at.is_not(None) if dead else outbox.c.dead_at.is_(None)
        asked = select(outbox).where(kind, outbox.c.number > after).order_by(outbox.c.number).limit(limit)
        return await self._readers.ask(lambda connection: [_callback(row) for row in connection.execute(asked)])

    async def retry(self, number: int, now: int) -> bool:
        """Have an event tried now."""
        return await self._change_all([number], _retrying(now)) > 0

    async def retry_all(self, now: int) -> int:
        """Have all dead letters wait again, and all that wait tried now; returns how many of the first."""
        retried, after = 0, 0
        while True:
            batch = await self.listed(True, after, BATCH)
            if not batch:
                break
            numbers = [callback.number for callback in batch]
            retried += await self._change_all(numbers, _retrying(now))
            after = numbers[-1]
        at_once = update(outbox).where(outbox.c.next_try > 0).values(next_try=0)
        await self._writer.write(lambda connection: connection.execute(at_once).rowcount)
        return retried

    async def drop(self, number: int) -> bool:
        """Forget an event."""
        return await self._change_all([number], _drop) > 0

    async def purge(self, before: int) -> int:
        """Forget the dead letters that were given up before ``before``."""
        old = select(outbox.c.number).where(outbox.c.dead_at.is_not(None), outbox.c.dead_at < before).limit(BATCH)
        purged = 0
        while True:
            numbers = await self._readers.ask(lambda connection: connection.execute(old).scalars().all())
            purged += await self._change_all(numbers, _drop)
            if len(numbers) < BATCH:
                return purged

    async def lead(self, owner: str, now: int, seconds: int) -> bool:
        """Be, or stay, the one process that tells."""
        asked = {"who": owner, "now": now, "end": now + seconds}
        holder = await self._readers.ask(lambda connection: connection.execute(select(lease)).one())
        if holder.owner != owner and holder.until > now:
            return False
        return await self._writer.write(lambda connection: connection.execute(_lead, asked).rowcount > 0)

    async def resign(self, owner: str) -> None:
        """Lead no longer."""
        await self._writer.write(lambda connection: connection.execute(_resign, {"who": owner}).rowcount)

    async def _change(self, callback: Callback, change: Change) -> None:
        name = callback.name.unique_name
        await self._writer.write(lambda connection: self._announcements.leave(name, change))

    async def _change_all(self, numbers: Sequence[int], change: ChangeOne) -> int:
        """Change the events that there are of these numbers; how many did change."""
        changed: list[int] = []

        def write(connection: Connection) -> list[int]:
            changed.clear()
            for number in numbers:
                row = connection.execute(_find, {"which": number}).first()
                if row is not None:
                    self._announcements.leave(row.unique_name, _counting(number, change, changed))
            return changed

        return len(await self._writer.write(write))


def _counting(number: int, change: ChangeOne, changed: list[int]) -> Change:
    def counted(connection: Connection, space: Space) -> None:
        # As it is now that its space is locked.
        row = connection.execute(_find, {"which": number}).first()
        if row is not None and change(connection, space, _callback(row)):
            changed.append(number)

    return counted


def _drop(connection: Connection, space: Space, callback: Callback) -> bool:
    _forget(connection, space, callback.number)
    return True


def _retrying(now: int) -> ChangeOne:
    def change(connection: Connection, space: Space, callback: Callback) -> bool:
        of_stream = _of_stream(callback.name)
        if callback.dead_at is None:
            connection.execute(_try_stream, of_stream)
            return True
        if space.waiting >= WAITING_LIMIT:
            return False
        connection.execute(_revive, {"which": callback.number, "at": now})
        space.waiting += 1
        space.dead -= 1
        connection.execute(_demote, of_stream | {"above": callback.number})
        connection.execute(_promote, of_stream)
        return True

    return change


def _forget(connection: Connection, space: Space, number: int) -> None:
    row = connection.execute(_find, {"which": number}).first()
    if row is None:
        return
    connection.execute(_remove, {"which": number})
    if row.dead_at is not None:
        space.dead -= 1
        return
    space.waiting -= 1
    connection.execute(_promote, _of_stream(_callback(row).name))


def _of_stream(name: StreamName) -> Params:
    return {f"of_{key}": value for key, value in name._asdict().items()}


def _callback(row: Row[Any]) -> Callback:
    number, event_id, unique_name, app, stream, body, created_at, attempts, next_try, dead_at, error = row
    name = StreamName(unique_name, app, stream)
    return Callback(number, event_id, name, body, created_at, attempts, next_try, dead_at, error)
