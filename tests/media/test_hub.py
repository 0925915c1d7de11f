"""The hub over transports and a clock that are played: who gets which bytes, when, and how often they are built."""

import gc
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openkls.codec import flv
from openkls.codec.rtmp import ChunkReader, MediaReceived
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.viewers import PullProtocol, Viewers
from openkls.media import cache as caches
from openkls.media import hub as hubs
from openkls.media.hub import Hub, Viewer
from openkls.media.hubs import Hubs
from openkls.media.ingest import Role
from openkls.media.wires import FLV_WIRE, RTMP_WIRE, Wire, wire_for

NAME = StreamName("demo", "live", "s1")
HEADERS = (Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER)
TYPES = {
    Role.OTHER: flv.SCRIPT,
    Role.METADATA: flv.SCRIPT,
    Role.VIDEO_HEADER: flv.VIDEO,
    Role.AUDIO_HEADER: flv.AUDIO,
    Role.KEY_FRAME: flv.VIDEO,
    Role.FRAME: flv.VIDEO,
    Role.AUDIO: flv.AUDIO,
}


class PlayedLoop:
    """The loop as a hub uses it; time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[PlayedTimer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[..., None], *args: Any) -> "PlayedTimer":
        timer = PlayedTimer(self, self.now + seconds, partial(callback, *args))
        self.calls.append(timer)
        return timer

    def call_soon(self, callback: Callable[[], None]) -> "PlayedTimer":
        return self.call_later(0, callback)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.calls if timer.when <= self.now]
        self.calls = [timer for timer in self.calls if timer.when > self.now]
        for timer in due:
            timer.callback()


class PlayedTimer:
    def __init__(self, loop: PlayedLoop, when: float, callback: Callable[[], None]) -> None:
        self._loop, self.when, self.callback = loop, when, callback

    def cancel(self) -> None:
        if self in self._loop.calls:  # else it has fired
            self._loop.calls.remove(self)


class PlayedTransport:
    """Remembers what was written; how much of it waits is the test's to say."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting_bytes = 0

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes


class Seat:
    """A viewer with its played transport."""

    def __init__(self, wire: Wire) -> None:
        self.transport = PlayedTransport()
        self.overs: list[bool] = []
        self.viewer = Viewer(wire, self.transport, self.overs.append)  # type: ignore[arg-type]
        self.lags = 0
        self.first_unseen = 0

    @property
    def written_bytes(self) -> int:
        return sum(map(len, self.transport.written))

    def seen(self) -> list[tuple[int, int]]:
        """Timestamp and number of every message received, read back from the bytes."""
        data = b"".join(self.transport.written)
        messages: list[Any]
        if self.viewer.wire.protocol is PullProtocol.HTTP_FLV:
            messages = flv.FlvReader().feed(flv.build_header(True, True) + data)
        else:
            reader = ChunkReader()
            reader.chunk_size = 60_000
            messages = reader.feed(data)
        return [(message.timestamp, int.from_bytes(message.payload[:4], "big")) for message in messages]


class Bucket:
    """A tap that keeps what it is given."""

    def __init__(self) -> None:
        self.taken: list[tuple[Role, int, int]] = []
        self.told: list[str] = []

    def take(self, role: Role, message: MediaReceived) -> None:
        self.taken.append((role, message.timestamp, int.from_bytes(message.payload[:4], "big")))

    def over(self, cut: bool, waiting: bool) -> None:
        self.told.append(f"over cut={cut} waiting={waiting}")

    def resumed(self) -> None:
        self.told.append("resumed")

    @property
    def numbers(self) -> list[int]:
        return [number for _, _, number in self.taken]


