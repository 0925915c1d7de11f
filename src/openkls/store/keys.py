"""Accounts and key pairs made at run time: KeysPort. Rule: a secret key leaves this module only opened to its caller
or sealed to the database; a change and its audit row are one transaction."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from openkls.domain.audit import NOBODY, AuditEntry, Author
from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import AccessKey, AccountSwitch
from openkls.store.audit import write_entry
from openkls.store.database import insert
from openkls.store.readers import Readers
from openkls.store.secrets import Seal, SealBroken
from openkls.store.tables import KEYS_COUNTER, access_keys, accounts, counters
from openkls.store.writer import Writer

# Opening a secret costs about 5 microseconds; as with bans, no number of keys makes one reading late.
READ_BATCH = 10_000

T = TypeVar("T")

_COLUMNS = [
    access_keys.c[name]
    for name in (
        *("access_key", "account_id", "sealed_secret", "enabled", "created_at", "version"),
        *("policy", "expires_at"),
    )
]

_read_version = select(counters.c.value).where(counters.c.name == KEYS_COUNTER).with_for_update()
_write_version = update(counters).where(counters.c.name == KEYS_COUNTER).values(value=bindparam("version"))
_find: Select[Any] = select(*_COLUMNS).where(access_keys.c.access_key == bindparam("access_key"))
_add_account = insert(accounts).on_conflict_do_nothing()
_add_key = insert(access_keys)
_change = update(access_keys).where(access_keys.c.access_key == bindparam("key"))
_since: Select[Any] = (
    select(*_COLUMNS)
    .where(access_keys.c.version > bindparam("version"))
    .order_by(access_keys.c.version)
    .limit(READ_BATCH)
)
_find_account: Select[Any] = select(accounts.c.id, accounts.c.disabled, accounts.c.version).where(
    accounts.c.id == bindparam("account_id")
)
_switch_account = update(accounts).where(accounts.c.id == bindparam("account_id"))
_accounts_since: Select[Any] = (
    select(accounts.c.id, accounts.c.disabled, accounts.c.version)
    .where(accounts.c.version > bindparam("version"))
    .order_by(accounts.c.version)
)


class KeyStore:
    """KeysPort on the database."""

    def __init__(self, writer: Writer, readers: Readers, seal: Seal) -> None:
        self._writer = writer
        self._readers = readers
        self._seal = seal

    async def create(
        self,
        account_id: str,
        access_key: str,
        secret_key: str,
        now: int,
        policy: str | None = None,
        by: Author = NOBODY,
    ) -> AccessKey:
        """Store a key pair, and its account when that is new; ValueError when the access key exists."""

        def write(connection: Connection) -> AccessKey:
            version = _next_version(connection)
            connection.execute(_add_account, {"id": account_id, "created_at": now, "disabled": False})
            made = AccessKey(access_key, secret_key, account_id, True, now, version, policy)
            self._add(connection, made)
            connection.execute(_write_version, {"version": version})
            detail = "with a policy" if policy is not None else ""
            write_entry(connection, AuditEntry(now, account_id, by, "CreateKey", access_key, "0", detail))
            return made

        return await self._writer.write(write)

    async def disable(self, access_key: str, now: int, by: Author = NOBODY) -> AccessKey | None:
        """Switch a key off for good; None when it does not exist. Idempotent."""

        def write(connection: Connection, known: AccessKey) -> AccessKey:
            if not known.enabled:
                return known
            write_entry(connection, AuditEntry(now, known.account_id, by, "DisableKey", access_key, "0"))
            return self._save(connection, access_key, enabled=False)

        return await self._writer.write(self._on_key(access_key, write))

    async def rotate(
        self,
        access_key: str,
        new_access_key: str,
        new_secret_key: str,
        now: int,
        expires_at: int,
        by: Author = NOBODY,
    ) -> tuple[AccessKey, AccessKey] | None:
        """Store a successor and let the old key end; None when it does not exist. ValueError when it no longer signs
        or the new one exists."""

        def write(connection: Connection, known: AccessKey) -> tuple[AccessKey, AccessKey]:
            if not known.lives(now):
                raise ValueError(f"the access key {access_key} is {'expired' if known.enabled else 'disabled'}")
            end = expires_at if known.expires_at is None else min(expires_at, known.expires_at)
            old = self._save(connection, access_key, expires_at=end)
            version = old.version + 1
            new = AccessKey(new_access_key, new_secret_key, known.account_id, True, now, version, known.policy)
            self._add(connection, new)
            connection.execute(_write_version, {"version": version})
            detail = f"successor {new_access_key}, ends at {end}"
            write_entry(connection, AuditEntry(now, known.account_id, by, "RotateKey", access_key, "0", detail))
            return old, new

        return await self._writer.write(self._on_key(access_key, write))

    async def set_policy(self, access_key: str, policy: str | None, now: int, by: Author = NOBODY) -> AccessKey | None:
        """Give a key another policy; None when the key does not exist. Idempotent."""

        def write(connection: Connection, known: AccessKey) -> AccessKey:
            if known.policy == policy:
                return known
            detail = "cleared" if policy is None else policy
            write_entry(connection, AuditEntry(now, known.account_id, by, "SetKeyPolicy", access_key, "0", detail))
            return self._save(connection, access_key, policy=policy)

        return await self._writer.write(self._on_key(access_key, write))

    async def since(self, version: int) -> list[AccessKey]:
        """All keys changed above ``version``, disabled ones too, in order of their versions."""
        keys: list[AccessKey] = []
        while True:
            found = await self._readers.ask(functools.partial(self._read, version=version))
            keys += found
            if len(found) < READ_BATCH:
                return keys
            version = found[-1].version

    async def switch_account(self, account_id: str, disabled: bool, now: int, by: Author = NOBODY) -> AccountSwitch:
        """Let an account's keys sign no longer, or again. Idempotent."""

        def write(connection: Connection) -> AccountSwitch:
            version = _next_version(connection)
            connection.execute(_add_account, {"id": account_id, "created_at": now, "disabled": False})
            known = AccountSwitch(*connection.execute(_find_account, {"account_id": account_id}).one())
            if known.disabled == disabled:
                return known
            values = {"disabled": disabled, "version": version}
            connection.execute(_switch_account.values(**values), {"account_id": account_id})
            connection.execute(_write_version, {"version": version})
            action = "DisableAccount" if disabled else "EnableAccount"
            write_entry(connection, AuditEntry(now, account_id, by, action, account_id, "0"))
            return AccountSwitch(account_id, disabled, version)

        return await self._writer.write(write)

    async def accounts_since(self, version: int) -> list[AccountSwitch]:
        """All accounts switched above ``version``, in order of their versions."""
        return await self._readers.ask(
            lambda connection: [
                AccountSwitch(*row) for row in connection.execute(_accounts_since, {"version": version})
            ]
        )

    def _on_key(self, access_key: str, write: Callable[[Connection, AccessKey], T]) -> Callable[[Connection], T | None]:
        """A write on a key that may not exist."""

        def look_and_write(connection: Connection) -> T | None:
            # First, so that changes stand in line at the counter (store/blacklist.py).
            _next_version(connection)
            row = connection.execute(_find, {"access_key": access_key}).first()
            return None if row is None else write(connection, self._open(row))

        return look_and_write

    def _add(self, connection: Connection, key: AccessKey) -> None:
        if connection.execute(_find, {"access_key": key.access_key}).first() is not None:
            raise ValueError(f"the access key {key.access_key} exists already")
        row = {
            "access_key": key.access_key,
            "account_id": key.account_id,
            "sealed_secret": self._seal.close(key.access_key, key.secret_key),
            "enabled": key.enabled,
            "created_at": key.created_at,
            "version": key.version,
            "policy": key.policy,
            "expires_at": key.expires_at,
        }
        connection.execute(_add_key, row)

    def _save(self, connection: Connection, access_key: str, **changes: Any) -> AccessKey:
        version = _next_version(connection)
        connection.execute(_change.values(version=version, **changes), {"key": access_key})
        connection.execute(_write_version, {"version": version})
        return self._open(connection.execute(_find, {"access_key": access_key}).one())

    def _read(self, connection: Connection, version: int) -> list[AccessKey]:
        return [self._open(row) for row in connection.execute(_since, {"version": version})]

    def _open(self, row: Row[Any]) -> AccessKey:
        access_key, account_id, sealed, enabled, created_at, version, policy, expires_at = row
        try:
            secret_key = self._seal.open(access_key, sealed)
        except SealBroken as error:
            raise StoreUnavailable(f"{error}; restore the secret file the key was made with") from error
        return AccessKey(access_key, secret_key, account_id, enabled, created_at, version, policy, expires_at)


def check_seal(connection: Connection, seal: Seal) -> None:
    """Open the newest key pair's secret, if there is one; SealBroken tells at the start that the file is another."""
    newest = select(access_keys.c.access_key, access_keys.c.sealed_secret)
    row = connection.execute(newest.order_by(access_keys.c.version.desc()).limit(1)).first()
    if row is not None:
        seal.open(row.access_key, row.sealed_secret)


def _next_version(connection: Connection) -> int:
    """One above the counter, which is held until the transaction ends."""
    version: int = connection.execute(_read_version).scalar_one()
    return version + 1
