"""The attack and fault classes of the media plane against the running service, on real sockets.

Rule: after each, the process is the same, has no exception in its log, is not larger by more than GROWTH_MAX_BYTES,
and lets a healthy publisher and player through. What the codec makes of each class byte by byte is in its own tests.
"""

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psutil
import pytest

from fuzz.ingest import Ingest
from openkls.client import KlsError
from openkls.codec import amf0
from openkls.codec.rtmp import message as m
from openkls.codec.rtmp.chunk import CHUNK_STREAMS_MAX, MESSAGE_BYTES_MAX, PARTIAL_MESSAGES_MAX
from openkls.domain.refusals import ROWS_PER_MINUTE
from openkls.media.rtmp import HANDSHAKE_SECONDS, IDLE_SECONDS
from support_media import AUDIO_HEADER, VIDEO_HEADER, frame, key_frame, sound
from support_rtmp import CONNECT, CONTROLS, GREETING, basic_header, command, header, wire
from support_service import RunningService, until
from tools.soak import BROKEN

pytestmark = pytest.mark.e2e

GROWTH_MAX_BYTES: Final = 24 * 1024 * 1024
DEADLINE_SECONDS: Final = 10.0
CONNECTED: Final = GREETING + command(*CONNECT) + command("createStream", 2, None)
_NUMBERS: Final = itertools.count()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One for all classes: what one leaves behind, the next meets."""
    running = RunningService(tmp_path_factory.mktemp("security"))
    running.start()
    healthy(running)
    try:
        yield running
    finally:
        running.end()


def healthy(service: RunningService) -> None:
    """AssertionError unless a healthy publisher and player get through."""
    asyncio.run(Ingest(service, 0.0, 1).healthy())


def rss_bytes(service: RunningService) -> int:
    assert service.process is not None
    return psutil.Process(service.process.pid).memory_info().rss


@pytest.fixture(autouse=True)
def _unharmed(service: RunningService) -> Iterator[None]:
    before = rss_bytes(service)
    yield
    assert service.process is not None
    assert service.process.poll() is None
    healthy(service)
    grown = rss_bytes(service) - before
    assert grown < GROWTH_MAX_BYTES, f"grown by {grown / 2**20:.1f} MiB"
    broken = [line for line in service.log.read_text().splitlines() if any(word in line for word in BROKEN)]
    assert not broken, broken


class Attacker:
    """A raw connection to the ingest port."""

    def __init__(self, service: RunningService, data: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", service.rtmp_port), DEADLINE_SECONDS)
        self.send(data)

    def __enter__(self) -> "Attacker":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """A service that has closed is no error here."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def is_cut(self, seconds: float = DEADLINE_SECONDS) -> bool:
        """Whether the service closes within so long."""
        ending = time.monotonic() + seconds
        with contextlib.suppress(ConnectionError):
            while (left := ending - time.monotonic()) > 0:
                self.socket.settimeout(left)
                try:
                    if not self.socket.recv(65536):
                        return True
                except TimeoutError:
                    return False
            return False
        return True

    def heard(self, words: bytes) -> bytes:
        """What the service says up to these words; AssertionError when it closes before or they do not come."""
        said = b""
        ending = time.monotonic() + DEADLINE_SECONDS
        while words not in said:
            self.socket.settimeout(max(0.01, ending - time.monotonic()))
            piece = self.socket.recv(65536)
            assert piece, f"closed before {words!r}: {said!r}"
            said += piece
        return said


def publish(stream: str) -> bytes:
    """From the handshake to the publish."""
    return CONNECTED + command("publish", 5, None, stream, "live", stream_id=1)


def publisher(service: RunningService, stream: str | None = None) -> Attacker:
    """One that has been let in."""
    attacker = Attacker(service, publish(stream or f"attack-{next(_NUMBERS)}"))
    attacker.heard(b"NetStream.Publish.Start")
    return attacker


def faults(service: RunningService) -> str:
    """What the log says of peers that broke the protocol."""
    return "\n".join(line for line in service.log.read_text().splitlines() if "broke the protocol" in line)


