"""`openkls top` shows what the console's live page shows."""

import io
from typing import Any

import pytest
from rich.console import Console

from openkls import model
from openkls.cli.top import ACTION, build_table

ROW: dict[str, Any] = {
    "UniqueName": "demo",
    "App": "live",
    "Pubdomain": "push.demo.local",
    "Stream": "s1",
    "SessionId": "0" * 32,
    "ClientIp": "192.0.2.7",
    "ClientPort": 50000,
    "Node": "127.0.0.1",
    "PubTime": 1000,
    "FrameRate": 30,
    "Curfps": 25,
    "FLR": 16,
    "Curbitrate": 900.5,
    "BwInAudio": 100.5,
    "BwIn": 1001.0,
    "BwReal": 990.5,
    "BwDiff": 10.5,
    "Width": 1280,
    "Height": 720,
    "SampleRate": 44100,
    "Vcodec": "h264",
    "Acodec": "aac",
    "OnlineUser": 6,
    "OnlineRtmp": 1,
    "OnlineFlv": 2,
    "OnlineHls": 3,
    "Bw": 6_040_000,
}


def answer(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "Count": len(rows),
        "UpdateTime": 2000,
        "OnlineUser": sum(row["OnlineUser"] for row in rows),
        "BwReal": 990.5 * len(rows),
        "Bw": sum(row["Bw"] for row in rows),
        "Streams": list(rows),
    }


def shown(found: dict[str, Any], rows_limit: int | None = None) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=240, markup=False, highlight=False).print(build_table(found, rows_limit))
    return text.getvalue().splitlines()


def test_a_row_has_quality_and_viewers_by_protocol() -> None:
    title, heads, row = shown(answer(ROW))[:3]
    assert title.strip() == "1 stream(s), 6 viewer(s), 1.0 Mbps in, 6.0 Mbps out"
    assert " ".join(heads.split()) == (
        "stream state from since picture sound fps lost % encoder kbps uplink kbps diff rtmp flv hls out Mbps"
    )
    words = row.split()
    assert " ".join(words[:3]) == "demo/live/s1 lost 192.0.2.7"
    assert " ".join(words[-13:]) == "h264 1280x720 aac 44100 25/30 16 1001 990.5 10.5 1 2 3 6.0"


def test_every_member_that_is_read_is_one_of_the_answer() -> None:
    operation = model.load(ACTION.version).operations[ACTION.name]
    row = operation.output.members["Data"].shape.members["Streams"].shape.item
    assert row is not None
    assert set(ROW) == set(row.members)


def test_the_most_watched_come_first_and_what_does_not_fit_is_a_number() -> None:
    rows = [{**ROW, "Stream": f"s{number}", "OnlineUser": number} for number in range(5)]
    lines = shown(answer(*rows), 2)
    assert [line.split()[0] for line in lines[2:4]] == ["demo/live/s4", "demo/live/s3"]
    assert lines[-1].strip() == "and 3 more; --space and --app narrow it down"
    assert not [line for line in shown(answer(*rows)) if "more" in line]


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "[red]x[/red]", "[/]", "line\nbreak", "\u202e"])
def test_class_15_a_name_is_text_and_nothing_a_terminal_obeys(name: str) -> None:
    text = "\n".join(shown(answer({**ROW, "Stream": name})))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "demo/live/" in text
