"""FLV files, read and replayed at the pace of their timestamps. Rule: a tag is never early, and never waits for a clock
that jumped."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from openkls.codec import ProtocolError
from openkls.codec.flv import SCRIPT, FlvReader, Tag

READ_BYTES = 64 * 1024
# A step of the timestamps longer than this, or backwards by as much, is another clock and no pause to be waited out.
JUMP_MS = 10_000
# What follows the last tag when a file starts again: about a frame.
LOOP_STEP_MS = 40

Taken = Callable[[int], None]


def read_tags(path: Path, on_bytes: Taken = lambda count: None) -> Iterator[Tag]:
    """The tags of an FLV file; ``on_bytes`` hears how many bytes were read. Raises OSError, ProtocolError.

    An incomplete last tag, as in a file whose recorder was killed, is left out.
    """
    reader = FlvReader()
    with path.open("rb") as file:
        while data := file.read(READ_BYTES):
            on_bytes(len(data))
            yield from reader.feed(data)


def repeat_tags(path: Path, repeat: bool, on_bytes: Taken = lambda count: None) -> Iterator[Tag]:
    """The tags of a file from time 0, again and again if asked for, with timestamps that only go on.

    Raises ProtocolError for a file without any tag of audio or video.
    """
    base_ms = 0
    latest_ms = 0  # audio and video are interleaved, so the last tag need not have the latest time
    first_round = True
    while True:
        first_ms: int | None = None
        for tag in read_tags(path, on_bytes):
            if tag.type_id == SCRIPT:
                if first_round:
                    yield tag._replace(timestamp=base_ms)
                continue
            if first_ms is None:
                first_ms = tag.timestamp
            timestamp_ms = base_ms + max(0, tag.timestamp - first_ms)
            latest_ms = max(latest_ms, timestamp_ms)
            yield tag._replace(timestamp=timestamp_ms & 0xFFFFFFFF)
        if first_ms is None:
            raise ProtocolError("there is no audio and no video in the file")
        if not repeat:
            return
        base_ms, first_round = latest_ms + LOOP_STEP_MS, False


async def pace(
    tags: Iterator[Tag], speed: float = 1.0, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Tag]:
    """Hand each tag on when its time has come; ``speed`` 2 is twice as fast."""
    due = clock()
    last_ms = 0
    for tag in tags:
        step_ms = tag.timestamp - last_ms
        last_ms = tag.timestamp
        if abs(step_ms) <= JUMP_MS:
            due += step_ms / 1000 / speed
        else:
            due = clock()
        wait_seconds = due - clock()
        if wait_seconds > 0:
            await asyncio.sleep(wait_seconds)
        yield tag