class Stage:
    """One hub with all its surroundings played, and a record of the stream."""

    def __init__(self, merge_ms: int = 100) -> None:
        self.loop = PlayedLoop()
        self.viewers = Viewers()
        self.merge_seconds = merge_ms / 1000
        self.hub = Hub(NAME, self.viewers, merge_ms, self.loop)  # type: ignore[arg-type]
        self.roles: list[Role] = []

    def push(self, *roles: Role, size_bytes: int = 40) -> None:
        """Messages of a stream; each is its number, and 40 ms after the one before."""
        for role in roles:
            number = len(self.roles)
            payload = number.to_bytes(4, "big").ljust(size_bytes, b"\0")
            self.roles.append(role)
            self.hub.push(role, MediaReceived(TYPES[role], number * 40, payload))

    def join(self, wire: Wire = RTMP_WIRE, domain_id: str = "") -> Seat:
        seat = Seat(wire)
        self.hub.subscribe(seat.viewer, domain_id)
        return seat

    def flush(self) -> None:
        self.loop.pass_time(self.merge_seconds)

    def headers_before(self, number: int) -> list[int]:
        """The headers in force at a message, in the order players want them."""
        last = {role: index for index, role in enumerate(self.roles[:number]) if role in HEADERS}
        return [last[role] for role in HEADERS if role in last]

    def has_video_before(self, number: int) -> bool:
        return any(TYPES[role] == flv.VIDEO for role in self.roles[:number])

    def check(self, seat: Seat) -> int:
        """Hold what a viewer saw against the stream; returns how often it (re)started."""
        seen = seat.seen()
        starts, last, index = 0, None, 0
        while index < len(seen):
            timestamp, number = seen[index]
            # A header that was missed and opens the resumption may bear the very next number; its time tells.
            if last is not None and number == last + 1 and timestamp == number * 40:
                last, index = number, index + 1
                continue
            headers = []
            while (
                index < len(seen)
                and self.roles[seen[index][1]] in HEADERS
                and (seen[index][1] <= (last if last is not None else -1) or not self._starts_at(seen, index, headers))
            ):
                headers.append(seen[index])
                index += 1
            if index == len(seen):
                assert last is None
                assert [n for _, n in headers] == self.headers_before(seat.first_unseen)
                break
            timestamp, number = seen[index]
            assert timestamp == number * 40
            assert last is None or number > last, "a message was doubled"
            assert [n for _, n in headers] == self.headers_before(number)
            video_known = self.has_video_before(seat.first_unseen if last is None else number)
            assert self.roles[number] is Role.KEY_FRAME or not video_known, "started at no key frame"
            starts += 1
            last, index = number, index + 1
        return starts

    def _starts_at(self, seen: list[tuple[int, int]], index: int, headers: list[tuple[int, int]]) -> bool:
        """Whether the message, itself a header, is the first of the run and not one of those put in front of it."""
        number = seen[index][1]
        return [n for _, n in headers] == self.headers_before(number) and seen[index][0] == number * 40


def numbers(seat: Seat) -> list[int]:
    return [number for _, number in seat.seen()]


# -- joining


@pytest.mark.parametrize("wire", [RTMP_WIRE, FLV_WIRE])
def test_viewer_starts_with_metadata_at_0_the_headers_at_the_key_frames_time_and_everything_since(wire: Wire) -> None:
    stage = Stage()
    stage.push(Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER, Role.KEY_FRAME, Role.FRAME)
    stage.push(Role.KEY_FRAME, Role.AUDIO, Role.FRAME)
    seat = stage.join(wire)
    assert seat.seen() == [(0, 0), (200, 1), (200, 2), (200, 5), (240, 6), (280, 7)]


@pytest.mark.parametrize("merge_ms", [0, 100])
def test_viewer_that_joins_between_two_flushes_gets_every_message_once(merge_ms: int) -> None:
    stage = Stage(merge_ms)
    first = stage.join()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    stage.flush()
    stage.push(Role.FRAME, Role.FRAME)
    second = stage.join()
    stage.push(Role.FRAME)
    stage.flush()
    assert numbers(first) == numbers(second) == [0, 1, 2, 3, 4]


def test_messages_are_merged_for_the_window_and_no_longer() -> None:
    stage = Stage(merge_ms=100)
    seat = stage.join()
    stage.push(Role.AUDIO)
    stage.loop.pass_time(0.06)
    stage.push(Role.AUDIO)
    assert not seat.transport.written
    stage.loop.pass_time(0.05)
    assert len(seat.transport.written) == 1
    assert numbers(seat) == [0, 1]


def test_without_merging_what_arrives_together_is_written_together() -> None:
    stage = Stage(merge_ms=0)
    seat = stage.join()
    stage.push(Role.AUDIO, Role.AUDIO)
    stage.flush()
    stage.push(Role.AUDIO)
    stage.flush()
    assert len(seat.transport.written) == 2


def test_viewer_without_a_key_frame_to_start_from_is_sent_nothing_until_the_next() -> None:
    stage = Stage()
    stage.push(Role.METADATA, Role.VIDEO_HEADER, Role.FRAME)
    seat = stage.join()
    stage.push(Role.FRAME, Role.AUDIO)
    stage.flush()
    assert not seat.transport.written
    stage.push(Role.FRAME, Role.KEY_FRAME, Role.AUDIO)
    stage.flush()
    assert seat.seen() == [(0, 0), (240, 1), (240, 6), (280, 7)]
    assert stage.hub.lags.skipped == 0


def test_audio_only_is_joined_anywhere_with_its_header_at_the_time_of_the_stream() -> None:
    stage = Stage()
    stage.push(Role.AUDIO_HEADER, *[Role.AUDIO] * 50)
    seat = stage.join(FLV_WIRE)
    stage.push(Role.AUDIO)
    stage.flush()
    assert seat.seen() == [(2000, 0), (2040, 51)]
    assert stage.hub.tracks == (True, False)


