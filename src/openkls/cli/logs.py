"""The service's log lines. Rule: a line never carries a secret, and never a control character that came from a peer.

Both are done where the line is made, for every logger and for tracebacks too: whoever writes a log call need not think
of it. So is the RequestId put in front of whatever is logged for a request.
"""

import logging
import re
import sys
import time
from enum import StrEnum

from openkls.control.ids import request_id

HIDDEN = "***"

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


def redact(text: str) -> str:
    """The text with the values of secret parameters and the passwords of URLs replaced."""
    return _URL_PASSWORD.sub(rf"\g<1>{HIDDEN}", _SECRET_VALUE.sub(rf"\g<1>{HIDDEN}", text))


class LineFormatter(logging.Formatter):
    """``2026-01-31 23:59:59.123 INFO    openkls.media.rtmp: text``, in local time; behind the level, in brackets, the
    worker that it is of."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._worker = f"[{worker}] " if worker else ""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback's lines behind it."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        message = "".join(_visible(char) for char in record.getMessage())
        served = request_id.get()
        if served and served not in message:
            message = f"request {served}: {message}"
        line = f"{moment}.{int(record.msecs):03d} {record.levelname:<7} {self._worker}{record.name}: {message}"
        if record.exc_info:
            for part in self.formatException(record.exc_info).split("\n"):
                line += "\n    " + "".join(_visible(char) for char in part)
        return redact(line)


def set_up(level: Level, worker: str = "") -> None:
    """Log to stderr: our own loggers from ``level`` up, everybody else's from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("openkls").setLevel(level.value.upper())


def _visible(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()
