"""Which key pairs sign requests. Rule: the file's keys are read-only; the store's never hide one of them.

Theory of operation. The store's rows come by versions, perhaps twice and in any order: of a key, and of an account,
the row with the highest version counts. Whether a key has ended is decided at each use, never by a sweep.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from openkls import config, model
from openkls.config import ConfigError
from openkls.domain.policy import NO_RIGHTS, Policy, PolicyError, parse_policy, parse_policy_text
from openkls.domain.ports import AccessKey, AccountSwitch

log = logging.getLogger("openkls.control.keyring")


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that may sign, and the account it signs for."""

    access_key: str
    secret_key: str
    account_id: str
    policy: Policy | None = None
    """None is full rights in its account."""

    def __repr__(self) -> str:
        return f"Credential({self.access_key!r}, account_id={self.account_id!r})"


class KeyRing:
    """The keys known to this process; ``clock`` gives Unix seconds. Raises ConfigError for a policy that is none."""

    def __init__(self, accounts: Collection[config.Account], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._fixed = _read_fixed(accounts)
        self._texts = _read_texts(accounts)
        self._rows: dict[str, AccessKey] = {}
        self._made: dict[str, Credential] = {}
        self._switches: dict[str, AccountSwitch] = {}
        self.disabled_accounts: set[str] = set()
        """Ids of the accounts, of the file and of the store, whose keys are refused for now."""

    @property
    def clashes(self) -> set[str]:
        """Keys of the file that the store has too, able to sign; the service does not start with one."""
        now = self._clock()
        return {
            access_key for access_key in self._fixed.keys() & self._rows.keys() if self._rows[access_key].lives(now)
        }

    def find(self, access_key: str) -> Credential | None:
        """The key if it exists, is enabled and has not ended."""
        fixed = self._fixed.get(access_key)
        if fixed is not None:
            return fixed
        row = self._rows.get(access_key)
        return self._made[access_key] if row is not None and row.lives(self._clock()) else None

    def apply(self, key: AccessKey) -> bool:
        """Take a row of the store in, unless a newer one of its key is known; False when the file has a key of that
        name, which then is the one that signs."""
        known = self._rows.get(key.access_key)
        if known is None or known.version < key.version:
            self._rows[key.access_key] = key
            self._made[key.access_key] = _credential(key)
        return key.access_key not in self.clashes

    def apply_switch(self, switch: AccountSwitch) -> None:
        """Take an account's row of the store in, unless a newer one is known."""
        known = self._switches.get(switch.account_id)
        if known is not None and known.version >= switch.version:
            return
        self._switches[switch.account_id] = switch
        if switch.disabled:
            self.disabled_accounts.add(switch.account_id)
        else:
            self.disabled_accounts.discard(switch.account_id)

    def replace(self, accounts: Collection[config.Account]) -> None:
        """Know these accounts' keys instead of the file's so far. Raises ConfigError, with nothing changed, when one
        of them exists in the store or has a policy that is none."""
        before, self._fixed = self._fixed, _read_fixed(accounts)
        clashes = self.clashes
        if clashes:
            self._fixed = before
            raise clash_error(clashes)
        self._texts = _read_texts(accounts)

    def fixed(self, account_id: str) -> list[tuple[str, str | None]]:
        """The file's keys of an account, each with the JSON of its policy (None: full rights)."""
        return [
            (access_key, self._texts[access_key])
            for access_key, credential in self._fixed.items()
            if credential.account_id == account_id
        ]

    def is_fixed(self, account_id: str, access_key: str) -> bool:
        """Whether the file has this key of this account."""
        credential = self._fixed.get(access_key)
        return credential is not None and credential.account_id == account_id

    def made(self, account_id: str) -> dict[str, AccessKey]:
        """The store's keys of an account by name, those that sign no longer too."""
        return {name: row for name, row in self._rows.items() if row.account_id == account_id}


def clash_error(clashes: set[str]) -> ConfigError:
    """What to tell the operator of keys that are in the file and in the store."""
    return ConfigError(
        f"account.key.access_key: {min(clashes)} exists in the store too; remove it here or disable it there"
    )


def read_policy(text: str) -> Policy:
    """The JSON of a policy's statements. Raises PolicyError."""
    return parse_policy_text(text, model.operations())


def _read_fixed(accounts: Iterable[config.Account]) -> dict[str, Credential]:
    fixed = {}
    for account in accounts:
        for key in account.key:
            try:
                rights = None if key.policy is None else parse_policy(key.policy, model.operations())
            except PolicyError as error:
                raise ConfigError(f"account.key.policy of {key.access_key}: {error}") from error
            fixed[key.access_key] = Credential(key.access_key, key.secret_key, account.id, rights)
    return fixed


def _read_texts(accounts: Iterable[config.Account]) -> dict[str, str | None]:
    return {
        key.access_key: None if key.policy is None else json.dumps(key.policy, ensure_ascii=False)
        for account in accounts
        for key in account.key
    }


def _credential(key: AccessKey) -> Credential:
    rights = None
    if key.policy is not None:
        try:
            rights = read_policy(key.policy)
        except PolicyError as error:
            # It was checked when it was set: another version wrote it, or a hand. What cannot be read allows nothing.
            log.error("the policy of key %s cannot be read, so it may do nothing: %s", key.access_key, error)
            rights = NO_RIGHTS
    return Credential(key.access_key, key.secret_key, key.account_id, rights)