def cut_and_told(service: RunningService, data: bytes) -> None:
    """The service closes, and its log has one more line on why."""
    before = len(faults(service))
    with Attacker(service, data) as attacker:
        assert attacker.is_cut()
    until(lambda: len(faults(service)) > before)
    # The lines about faults are rationed: twenty a second.
    time.sleep(0.06)


def media(type_id: int, body: bytes, timestamp: int = 0, csid: int = 6) -> bytes:
    return wire(type_id, body, 1, csid=csid, timestamp=timestamp)


# -- 1 to 5: chunks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 127, 0x80000000, 0xFFFFFFFF])
def test_class_01_chunk_size_out_of_bounds_is_refused(service: RunningService, size: int) -> None:
    cut_and_told(service, GREETING + wire(m.SET_CHUNK_SIZE, size.to_bytes(4, "big"), csid=2))


def test_class_01_huge_chunk_size_allocates_nothing(service: RunningService) -> None:
    huge = wire(m.SET_CHUNK_SIZE, (0x7FFFFFFF).to_bytes(4, "big"), csid=2)
    before = rss_bytes(service)
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            attacker = stack.enter_context(Attacker(service, GREETING + huge + command(*CONNECT)))
            attacker.heard(b"NetConnection.Connect.Success")
        assert rss_bytes(service) - before < 50 * 256 * 1024


def test_class_02_header_in_mid_message_is_refused_and_a_chunk_size_there_is_obeyed(service: RunningService) -> None:
    begun = header(0, 6, 0, 300, m.VIDEO, 1) + bytes(128)
    with publisher(service) as attacker:
        attacker.send(begun + header(0, 6, 0, 10, m.VIDEO, 1) + bytes(10))
        assert attacker.is_cut()
    with publisher(service) as attacker:
        resized = wire(m.SET_CHUNK_SIZE, (4096).to_bytes(4, "big"), csid=2)
        attacker.send(begun + resized + basic_header(3, 6) + bytes(172))
        attacker.send(wire(m.USER_CONTROL, m.build_user_control(m.PING_REQUEST, 7), csid=2, chunk_size=4096))
        attacker.heard(m.build_user_control(m.PING_RESPONSE, 7))


def test_class_03_chunks_of_no_bytes_are_cut_off(service: RunningService) -> None:
    with publisher(service) as attacker:
        attacker.send(header(0, 6, 0, 0, m.VIDEO, 1) + basic_header(3, 6) * 1_000_000)
        assert attacker.is_cut()


def test_class_04_declared_lengths_cost_nothing_and_have_a_limit(service: RunningService) -> None:
    before = rss_bytes(service)
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            attacker = stack.enter_context(publisher(service))
            attacker.send(header(0, 6, 0, MESSAGE_BYTES_MAX, m.VIDEO, 1) + bytes(128))
            attacker.send(wire(m.USER_CONTROL, m.build_user_control(m.PING_REQUEST, 7), csid=2))
            attacker.heard(m.build_user_control(m.PING_RESPONSE, 7))
        assert rss_bytes(service) - before < GROWTH_MAX_BYTES
    with publisher(service) as attacker:
        attacker.send(header(0, 6, 0, MESSAGE_BYTES_MAX + 1, m.VIDEO, 1))
        assert attacker.is_cut()


def test_class_05_partial_messages_on_many_chunk_streams_have_a_limit(service: RunningService) -> None:
    def partial(count: int) -> bytes:
        return b"".join(header(0, 8 + number, 0, 200, m.VIDEO, 1) + bytes(128) for number in range(count))

    with publisher(service) as attacker:
        attacker.send(partial(PARTIAL_MESSAGES_MAX))
        attacker.send(wire(m.USER_CONTROL, m.build_user_control(m.PING_REQUEST, 7), csid=2))
        attacker.heard(m.build_user_control(m.PING_RESPONSE, 7))
    with publisher(service) as attacker:
        attacker.send(partial(PARTIAL_MESSAGES_MAX + 1))
        assert attacker.is_cut()
    with publisher(service) as attacker:
        attacker.send(b"".join(header(0, 8 + number, 0, 1, m.VIDEO, 1) + b"x" for number in range(CHUNK_STREAMS_MAX)))
        assert attacker.is_cut()


