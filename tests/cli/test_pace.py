"""FLV files replayed: times, repetition, pace."""

import time
from pathlib import Path

import pytest

from openkls.cli.pace import JUMP_MS, LOOP_STEP_MS, pace, read_tags, repeat_tags
from openkls.codec import ProtocolError
from openkls.codec.flv import AUDIO, SCRIPT, VIDEO, Tag, build_header, build_tag


def written(folder: Path, *tags: Tag) -> Path:
    path = folder / "clip.flv"
    path.write_bytes(build_header(True, True) + b"".join(build_tag(*tag) for tag in tags))
    return path


def test_tags_come_back_as_written_without_an_incomplete_last_one(tmp_path: Path) -> None:
    tags = [Tag(SCRIPT, 0, b"s"), Tag(VIDEO, 40, b"v" * 100_000), Tag(AUDIO, 45, b"a")]
    path = written(tmp_path, *tags)
    assert list(read_tags(path)) == tags
    path.write_bytes(path.read_bytes()[:-6])
    assert list(read_tags(path)) == tags[:-1]


def test_a_repeated_file_begins_at_zero_and_its_clock_only_goes_on(tmp_path: Path) -> None:
    path = written(
        tmp_path, Tag(SCRIPT, 0, b"s"), Tag(VIDEO, 1000, b"v"), Tag(VIDEO, 1080, b"v"), Tag(AUDIO, 1070, b"a")
    )
    tags = repeat_tags(path, repeat=True)
    assert [next(tags).timestamp for _ in range(7)] == [
        0,
        0,
        80,
        70,
        80 + LOOP_STEP_MS,
        160 + LOOP_STEP_MS,
        150 + LOOP_STEP_MS,
    ]


def test_metadata_is_sent_once(tmp_path: Path) -> None:
    tags = repeat_tags(written(tmp_path, Tag(SCRIPT, 0, b"s"), Tag(VIDEO, 0, b"v")), repeat=True)
    assert [next(tags).type_id for _ in range(3)] == [SCRIPT, VIDEO, VIDEO]


def test_a_file_without_media_does_not_repeat_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="no audio and no video"):
        list(repeat_tags(written(tmp_path, Tag(SCRIPT, 0, b"s")), repeat=True))


async def test_a_tag_is_handed_on_when_its_time_has_come() -> None:
    began = time.monotonic()
    tags = [Tag(VIDEO, 0, b"v"), Tag(VIDEO, 100, b"v"), Tag(VIDEO, 300, b"v")]
    moments = [time.monotonic() - began async for _ in pace(iter(tags), speed=2.0)]
    assert moments[1] >= 0.05
    assert moments[2] >= 0.15


@pytest.mark.parametrize("jump_ms", [JUMP_MS + 1, -JUMP_MS - 1])
async def test_a_jump_of_the_clock_is_not_waited_out(jump_ms: int) -> None:
    tags = [Tag(VIDEO, 20_000, b"v"), Tag(VIDEO, 20_000 + jump_ms, b"v")]
    began = time.monotonic()
    assert [tag async for tag in pace(iter(tags))] == tags
    assert time.monotonic() - began < 5


async def test_the_longest_step_that_is_waited_out_is_the_limit() -> None:
    began = time.monotonic()
    async for _ in pace(iter([Tag(VIDEO, 0, b"v"), Tag(VIDEO, JUMP_MS, b"v")]), speed=100.0):
        pass
    assert time.monotonic() - began >= JUMP_MS / 1000 / 100
