"""No secret and no control character in a log line."""

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from types import TracebackType

import pytest

from openkls.cli import logs
from openkls.cli.logs import Format, JsonFormatter, Level, LineFormatter, Pump, redact, set_up
from openkls.config import Log
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


# -- JSON


def said(message: object, *arguments: object, fault: Fault | None = None, worker: str = "") -> dict[str, object]:
    """One record as JSON, which has to be one line."""
    record = logging.LogRecord("openkls.media.rtmp", logging.INFO, __file__, 1, message, arguments, fault)
    text = JsonFormatter(worker).format(record)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    return json.loads(text)


def test_a_record_is_one_object_with_its_facts() -> None:
    found = said("stream %s", "s1")
    assert (found["level"], found["logger"], found["message"]) == ("info", "openkls.media.rtmp", "stream s1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(found["ts"]))
    assert set(found) == {"ts", "level", "logger", "message"}


def test_time_is_utc_to_the_millisecond() -> None:
    record = logging.LogRecord("openkls", logging.INFO, "", 1, "x", None, None)
    record.created, record.msecs = 1_795_366_800.0625, 62.5
    assert json.loads(JsonFormatter().format(record))["ts"] == "2026-11-22T17:00:00.062Z"


def test_worker_and_request_are_members() -> None:
    token = request_id.set("0f0f")
    try:
        found = said("begun", worker="media-1")
    finally:
        request_id.reset(token)
    assert (found["worker"], found["request_id"]) == ("media-1", "0f0f")


def test_an_exception_is_a_member_and_redacted() -> None:
    try:
        raise ValueError("k=4f88e741140240e2\nFORGED \x1b[31m \u2028")
    except ValueError:
        found = said("failed", fault=sys.exc_info())  # type: ignore[arg-type]
    text = str(found["exception"])
    assert text.startswith("Traceback")
    assert "4f88" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("hostile", ['","level":"error', "a\nb", "\x1b[2J", "\u2028", "\u202e", "\udc80", "\0", "直播"])
def test_whatever_a_peer_sent_is_one_string(hostile: str) -> None:
    found = said("stream %s", hostile)
    assert found["level"] == "info"
    assert str(found["message"]).isprintable()
    assert "\u202e" not in str(found["message"])


class Facts:
    """A message that is made of facts, as those of the access log."""

    def __init__(self, **facts: object) -> None:
        self.fields = facts

    def __str__(self) -> str:
        return "facts of " + str(self.fields.get("request_id"))


def test_facts_are_members_and_cannot_take_the_places_of_others() -> None:
    found = said(Facts(client="192.0.2.7", path="/a\x1b?token=abc", status=200, level="forged", request_id="0e0e"))
    assert (found["client"], found["status"], found["level"]) == ("192.0.2.7", 200, "info")
    assert found["path"] == "/a\\x1b?token=***"
    assert found["request_id"] == "0e0e"
    assert found["message"] == "facts of 0e0e"


def test_a_line_written_later_has_its_own_request() -> None:
    token = request_id.set("another")
    try:
        assert "another" not in line(Facts(request_id="0e0e"))  # type: ignore[arg-type]
        assert said(Facts(request_id="0e0e"))["request_id"] == "0e0e"
    finally:
        request_id.reset(token)


# -- levels


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is set up for all of logging is put back."""
    names = ("", "openkls", "openkls.store", "openkls.media")
    loggers = [logging.getLogger(name or None) for name in names]
    before = [(logger.handlers[:], logger.level) for logger in loggers]
    for name in ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    monkeypatch.setattr(logs, "_levels", {})
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.mark.usefixtures("untouched")
def test_only_our_own_loggers_follow_the_level() -> None:
    set_up(Level.DEBUG)
    assert logging.getLogger("openkls.media").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("aiohttp.access").isEnabledFor(logging.INFO)


@pytest.mark.usefixtures("untouched")
def test_packages_have_levels_of_their_own_until_they_are_named_no_more() -> None:
    set_up(Level.INFO, style=Format.JSON)
    store, media = logging.getLogger("openkls.store"), logging.getLogger("openkls.media")
    logs.take_up(Log(levels={"openkls.store": "debug", "openkls.media": "error"}))
    assert store.isEnabledFor(logging.DEBUG)
    assert not media.isEnabledFor(logging.WARNING)
    logs.take_up(Log(levels={"openkls.media": "warning"}))
    assert not store.isEnabledFor(logging.DEBUG)
    assert store.isEnabledFor(logging.INFO)
    assert media.isEnabledFor(logging.WARNING)
    logs.take_up(Log())
    assert media.isEnabledFor(logging.INFO)


# -- the thread that writes


class Stuck(io.StringIO):
    """A reader that hangs until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.go.wait(10)
        return super().write(text)


def logged(pump: Pump, *messages: str) -> None:
    for message in messages:
        pump.handle(logging.LogRecord("openkls", logging.INFO, "", 1, message, None, None))


def test_lines_come_out_in_order_and_whole() -> None:
    stream = io.StringIO()
    pump = Pump(stream)
    logged(pump, *(f"line {number}" for number in range(500)))
    assert pump.drain(10)
    assert stream.getvalue() == "".join(f"line {number}\n" for number in range(500))


def test_who_logs_never_waits_for_a_reader_that_hangs_and_what_waits_is_bounded() -> None:
    stream = Stuck()
    pump = Pump(stream, limit=3)
    logged(pump, "first")
    assert stream.reached.wait(10)
    logged(pump, "a", "b", "c")
    assert pump.dropped == 0
    logged(pump, "one too many", "and another")
    assert pump.dropped == 2
    assert not pump.drain(0.05)
    stream.go.set()
    assert pump.drain(10)
    assert stream.getvalue() == "first\na\nb\nc\n2 lines of this log are left out: they were not read fast enough\n"
    logged(pump, "again")
    assert pump.drain(10)
    assert stream.getvalue().endswith("enough\nagain\n")


def test_a_reader_that_is_gone_ends_nothing() -> None:
    stream = io.StringIO()
    pump = Pump(stream)
    stream.close()
    logged(pump, "nobody reads this")
    assert pump.drain(10)
    assert pump.dropped == 1
    logged(pump, "nor this")
    assert pump.drain(10)
    assert pump.dropped == 2
