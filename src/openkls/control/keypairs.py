"""Key pairs changed through the API. Rule: a secret leaves here in the one pair that was just made, and is in no log.

The configuration's keys are changed in the configuration. A key that this process has not heard of may be seconds old:
the store is read once more before it is said that there is none. A change is in force here when its call is answered,
and in the other processes as soon as they have read the store: at once where they can be told, else within seconds.
"""

import secrets
import string
import time
from collections.abc import Awaitable, Callable
from typing import Final

from openkls.control.audit import Deed
from openkls.control.keyring import KeyRing, read_policy
from openkls.domain.audit import NOBODY
from openkls.domain.errors import BusinessError
from openkls.domain.policy import PolicyError
from openkls.domain.ports import AccessKey, KeysPort

ACCESS_KEY_RANDOM: Final = 20
SECRET_KEY_LENGTH: Final = 40  # of 62 letters and digits: 238 bits
# A new key a week for a century; all are in memory, and in the answer of DescribeAccessKeys.
KEYS_LIMIT: Final = 5_000

NO_SUCH_KEY: Final = 7001
READ_ONLY: Final = 7002
ENDED: Final = 7003
BAD_POLICY: Final = 7004
TOO_MANY: Final = 7005


def new_access_key() -> str:
    """A new access key; not secret."""
    return "AK" + random_text(string.ascii_uppercase + string.digits, ACCESS_KEY_RANDOM)


def new_secret_key() -> str:
    """A new secret key."""
    return random_text(string.ascii_letters + string.digits, SECRET_KEY_LENGTH)


def random_text(alphabet: str, length: int) -> str:
    """A text that nobody can guess."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


class KeyPairs:
    """The key pairs of accounts. Every method raises StoreUnavailable when nothing may have been changed."""

    def __init__(
        self,
        port: KeysPort,
        ring: KeyRing,
        read_store: Callable[[], Awaitable[None]],
        tell: Callable[[], Awaitable[object]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``read_store`` takes in what the store has and this process has not heard of; ``tell`` has the other
        processes do so."""
        self._port = port
        self._ring = ring
        self._read_store = read_store
        self._tell = tell
        self._clock = clock

    async def create(self, account_id: str, policy: str | None, deed: Deed | None) -> AccessKey:
        """A new key pair of the account. Raises BusinessError 7004, 7005."""
        _check_policy(policy)
        self._check_room(account_id)
        pair = new_access_key(), new_secret_key()
        by = deed.entry.author if deed else NOBODY
        made = await self._port.create(account_id, *pair, int(self._clock()), policy, by)
        await self._take_in(deed, made)
        return made

    async def rotate(self, account_id: str, access_key: str, grace_seconds: int, deed: Deed | None) -> AccessKey:
        """A successor of a key pair, which itself ends after ``grace_seconds``. Raises BusinessError 7001, 7002, 7003,
        7005."""
        await self._find(account_id, access_key)
        self._check_room(account_id)
        now = int(self._clock())
        pair = new_access_key(), new_secret_key()
        by = deed.entry.author if deed else NOBODY
        try:
            rotated = await self._port.rotate(access_key, *pair, now, now + grace_seconds, by)
        except ValueError as error:
            raise BusinessError(ENDED, str(error)) from error
        if rotated is None:
            raise BusinessError(NO_SUCH_KEY, access_key)
        await self._take_in(deed, *rotated)
        return rotated[1]

    async def disable(self, account_id: str, access_key: str, deed: Deed | None) -> None:
        """Switch a key pair off for good. Idempotent. Raises BusinessError 7001, 7002."""
        known = await self._find(account_id, access_key)
        by = deed.entry.author if deed else NOBODY
        changed = await self._port.disable(access_key, int(self._clock()), by)
        if changed is None:
            raise BusinessError(NO_SUCH_KEY, access_key)
        # What changes nothing has written no row of its own.
        await self._take_in(deed if changed.version != known.version else None, changed)

    async def set_policy(self, account_id: str, access_key: str, policy: str | None, deed: Deed | None) -> None:
        """Give a key pair another policy, or (None) full rights. Idempotent. Raises BusinessError 7001, 7002, 7004."""
        known = await self._find(account_id, access_key)
        _check_policy(policy)
        by = deed.entry.author if deed else NOBODY
        changed = await self._port.set_policy(access_key, policy, int(self._clock()), by)
        if changed is None:
            raise BusinessError(NO_SUCH_KEY, access_key)
        await self._take_in(deed if changed.version != known.version else None, changed)

    async def _find(self, account_id: str, access_key: str) -> AccessKey:
        """A key of the store that is the account's."""
        if self._ring.is_fixed(account_id, access_key):
            raise BusinessError(READ_ONLY, access_key)
        found = self._ring.made(account_id).get(access_key)
        if found is None:
            await self._read_store()
            found = self._ring.made(account_id).get(access_key)
        if found is None:
            raise BusinessError(NO_SUCH_KEY, access_key)
        return found

    def _check_room(self, account_id: str) -> None:
        if len(self._ring.made(account_id)) >= KEYS_LIMIT:
            raise BusinessError(TOO_MANY, f"account {account_id} has {KEYS_LIMIT} keys in the store")

    async def _take_in(self, deed: Deed | None, *changed: AccessKey) -> None:
        for key in changed:
            self._ring.apply(key)
        if deed is not None:
            deed.written = True
        if self._tell is not None:
            await self._tell()


def _check_policy(policy: str | None) -> None:
    if policy is None:
        return
    try:
        read_policy(policy)
    except PolicyError as error:
        raise BusinessError(BAD_POLICY, str(error)) from error
