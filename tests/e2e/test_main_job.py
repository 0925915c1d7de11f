"""The main job on real input: what is pushed is measured, what is forbidden is cut, and a crash loses nothing."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from openkls.client import KlsError
from support_service import FFMPEG, RunningService, pushing, until

pytestmark = pytest.mark.e2e

PUBDOMAIN = "push.demo.local"


def pushed_rows(service: RunningService, **parameters: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = service.call("ListRealtimeStreamsInfo", Type="push", **parameters)["Streams"]
    return rows


def details(service: RunningService, action: str, **parameters: object) -> list[dict[str, Any]]:
    result = service.call(action, Pubdomain=PUBDOMAIN, **parameters)["Result"]
    return [detail for row in result for detail in row["Detail"]]


def is_live(service: RunningService, stream: str) -> bool:
    return bool(pushed_rows(service, Stream=stream))


def test_quality_is_what_the_file_holds(service: RunningService, clip: Path) -> None:
    video_kbps, audio_kbps = _bitrates(clip)
    with pushing(clip, service.push_url("measured")):

        def settled() -> dict[str, Any] | None:
            rows = pushed_rows(service, Stream="measured")
            # ffmpeg sends half a second in advance at its start; that has to leave the window of 10 s.
            return rows[0] if rows and rows[0]["PubTime"] < time.time() - 12 else None

        row = until(settled, 30, 0.5)
    assert abs(row["Curfps"] - 25) <= 1
    assert row["FrameRate"] == 25
    assert row["Curbitrate"] == pytest.approx(video_kbps, rel=0.1)
    assert row["BwInAudio"] == pytest.approx(audio_kbps, rel=0.1)
    assert row["BwIn"] == pytest.approx(row["Curbitrate"] + row["BwInAudio"], abs=0.11)
    assert row["BwReal"] == pytest.approx(row["BwIn"], rel=0.1)
    assert (row["Width"], row["Height"], row["SampleRate"]) == (640, 360, 44100)
    assert (row["Vcodec"], row["Acodec"]) == ("h264", "aac")
    assert row["ClientIP"] == "127.0.0.1"


def test_an_uplink_below_the_rate_shows_as_a_positive_difference(service: RunningService, clip: Path) -> None:
    with (
        _uplink(service.rtmp_port, bytes_per_second=60_000) as port,  # 480 of the 870 kbps it takes
        pushing(clip, f"rtmp://127.0.0.1:{port}/live/throttled"),
    ):

        def choked() -> dict[str, Any] | None:
            rows = pushed_rows(service, Stream="throttled")
            # Not before the window holds the choked uplink alone.
            return rows[0] if rows and rows[0]["PubTime"] < time.time() - 12 else None

        row = until(choked, 40, 0.5)
    assert row["BwDiff"] > 200
    assert row["BwReal"] == pytest.approx(480, rel=0.15)
    assert row["BwIn"] > 600
    assert row["Curfps"] < 22
    assert row["FLR"] > 10


def test_two_names_of_one_door_are_one_stream(service: RunningService, clip: Path, tmp_path: Path) -> None:
    by_domain = service.push_url("one") + f"?vhost={PUBDOMAIN}"
    with pushing(clip, by_domain):
        until(lambda: is_live(service, "one"))
        second = tmp_path / "second.log"
        with pushing(clip, service.push_url("one", "localhost"), second) as encoder:
            assert encoder.wait(10) != 0
        assert "422 Already exist stream!" in second.read_text()
        service.call("ForbidStream", Pubdomain="localhost", Stream="one")
        until(lambda: not is_live(service, "one"))
    for url in (by_domain, service.push_url("one", "localhost"), service.push_url("one")):
        with pushing(clip, url) as encoder:
            assert encoder.wait(10) != 0
    codes = until(lambda: _at_least(details(service, "ListHistoryPubStreamsErrInfo", Stream="one"), 5))
    assert sorted(detail["StatusCode"] for detail in codes) == [422, 423, 423, 423, 423]


def test_a_ban_cuts_outlives_a_crash_and_ends_by_itself(service: RunningService, clip: Path, tmp_path: Path) -> None:
    with pushing(clip, service.push_url("banned")) as encoder:
        until(lambda: is_live(service, "banned"))
        till = int(time.time()) + 12
        service.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="banned", ForbidTillUnixTime=till)
        assert encoder.wait(5) != 0
    service.kill()
    service.start()
    assert service.call("GetBlacklist", Pubdomain=PUBDOMAIN)["Recs"][0]["ForbidTillUnixTime"] == till
    log = tmp_path / "refused.log"
    with pushing(clip, service.push_url("banned"), log) as encoder:
        assert encoder.wait(5) != 0
    assert time.time() < till, "the machine was too slow for this test to say anything"
    assert "423 Forbidden by blacklist!" in log.read_text()
    until(lambda: time.time() >= till, 15)
    assert service.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="banned")["CheckResult"] == 0
    with pushing(clip, service.push_url("banned")):
        until(lambda: is_live(service, "banned"))


def test_resume_ends_a_ban_early_also_after_a_restart(service: RunningService, clip: Path) -> None:
    service.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="early")
    assert service.stop() == 0
    service.start()
    service.call("ResumeStream", Pubdomain=PUBDOMAIN, Stream="early")
    with pytest.raises(KlsError) as again:
        service.call("ResumeStream", Pubdomain=PUBDOMAIN, Stream="early")
    assert again.value.ret_code == 8201
    service.kill()
    service.start()
    with pushing(clip, service.push_url("early")):
        until(lambda: is_live(service, "early"))


def test_kill_during_twenty_publishes_leaves_each_in_history_once(service: RunningService, clip: Path) -> None:
    names = [f"crash-{number:02}" for number in range(20)]
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(pushing(clip, service.push_url(name)))
        until(lambda: len(pushed_rows(service)) == 20, 40)
        service.kill()
        killed_at = time.time()
    service.start()
    rows = service.call("ListHistoryPubStreamsInfo", Pubdomain=PUBDOMAIN)["Result"]
    assert sorted(row["Stream"] for row in rows) == names
    for row in rows:
        (detail,) = row["Detail"]
        assert detail["StatusCode"] == 200
        assert detail["Pubtime"] <= detail["Fintime"]
        assert killed_at - 10 <= detail["Fintime"] <= killed_at
    assert pushed_rows(service) == []


def test_a_clean_stop_ends_every_session_and_exits_with_zero(service: RunningService, clip: Path) -> None:
    with pushing(clip, service.push_url("last")):
        until(lambda: is_live(service, "last"))
        begin = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - begin < 10
    service.start()
    (detail,) = details(service, "ListHistoryPubStreamsInfo")
    assert detail["StatusCode"] == 200


def test_md5_publish_domain_takes_only_what_is_signed(service: RunningService, clip: Path, tmp_path: Path) -> None:
    from openkls.codec.pushauth import sign_md5

    good = f"{service.push_url('signed')}?vhost=md5.demo.local&{sign_md5('123456', 'signed', int(time.time()) + 60)}"
    late = f"{service.push_url('signed')}?vhost=md5.demo.local&{sign_md5('123456', 'signed', 1560096712)}"
    wrong = f"{service.push_url('signed')}?vhost=md5.demo.local&{sign_md5('other', 'signed', int(time.time()) + 60)}"
    none = f"{service.push_url('signed')}?vhost=md5.demo.local"
    for url, text in (
        (late, "425 Url expired!"),
        (wrong, "426 Signature does not match!"),
        (none, "428 Bad params!"),
    ):
        log = tmp_path / "refused.log"
        with pushing(clip, url, log) as encoder:
            assert encoder.wait(10) != 0
        assert text in log.read_text()
    with pushing(clip, good):
        until(lambda: is_live(service, "signed"))
    assert "k=" not in service.log.read_text()


def test_viewers_are_counted_by_protocol_and_the_publisher_is_none(service: RunningService, clip: Path) -> None:
    def counts() -> dict[str, int]:
        return {
            protocol: service.call("ListRealtimeStreamsInfo", PullProtocol=protocol)["OnlineUser"]
            for protocol in ("http+flv", "rtmp", "hls")
        }

    with pushing(clip, service.push_url("watched")), contextlib.ExitStack() as stack:
        until(lambda: is_live(service, "watched"))
        assert counts() == {"http+flv": 0, "rtmp": 0, "hls": 0}
        for url in [service.flv_url("watched")] * 2 + [service.push_url("watched")] * 3:
            stack.enter_context(_player(url))
        until(lambda: counts() == {"http+flv": 2, "rtmp": 3, "hls": 0}, 20, 0.5)
        # Each began with a burst from the cache, which has to leave the window of 10 s.
        until(lambda: _bandwidth(service, 2) == pytest.approx(2 * 870_000, rel=0.15), 30, 0.5)
        stack.close()
        until(lambda: sum(counts().values()) == 0, 10, 0.5)


def _bandwidth(service: RunningService, online: int) -> int:
    """Bits a second sent to HTTP-FLV viewers, of whom there have to be so many."""
    (row,) = service.call("ListRealtimeStreamsInfo")["Streams"]
    assert row["OnlineUser"] == online
    return int(row["Bw"])


@contextlib.contextmanager
def _player(url: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [FFMPEG, "-hide_banner", "-loglevel", "error", "-i", url, "-c", "copy", "-f", "null", "-"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def _at_least(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]] | None:
    return rows if len(rows) >= count else None


def _bitrates(clip: Path) -> tuple[float, float]:
    """Video and audio kbps of a file, by FFmpeg's own demuxer."""
    sizes, spans = {"video": 0, "audio": 0}, {"video": 0.0, "audio": 0.0}
    with av.open(str(clip)) as container:
        for packet in container.demux():
            if packet.dts is not None and packet.time_base is not None:
                sizes[packet.stream.type] += packet.size
                spans[packet.stream.type] = max(spans[packet.stream.type], float(packet.dts * packet.time_base))
    return sizes["video"] * 8 / spans["video"] / 1000, sizes["audio"] * 8 / spans["audio"] / 1000


@contextlib.contextmanager
def _uplink(target: int, bytes_per_second: int) -> Iterator[int]:
    """A port before ``target`` that carries no more than so much towards it."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    # Without this the kernel's buffers would swallow the first megabytes at full speed.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)

    def carry(source: socket.socket, sink: socket.socket, rate: int | None) -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set() and (piece := source.recv(4096)):
                sink.sendall(piece)
                if rate:
                    ended.wait(len(piece) / rate)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", target))
            back = threading.Thread(target=carry, args=(far, near, None))
            back.start()
            carry(near, far, bytes_per_second)
            back.join(5)
            near.close()
            far.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
