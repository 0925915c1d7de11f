"""Which key pairs sign requests. Rule: the file's keys are read-only; the store's never hide one of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from openkls import config
from openkls.domain.ports import AccessKey


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that may sign, and the account it signs for."""

    access_key: str
    secret_key: str
    account_id: str

    def __repr__(self) -> str:
        return f"Credential({self.access_key!r}, account_id={self.account_id!r})"


class KeyRing:
    """The keys known to this process."""

    def __init__(self, accounts: Iterable[config.Account]) -> None:
        self._fixed = {
            key.access_key: Credential(key.access_key, key.secret_key, account.id)
            for account in accounts
            for key in account.key
        }
        self._made: dict[str, Credential] = {}
        self.clashes: set[str] = set()
        """Keys the store has too; the service does not start with one."""

    def find(self, access_key: str) -> Credential | None:
        """The key if it exists and is enabled."""
        return self._fixed.get(access_key) or self._made.get(access_key)

    def apply(self, key: AccessKey) -> bool:
        """Take a row of the store in; False (and nothing changes) when the file has a key of that name."""
        if key.access_key in self._fixed:
            self.clashes.add(key.access_key)
            return False
        if key.enabled:
            self._made[key.access_key] = Credential(key.access_key, key.secret_key, key.account_id)
        else:
            self._made.pop(key.access_key, None)
        return True
