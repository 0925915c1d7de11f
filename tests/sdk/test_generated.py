"""What `make sdks` generates is in the repository as the model says it."""

from pathlib import Path

import pytest

from openkls import model
from tools.sdkgen import __main__ as sdkgen
from tools.sdkgen import core


def test_no_generated_file_is_stale() -> None:
    assert core.stale(sdkgen.files()) == []


def test_every_generated_file_says_so() -> None:
    for path, text in sdkgen.files().items():
        assert any(core.GENERATED in line for line in text.splitlines()[:3]), path


def test_a_file_that_was_changed_is_stale_until_it_is_written(tmp_path: Path) -> None:
    wanted = {"a/b.py": "one\n", "c.py": "two\n"}
    assert core.write(wanted, tmp_path) == ["a/b.py", "c.py"]
    assert core.stale(wanted, tmp_path) == []
    (tmp_path / "c.py").write_text("other\n")
    assert core.stale(wanted, tmp_path) == ["c.py"]
    assert core.write(wanted, tmp_path) == ["c.py"]


@pytest.mark.parametrize(
    ("name", "snaked"),
    [
        ("ListRealtimeStreamsInfo", "list_realtime_streams_info"),
        ("ClientIP", "client_ip"),
        ("FLR", "flr"),
        ("BwInAudio", "bw_in_audio"),
        ("OnlineUser", "online_user"),
    ],
)
def test_names_in_snake_case(name: str, snaked: str) -> None:
    assert core.snake(name) == snaked


def test_names_in_snake_case_stay_apart() -> None:
    for shape in model.load().shapes.values():
        assert len({core.snake(name) for name in shape.members}) == len(shape.members)