def test_video_only_is_told_as_such() -> None:
    stage = Stage()
    assert stage.hub.tracks == (True, True)
    stage.push(Role.METADATA)
    assert stage.hub.tracks == (True, True)
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    assert stage.hub.tracks == (False, True)
    assert numbers(stage.join()) == [0, 1, 2]


def test_header_that_changes_within_a_gop_stays_at_its_place() -> None:
    stage = Stage()
    stage.push(Role.AUDIO_HEADER, Role.VIDEO_HEADER, Role.KEY_FRAME, Role.AUDIO, Role.AUDIO_HEADER, Role.AUDIO)
    assert numbers(stage.join()) == [1, 0, 2, 3, 4, 5]
    stage.push(Role.KEY_FRAME)
    stage.flush()
    assert numbers(stage.join()) == [1, 4, 6]


def test_video_header_that_is_repeated_does_not_cost_late_viewers_their_start() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, Role.VIDEO_HEADER, Role.FRAME)
    assert numbers(stage.join()) == [0, 1, 2, 3]


def test_timestamps_a_little_out_of_order_are_passed_on_as_they_are() -> None:
    stage = Stage()
    seat = stage.join(FLV_WIRE)
    for timestamp in (40, 0xFFFFFFFF, 3, 2):
        stage.hub.push(Role.KEY_FRAME, MediaReceived(flv.VIDEO, timestamp, bytes(10)))
    stage.flush()
    assert [timestamp for timestamp, _ in seat.seen()] == [40, 0xFFFFFFFF, 3, 2]
    assert stage.hub.repaired == 0


def test_jump_of_the_encoders_clock_is_seen_by_no_viewer_no_late_one_and_no_tap() -> None:
    stage = Stage()
    bucket = Bucket()
    stage.hub.tap(bucket)
    seat = stage.join(FLV_WIRE)
    for role, timestamp in (
        (Role.KEY_FRAME, 100_000),
        (Role.AUDIO, 100_005),
        (Role.KEY_FRAME, 0),
        (Role.AUDIO, 5),
        (Role.VIDEO_HEADER, 0),
        (Role.FRAME, 40),
    ):
        stage.hub.push(role, MediaReceived(TYPES[role], timestamp, bytes(10)))
    stage.flush()
    times = [100_000, 100_005, 100_045, 100_050, 100_045, 100_085]
    assert [timestamp for timestamp, _ in seat.seen()] == times
    assert [timestamp for _, timestamp, _ in bucket.taken] == times
    assert [timestamp for timestamp, _ in stage.join(RTMP_WIRE).seen()] == times[2:]
    assert stage.hub.repaired == 2


def test_stream_passes_the_wrap_of_the_clock_unharmed() -> None:
    stage = Stage()
    seat, late_at = stage.join(RTMP_WIRE), 0xFFFFFFFF - 30
    for number in range(4):
        stage.hub.push(Role.KEY_FRAME, MediaReceived(flv.VIDEO, (late_at + 20 * number) & 0xFFFFFFFF, bytes(10)))
    stage.flush()
    assert [timestamp for timestamp, _ in seat.seen()] == [late_at, late_at + 20, 9, 29]


# -- what is in force


def test_codec_that_changes_in_mid_stream_is_told_to_those_who_watch_and_those_who_come() -> None:
    stage = Stage()
    stage.push(Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER, Role.KEY_FRAME)
    seat = stage.join()
    stage.push(Role.FRAME, Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER)
    between = stage.join()
    stage.flush()
    waiting = stage.join()
    stage.push(Role.KEY_FRAME, Role.AUDIO)
    stage.flush()
    assert numbers(seat) == numbers(between) == numbers(waiting) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert numbers(stage.join()) == [5, 6, 7, 8, 9]


def test_audio_that_starts_late_is_told_with_its_header_in_its_place_and_from_the_next_key_frame_in_front() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, Role.FRAME)
    assert stage.hub.tracks == (False, True)
    seat = stage.join(FLV_WIRE)
    stage.push(Role.AUDIO_HEADER, Role.AUDIO)
    stage.flush()
    assert stage.hub.tracks == (True, True)
    assert numbers(seat) == numbers(stage.join(FLV_WIRE)) == [0, 1, 2, 3, 4]
    stage.push(Role.KEY_FRAME)
    stage.flush()
    assert numbers(stage.join(FLV_WIRE)) == [0, 3, 5]


def test_slow_viewer_of_the_sound_goes_on_with_the_header_that_changed_meanwhile() -> None:
    stage = Stage()
    stage.push(Role.AUDIO_HEADER, Role.AUDIO)
    seat = stage.join()
    seat.transport.waiting_bytes = 10**9
    stage.push(Role.AUDIO, Role.AUDIO_HEADER)
    stage.flush()
    seat.transport.waiting_bytes = 0
    stage.push(Role.AUDIO)
    stage.flush()
    assert numbers(seat) == [0, 3, 4]


