"""What `publish` and `play` measure."""

import pytest

from openkls.cli.meter import GAP_MS, Meter
from openkls.codec import amf0
from openkls.codec.flv import AUDIO, SCRIPT, VIDEO

KEY = b"\x17\x01\x00\x00\x00" + b"x" * 995
AAC = b"\xaf\x01" + b"x" * 98


def test_bitrate_and_frames_are_per_second_between_readings() -> None:
    meter = Meter()
    meter.begin(10.0)
    for number in range(25):
        meter.take(VIDEO, number * 40, KEY, 10.0 + number * 0.04)
    meter.take(AUDIO, 990, AAC, 10.99)
    second = meter.read(11.0)
    assert second.kbps == pytest.approx(25_100 * 8 / 1000)
    assert second.fps == pytest.approx(25)
    assert second.gaps == 0
    assert meter.read(12.0).kbps == 0


@pytest.mark.parametrize(("step_ms", "gaps"), [(GAP_MS, 0), (GAP_MS + 1, 1), (-1, 1)])
def test_a_gap_is_a_step_beyond_the_limit_or_backwards(step_ms: int, gaps: int) -> None:
    meter = Meter()
    meter.take(VIDEO, 5000, KEY, 0.0)
    meter.take(VIDEO, 5000 + step_ms, KEY, 0.1)
    assert meter.gaps == gaps


def test_a_wait_that_still_lasts_is_shown() -> None:
    meter = Meter()
    meter.begin(0.0)
    meter.take(VIDEO, 0, KEY, 0.3)
    assert meter.read(1.0).pause_ms == 700


def test_codecs_and_declared_size_are_named() -> None:
    meter = Meter()
    assert meter.kind == "nothing yet"
    meter.take(SCRIPT, 0, amf0.encode("onMetaData", {"width": 640.0, "height": 360.0}), 0.0)
    meter.take(VIDEO, 0, KEY, 0.0)
    meter.take(AUDIO, 0, AAC, 0.0)
    assert meter.kind == "h264 640x360 + aac"


def test_broken_media_is_counted_and_not_named() -> None:
    meter = Meter()
    for type_id in (VIDEO, AUDIO, SCRIPT):
        meter.take(type_id, 0, b"\xff", 0.0)
    meter.take(VIDEO, 0, b"\x17\x00\x00\x00\x00\xff", 0.0)
    meter.take(AUDIO, 0, b"\xaf\x00\xff", 0.0)
    assert meter.bytes == 12
    assert meter.frames == 0