# -- 6 to 9: messages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_id", CONTROLS)
def test_class_06_control_messages_shorter_than_their_fields_are_refused(service: RunningService, type_id: int) -> None:
    lengths = range(2) if type_id == m.USER_CONTROL else range(4)
    for length in lengths:
        cut_and_told(service, GREETING + wire(type_id, bytes(length), csid=2))


def nested(depth: int) -> bytes:
    """An AMF0 object in an object, so deep."""
    return b"\x03\x00\x01a" * depth + b"\x05" + b"\x00\x00\x09" * depth


@pytest.mark.parametrize(
    ("value", "is_answered"),
    [
        (nested(amf0.DEPTH_MAX - 1), True),
        (nested(amf0.DEPTH_MAX + 1), False),
        (nested(10_000)[:60_000], False),
        (b"\x08\xff\xff\xff\xff\x00\x00\x09", True),
        (b"\x0a\xff\xff\xff\xff", False),
        (b"\x0c\xff\xff\xff\xffabc", False),
        (b"\x02\xff\xffabc", False),
    ],
    ids=["depth", "too-deep", "deep", "ecma-count", "strict-count", "long-string", "string"],
)
def test_class_07_amf_depth_and_counts(service: RunningService, value: bytes, is_answered: bool) -> None:
    payload = amf0.encode("createStream", 9.0) + value
    data = GREETING + command(*CONNECT) + wire(m.COMMAND, payload)
    if not is_answered:
        cut_and_told(service, data)
        return
    with Attacker(service, data) as attacker:
        attacker.heard(amf0.encode("_result", 9.0))


def test_class_08_values_of_any_type_in_any_slot_are_answered_or_refused(service: RunningService) -> None:
    values: list[object] = [
        None,
        True,
        1.5,
        float("nan"),
        float("inf"),
        -1,
        "",
        "s",
        {},
        {"app": 1},
        [1],
        amf0.UNDEFINED,
    ]
    names = [
        "connect",
        "createStream",
        "publish",
        "play",
        "releaseStream",
        "deleteStream",
        "closeStream",
        "pause",
        "",
        7,
    ]
    with ThreadPoolExecutor(8) as pool:

        def attack(name: object) -> None:
            for count in range(4):
                for slots in itertools.islice(itertools.product(values, repeat=count), 40):
                    greeting = GREETING if name == "connect" else CONNECTED
                    with Attacker(service, greeting + wire(m.COMMAND, amf0.encode(name, *slots), 1)) as attacker:
                        attacker.socket.shutdown(socket.SHUT_WR)
                        assert attacker.is_cut(), (name, slots)

        list(pool.map(attack, names))


def test_class_09_first_chunks_without_a_header_to_refer_to_are_refused(service: RunningService) -> None:
    for kind in (2, 3):
        cut_and_told(service, GREETING + header(kind, 6, 5) + bytes(64))


def test_class_09_timestamps_wrap_and_extended_ones_come_in_both_dialects(service: RunningService) -> None:
    for repeat in (True, False):
        stream = f"wrap-{repeat}"
        with publisher(service, stream) as attacker:
            attacker.send(media(m.VIDEO, VIDEO_HEADER, 2**32 - 80))
            attacker.send(media(m.VIDEO, key_frame(), 2**32 - 80))
            with player(service, stream) as watching:
                watching.heard(key_frame())
                for number, timestamp in enumerate((2**32 - 40, 0, 40, 2**24 - 1, 2**24)):
                    body = frame(b"%300d" % number)
                    extended = timestamp.to_bytes(4, "big") if timestamp >= 2**24 - 1 and repeat else b""
                    first = header(0, 6, timestamp, len(body), m.VIDEO, 1) + body[:128]
                    rest = [basic_header(3, 6) + extended + body[at : at + 128] for at in range(128, len(body), 128)]
                    attacker.send(first + b"".join(rest))
                    watching.heard(b"%20d" % number)