def test_class_10_video_without_header_and_stream_without_anything_can_be_watched() -> None:
    stage = Stage()
    empty = stage.join()
    stage.push(Role.OTHER, Role.KEY_FRAME)
    stage.flush()
    assert numbers(empty) == [0, 1]
    assert numbers(stage.join()) == [1]


# -- a publisher that comes back


def test_viewers_that_waited_start_anew_at_the_next_runs_key_frame() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    seat = stage.join()
    stage.push(Role.FRAME)
    assert stage.hub.wait()
    assert numbers(seat) == [0, 1, 2]
    assert not stage.loop.calls
    stage.hub.resume(merge_ms=0)
    stage.push(Role.VIDEO_HEADER, Role.FRAME)
    stage.loop.pass_time(0)  # the new run's window
    assert numbers(seat) == [0, 1, 2]
    stage.push(Role.KEY_FRAME, Role.AUDIO)
    stage.loop.pass_time(0)
    assert numbers(seat) == [0, 1, 2, 3, 5, 6]
    assert stage.hub.lags.skipped == 0


def test_nobody_to_wait_is_told_and_nothing_is_kept() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    assert not stage.hub.wait()

    class Leaving(Bucket):
        def over(self, cut: bool, waiting: bool) -> None:
            stage.hub.untap(self)

    stage.hub.tap(Leaving())
    assert not stage.hub.wait()
    assert not stage.join().transport.written


@pytest.mark.usefixtures("slices_of_two")
def test_wait_delivers_the_slices_that_are_left() -> None:
    stage = Stage()
    seats = [stage.join() for _ in range(5)]
    stage.push(Role.AUDIO)
    stage.flush()
    stage.push(Role.AUDIO)
    assert stage.hub.wait()
    assert [numbers(seat) for seat in seats] == [[0, 1]] * 5


# -- the cache's limits


def test_gop_of_exactly_the_limit_in_messages_is_kept_and_one_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "GOP_LIMIT_MESSAGES", 5)
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, Role.FRAME, Role.FRAME, Role.FRAME)
    assert numbers(stage.join()) == [0, 1, 2, 3, 4]
    stage.push(Role.FRAME)
    stage.flush()
    late = stage.join()
    assert not late.transport.written
    stage.push(Role.KEY_FRAME)
    stage.flush()
    assert numbers(late) == [0, 6]


def test_gop_of_exactly_the_limit_in_bytes_is_kept_and_one_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "GOP_LIMIT_BYTES", 300)
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, size_bytes=100)
    stage.push(Role.FRAME, size_bytes=100)
    assert numbers(stage.join()) == [0, 1, 2]
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, size_bytes=100)
    stage.push(Role.FRAME, size_bytes=101)
    assert not stage.join().transport.written


# -- slow viewers


def test_class_12_slow_viewer_skips_to_the_next_key_frame_with_headers() -> None:
    stage = Stage()
    slow, quick = stage.join(), stage.join()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    stage.flush()
    slow.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + 1
    stage.push(Role.FRAME)
    stage.flush()
    slow.transport.waiting_bytes = 0
    stage.push(Role.FRAME)
    stage.flush()
    stage.push(Role.FRAME, Role.KEY_FRAME, Role.FRAME)
    stage.flush()
    stage.push(Role.FRAME)
    stage.flush()
    assert numbers(slow) == [0, 1, 0, 5, 6, 7]
    assert numbers(quick) == list(range(8))
    assert (stage.hub.lags.skipped, stage.hub.lags.dropped) == (1, 0)


def test_class_12_backlog_of_exactly_the_limit_is_not_lagging() -> None:
    stage = Stage()
    seat = stage.join()
    stage.push(Role.AUDIO)
    seat.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES
    stage.flush()
    assert len(seat.transport.written) == 1
    seat.transport.waiting_bytes += 1
    stage.push(Role.AUDIO)
    stage.flush()
    assert len(seat.transport.written) == 1
    assert stage.hub.lags.skipped == 1


def test_class_12_what_a_viewer_starts_from_is_not_held_against_it_until_it_has_taken_it() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, size_bytes=2 * 1024 * 1024)
    seat = stage.join()
    burst_bytes = seat.written_bytes
    seat.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + burst_bytes
    stage.push(Role.FRAME)
    stage.flush()
    assert stage.hub.lags.skipped == 0
    seat.transport.waiting_bytes = 0
    stage.push(Role.FRAME)
    stage.flush()
    seat.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + 1
    stage.push(Role.FRAME)
    stage.flush()
    assert stage.hub.lags.skipped == 1


def test_class_12_viewer_that_lags_too_long_is_dropped_and_uncounted() -> None:
    stage = Stage()
    slow, quick = stage.join(), stage.join()
    slow.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + 1
    stage.push(Role.AUDIO)
    stage.flush()
    stage.push(Role.AUDIO)
    stage.loop.pass_time(hubs.LAG_LIMIT_SECONDS)
    assert not slow.overs
    stage.push(Role.AUDIO)
    stage.flush()
    assert slow.overs == [True]
    assert not slow.transport.written
    assert stage.viewers.online() == 1
    assert stage.hub.lags.dropped == 1
    assert numbers(quick) == [0, 1, 2]


