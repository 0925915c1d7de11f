"""`openkls publish` and `openkls play`: mistakes that need no service."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from openkls.codec.flv import VIDEO, build_header, build_tag

Run = Callable[..., Result]


@pytest.fixture
def clip(folder: Path) -> Path:
    path = folder / "clip.flv"
    path.write_bytes(build_header(False, True) + build_tag(VIDEO, 0, b"\x17\x01\x00\x00\x00x"))
    return path


def test_a_file_that_is_not_there_is_one_line(run: Run) -> None:
    result = run("publish", "nothing.flv", "rtmp://127.0.0.1/live/a")
    assert result.exit_code == 2
    assert "nothing.flv" in result.stderr


@pytest.mark.parametrize("content", [b"", b"ftypmp42" * 10, build_header(True, True)])
def test_a_file_that_is_no_flv_says_how_to_make_one(run: Run, folder: Path, content: bytes) -> None:
    (folder / "clip.mp4").write_bytes(content)
    result = run("publish", "clip.mp4", "rtmp://127.0.0.1/live/a")
    assert result.exit_code == 2
    assert "ffmpeg -i clip.mp4" in result.stderr


@pytest.mark.parametrize("url", ["http://h/live/a", "rtmp://h", "rtmp://h/live", "rtmp://h:x/live/a", "live/a"])
def test_a_publish_url_that_is_none_is_refused(run: Run, clip: Path, url: str) -> None:
    result = run("publish", str(clip), url)
    assert result.exit_code == 2
    assert "rtmp://host[:port]/app/stream" in result.stderr


def test_a_service_that_is_not_there_is_one_line(run: Run, clip: Path) -> None:
    result = run("publish", str(clip), "rtmp://127.0.0.1:1/live/a")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    for url in ("rtmp://127.0.0.1:1/live/a", "http://127.0.0.1:1/live/a.flv"):
        result = run("play", url)
        assert result.exit_code == 1
        assert "Traceback" not in result.output


@pytest.mark.parametrize("url", ["ftp://h/a", "rtmp://h/live", "nonsense"])
def test_a_play_url_that_is_none_is_refused(run: Run, url: str) -> None:
    result = run("play", url)
    assert result.exit_code == 2
    assert "http://host/<app>/<stream>.flv" in result.stderr


def test_an_output_that_cannot_be_written_is_one_line(run: Run) -> None:
    result = run("play", "rtmp://127.0.0.1:1/live/a", "--output", "no/such/folder.flv")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_top_without_a_configuration_asks_for_the_service(run: Run) -> None:
    result = run("top", "--once")
    assert result.exit_code != 0
    assert "--endpoint" in result.stderr
