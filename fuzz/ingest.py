"""Fuzzes the ingest port of a running service with changed captures: `python -m fuzz.ingest [--seconds N]`.

Rule: the service is a process of its own, reached by sockets alone and judged from outside, by its answers, its log and
its process; a seed gives the same inputs in the same order, though not the same interleaving.

Theory of operation. Inputs are conversations: those stored in corpus/rtmp, of ffmpeg, GStreamer and rtmpdump; the order
in which OBS says things; and what ffmpeg says today, recorded at the start through a relay, with H.264, HEVC and AAC.
Some connections at a time send one each, changed by the engine that the codec targets use, whole or in pieces, and end
it in order, by a reset, or by silence. Meanwhile, every second, a healthy publisher and a healthy player have to get
through within HEALTHY_SECONDS. At the end no descriptor may be left, memory must be what it was, the log must hold no
exception, and the process must end with 0. The inputs before a finding are kept in corpus/ingest.
"""

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import socket
import struct
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import psutil

from fuzz.__main__ import CORPUS, mutate
from openkls.codec.flv import VIDEO, Tag
from openkls.codec.rtmp import message as m
from openkls.media import rtmp_client
from tests.support_rtmp import GREETING, OBS, wire
from tests.support_service import FFMPEG, RunningService
from tools.soak import AVC_HEADER, BROKEN, KEY_FRAME, RSS_GROWTH_MAX, RSS_LEAST_SECONDS, growth

CONNECTIONS: Final = 8
# Of a recorded conversation: two seconds of a small picture, sound, and everything before them.
RECORDED_BYTES: Final = 96 * 1024
RECORD_SECONDS: Final = 20.0
# Replaced by another of as many bytes in each input, so that inputs do not only refuse each other.
RECORDED_NAME: Final = b"fuzz00000000"
# What the captured players ask for.
PLAYED_NAME: Final = "p"
FRAME_MS: Final = 40
# Up to here a conversation is handshake and commands, where a change reaches more than in the media behind.
TALK_BYTES: Final = 3073 + 1024
HEALTHY_SECONDS: Final = 5.0
HEALTHY_EVERY_SECONDS: Final = 1.0
# For an answer; then the input has had its say.
QUIET_SECONDS: Final = 0.02
SETTLED_SHARE: Final = 0.5
RSS_LIMIT_BYTES: Final = 400 * 1024 * 1024
# From the end of the last input to the last descriptor's; the service waits for a farewell's answer.
CLOSED_WITHIN_SECONDS: Final = 20.0
KEPT: Final = 20


@dataclass(slots=True)
class Seen:
    """What happened. ``rss_bytes`` has one entry a second."""

    inputs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    """How inputs ended: closed by the service, or by us."""
    healthy: list[float] = field(default_factory=list)
    """Seconds that each healthy publish and play took."""
    rss_bytes: list[int] = field(default_factory=list)
    last: deque[bytes] = field(default_factory=lambda: deque(maxlen=KEPT))