def test_slow_viewer_of_an_audio_stream_goes_on_with_the_next_flush_it_has_room_for() -> None:
    stage = Stage()
    seat = stage.join()
    stage.push(Role.AUDIO_HEADER, Role.AUDIO)
    stage.flush()
    seat.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + 1
    stage.push(Role.AUDIO)
    stage.flush()
    seat.transport.waiting_bytes = 0
    stage.push(Role.AUDIO, Role.AUDIO)
    stage.flush()
    assert seat.seen() == [(0, 0), (40, 1), (120, 0), (120, 3), (160, 4)]


def test_flush_that_overflows_the_gop_does_not_resume_a_slow_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "GOP_LIMIT_MESSAGES", 3)
    stage = Stage()
    seat = stage.join()
    stage.push(Role.KEY_FRAME)
    seat.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + 1
    stage.flush()
    seat.transport.waiting_bytes = 0
    stage.push(Role.KEY_FRAME, Role.FRAME, Role.FRAME, Role.FRAME)
    stage.flush()
    assert not seat.transport.written
    stage.push(Role.KEY_FRAME)
    stage.flush()
    assert numbers(seat) == [5]


# -- the end


def test_cut_discards_what_is_pending_and_ends_all_viewers_at_once() -> None:
    stage = Stage()
    seats = [stage.join(), stage.join(FLV_WIRE, "7")]
    stage.push(Role.AUDIO)
    stage.hub.end(cut=True)
    assert [seat.overs for seat in seats] == [[True], [True]]
    assert not any(seat.transport.written for seat in seats)
    assert stage.viewers.online() == 0
    assert not stage.loop.calls


def test_end_delivers_what_is_pending_first_and_happens_once() -> None:
    stage = Stage()
    seat = stage.join()
    stage.push(Role.AUDIO)
    stage.hub.end(cut=False)
    stage.hub.end(cut=True)
    assert numbers(seat) == [0]
    assert seat.overs == [False]
    assert not stage.loop.calls


def test_successor_of_a_name_is_not_touched_by_the_late_end_of_its_predecessor() -> None:
    stage = Stage()
    both = Hubs(stage.viewers, stage.loop)  # type: ignore[arg-type]
    first = both.open(NAME, 0)
    seat = Seat(RTMP_WIRE)
    first.subscribe(seat.viewer, "")
    second = both.open(NAME, 0)
    assert seat.overs == [False]
    both.close(first, cut=True)
    assert both.find(NAME) is second
    both.close(second, cut=False)
    assert both.find(NAME) is None


# -- one kind of media alone

SOUND = wire_for(PullProtocol.HTTP_FLV, "type=audio")
PICTURE = wire_for(PullProtocol.HTTP_FLV, "type=video")


def test_viewer_of_the_sound_alone_starts_with_what_was_heard_since_the_last_key_frame() -> None:
    stage = Stage()
    stage.push(Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER, Role.KEY_FRAME, Role.AUDIO, Role.FRAME, Role.AUDIO)
    seat = stage.join(SOUND)
    stage.push(Role.FRAME, Role.AUDIO)
    stage.flush()
    assert seat.seen() == [(0, 0), (120, 2), (160, 4), (240, 6), (320, 8)]
    assert stage.hub.tracks_of(SOUND) == (True, False)


def test_viewer_of_the_sound_alone_needs_no_key_frame_to_start_nor_to_go_on() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.AUDIO_HEADER, Role.FRAME)
    seat, whole = stage.join(SOUND), stage.join(FLV_WIRE)
    stage.push(Role.AUDIO)
    stage.flush()
    assert seat.seen() == [(80, 1), (120, 3)]
    assert not whole.transport.written
    seat.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + 1
    stage.push(Role.AUDIO)
    stage.flush()
    seat.transport.waiting_bytes = 0
    stage.push(Role.FRAME)
    stage.push(Role.AUDIO)
    stage.flush()
    assert seat.seen()[2:] == [(200, 1), (240, 6)]


def test_flush_without_the_kind_that_is_wanted_writes_nothing() -> None:
    stage = Stage()
    seat = stage.join(SOUND)
    stage.push(Role.KEY_FRAME, Role.FRAME)
    stage.flush()
    assert not seat.transport.written
    assert seat.viewer.group is not None
    assert seat.viewer.group.sent.total_bytes == 0