def player(service: RunningService, stream: str) -> Attacker:
    """One that has asked to play."""
    return Attacker(service, CONNECTED + command("play", 5, None, f"{stream}?vhost=play.demo.local", stream_id=1))


# -- 10: media ----------------------------------------------------------------------------------------------------

BROKEN_MEDIA: Final = {
    "audio-alone": [(m.AUDIO, AUDIO_HEADER), (m.AUDIO, sound())],
    "video-alone": [(m.VIDEO, VIDEO_HEADER), (m.VIDEO, key_frame())],
    "no-headers": [(m.VIDEO, key_frame()), (m.AUDIO, sound())],
    "empty-configurations": [(m.VIDEO, b"\x17\x00\x00\x00\x00"), (m.AUDIO, b"\xaf\x00"), (m.VIDEO, key_frame())],
    "empty-sps": [
        (m.VIDEO, b"\x17\x00\x00\x00\x00\x01\x64\x00\x1e\xff\xe1\x00\x00\x01\x00\x00"),
        (m.VIDEO, key_frame()),
    ],
    "cut-sps": [(m.VIDEO, VIDEO_HEADER[:20]), (m.VIDEO, key_frame())],
    "empty-nal": [(m.VIDEO, VIDEO_HEADER), (m.VIDEO, key_frame(bytes(4))), (m.VIDEO, key_frame(b""))],
    "long-nal": [(m.VIDEO, VIDEO_HEADER), (m.VIDEO, key_frame(b"\xff\xff\xff\xff\x65"))],
    "empty-messages": [(m.VIDEO, b""), (m.AUDIO, b""), (m.DATA, b"")],
    "one-byte": [(m.VIDEO, b"\x17"), (m.AUDIO, b"\xaf"), (m.DATA, b"\x02")],
    "unknown-codecs": [(m.VIDEO, b"\x1f\x01\x00\x00\x00"), (m.AUDIO, b"\xf0\x01"), (m.VIDEO, b"\x90abcd")],
    "cut-enhanced": [(m.VIDEO, b"\x90"), (m.VIDEO, b"\x90hvc"), (m.VIDEO, b"\x90hvc1"), (m.AUDIO, b"\x90mp4")],
    "metadata-of-no-use": [(m.DATA, amf0.encode("onMetaData", 1)), (m.DATA, b"\xff"), (m.VIDEO, key_frame())],
}


@pytest.mark.parametrize("name", BROKEN_MEDIA)
def test_class_10_media_in_any_disorder_neither_ends_the_publish_nor_its_viewers(
    service: RunningService, name: str
) -> None:
    stream = f"broken-{name}"
    messages = BROKEN_MEDIA[name]
    with publisher(service, stream) as attacker, player(service, stream) as watching:
        watching.heard(b"NetStream.Play.Start")
        # HLS is made from the first request of a playlist on, which may have to wait for a segment.
        with flv_player(service, stream), asking(service, f"/live/{stream}/index.m3u8"):
            for second in range(8):
                for type_id, body in messages:
                    attacker.send(media(type_id, body, 1000 * second))
            attacker.send(media(m.DATA, amf0.encode("onTextData", "still here"), 8000, csid=4))
            watching.heard(b"still here")


