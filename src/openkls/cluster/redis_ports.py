"""The ephemeral ports on Redis 7 or Valkey, one server (or one that fails over behind one address; no Redis Cluster).

Rule: one port's call is one step of Redis: a script, or one pipeline of scripts.
"""

import asyncio
import contextlib
import hashlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from redis.asyncio import Redis

from openkls.cluster import scripts
from openkls.cluster.link import (
    BULK_DEADLINE_SECONDS,
    DEADLINE_SECONDS,
    FAULTS,
    PROBE_SECONDS,
    RedisLink,
    heed_cancellation,
    own_cancellation,
)
from openkls.domain.keys import StreamName
from openkls.domain.ports import LEASE_SECONDS, Hold, Part, Posted

log = logging.getLogger("openkls.cluster")

T = TypeVar("T")

PREFIX: Final = "openkls:"
LEASE_MS: Final = int(LEASE_SECONDS * 1000)
# Claims in one script: Redis serves nobody else meanwhile, about 1 ms.
CLAIMS_PER_SCRIPT: Final = 256
# Scripts in one pipeline: it is written in one turn of our own loop, some 5 ms.
SCRIPTS_PER_PIPELINE: Final = 4
# A subscription that has heard nothing for so long is asked whether it lives, and given as long to say so.
PING_SECONDS: Final = 1.0

_SHA: Final = {script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in scripts.ALL}


class RedisClaims:
    """ClaimsPort."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def take(self, name: StreamName, owner: str, token: str, contest_seconds: float = 0.0) -> bool:
        """ClaimsPort.take."""
        contest_ms = int(contest_seconds * 1000)
        granted = await self._link.ask(
            lambda redis: _run(redis, scripts.TAKE, [self._key(name)], owner, token, LEASE_MS, contest_ms)
        )
        return bool(granted)

    async def hold(self, owner: str, holds: Mapping[StreamName, Hold], contest_seconds: float) -> list[StreamName]:
        """ClaimsPort.hold."""
        contest_ms = int(contest_seconds * 1000)
        lost: list[StreamName] = []
        for batch in _lots(list(_lots(holds.items(), CLAIMS_PER_SCRIPT)), SCRIPTS_PER_PIPELINE):

            async def ask(redis: Redis, batch: Any = batch) -> list[Any]:
                pipe = redis.pipeline(transaction=False)
                for lot in batch:
                    said = [word for _, hold in lot for word in (hold.token, int(hold.silent))]
                    keys = [self._key(name) for name, _ in lot]
                    _run(pipe, scripts.HOLD, keys, owner, LEASE_MS, contest_ms, *said)
                return await pipe.execute()

            answers = await self._link.ask(ask, BULK_DEADLINE_SECONDS)
            lost += [lot[place - 1][0] for lot, places in zip(batch, answers, strict=True) for place in places]
        return lost

    async def release(self, owner: str, tokens: Mapping[StreamName, frozenset[str]]) -> None:
        """ClaimsPort.release."""

        async def ask(redis: Redis) -> None:
            pipe = redis.pipeline(transaction=False)
            for lot in _lots(tokens.items(), CLAIMS_PER_SCRIPT):
                said = [f" {' '.join(known)} " for _, known in lot]
                _run(pipe, scripts.RELEASE, [self._key(name) for name, _ in lot], owner, *said)
            await pipe.execute()

        if tokens:
            await self._link.ask(ask, BULK_DEADLINE_SECONDS)

    async def is_held(self, name: StreamName) -> bool:
        """ClaimsPort.is_held."""
        return bool(await self._link.ask(lambda redis: redis.exists(self._key(name))))

    def _key(self, name: StreamName) -> str:
        # No part of a name holds a slash (contract, 5).
        return f"{self._link.prefix}claim:{'/'.join(name)}"


class RedisSnapshots:
    """SnapshotsPort."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._boots = f"{link.prefix}boots"
        self._before = f"{link.prefix}snapshot:"

    async def post(self, boot_id: str, snapshot: Mapping[Part, Posted]) -> None:
        """SnapshotsPort.post."""
        keys = [self._before + boot_id, self._boots]
        fields = [word for part, of in snapshot.items() for word in (_number_of(part), of.number, part, of.payload)]
        await self._link.ask(
            lambda redis: _run(redis, scripts.POST, keys, boot_id, LEASE_MS, *fields), BULK_DEADLINE_SECONDS
        )

    async def renew(self, boot_id: str, number: int) -> bool:
        """SnapshotsPort.renew."""
        said = (_number_of(Part.READINGS), number, LEASE_MS)
        return bool(await self._link.ask(lambda redis: _run(redis, scripts.RENEW, [self._before + boot_id], *said)))

    async def withdraw(self, boot_id: str) -> None:
        """SnapshotsPort.withdraw."""
        await self._link.ask(lambda redis: redis.delete(self._before + boot_id))

    async def newer(
        self, parts: Sequence[Part], known: Mapping[str, Mapping[Part, int]]
    ) -> dict[str, dict[Part, Posted]]:
        """SnapshotsPort.newer."""
        return await self._link.ask(lambda redis: self._newer(redis, parts, known), BULK_DEADLINE_SECONDS)

    async def _newer(
        self, redis: Redis, parts: Sequence[Part], known: Mapping[str, Mapping[Part, int]]
    ) -> dict[str, dict[Part, Posted]]:
        found: dict[str, dict[Part, Posted]] = {}
        changed: list[tuple[str, list[Part]]] = []
        pipe = redis.pipeline(transaction=False)
        fields = map(_number_of, parts)
        words = iter(await _run(redis, scripts.NUMBERS, [self._boots], self._before, *fields))
        for word, *numbers in zip(words, *[words] * len(parts), strict=True):
            boot = word.decode()
            of_boot = known.get(boot, {})
            new = [part for part, number in zip(parts, numbers, strict=True) if of_boot.get(part) != int(number)]
            if new:
                changed.append((boot, new))
                pipe.hmget(self._before + boot, [field for part in new for field in (_number_of(part), part)])
            else:
                found[boot] = {}
        for (boot, new), found_of in zip(changed, await pipe.execute() if changed else (), strict=True):
            if None not in found_of:  # else its lease ended in between
                posted = map(Posted, map(int, found_of[::2]), found_of[1::2])
                found[boot] = dict(zip(new, posted, strict=True))
        return found


