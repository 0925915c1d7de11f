"""Accounts and key pairs made at run time: KeysPort. Rule: a secret key leaves this module only opened to its caller
or sealed to the database."""

import functools
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import AccessKey
from openkls.store.readers import Readers
from openkls.store.secrets import Seal, SealBroken
from openkls.store.sqlite import insert
from openkls.store.tables import KEYS_COUNTER, access_keys, accounts, counters
from openkls.store.writer import Writer

# Opening a secret costs about 5 microseconds; as with bans, no number of keys makes one reading late.
READ_BATCH = 10_000

_COLUMNS = [
    access_keys.c[name] for name in ("access_key", "account_id", "sealed_secret", "enabled", "created_at", "version")
]

_read_version = select(counters.c.value).where(counters.c.name == KEYS_COUNTER).with_for_update()
_write_version = update(counters).where(counters.c.name == KEYS_COUNTER).values(value=bindparam("version"))
_find: Select[Any] = select(*_COLUMNS).where(access_keys.c.access_key == bindparam("access_key"))
_add_account = insert(accounts).on_conflict_do_nothing()
_add_key = insert(access_keys)
_disable = (
    update(access_keys)
    .where(access_keys.c.access_key == bindparam("key"))
    .values(enabled=False, version=bindparam("next"))
)
_since: Select[Any] = (
    select(*_COLUMNS)
    .where(access_keys.c.version > bindparam("version"))
    .order_by(access_keys.c.version)
    .limit(READ_BATCH)
)


class KeyStore:
    """KeysPort on the database."""

    def __init__(self, writer: Writer, readers: Readers, seal: Seal) -> None:
        self._writer = writer
        self._readers = readers
        self._seal = seal

    async def create(self, account_id: str, access_key: str, secret_key: str, now: int) -> AccessKey:
        """Store a key pair, and its account when that is new; ValueError when the access key exists."""
        sealed = self._seal.close(access_key, secret_key)

        def write(connection: Connection) -> AccessKey:
            version = connection.execute(_read_version).scalar_one() + 1
            if connection.execute(_find, {"access_key": access_key}).first() is not None:
                raise ValueError(f"the access key {access_key} exists already")
            connection.execute(_add_account, {"id": account_id, "created_at": now, "disabled": False})
            row = {
                "access_key": access_key,
                "account_id": account_id,
                "sealed_secret": sealed,
                "enabled": True,
                "created_at": now,
                "version": version,
            }
            connection.execute(_add_key, row)
            connection.execute(_write_version, {"version": version})
            return AccessKey(access_key, secret_key, account_id, True, now, version)

        return await self._writer.write(write)

    async def disable(self, access_key: str, now: int) -> AccessKey | None:
        """Switch a key off for good; None when it does not exist. Idempotent; ``now`` is for an audit to come."""

        def write(connection: Connection) -> AccessKey | None:
            version = connection.execute(_read_version).scalar_one() + 1
            row = connection.execute(_find, {"access_key": access_key}).first()
            if row is None:
                return None
            if row.enabled:
                connection.execute(_disable, {"key": access_key, "next": version})
                connection.execute(_write_version, {"version": version})
                row = connection.execute(_find, {"access_key": access_key}).one()
            return self._open(row)

        return await self._writer.write(write)

    async def since(self, version: int) -> list[AccessKey]:
        """All keys changed above ``version``, disabled ones too, in order of their versions."""
        keys: list[AccessKey] = []
        while True:
            found = await self._readers.ask(functools.partial(self._read, version=version))
            keys += found
            if len(found) < READ_BATCH:
                return keys
            version = found[-1].version

    def _read(self, connection: Connection, version: int) -> list[AccessKey]:
        return [self._open(row) for row in connection.execute(_since, {"version": version})]

    def _open(self, row: Row[Any]) -> AccessKey:
        access_key, account_id, sealed, enabled, created_at, version = row
        try:
            secret_key = self._seal.open(access_key, sealed)
        except SealBroken as error:
            raise StoreUnavailable(f"{error}; restore the secret file the key was made with") from error
        return AccessKey(access_key, secret_key, account_id, enabled, created_at, version)


def check_seal(connection: Connection, seal: Seal) -> None:
    """Open the newest key pair's secret, if there is one; SealBroken tells at the start that the file is another."""
    newest = select(access_keys.c.access_key, access_keys.c.sealed_secret)
    row = connection.execute(newest.order_by(access_keys.c.version.desc()).limit(1)).first()
    if row is not None:
        seal.open(row.access_key, row.sealed_secret)