def flv_player(service: RunningService, stream: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", service.play_port), DEADLINE_SECONDS)
    connection.sendall(f"GET /live/{stream}.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def asking(service: RunningService, target: str) -> socket.socket:
    """A GET under way, whose target goes out as it is."""
    connection = socket.create_connection(("127.0.0.1", service.play_port), 2 * DEADLINE_SECONDS)
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode("latin-1"))
    return connection


def ask(service: RunningService, target: str) -> bytes:
    """The answer to a GET."""
    with asking(service, target) as connection:
        said = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                said += piece
        return said


# -- 12, 13 -------------------------------------------------------------------------------------------------------


def test_class_12_players_that_never_read_cost_a_bounded_number_of_bytes_and_are_dropped(
    service: RunningService,
) -> None:
    """At 16 Mbps: 12 players for whom nobody bounded anything would hold 24 MB a second."""
    players = 6
    before = most = rss_bytes(service)
    fat = key_frame(bytes(200_000))
    ended = threading.Event()
    with contextlib.ExitStack() as stack:
        attacker = stack.enter_context(publisher(service, "fat"))
        attacker.send(media(m.VIDEO, VIDEO_HEADER))

        def flow() -> None:
            for number in itertools.count():
                if ended.wait(0.1):
                    return
                attacker.send(media(m.VIDEO, fat, 100 * number))

        flowing = threading.Thread(target=flow)
        flowing.start()
        stack.callback(flowing.join)
        stack.callback(ended.set)
        for _ in range(players):
            stack.enter_context(player(service, "fat")).heard(b"NetStream.Play.Start")
            stack.enter_context(flv_player(service, "fat"))

        def online() -> int:
            nonlocal most
            most = max(most, rss_bytes(service))
            return sum(
                int(service.call("ListRealtimeStreamsInfo", Stream="fat", PullProtocol=protocol)["OnlineUser"])
                for protocol in ("rtmp", "http+flv")
            )

        until(lambda: online() == 2 * players, 5)
        until(lambda: online() == 0, 40, 0.2)
    # Each may hold the hub's limit and what it started from.
    assert most - before < 2 * players * 2 * 2**20 + GROWTH_MAX_BYTES


PATHS: Final = ("../x", "..", "/etc/passwd", "a/../../b", "%2e%2e%2fx", "..%2fx", "a\x00b", "a\\..\\b", "x/%2e%2e/y")


def test_class_13_names_that_are_paths_open_nothing_over_any_protocol(service: RunningService, tmp_path: Path) -> None:
    files = sorted(path for path in service.folder.rglob("*") if not path.name.startswith("openkls.db"))
    for name in PATHS:
        with Attacker(service, publish(name)) as attacker:
            assert attacker.heard(b"NetStream.Publish.")
            assert attacker.is_cut()
        with player(service, name) as watching:
            watching.heard(b"NetStream.Play.StreamNotFound")
    for name, form in itertools.product(PATHS, ("{}.flv", "{}.m3u8", "{}/index.m3u8", "{}/0.ts", "../{}")):
        said = ask(service, f"/live/{form.format(name.replace(chr(0), '%00'))}")
        assert said.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400", b"HTTP/1.1 403")), (name, form, said[:200])
        assert b"root:" not in said
    assert files == sorted(path for path in service.folder.rglob("*") if not path.name.startswith("openkls.db"))


# -- 17, 18: races and leaks --------------------------------------------------------------------------------------


def test_class_17_publish_kick_ban_and_republish_storm_leaves_one_row_for_each_session(service: RunningService) -> None:
    storm = {"Pubdomain": "push.demo.local", "Stream": "storm"}
    ended = threading.Event()

    def push() -> int:
        accepted = 0
        while not ended.is_set():
            with Attacker(service, publish("storm")) as attacker, contextlib.suppress(ConnectionError, AssertionError):
                said = attacker.heard(b"NetStream.Publish.")
                accepted += b"NetStream.Publish.Start" in said
                attacker.send(media(m.VIDEO, key_frame()))
                attacker.is_cut(0.05)
        return accepted

    def forbid() -> None:
        for number in range(60):
            with contextlib.suppress(KlsError):
                service.call("ForbidStream", **storm, ForbidTillUnixTime=1 if number % 2 else 0)
            with contextlib.suppress(KlsError):
                service.call("ResumeStream", **storm)

    with ThreadPoolExecutor(8) as pool:
        pushes = [pool.submit(push) for _ in range(6)]
        forbids = [pool.submit(forbid) for _ in range(2)]
        for each in forbids:
            each.result(60)
        ended.set()
        accepted = sum(each.result(30) for each in pushes)
    with contextlib.suppress(KlsError):
        service.call("ResumeStream", **storm)
    until(lambda: not service.call("ListRealtimeStreamsInfo", Type="push", Stream="storm")["Streams"])
    begun = [line for line in service.log.read_text().splitlines() if "/live/storm from" in line and "began" in line]
    assert len(begun) >= accepted > 10
    history = until(lambda: _all_rows(service, "ListHistoryPubStreamsInfo", len(begun), **storm))
    assert history == len(begun)
    with publisher(service, "storm"):
        pass


def _all_rows(service: RunningService, action: str, at_least: int, **names: str) -> int | None:
    total = int(service.call(action, **names)["Total"])
    return total if total >= at_least else None


def test_class_18_names_that_come_once_leave_nothing_behind(service: RunningService) -> None:
    def push(number: int) -> None:
        with publisher(service, f"once-{number}") as attacker:
            attacker.send(media(m.VIDEO, VIDEO_HEADER) + media(m.VIDEO, key_frame()))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(push, range(1000)))
        before = rss_bytes(service)
        list(pool.map(push, range(1000, 3000)))
    until(lambda: not service.call("ListRealtimeStreamsInfo", Type="push")["Streams"])
    # A kilobyte for each name would show.
    assert rss_bytes(service) - before < 2000 * 1024


