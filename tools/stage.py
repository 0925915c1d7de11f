"""What the demo stands on: its processes, its calls, and how it tells what they say.

Rule: every process that a `Stage` started ends with it, by its own id; every wait has a deadline.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from openkls.client import Client
from tools.ports import free_ports

STEP_SECONDS = 20.0
POLL_SECONDS = 0.2
STREAM = "show"
NAMES = {"UniqueName": "demo", "App": "live"}
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

console = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """A step did not hold; the text says what was expected and what came."""


class Stage:
    """The service, its client, and the processes of the demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api_port, self.rtmp_port, self.play_port = free_ports(3)
        self.called: set[str] = set()
        self.service: asyncio.subprocess.Process | None = None
        self.api: Client
        self._processes: list[asyncio.subprocess.Process] = []
        self._step = 0

    def step(self, text: str) -> None:
        """A new heading."""
        self._step += 1
        console.print(f"\n[bold cyan]{self._step}. {text}[/bold cyan]")

    @property
    def push_url(self) -> str:
        return f"rtmp://127.0.0.1:{self.rtmp_port}/live/{STREAM}"

    @property
    def flv_url(self) -> str:
        return f"http://127.0.0.1:{self.play_port}/live/{STREAM}.flv"

    async def call(self, action: str, **parameters: object) -> dict[str, Any]:
        """One call for the demo's app; what was called is kept."""
        self.called.add(action)
        return await asyncio.to_thread(self.api.call, action, {**NAMES, **parameters})

    async def run(self, *command: str, log: str) -> asyncio.subprocess.Process:
        """Start a process that ends with the demo; what it says goes into a file of the folder."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENKLS_")} | {
            "OPENKLS_API__LISTEN": f"127.0.0.1:{self.api_port}",
            "OPENKLS_RTMP__LISTEN": f"127.0.0.1:{self.rtmp_port}",
            "OPENKLS_PLAY__LISTEN": f"127.0.0.1:{self.play_port}",
            # The demo looks more often than 50 times a minute.
            "OPENKLS_LIMITS__ENFORCE": "false",
        }
        with (self.folder / log).open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env=environment,
                # A Ctrl-C in the terminal is the demo's, which then ends them in their order.
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    async def push(self) -> asyncio.subprocess.Process:
        """A real ffmpeg that sends the clip in real time, over and over."""
        return await self.run(
            *(FFMPEG, "-hide_banner", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", "clip.flv"),
            *("-c", "copy", "-f", "flv", self.push_url),
            log="ffmpeg.log",
        )

    async def close(self) -> None:
        """End whatever still runs."""
        for process in self._processes:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def until(fact: Callable[[], Awaitable[Any]], what: str) -> Any:
    """The first true value of ``fact``; DemoFailed when there is none in time."""
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        value = await fact()
        if value:
            return value
        await asyncio.sleep(POLL_SECONDS)
    raise DemoFailed(f"waited {STEP_SECONDS:g} s in vain for {what}")


def hold(fact: bool, otherwise: str) -> None:
    """DemoFailed with the text unless the fact holds."""
    if not fact:
        raise DemoFailed(otherwise)


def tell(text: str) -> None:
    """One line of the step."""
    console.print(f"   {text}", markup=False)


def show(table: Table) -> None:
    """A table of what was answered."""
    for line in _lines(table):
        console.print(f"     {line}", markup=False, style="green")


def _lines(table: Table) -> Iterator[str]:
    """The table as plain lines, never folded."""
    wide = Console(width=200, no_color=True, highlight=False, force_terminal=False)
    with wide.capture() as capture:
        wide.print(table)
    return (line.rstrip() for line in capture.get().splitlines())


def show_row(row: dict[str, Any], names: str) -> None:
    """Some members of one row, by their names."""
    table = Table(*names.split(), box=None, pad_edge=False)
    table.add_row(*(str(row[name]) for name in names.split()))
    show(table)


def show_details(details: list[dict[str, Any]]) -> None:
    """Rows of a history."""
    table = Table("Pubtime", "Fintime", "StatusCode", "StatusMessage", "Clientip", box=None, pad_edge=False)
    for row in details:
        moments = [time.strftime("%H:%M:%S", time.localtime(row[name])) for name in ("Pubtime", "Fintime")]
        table.add_row(*moments, str(row["StatusCode"]), row["StatusMessage"], row["Clientip"])
    show(table)
