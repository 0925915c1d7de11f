"""Processes that make load for a bench, one command at a time over a pipe.

Rule: a worker lives on the clients' core, answers every command, and ends by itself when its bench is gone.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

CLIENT_CORE: Final = 1
# Of servers and clients, in the kernel's real-time class, the lowest: one that waits for its core finds more to do at
# once, and seems cheaper than it is. (A nice value counts only within a session, sched(7).)
PRIORITY: Final = 1
ANSWER_SECONDS: Final = 60.0
_SPAWN: Final = multiprocessing.get_context("spawn")


class WorkerFailed(Exception):
    """A worker said what it could not do, or said nothing in time."""


class Worker:
    """A child process that runs ``body(pipe, *arguments)``, which answers commands until the pipe ends."""

    def __init__(self, body: Callable[..., None], *arguments: object) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_run, args=(theirs, body, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, command: object, seconds: float = ANSWER_SECONDS) -> Any:
        """The answer to a command. Raises WorkerFailed."""
        self.tell(command)
        return self.answer(seconds)

    def tell(self, command: object) -> None:
        """A command that has no answer."""
        self._pipe.send(command)

    def answer(self, seconds: float = ANSWER_SECONDS) -> Any:
        """What the worker says next. Raises WorkerFailed."""
        if not self._pipe.poll(seconds):
            raise WorkerFailed(f"no answer within {seconds:g} s")
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise WorkerFailed("the worker has ended") from None
        if isinstance(answer, WorkerFailed):
            raise answer
        return answer

    def end(self) -> None:
        """Gone."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def pin(core: int) -> None:
    """Keep this process, and those it starts, on one core where there are several."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def hurry(*, hurried: bool) -> None:
    """Put this process, and those it starts, before the machine's others where that is permitted, or back again."""
    with contextlib.suppress(PermissionError):
        if hurried:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
        else:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _run(pipe: Connection, body: Callable[..., None], arguments: tuple[object, ...]) -> None:
    pin(CLIENT_CORE)
    hurry(hurried=True)
    try:
        body(pipe, *arguments)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as error:  # noqa: BLE001 - told to the bench, which ends
        pipe.send(WorkerFailed(f"{type(error).__name__}: {error}"))
