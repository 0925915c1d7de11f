"""The service's log lines. Rule: a line never carries a secret, and never a control character that came from a peer.

Both are done where the line is made, for every logger and for tracebacks too: whoever writes a log call need not think
of it. So is the RequestId put in front of whatever is logged for a request. One record is one line in JSON, and on a
console one line and its traceback's, whatever it says.

Theory of operation. Lines are made where they are logged and written by a thread (``Pump``), many at once: whoever
reads them may be slow, or hang, and the loop that serves media must not wait for a pipe. What waits is bounded; beyond
that lines are left out, and how many is said when there is room again.
"""

import atexit
import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Protocol, TextIO

import msgspec

from openkls.config import Log
from openkls.control.ids import request_id

HIDDEN: Final = "***"
# About 20 MB of lines, a minute of a busy API's.
WAITING_LIMIT: Final = 100_000
# What is written at once gathers for so long; a log is read by people.
GATHER_SECONDS: Final = 0.01
# At the end, for a reader that is slow; one that hangs is not waited for longer.
DRAIN_SECONDS: Final = 1.0

# Names whose values authenticate: push (k, signature), SigV4 (X-Amz-Signature, the header's Signature), cluster tokens.
_SECRET_VALUE = re.compile(
    r"(?<![A-Za-z0-9_])((?:k|signature|token|secret|secret_key|password)(?:=|%3D))[^&\s\"'`]+", re.IGNORECASE
)
# The password of a URL, such as a store's or Redis'.
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")


class Level(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    """How a line is written."""

    CONSOLE = "console"
    JSON = "json"


class Fields(Protocol):
    """A message that is made of named facts, as those of the access log are."""

    fields: Mapping[str, Any]


def redact(text: str) -> str:
    """The text with the values of secret parameters and the passwords of URLs replaced."""
    if "=" in text or "%3" in text:  # most lines have neither, and the search takes longer than the line's making
        text = _SECRET_VALUE.sub(rf"\g<1>{HIDDEN}", text)
    return _URL_PASSWORD.sub(rf"\g<1>{HIDDEN}", text) if "://" in text else text


class LineFormatter(logging.Formatter):
    """``2026-01-31 23:59:59.123 INFO    openkls.media.rtmp: text``, in local time; behind the level, in brackets, the
    worker that it is of."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._worker = f"[{worker}] " if worker else ""
        # Of a second there is one, and on a busy service a thousand lines.
        self._moment = lru_cache(1)(lambda second: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second)))

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback's lines behind it."""
        moment = self._moment(int(record.created))
        message = _visible(record.getMessage())
        served = _served(record)
        if served and served not in message:
            message = f"request {served}: {message}"
        line = f"{moment}.{int(record.msecs):03d} {record.levelname:<7} {self._worker}{record.name}: {message}"
        if record.exc_info:
            for part in self.formatException(record.exc_info).split("\n"):
                line += "\n    " + _visible(part)
        return redact(line)


class JsonFormatter(logging.Formatter):
    """One JSON object: ``ts`` (RFC 3339, UTC), ``level``, ``logger``, ``message``; where there is one ``request_id``,
    ``worker``, ``exception``; and the facts of a message that is made of such."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._worker = worker
        self._moment = lru_cache(1)(lambda second: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        self._encode = msgspec.json.Encoder().encode

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = self._moment(int(record.created))
        said: dict[str, Any] = {
            "ts": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(_visible(record.getMessage())),
        }
        served = _served(record)
        if served:
            said["request_id"] = served
        if self._worker:
            said["worker"] = self._worker
        facts: Mapping[str, Any] = getattr(record.msg, "fields", {})
        for name, value in facts.items():
            said.setdefault(name, redact(_visible(value)) if isinstance(value, str) else value)
        if record.exc_info:
            parts = self.formatException(record.exc_info).split("\n")
            said["exception"] = redact("\n".join(_visible(part) for part in parts))
        return self._encode(said).decode()


class Pump(logging.Handler):
    """Writes lines by a thread of its own, so that nobody who logs waits for who reads."""

    def __init__(self, stream: TextIO, limit: int = WAITING_LIMIT) -> None:
        super().__init__()
        self._stream = stream
        self._limit = limit
        self._lines: deque[str] = deque()
        self._wake = threading.Event()
        self._never = threading.Event()
        self._written = threading.Condition()
        self._writing = False
        self.dropped = 0
        """Lines left out because too many waited, since the start."""
        self._told = 0
        threading.Thread(target=self._run, name="openkls-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have a line written soon. Never waits."""
        if len(self._lines) >= self._limit:
            self.dropped += 1
            return
        try:
            self._lines.append(self.format(record))
        except Exception:  # noqa: BLE001 - a log call must not fail who makes it
            self.handleError(record)
        if not self._wake.is_set():
            self._wake.set()

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until all has been written; False when the time came first."""
        self._wake.set()
        with self._written:
            return self._written.wait_for(lambda: not self._lines and not self._writing, seconds)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            # Not time.sleep, which fails under libfaketime, with which clocks apart are tried.
            self._never.wait(GATHER_SECONDS)
            self._wake.clear()
            self._writing = True
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            dropped = self.dropped
            if dropped > self._told:
                lines.append(f"{dropped - self._told} lines of this log are left out: they were not read fast enough")
                self._told = dropped
            try:
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads any more, or it is closed
                self.dropped += len(lines)
                self._told = self.dropped
            finally:
                with self._written:
                    self._writing = False
                    self._written.notify_all()


_pump: Pump | None = None
_levels: dict[str, int] = {}


def set_up(level: Level, worker: str = "", style: Format = Format.CONSOLE) -> Pump:
    """Log to stderr: our own loggers from ``level`` up, everybody else's from WARNING up."""
    global _pump
    if _pump is None:
        _pump = Pump(sys.stderr)
        atexit.register(_pump.drain)
    _pump.setFormatter(JsonFormatter(worker) if style is Format.JSON else LineFormatter(worker))
    # What no line of ours says costs more to find out than the line to make.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None  # as Python's Logging HOWTO says, Optimization
    root = logging.getLogger()
    root.handlers[:] = [_pump]
    root.setLevel(logging.WARNING)
    logging.getLogger("openkls").setLevel(level.value.upper())
    return _pump


def take_up(settings: Log) -> None:
    """Give packages the levels of the configuration; those named before and no more follow their parents again."""
    for name in _levels:
        if name not in settings.levels:
            logging.getLogger(name).setLevel(_levels[name])
    for name in set(_levels) - set(settings.levels):
        del _levels[name]
    for name, level in settings.levels.items():
        logger = logging.getLogger(name)
        _levels.setdefault(name, logger.level)
        logger.setLevel(level.upper())


def drain() -> None:
    """Have what was logged written before a process ends without ado."""
    if _pump is not None:
        _pump.drain()


def _served(record: logging.LogRecord) -> str:
    """The RequestId that a record is of: its own, where it is written for a request that is over."""
    facts: Mapping[str, Any] = getattr(record.msg, "fields", {})
    return str(facts.get("request_id", "")) or request_id.get()


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
