"""What the processes of a cluster tell each other. Rule: a message that is lost, late or doubled does no harm; the
store's versioned rows are the truth, and are read again every other second and whenever messages may have been missed.

A cut without a ban (ForbidTillUnixTime=1) has no row: it is a question to whoever holds the name, who answers.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable

import msgspec

from openkls.control.forbid import Forbids
from openkls.domain.blacklist import Ban
from openkls.domain.errors import BusinessError, ClusterUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.ports import BusPort, ClaimsPort
from openkls.domain.registry import Registry

log = logging.getLogger("openkls.control.signals")

# Design, flow (c): a cut that nobody has acknowledged by then has failed.
ACKNOWLEDGE_SECONDS = 1.0
# A question that was held up on its way must not cut who publishes now; the clocks of nodes may be 2 s apart.
STALE_SECONDS = 5.0


class BanMade(msgspec.Struct, frozen=True, array_like=True, tag="ban"):
    """A row of the blacklist, as it was written."""

    ban: Ban


class CutAsked(msgspec.Struct, frozen=True, array_like=True, tag="cut"):
    """Whoever publishes this is to cut it and to say so."""

    request_id: str
    key: StreamKey
    at: float
    """When, in Unix seconds."""


class CutAnswered(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """What came of it: 0, 8501, or 8502 for a stream of that name behind another publish domain."""

    request_id: str
    ret_code: int


class KeysChanged(msgspec.Struct, frozen=True, array_like=True, tag="keys"):
    """A key or an account was changed in the store."""


class SnapshotShown(msgspec.Struct, frozen=True, array_like=True, tag="shown"):
    """A process shows something new."""

    boot_id: str
    names_changed: bool = True


Message = BanMade | CutAsked | CutAnswered | KeysChanged | SnapshotShown


class Signals:
    """The messages of one process."""

    def __init__(
        self,
        bus: BusPort,
        claims: ClaimsPort,
        forbids: Forbids,
        registry: Registry,
        read_store: Callable[[], None],
        read_snapshots: Callable[[bool], None],
        is_listed: Callable[[StreamKey], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``read_store`` and ``read_snapshots`` have them read soon, the latter told whether names may have changed;
        ``is_listed`` tells whether another process was last seen to publish a key."""
        self._bus = bus
        self._claims = claims
        self._forbids = forbids
        self._registry = registry
        self._read_store = read_store
        self._read_snapshots = read_snapshots
        self._is_listed = is_listed
        self._clock = clock
        self._asked: dict[str, asyncio.Future[int]] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self._decoder = msgspec.msgpack.Decoder(Message)
        self._encoder = msgspec.msgpack.Encoder()
        self.told = 0
        self.untold = 0
        """Messages that could not be sent, since the start."""
        self.heard = 0
        self.malformed = 0

    async def run(self) -> None:
        """Listen, until cancelled."""
        try:
            await self._bus.listen(self.hear, self._reconnected)
        finally:
            for task in tuple(self._answers):
                task.cancel()

    async def tell(self, message: Message) -> bool:
        """Send a message; False when that is known to have failed. Raises nothing."""
        try:
            await self._bus.tell(self._encoder.encode(message))
        except ClusterUnavailable:
            self.untold += 1
            return False
        self.told += 1
        return True

    async def tell_ban(self, ban: Ban) -> None:
        """Forbids.others: have the ban known at once."""
        await self.tell(BanMade(ban))

    async def tell_keys(self) -> None:
        """Have the other processes read which keys there are."""
        await self.tell(KeysChanged())

    async def cut(self, key: StreamKey) -> int:
        """Forbids.others: have the stream cut wherever it is; 0, or the RetCode that says what came of it."""
        listed = self._is_listed(key)
        try:
            # Before the question: who has cut gives the name back.
            if not await self._claims.is_held(key.name) and not listed:
                return 8502
        except ClusterUnavailable:
            return 8501 if listed else 8502
        request_id = uuid.uuid4().hex
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = answer
        try:
            if not await self.tell(CutAsked(request_id, key, self._clock())):
                return 8501
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                return await answer
        except TimeoutError:
            return 8501
        finally:
            del self._asked[request_id]

    def hear(self, payload: bytes) -> None:
        """Do what a message says. Raises nothing."""
        try:
            message = self._decoder.decode(payload)
        except (msgspec.DecodeError, ValueError):
            self.malformed += 1
            return
        self.heard += 1
        match message:
            case BanMade():
                with contextlib.suppress(BusinessError):  # logged where it happened; the ban holds
                    self._forbids.apply(message.ban)
            case CutAsked():
                if abs(self._clock() - message.at) < STALE_SECONDS:
                    self._answer(message)
            case CutAnswered():
                answer = self._asked.get(message.request_id)
                if answer is not None and not answer.done():
                    answer.set_result(message.ret_code)
            case KeysChanged():
                self._read_store()
            case SnapshotShown():
                self._read_snapshots(message.names_changed)

    def _answer(self, asked: CutAsked) -> None:
        if self._registry.holder(asked.key.name) is None:
            # Those who wait for its publisher are to go all the same.
            self._forbids.cut(asked.key)
            return
        try:
            ret_code = 0 if self._forbids.cut(asked.key) else 8502
        except BusinessError as error:
            ret_code = error.ret_code
        task = asyncio.create_task(self._tell_quietly(CutAnswered(asked.request_id, ret_code)))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _tell_quietly(self, message: Message) -> None:
        await self.tell(message)

    def _reconnected(self) -> None:
        self._read_store()
        self._read_snapshots(True)
