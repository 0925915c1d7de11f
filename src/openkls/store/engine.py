"""Opens and closes the store. Rule: a store that opened has the newest schema and a secret that fits."""

import asyncio
import logging
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from openkls.store.audit import AuditStore
from openkls.store.blacklist import BlacklistStore
from openkls.store.counts import Tally
from openkls.store.database import Database, open_database
from openkls.store.errors import SetupError
from openkls.store.history import HistoryStore
from openkls.store.keys import KeyStore, check_seal
from openkls.store.outbox import Announcements, OutboxStore
from openkls.store.readers import Readers
from openkls.store.schema import migrate
from openkls.store.secrets import Seal, SealBroken
from openkls.store.writer import DEADLINE_SECONDS, Writer

_log = logging.getLogger("openkls.store")


class Store:
    """The durable ports of one database."""

    def __init__(self, database: Database, seal: Seal, deadline_seconds: float) -> None:
        tally = Tally()
        self.announcements = Announcements()
        self.database = database
        self.writer = Writer(database, deadline_seconds=deadline_seconds, pending=(tally, self.announcements))
        self.readers = Readers(database, deadline_seconds=deadline_seconds)
        self.history = HistoryStore(database, self.writer, self.readers, tally, self.announcements)
        self.blacklist = BlacklistStore(self.writer, self.readers, self.announcements)
        self.keys = KeyStore(self.writer, self.readers, seal)
        self.audit = AuditStore(self.writer, self.readers)
        self.outbox = OutboxStore(self.writer, self.readers, self.announcements)

    async def ping(self) -> None:
        """See that it answers. Raises StoreTimeout, StoreUnavailable."""
        await self.readers.ask(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one())

    async def close(self) -> None:
        """Finish the writes that wait and close all connections. Idempotent."""
        await self.readers.close()
        await self.writer.close()


async def open_store(url: str, data_dir: Path, secret: bytes, *, deadline_seconds: float = DEADLINE_SECONDS) -> Store:
    """Open the database of ``[store] url``, making or migrating it first.

    ``secret`` is what ``load_or_create_secret`` returned; each call of a port is answered or fails within
    ``deadline_seconds``. Raises SetupError with what to do, for the operator.
    """
    database = open_database(url, data_dir)
    seal = Seal(secret)
    await asyncio.to_thread(prepare, database, seal)
    _log.info("the store is open: %s", database.name)
    return Store(database, seal, deadline_seconds)


def prepare(database: Database, seal: Seal) -> None:
    """Bring the schema up to date and see that the secret fits; SetupError when either cannot be."""
    try:
        connection = database.connect_writer()
        try:
            database.begin_migrating(connection)
            migrate(connection)
            check_seal(connection, seal)
            connection.exec_driver_sql("COMMIT")
        finally:
            # Undoes what has not been committed.
            connection.close()
    except DBAPIError as error:
        raise SetupError(database.explain(error)) from error
    except SealBroken as error:
        raise SetupError(
            f"{error}: the key pairs in {database.name} were made with another; set [store] secret_file "
            "to that one or restore it from a backup"
        ) from error
