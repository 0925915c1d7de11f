"""`openkls publish`: an FLV file, sent in real time. Rule: the server's own words are shown when it refuses or cuts."""

import asyncio
import itertools
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from openkls.cli.logs import redact
from openkls.cli.meter import Meter
from openkls.cli.pace import pace, repeat_tags
from openkls.cli.screen import USAGE, err, fail, note, plain, say
from openkls.codec import ProtocolError
from openkls.codec.flv import Tag
from openkls.media import rtmp_client

SPEED_MIN = 0.1
SPEED_MAX = 100.0
LINE_SECONDS = 1.0


class _Report:
    """The progress of one publish: a bar on a terminal, a line a second elsewhere."""

    def __init__(self, file: Path, repeat: bool) -> None:
        self.meter = Meter()
        self.read_bytes = 0
        self._file_bytes = max(1, file.stat().st_size)
        self._line_at = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=err, transient=False
        )
        self._bar = self._progress.add_task("connecting", total=None if repeat else self._file_bytes)

    def started(self) -> None:
        note("The server has accepted the stream.", style="green")
        now = time.monotonic()
        self.meter.begin(now)
        self._line_at = now + LINE_SECONDS
        if err.is_terminal:
            self._progress.start()

    def sent(self, tag: Tag) -> None:
        now = time.monotonic()
        self.meter.take(tag.type_id, tag.timestamp, tag.payload, now)
        if now < self._line_at:
            return
        self._line_at += LINE_SECONDS
        second = self.meter.read(now)
        line = (
            f"{_clock(self.meter.last_ms)}  {self.meter.kind}  {second.kbps:.0f} kbps  {second.fps:.1f} fps"
            f"  {self.meter.bytes / 1e6:.1f} MB sent"
        )
        if err.is_terminal:
            done = self.read_bytes % self._file_bytes or self._file_bytes
            self._progress.update(self._bar, description=plain(line), completed=done)
        else:
            note(line)

    def end(self) -> None:
        if self._progress.live.is_started:
            self._progress.stop()


def publish(
    file: Annotated[Path, typer.Argument(help="An FLV file.", metavar="FILE")],
    url: Annotated[str, typer.Argument(help="rtmp://<publish domain>/<app>/<stream>[?parameters]", metavar="URL")],
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end of the file, until Ctrl-C.")] = False,
    speed: Annotated[
        float, typer.Option("--speed", min=SPEED_MIN, max=SPEED_MAX, help="Times as fast as the file's own clock.")
    ] = 1.0,
) -> None:
    """Publish an FLV file in real time.

    Ends with 0 when the file has been sent, with 1 and the server's text when it refuses the stream or cuts it.
    """
    try:
        report = _Report(file, loop)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)

    def count(size: int) -> None:
        report.read_bytes += size

    tags = repeat_tags(file, loop, count)
    try:
        first = next(tags)
    except (OSError, ProtocolError) as error:
        fail(f"{file}: {error}; make an FLV of it with: ffmpeg -i {file} -c copy -f flv out.flv", USAGE)
    paced = pace(itertools.chain((first,), tags), speed)
    shown = redact(plain(url))
    try:
        asyncio.run(rtmp_client.publish(url, paced, report.started, report.sent))
    except rtmp_client.StreamRefused as refused:
        report.end()
        fail(f"the server {'cut' if refused.started else 'refused'} the stream: {refused}")
    except (rtmp_client.ConnectionFailed, OSError) as error:
        report.end()
        fail(f"{shown}: {error}")
    except ProtocolError as error:
        report.end()
        fail(f"the file or the server breaks its protocol: {error}")
    except ValueError as error:
        fail(f"{error}; expected rtmp://host[:port]/app/stream", USAGE)
    except KeyboardInterrupt:
        report.end()
        note("Stopped.")
        raise typer.Exit(0 if loop else 130) from None
    report.end()
    say(f"Sent {_clock(report.meter.last_ms)} of {report.meter.kind}, {report.meter.bytes / 1e6:.1f} MB, to {shown}")


def _clock(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