class Ingest:
    """One run against a running service."""

    def __init__(self, service: RunningService, seconds: float, seed: int) -> None:
        assert service.process is not None
        self._service = service
        self._seconds = seconds
        self._rng = Random(seed)
        self._process = psutil.Process(service.process.pid)
        self._inputs: list[bytes] = []
        self._numbers = itertools.count()
        self.seen = Seen()

    async def run(self) -> None:
        """Record, then fuzz for the given time. AssertionError for a finding."""
        self._inputs = [*stored(), *obs(), *[await record(self._service, codec) for codec in ("libx264", "libx265")]]
        await self.healthy()
        descriptors = self._process.num_fds()
        ending = asyncio.get_running_loop().time() + self._seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(ending))
            group.create_task(self._lasting(ending))
            for _ in range(CONNECTIONS):
                group.create_task(self._send_all(ending))
        await self.healthy()
        clock = asyncio.get_running_loop().time
        closed_by = clock() + CLOSED_WITHIN_SECONDS
        while (left := self._process.num_fds()) > descriptors:
            assert clock() < closed_by, f"{left} descriptors are open, {descriptors} were"
            await asyncio.sleep(0.2)

    async def _watch(self, ending: float) -> None:
        clock = asyncio.get_running_loop().time
        while clock() < ending:
            begun = clock()
            await self.healthy()
            rss_bytes = self._process.memory_info().rss
            self.seen.rss_bytes.append(rss_bytes)
            assert rss_bytes < RSS_LIMIT_BYTES, f"the service has grown to {rss_bytes / 2**20:.0f} MiB"
            await asyncio.sleep(max(0.0, HEALTHY_EVERY_SECONDS - (clock() - begun)))

    async def _lasting(self, ending: float) -> None:
        """A stream that is live all the time, for the captured players, and that nothing may end."""

        async def tags() -> AsyncIterator[Tag]:
            async for tag in key_frames():
                if asyncio.get_running_loop().time() >= ending:
                    return
                yield tag

        await rtmp_client.publish(f"rtmp://127.0.0.1:{self._service.rtmp_port}/live/{PLAYED_NAME}", tags())

    async def healthy(self) -> None:
        """A publisher and its player get through, whatever the others do."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        url = f"rtmp://127.0.0.1:{self._service.rtmp_port}/live/healthy-{next(self._numbers)}"
        started, played = asyncio.Event(), asyncio.Event()

        def heard(media: object) -> None:
            if getattr(media, "payload", b"") == KEY_FRAME:
                played.set()

        publishing = asyncio.create_task(rtmp_client.publish(url, key_frames(), started.set))
        tasks = [publishing]
        try:
            async with asyncio.timeout(HEALTHY_SECONDS):
                await _either(started, publishing)
                tasks.append(asyncio.create_task(rtmp_client.play(url, heard)))
                await _either(played, *tasks)
        except TimeoutError:
            raise AssertionError(f"a healthy publish and play took over {HEALTHY_SECONDS:g} s") from None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.seen.healthy.append(clock() - begun)

    # -- inputs

    async def _send_all(self, ending: float) -> None:
        while asyncio.get_running_loop().time() < ending:
            data = self._next()
            self.seen.inputs += 1
            self.seen.last.append(data)
            self.seen.ends[await self._send(data)] += 1

    def _next(self) -> bytes:
        """A conversation, changed in its talk or anywhere; sometimes as it is, to see that it still works."""
        inputs, rng = self._inputs, self._rng
        data = rng.choice(inputs)
        if rng.random() < 0.5:
            head = mutate(rng, [data[:TALK_BYTES], *(each[:TALK_BYTES] for each in inputs)])
            data = head + data[TALK_BYTES:]
        elif rng.random() < 0.95:
            data = mutate(rng, [data, *inputs])
        name = b"fuzz%08x" % rng.randrange(2**32)
        return data.replace(RECORDED_NAME, name)

    async def _send(self, data: bytes) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._service.rtmp_port)
        way, cuts = self._rng.choice(("close", "close", "reset", "half")), self._rng.choice((0, 0, 1, 10))
        edges = sorted({0, len(data), *(self._rng.randint(0, len(data)) for _ in range(cuts))})
        end = "closed by us"
        try:
            for begin, stop in itertools.pairwise(edges):
                writer.write(data[begin:stop])
                await writer.drain()
                await asyncio.sleep(0)
            if way == "half":
                writer.write_eof()
            async with asyncio.timeout(HEALTHY_SECONDS):
                while piece := await _quietly(reader):
                    if piece is _NOTHING:
                        break
                else:
                    end = "closed by the service"
        except OSError as error:  # a TimeoutError is one
            end = "still being told" if isinstance(error, TimeoutError) else "reset by the service"
        finally:
            with contextlib.suppress(OSError):  # the service may have closed first
                if way == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.close()
                await writer.wait_closed()
        return end


_NOTHING: Final = b"nothing"


async def key_frames() -> AsyncIterator[Tag]:
    """A stream without an end, in real time."""
    yield Tag(VIDEO, 0, AVC_HEADER)
    for number in itertools.count():
        yield Tag(VIDEO, FRAME_MS * number % 2**32, KEY_FRAME)
        await asyncio.sleep(FRAME_MS / 1000)


async def _quietly(reader: asyncio.StreamReader) -> bytes:
    """What the service says, _NOTHING when that is nothing for a moment, b"" when it has closed."""
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            return await reader.read(65536)
    except TimeoutError:
        return _NOTHING


async def _either(event: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """Until the event; AssertionError when one of the tasks ends first."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait((waiting, *tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                raise AssertionError("a healthy publish or play was ended") from task.exception()
    finally:
        waiting.cancel()


