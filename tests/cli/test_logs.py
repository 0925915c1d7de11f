"""No secret and no control character in a log line."""

import logging
import sys
from types import TracebackType

import pytest

from openkls.cli.logs import Level, LineFormatter, redact, set_up
from openkls.control.ids import request_id

Fault = tuple[type[BaseException], BaseException, TracebackType | None]


def line(message: str, *arguments: object, fault: Fault | None = None) -> str:
    record = logging.LogRecord("openkls.media.rtmp", logging.INFO, __file__, 1, message, arguments, fault)
    return LineFormatter().format(record)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/live/s?t=1560096712&k=4f88e741140240e2", "/live/s?t=1560096712&k=***"),
        ("k=4f88e741140240e2&t=1", "k=***&t=1"),
        ("?signature=35HI6wPR2wQr0OVy/wTTqYeDPUE=&expire=1", "?signature=***&expire=1"),
        ("/?X-Amz-Signature=abc&X-Amz-Security-Token=def", "/?X-Amz-Signature=***&X-Amz-Security-Token=***"),
        ("SignedHeaders=host, Signature=abcdef", "SignedHeaders=host, Signature=***"),
        ("token=abc secret_key=def", "token=*** secret_key=***"),
        ("K%3Dabc", "K%3D***"),
        ("redis://:pa$$@host:6379/0", "redis://:***@host:6379/0"),
        ("postgresql://user:pass@host/db", "postgresql://user:***@host/db"),
        ("rtmp://127.0.0.1:1935/live/a", "rtmp://127.0.0.1:1935/live/a"),
        ("mask=1 risk=2 t=3", "mask=1 risk=2 t=3"),
    ],
)
def test_secrets_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_a_log_line_is_redacted_whatever_its_arguments() -> None:
    assert "4f88" not in line("publish of %s refused", "s?k=4f88e741140240e2")


def test_a_traceback_is_redacted_and_cannot_begin_a_line() -> None:
    try:
        raise ValueError("k=4f88e741140240e2\nFORGED \x1b[31m")
    except ValueError:
        fault = sys.exc_info()
        assert fault[0] is not None
        text = line("failed", fault=fault)
    assert "4f88" not in text
    assert "\x1b" not in text
    assert all(part.startswith("    ") for part in text.splitlines()[1:])


def test_control_characters_of_a_peer_are_escaped() -> None:
    text = line("stream %s", "a\nb\x1b[2J\u202e")
    assert text.endswith("stream a\\nb\\x1b[2J\\u202e")


def test_a_line_has_time_level_and_logger() -> None:
    assert line("begun").partition(" INFO    ")[2] == "openkls.media.rtmp: begun"


def test_a_line_of_a_request_begins_with_its_id_once() -> None:
    token = request_id.set("0f0f")
    try:
        assert line("begun").endswith("openkls.media.rtmp: request 0f0f: begun")
        assert line("request %s: a bug", "0f0f").endswith("openkls.media.rtmp: request 0f0f: a bug")
    finally:
        request_id.reset(token)
    assert "request" not in line("begun")


def test_only_our_own_loggers_follow_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    root, ours = logging.getLogger(), logging.getLogger("openkls")
    before = (root.handlers[:], root.level, ours.level)
    try:
        set_up(Level.DEBUG)
        assert logging.getLogger("openkls.media").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("aiohttp.access").isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])
