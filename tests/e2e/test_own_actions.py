"""The actions of our own on the real service: what they tell of a real stream, and URLs that its doors let in."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openkls import model
from openkls.client import Client
from openkls.client.tables import Action
from support_service import ACCESS_KEY, FFMPEG, SECRET_KEY, RunningService, make_clip, pushing, until

pytestmark = pytest.mark.e2e

DOORS = """
publish_domains = ["push.demo.local"]
[[account.space.publish_domain]]
name = "127.0.0.1"
auth = "md5"
keys = ["the-first-key", "another-key"]
[[account.space.publish_domain]]
name = "localhost"
auth = "hmac"
keys = ["AKPUSH:the+secret/of=hmac"]
[[account.space.play_domain]]
id = "1002"
name = "localhost"
auth = "md5"
keys = ["the-key-of-play"]
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("own"))
    text = running.config.read_text()
    head, mark, tail = text.partition('publish_domains = ["push.demo.local", "localhost", "127.0.0.1"]\n')
    assert mark
    running.config.write_text(head + DOORS.lstrip() + tail)
    try:
        running.start()
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()
    finally:
        running.end()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=10)


def ask(service: RunningService, action: str, pair: tuple[str, str] = (ACCESS_KEY, SECRET_KEY), **asked: object) -> Any:
    """``Data`` of one of our own actions."""
    operation = model.operations()[action]
    known = Action(action, operation.method, tuple(operation.input.members), version=operation.version)
    with Client(service.endpoint, *pair, retries=0) as api:
        made = api.make(known, asked)
        answer = made.last_answer()
        if answer.status == 200:
            assert model.conforms(action, answer.whole()) == []
        return made.data()


def urls(service: RunningService, pubdomain: str, stream: str) -> Any:
    names = {"UniqueName": "demo", "App": "live", "Pubdomain": pubdomain, "Stream": stream}
    return ask(service, "DescribeStreamUrls", **names)


def live(service: RunningService) -> dict[str, Any]:
    return {row["Stream"]: row for row in ask(service, "DescribeLiveStreams")["Streams"]}


def of_series(data: Any, name: str) -> list[float]:
    """The values of one series of DescribeStreamMetrics."""
    values: list[float] = next(each["Values"] for each in data["Series"] if each["Name"] == name)
    return values


def begin_of(url: str) -> tuple[int, bytes]:
    """The status of a GET, and the first three bytes of its answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read(3)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(3)


@pytest.mark.parametrize(("pubdomain", "auth"), [("127.0.0.1", "md5"), ("localhost", "hmac")])
def test_push_url_is_let_in_and_the_same_without_its_signature_is_not(
    service: RunningService, clip: Path, pubdomain: str, auth: str
) -> None:
    push = urls(service, pubdomain, f"by-{auth}")["Push"]
    assert push["Auth"] == auth
    with pushing(clip, push["Url"].partition("?")[0]) as refused:
        assert refused.wait(20) != 0
    with pushing(clip, push["Url"]):
        until(lambda: f"by-{auth}" in live(service), 20)


def test_play_urls_are_let_in_and_the_same_without_their_signature_are_not(service: RunningService, clip: Path) -> None:
    told = urls(service, "127.0.0.1", "played")
    plays = {play["Protocol"]: play["Url"] for play in told["Plays"] if play["Domain"] == "localhost"}
    with pushing(clip, told["Push"]["Url"]):
        until(lambda: "played" in live(service), 20)
        assert begin_of(plays["http+flv"]) == (200, b"FLV")
        assert begin_of(plays["hls"]) == (200, b"#EX")
        for protocol in ("http+flv", "hls"):
            assert begin_of(plays[protocol].partition("?")[0])[0] == 403
        command = [FFMPEG, "-hide_banner", "-loglevel", "error", "-i", plays["rtmp"], "-t", "1", "-f", "null", "-"]
        assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def test_live_stream_is_told_with_its_quality_and_its_series_fill(service: RunningService, clip: Path) -> None:
    told = urls(service, "127.0.0.1", "measured")
    with pushing(clip, told["Push"]["Url"]):
        until(lambda: live(service).get("measured", {}).get("Curfps", 0) >= 20, 30)
        row = live(service)["measured"]
        assert (row["FrameRate"], row["Width"], row["Height"], row["Vcodec"], row["Acodec"]) == (
            25,
            640,
            360,
            "h264",
            "aac",
        )
        assert (row["Pubdomain"], row["ClientIp"]) == ("push.demo.local", "127.0.0.1")

        names = {"UniqueName": "demo", "App": "live", "Stream": "measured"}

        def read(name: str) -> list[float]:
            return of_series(ask(service, "DescribeStreamMetrics", **names), name)

        until(lambda: max(read("Curfps"), default=0) >= 20, 40)
        assert read("FrameRate")[-1] == 25
        totals = ask(service, "DescribeStreamMetrics")
        assert of_series(totals, "Streams")[-1] == 1
        errors = of_series(totals, "Errors")
        with pushing(clip, told["Push"]["Url"].partition("?")[0].replace("measured", "unsigned")) as refused:
            refused.wait(20)
        until(lambda: sum(of_series(ask(service, "DescribeStreamMetrics"), "Errors")) > sum(errors), 30)
    (node,) = ask(service, "DescribeNodes")["Nodes"]
    assert (node["Node"], node["Live"], bool(node["StartTime"])) == ("127.0.0.1", 1, True)


def test_key_made_by_the_api_signs_and_is_in_the_audit_without_its_secret(service: RunningService) -> None:
    made = ask(service, "CreateAccessKey", Policy="[]")
    pair = (made["AccessKey"], made["SecretKey"])
    ask(service, "SetAccessKeyPolicy", AccessKey=pair[0], Policy="")
    assert ask(service, "DescribeSpaces", pair)["Spaces"][0]["UniqueName"] == "demo"
    ask(service, "DisableAccessKey", AccessKey=pair[0])
    rows = ask(service, "DescribeAudit")["Rows"]
    assert [row["Action"] for row in rows][:3] == ["DisableKey", "SetKeyPolicy", "CreateKey"]
    assert pair[1] not in json.dumps(rows)
    assert pair[1] not in service.log.read_text()


def test_ports_are_those_that_are_open(service: RunningService) -> None:
    data = ask(service, "DescribeSpaces")
    assert (data["RtmpPort"], data["PlayPort"]) == (service.rtmp_port, service.play_port)


def test_openkls_call_finds_the_version_by_the_actions_name(service: RunningService) -> None:
    command = [sys.executable, "-m", "openkls", "call", "DescribeLiveStreams", "UniqueName=demo"]
    command += ["--endpoint", service.endpoint, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True, cwd=service.folder)
    assert json.loads(done.stdout)["Data"]["RetCode"] == 0
    done = subprocess.run([*command, "App=radio"], capture_output=True, timeout=30, check=False, cwd=service.folder)
    assert (done.returncode, b"RetCode 1003" in done.stderr) == (1, True)