# -- where conversations come from --------------------------------------------------------------------------------


def stored() -> list[bytes]:
    """The captures in the corpus, without the byte that chooses the codec target's machine."""
    return [path.read_bytes()[1:] for path in sorted((CORPUS / "rtmp").glob("*-*.bin"))]


def obs() -> list[bytes]:
    """OBS's order of commands, and a little media behind it."""
    media = b"".join(
        wire(m.VIDEO, body, 1, csid=6, timestamp=40 * number, chunk_size=4096)
        for number, body in enumerate((AVC_HEADER, KEY_FRAME, KEY_FRAME))
    )
    return [GREETING + OBS + media]


async def record(service: RunningService, codec: str) -> bytes:
    """What ffmpeg says when it pushes a small stream to the service, as it came by a relay."""
    said = bytearray()

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, keep: bytearray | None) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65536):
                if keep is not None:
                    keep += piece
                sink.write(piece)
                await sink.drain()
        sink.close()

    async def relay(near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far, far_out = await asyncio.open_connection("127.0.0.1", service.rtmp_port)
        await asyncio.gather(carry(near, far_out, said), carry(far, near_out, None))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    url = f"rtmp://127.0.0.1:{server.sockets[0].getsockname()[1]}/live/{RECORDED_NAME.decode()}"
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25"]
    command += ["-f", "lavfi", "-i", "sine=sample_rate=44100", "-t", "2", "-c:v", codec, "-preset", "ultrafast"]
    command += ["-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-f", "flv", url]
    encoder = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(RECORD_SECONDS):
            assert await encoder.wait() == 0, "ffmpeg could not push"
    finally:
        if encoder.returncode is None:
            encoder.kill()
            await encoder.wait()
        server.close()
    assert RECORDED_NAME in said
    return bytes(said[:RECORDED_BYTES])


# -- judging ------------------------------------------------------------------------------------------------------


def judge(seen: Seen, log: str) -> None:
    """AssertionError with what does not hold after a run."""
    broken = [line for line in log.splitlines() if any(word in line for word in BROKEN)]
    assert not broken, broken[:KEPT]
    assert seen.ends.total() > CONNECTIONS, "hardly an input was sent"
    if len(seen.rss_bytes) >= RSS_LEAST_SECONDS:
        grown = growth(seen.rss_bytes, SETTLED_SHARE * len(seen.rss_bytes))
        print(f"memory grew by {grown:+.1%} in the second half (at most {RSS_GROWTH_MAX:.0%} may be)")
        assert grown <= RSS_GROWTH_MAX, f"memory grew by {grown:.1%}"


def keep(inputs: deque[bytes]) -> Path:
    """Store the newest inputs before a finding; returns their folder."""
    folder = CORPUS / "ingest"
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin").write_bytes(data)
    return folder


def fuzz(folder: Path, seconds: float, seed: int = 1) -> Seen:
    """A service in the folder, fuzzed, and looked at afterwards. AssertionError for a finding."""
    service = RunningService(folder)
    service.start()
    run = Ingest(service, seconds, seed)
    try:
        asyncio.run(run.run())
        assert service.process is not None
        assert service.process.poll() is None, "the service has died"
        assert service.stop() == 0, "the service did not end with 0"
        judge(run.seen, service.log.read_text())
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):
            print(f"the newest inputs are kept in {keep(run.seen.last)}", file=sys.stderr)
        raise
    finally:
        service.end()
    return run.seen


def main(arguments: list[str]) -> int:
    """Fuzz and say what was seen; a finding ends with its traceback."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.ingest", description="Fuzz the ingest port of a service.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = fuzz(Path(folder), chosen.seconds, chosen.seed)
    rss_mib = [each / 2**20 for each in seen.rss_bytes]
    print(
        f"ingest: {seen.inputs:,} inputs in {time.monotonic() - begun:.0f} s, no finding; ends: {dict(seen.ends)}; "
        f"a healthy publish and play took {max(seen.healthy):.2f} s at most; "
        f"RSS {rss_mib[0]:.1f} MiB at first, {max(rss_mib):.1f} at most, {rss_mib[-1]:.1f} at last"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