def test_viewer_of_the_picture_alone_starts_at_a_key_frame_without_the_sound() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.AUDIO_HEADER, Role.KEY_FRAME, Role.AUDIO, Role.FRAME)
    seat = stage.join(PICTURE)
    stage.push(Role.AUDIO, Role.FRAME)
    stage.flush()
    assert seat.seen() == [(80, 0), (80, 2), (160, 4), (240, 6)]
    assert stage.hub.tracks_of(PICTURE) == (False, True)
    assert stage.hub.tracks_of(FLV_WIRE) == (True, True)


# -- large audiences


@pytest.fixture
def slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "SLICE_VIEWERS", 2)


def written(seats: list[Seat]) -> list[int]:
    return [len(seat.transport.written) for seat in seats]


@pytest.mark.usefixtures("slices_of_two")
def test_flush_to_a_large_audience_goes_out_in_slices_a_turn_of_the_loop_each() -> None:
    stage = Stage(merge_ms=120)
    seats = [stage.join() for _ in range(6)]
    stage.push(Role.AUDIO)
    stage.loop.pass_time(0.12)
    for passed in (2, 4, 6, 6):
        assert sum(written(seats)) == passed
        stage.loop.pass_time(0)
    assert written(seats) == [1] * 6
    assert not stage.loop.calls


def test_audience_of_exactly_a_slice_is_sent_at_once_and_one_more_is_not() -> None:
    for extra, at_once in ((0, hubs.SLICE_VIEWERS), (1, hubs.SLICE_VIEWERS // 2 + 1)):
        stage = Stage()
        seats = [stage.join() for _ in range(hubs.SLICE_VIEWERS + extra)]
        stage.push(Role.AUDIO)
        stage.flush()
        assert sum(written(seats)) == at_once
        assert len(stage.loop.calls) == extra


def test_slice_holds_no_more_than_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "SLICE_BYTES", 3000)
    for size_bytes, at_once in ((1000, 3), (1001, 2), (5000, 1)):
        stage = Stage()
        seats = [stage.join() for _ in range(3)]
        stage.push(Role.AUDIO, size_bytes=size_bytes)
        stage.flush()
        assert sum(written(seats)) == at_once


@pytest.mark.usefixtures("slices_of_two")
def test_viewers_who_come_and_go_between_slices_get_each_message_once_or_not_at_all() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    seats = [stage.join() for _ in range(6)]
    stage.push(Role.FRAME)
    stage.flush()
    late = stage.join()
    gone = next(seat for seat in seats if len(seat.transport.written) == 1)
    stage.hub.unsubscribe(gone.viewer)
    stage.push(Role.FRAME)
    later = stage.join()
    for _ in range(10):
        stage.flush()
    for seat in (*seats, late, later):
        assert numbers(seat) == ([0, 1] if seat is gone else [0, 1, 2, 3])


@pytest.mark.usefixtures("slices_of_two")
def test_next_flush_waits_for_the_last_slice_however_late_the_loop_is() -> None:
    stage = Stage(merge_ms=100)
    seats = [stage.join() for _ in range(5)]
    stage.push(Role.AUDIO)
    stage.loop.pass_time(0.1)
    stage.push(Role.AUDIO)
    stage.loop.pass_time(1.0)  # the second flush is long due
    assert sorted(written(seats)) == [0, 1, 1, 1, 1]
    stage.loop.pass_time(0)
    assert written(seats) == [1] * 5
    for _ in range(3):
        stage.loop.pass_time(0.1)
    for seat in seats:
        assert numbers(seat) == [0, 1]
        assert len(seat.transport.written) == 2


@pytest.mark.usefixtures("slices_of_two")
def test_forbid_cancels_the_slices_that_are_left() -> None:
    stage = Stage()
    seats = [stage.join() for _ in range(5)]
    stage.push(Role.AUDIO)
    stage.flush()
    stage.push(Role.AUDIO)
    stage.hub.end(cut=True)
    assert sum(written(seats)) == 2
    assert [seat.overs for seat in seats] == [[True]] * 5
    assert not stage.loop.calls


@pytest.mark.usefixtures("slices_of_two")
def test_end_in_order_delivers_the_slices_that_are_left_and_what_is_pending() -> None:
    stage = Stage()
    seats = [stage.join() for _ in range(5)]
    stage.push(Role.AUDIO)
    stage.flush()
    stage.push(Role.AUDIO)
    stage.hub.end(cut=False)
    assert [numbers(seat) for seat in seats] == [[0, 1]] * 5
    assert [seat.overs for seat in seats] == [[False]] * 5
    assert not stage.loop.calls


@pytest.mark.usefixtures("slices_of_two")
def test_slices_go_with_the_last_viewer() -> None:
    stage = Stage()
    seats = [stage.join() for _ in range(5)]
    stage.push(Role.KEY_FRAME)
    stage.flush()
    for seat in seats:
        stage.hub.unsubscribe(seat.viewer)
    assert not stage.loop.calls
    assert numbers(stage.join()) == [0]


# -- taps


def test_tap_of_a_stream_without_viewers_gets_each_message_at_once_and_none_is_pending() -> None:
    stage = Stage()
    bucket = Bucket()
    stage.hub.tap(bucket)
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, Role.AUDIO)
    assert bucket.taken == [(Role.VIDEO_HEADER, 0, 0), (Role.KEY_FRAME, 40, 1), (Role.AUDIO, 80, 2)]
    assert not stage.loop.calls
    assert stage.viewers.online() == 0
    assert numbers(stage.join()) == [0, 1, 2]