class RedisBus:
    """BusPort, on a connection of its own."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._channel = f"{link.prefix}bus"
        self._redis = link.client(1)

    async def tell(self, message: bytes) -> None:
        """BusPort.tell."""
        await self._link.ask(lambda redis: redis.publish(self._channel, message))

    async def listen(self, receive: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        """BusPort.listen. A lost connection puts the whole link in doubt, which says so and tries it."""
        while True:
            try:
                with own_cancellation():
                    await self._listen(receive, connected)
            except FAULTS as error:
                heed_cancellation()
                self._link.doubt(error)
            await asyncio.sleep(PROBE_SECONDS)

    async def _listen(self, receive: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        pubsub = self._redis.pubsub()
        try:
            await _within(pubsub.subscribe(self._channel))
            asked = False
            while True:
                message = await pubsub.get_message(timeout=PING_SECONDS)
                heed_cancellation()
                if message is None:
                    if asked:
                        raise TimeoutError("the subscription is silent")
                    await _within(pubsub.ping())
                    asked = True
                    continue
                asked = False
                if message["type"] == "subscribe":
                    connected()
                elif message["type"] == "message":
                    receive(message["data"])
        finally:
            with contextlib.suppress(*FAULTS):
                await _within(pubsub.aclose())  # type: ignore[no-untyped-call]
                await _within(self._redis.connection_pool.disconnect())

    async def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(*FAULTS):
            await _within(self._redis.aclose())


class RedisRates:
    """RatesPort."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def accept(self, caller: tuple[str, ...], requests: int, per_seconds: float) -> float:
        """RatesPort.accept."""
        key = f"{self._link.prefix}rate:{'/'.join(caller)}"
        period_us = round(per_seconds * 1_000_000)
        wait_us = await self._link.ask(lambda redis: _run(redis, scripts.ACCEPT, [key], requests, period_us))
        return int(wait_us) / 1_000_000


class RedisCluster:
    """All ports of one process on one Redis."""

    def __init__(self, url: str, prefix: str = PREFIX) -> None:
        self.link = RedisLink(url, prefix, scripts.ALL)
        self.claims = RedisClaims(self.link)
        self.snapshots = RedisSnapshots(self.link)
        self.bus = RedisBus(self.link)
        self.rates = RedisRates(self.link)

    async def run(self) -> None:
        """Keep the link up, until cancelled."""
        await self.link.run()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self.bus.close()
        await self.link.close()


async def open_cluster(url: str, prefix: str = PREFIX) -> RedisCluster:
    """The ports on the Redis of ``[cluster] url``, whether or not it answers. Raises ValueError for a URL that is
    none."""
    cluster = RedisCluster(url, prefix)
    await cluster.link.try_now()
    return cluster


def _run(redis: Any, script: str, keys: list[str], *said: str | int | bytes) -> Any:
    return redis.evalsha(_SHA[script], len(keys), *keys, *said)


def _number_of(part: Part) -> str:
    return f"{part}:number"


def _lots(items: Iterable[T], count: int) -> Iterator[tuple[T, ...]]:
    rest = iter(items)
    while lot := tuple(itertools.islice(rest, count)):
        yield lot


async def _within(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await work
    finally:
        heed_cancellation()