def test_class_18_refused_publishes_write_a_bounded_number_of_rows(service: RunningService) -> None:
    refused = {"Pubdomain": "push.demo.local", "Stream": "refused"}
    service.call("ForbidStream", **refused)
    for _ in range(2 * ROWS_PER_MINUTE + 40):  # a minute may end meanwhile
        with Attacker(service, publish("refused")) as attacker:
            attacker.heard(b"423 Forbidden by blacklist!")
    rows = until(lambda: _all_rows(service, "ListHistoryPubStreamsErrInfo", ROWS_PER_MINUTE, **refused))
    assert ROWS_PER_MINUTE <= rows <= 2 * ROWS_PER_MINUTE


# -- 11: last, as it has only to wait -----------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def slow(service: RunningService) -> Iterator[dict[str, "Slow"]]:
    """Those who take their time, from the beginning of this module on."""
    running = {
        "nothing": Slow(service, b"", HANDSHAKE_SECONDS),
        "a byte a second": Slow(service, GREETING, HANDSHAKE_SECONDS),
        "handshake alone": Slow(service, GREETING, HANDSHAKE_SECONDS, at_once=True),
        "connect alone": Slow(service, CONNECTED, HANDSHAKE_SECONDS, at_once=True),
        "silence after publish": Slow(service, publish("silent"), IDLE_SECONDS, at_once=True),
    }
    yield running
    for each in running.values():
        each.end()


class Slow(threading.Thread):
    """A connection that sends what it has, a byte a second or at once, and then nothing."""

    def __init__(self, service: RunningService, data: bytes, limit_seconds: float, at_once: bool = False) -> None:
        super().__init__()
        self.limit_seconds = limit_seconds
        self.cut_after: float | None = None
        self._data = data
        self._at_once = at_once
        self._begun = time.monotonic()
        self._ended = threading.Event()
        self._attacker = Attacker(service)
        self.start()

    def run(self) -> None:
        pieces = iter([self._data] if self._at_once else [self._data[at : at + 1] for at in range(len(self._data))])
        with self._attacker as attacker:
            while not self._ended.is_set():
                attacker.send(next(pieces, b""))
                if attacker.is_cut(1.0):
                    self.cut_after = time.monotonic() - self._begun
                    return

    def end(self) -> None:
        self._ended.set()
        self.join()


def test_class_11_slow_and_silent_connections_are_closed(slow: dict[str, Slow]) -> None:
    for name, each in slow.items():
        each.join(IDLE_SECONDS + DEADLINE_SECONDS)
        assert each.cut_after is not None, name
        # Not before they had their time: a slow uplink is no attack.
        assert each.cut_after > each.limit_seconds - 1.0, name