def test_tap_is_replayed_the_start_and_what_is_pending_and_then_does_not_wait_for_the_flush() -> None:
    stage = Stage()
    stage.push(Role.METADATA, Role.AUDIO_HEADER, Role.VIDEO_HEADER, Role.KEY_FRAME, Role.FRAME, Role.KEY_FRAME)
    seat = stage.join()
    stage.push(Role.FRAME)
    bucket = Bucket()
    stage.hub.tap(bucket)
    assert bucket.taken == [
        (Role.METADATA, 200, 0),
        (Role.VIDEO_HEADER, 200, 2),
        (Role.AUDIO_HEADER, 200, 1),
        (Role.KEY_FRAME, 200, 5),
        (Role.FRAME, 240, 6),
    ]
    stage.push(Role.AUDIO)
    assert bucket.numbers[5:] == [7]
    stage.flush()
    assert bucket.numbers[5:] == [7]
    assert numbers(seat) == [0, 2, 1, 5, 6, 7]


def test_tap_of_a_stream_without_a_key_frame_to_start_from_is_given_the_headers_in_force() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.FRAME, Role.AUDIO_HEADER, Role.AUDIO)
    bucket = Bucket()
    stage.hub.tap(bucket)
    assert bucket.taken == [(Role.VIDEO_HEADER, 120, 0), (Role.AUDIO_HEADER, 120, 2)]


def test_untapped_gets_nothing_more_and_may_leave_from_within_a_call() -> None:
    stage = Stage()

    class Sated(Bucket):
        def take(self, role: Role, message: MediaReceived) -> None:
            super().take(role, message)
            stage.hub.untap(self)

    sated, other = Sated(), Bucket()
    stage.hub.tap(sated)
    stage.hub.tap(other)
    stage.push(Role.AUDIO, Role.AUDIO)
    assert (sated.numbers, other.numbers) == ([0], [0, 1])
    stage.hub.untap(sated)
    stage.hub.end(cut=False)
    assert (sated.told, other.told) == ([], ["over cut=False waiting=False"])


@pytest.mark.parametrize("cut", [False, True])
def test_tap_is_told_of_the_end_once(cut: bool) -> None:
    stage = Stage()
    bucket = Bucket()
    stage.hub.tap(bucket)
    stage.hub.end(cut)
    stage.hub.end(cut)
    assert bucket.told == [f"over cut={cut} waiting=False"]


# -- counting and sharing


def test_bytes_are_counted_exactly_by_protocol_and_play_domain() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    seats = [stage.join(RTMP_WIRE, "7"), stage.join(RTMP_WIRE, "7"), stage.join(FLV_WIRE, "7"), stage.join(FLV_WIRE)]
    stage.push(Role.FRAME, Role.AUDIO)
    stage.flush()
    by_seat = {seat.viewer.group: 0 for seat in seats}
    for seat in seats:
        by_seat[seat.viewer.group] += seat.written_bytes
    assert len(by_seat) == 3
    for group, written_bytes in by_seat.items():
        assert group is not None
        assert group.sent.total_bytes == written_bytes
    at = stage.loop.now
    assert stage.viewers.audience(NAME, PullProtocol.RTMP, frozenset({"7"}), at).online == 2
    assert stage.viewers.audience(NAME, PullProtocol.HTTP_FLV, None, at).online == 2
    for seat in seats:
        stage.hub.unsubscribe(seat.viewer)
        stage.hub.unsubscribe(seat.viewer)
    assert stage.viewers.online() == 0
    assert not stage.viewers._groups


def test_bytes_of_a_flush_and_of_a_start_are_one_object_for_each_wire() -> None:
    stage = Stage()
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME)
    seats = [stage.join(wire, domain) for wire in (RTMP_WIRE, FLV_WIRE) for domain in ("", "7") for _ in range(2)]
    stage.push(Role.FRAME)
    stage.flush()
    for wire in (RTMP_WIRE, FLV_WIRE):
        starts, flushes = zip(*(seat.transport.written for seat in seats if seat.viewer.wire is wire), strict=True)
        assert len({id(blob) for blob in starts}) == 1
        assert len({id(blob) for blob in flushes}) == 1


