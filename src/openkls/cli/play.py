"""`openkls play`: a viewer that measures instead of showing. Rule: it counts what arrives; nothing is decoded."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO

import httpx
import typer

from openkls.cli.logs import redact
from openkls.cli.meter import Meter
from openkls.cli.screen import USAGE, fail, note, out, plain, say
from openkls.codec import ProtocolError
from openkls.codec.flv import FlvReader, build_header, build_tag
from openkls.codec.rtmp.client import parse_rtmp_url
from openkls.media import rtmp_client

LINE_SECONDS = 1.0

OnTag = Callable[[int, int, bytes], None]


class _View:
    """One viewing: where messages go and what is said of them."""

    def __init__(self, output: BinaryIO | None) -> None:
        self.meter = Meter()
        self.started = False
        self._output = output
        if output is not None:
            output.write(build_header(True, True))

    def begin(self) -> None:
        self.started = True
        self.meter.begin(time.monotonic())
        note("Playing.", style="green")

    def take(self, type_id: int, timestamp: int, payload: bytes) -> None:
        self.meter.take(type_id, timestamp, payload, time.monotonic())
        if self._output is not None:
            self._output.write(build_tag(type_id, timestamp, payload))

    async def report(self) -> None:
        """A line a second, until cancelled."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(LINE_SECONDS)
            if not self.started:
                continue
            now = time.monotonic()
            second = self.meter.read(now)
            gaps = f"  {second.gaps} gap(s)" if second.gaps else ""
            say(
                f"{now - began:5.0f} s  {plain(self.meter.kind)}  {second.kbps:7.0f} kbps  {second.fps:5.1f} fps"
                f"  longest wait {second.pause_ms} ms{gaps}",
                style="yellow" if second.gaps or not second.kbps else None,
            )
            out.file.flush()


def play(
    url: Annotated[
        str, typer.Argument(help="rtmp://host/<app>/<stream> or http://host/<app>/<stream>.flv", metavar="URL")
    ],
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, help="End after so many seconds; default: with the stream.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write what arrives to this FLV file too.")
    ] = None,
) -> None:
    """Play a stream and show, once a second, its bitrate, frames, codecs and gaps.

    Ends with 0 when the stream ends or the time is over, with 1 when it cannot be played or is cut.
    """
    kind = _kind(url)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(output.open("wb")) if output is not None else None
        except OSError as error:
            fail(f"{output} cannot be written: {error.strerror}", USAGE)
        view = _View(file)
        try:
            asyncio.run(_watch(kind, url, view, seconds))
        except rtmp_client.StreamRefused as refused:
            fail(f"the server {'cut' if refused.started else 'refused'} the stream: {refused}")
        except (rtmp_client.ConnectionFailed, OSError, ProtocolError) as error:
            fail(f"{redact(plain(url))}: {error}")
        except KeyboardInterrupt:
            note("Stopped.")
        meter = view.meter
        length_ms = meter.last_ms - (meter.first_ms if meter.first_ms is not None else meter.last_ms)
        say(
            f"Received {length_ms / 1000:.1f} s of {plain(meter.kind)}: {meter.frames} frames,"
            f" {meter.bytes / 1e6:.2f} MB, {meter.gaps} gap(s)"
        )


def _kind(url: str) -> str:
    scheme = url.partition("://")[0].lower()
    if scheme in ("http", "https"):
        return "http"
    try:
        parse_rtmp_url(url)
    except ValueError as error:
        fail(f"{error}; expected rtmp://host/<app>/<stream> or http://host/<app>/<stream>.flv", USAGE)
    return "rtmp"


async def _watch(kind: str, url: str, view: _View, seconds: float | None) -> None:
    reporting = asyncio.create_task(view.report())
    try:
        async with asyncio.timeout(seconds) as limit:
            if kind == "http":
                await play_http_flv(url, view.take, view.begin)
            else:
                await rtmp_client.play(url, lambda media: view.take(*media), view.begin)
            note("The stream has ended.")
    except TimeoutError:
        if not limit.expired():
            raise
        if not view.started:
            raise rtmp_client.ConnectionFailed(f"nothing came within {seconds:g} s") from None
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)


async def play_http_flv(url: str, on_tag: OnTag, on_started: Callable[[], None]) -> None:
    """Read an HTTP-FLV answer to its end. Raises ConnectionFailed, ProtocolError."""
    timeout = httpx.Timeout(rtmp_client.OPEN_SECONDS, read=rtmp_client.IDLE_SECONDS)
    reader = FlvReader()
    try:
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as http, http.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                why = {403: "refused", 404: "no such stream"}.get(answer.status_code, answer.reason_phrase)
                raise rtmp_client.ConnectionFailed(f"HTTP status {answer.status_code} ({why})")
            on_started()
            async for data in answer.aiter_raw():
                for tag in reader.feed(data):
                    on_tag(*tag)
    except httpx.RemoteProtocolError:
        return  # a stream has no length: closing is how it ends
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise rtmp_client.ConnectionFailed(str(error) or type(error).__name__) from error