def test_nothing_is_built_for_a_wire_that_nobody_needs_at_this_flush() -> None:
    built: list[int] = []

    def build(message: MediaReceived) -> bytes:
        built.append(message.timestamp)
        return message.payload

    stage = Stage()
    counting = Wire(PullProtocol.RTMP, build)
    seat = stage.join(counting)
    stage.push(Role.VIDEO_HEADER, Role.KEY_FRAME, Role.FRAME)
    stage.flush()
    assert built == [0, 40, 80]  # not a second time for viewers that might lag
    built.clear()
    seat.transport.waiting_bytes = hubs.BACKLOG_LIMIT_BYTES + 1
    stage.push(Role.FRAME)
    stage.flush()
    assert not built


def test_class_18_ten_thousand_names_that_come_wait_and_go_leave_nothing_behind() -> None:
    stage = Stage()
    both = Hubs(stage.viewers, stage.loop)  # type: ignore[arg-type]

    def one(number: int) -> None:
        name = StreamName("demo", "live", f"s{number}")
        key = StreamKey("demo", "push.demo.local", "live", f"s{number}")
        hub = both.open(name, 100)
        seat = Seat(RTMP_WIRE if number % 2 else FLV_WIRE)
        hub.subscribe(seat.viewer, "")
        hub.push(Role.KEY_FRAME, MediaReceived(flv.VIDEO, 0, bytes(100)))
        if number % 4 == 3:
            both.close(hub, cut=number % 8 == 3)
            return
        both.suspend(hub, key, 5.0)
        if number % 4 == 0:
            stage.loop.pass_time(5.0)
        elif number % 4 == 1:
            hub.unsubscribe(seat.viewer)
        else:
            assert both.cut(key)

    for number in range(500):
        one(number)
    gc.collect()
    tracemalloc.start()
    try:
        before_bytes, _ = tracemalloc.get_traced_memory()
        for number in range(500, 10_500):
            one(number)
        gc.collect()
        grown_bytes = tracemalloc.get_traced_memory()[0] - before_bytes
    finally:
        tracemalloc.stop()
    assert grown_bytes < 16 * 1024  # less than 2 bytes a name
    assert not both._hubs
    assert not both._waiting
    assert not stage.viewers._groups
    assert not stage.loop.calls


# -- any interleaving


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from(list(Role))),
        st.tuples(st.just("push"), st.sampled_from([Role.KEY_FRAME, Role.FRAME, Role.AUDIO])),
        st.tuples(st.just("flush"), st.none()),
        st.tuples(st.just("join"), st.sampled_from([RTMP_WIRE, FLV_WIRE])),
        st.tuples(st.sampled_from(["lag", "catch up", "lag", "catch up", "leave"]), st.integers(0, 2)),
        st.tuples(st.sampled_from(["flush", "turn"]), st.none()),
    ),
    min_size=10,
    max_size=80,
)


@settings(max_examples=400, deadline=None)
@given(
    steps=STEPS,
    merge_ms=st.sampled_from([0, 100]),
    limit=st.sampled_from([4, 1200]),
    slice_viewers=st.sampled_from([1, 2, 200]),
)
def test_every_viewer_sees_runs_from_a_start_without_gaps_or_doubles(
    steps: list[tuple[str, Any]], merge_ms: int, limit: int, slice_viewers: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caches, "GOP_LIMIT_MESSAGES", limit)
        patch.setattr(hubs, "SLICE_VIEWERS", slice_viewers)
        stage = Stage(merge_ms)
        stage.push(Role.OTHER)  # so that no metadata has the time 0 of itself, the one it is repeated with
        seats: list[Seat] = []
        left: list[Seat] = []
        for step, what in steps:
            if step == "push":
                stage.push(what)
            elif step == "flush":
                stage.flush()
            elif step == "turn":
                stage.loop.pass_time(0.02)
            elif step == "join":
                seat = stage.join(what)
                seat.first_unseen = len(stage.roles) - len(stage.hub._pending)
                seats.append(seat)
            elif what < len(seats):
                seat = seats[what]
                if step == "leave":
                    stage.hub.unsubscribe(seat.viewer)
                    left.append(seats.pop(what))
                elif step == "lag":
                    if not any(stage.roles[number] not in HEADERS for _, number in seat.seen()):
                        continue  # headers, and then headers again: what was seen could not be told apart
                    seat.transport.waiting_bytes = 10**9
                    seat.lags += 1
                else:
                    seat.transport.waiting_bytes = 0
        while stage.loop.calls:
            stage.flush()
        for seat in seats + left:
            starts = stage.check(seat)
            assert starts <= 1 + seat.lags
        for seat in seats:
            assert not seat.overs
            waited = not stage.has_video_before(seat.first_unseen) or len(seat.transport.written) > 0
            if not seat.lags and waited and len(stage.roles) > seat.first_unseen:
                assert numbers(seat)[-1] == len(stage.roles) - 1
        assert stage.viewers.online() == len(seats)
        sent = sum(group.sent.total_bytes for group in stage.viewers._groups.get(NAME, {}).values())
        assert sent >= sum(seat.written_bytes for seat in seats)
