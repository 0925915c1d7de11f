"""The PHP SDK: its own suite, and everything that it has against the real service with a real stream.

PHP and PHPUnit are Debian's (`php-cli php-curl phpunit`, see .ci/run); where they are missing these tests fail.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openkls import model
from support_service import ACCESS_KEY, SECRET_KEY, RunningService, make_clip, pushing, until
from tools.sdkgen import core, php

ROOT = Path(__file__).parents[2]
SDK = ROOT / "sdk/php"
SOURCES = sorted(SDK.rglob("*.php"))
SECONDS = 60.0
STREAM = "大厅-php"
DOOR = ("demo", "live", "push.demo.local")
# The space of the document's samples.
SAMPLE_SPACE = """
[[account.space]]
unique_name = "test"
apps = ["live"]
publish_domains = ["test.ksyun.com"]
"""

# The document's samples as it prints them, and what of each is mended: OCR's K1s, Ket and `:`; a missing `;` and the
# brackets of an array; GetBlacklist for GetRecordTask, and with it what it wants.
FIRST = r"""<?php
require('vendor/autoload.php');
use Ksyun\Service\K1s;
$response = K1s::getInstance()->request('GetBlacklist');
echo $response->getBody();
"""
POST = r"""<?php
require('vendor/autoload.php');
use Ksyun\Service\K1s;

$app = 'live'; // 频道名
$uniqueName = 'test'; // 用户名
$pubdomain = 'test.ksyun.com'; // 推流域名
$stream = 'test1234'; // 流名
$forbidTillUnixTime = -1 // 禁流时间
$forbid_stream_data = [
  'App' => $app,
  'UniqueName' => $uniqueName,
  'Pubdomain' => $pubdomain,
  'Stream' => $stream,
  'ForbidTillUnixTime' => $forbidTillUnixTime
];

$response = K1s::getInstance()->request('ForbidStream', 'json' => $forbid_stream_data);
echo $response->getBody();
"""
GET = r"""<?php
require('vendor/autoload.php');
use Ksyun\Service\K1s;
$rec_id = 1: //录像任务ID
$response = Ket::getInstance()->request('GetRecordTask', 'json' => ['query' => ['RecID' => $rec_id]]);
echo $response->getBody();
"""
BLACKLIST = {
    "'GetRecordTask', 'json' => ['query' => ['RecID' => $rec_id]]":
    "'GetBlacklist', ['query' => ['UniqueName' => 'test', 'App' => 'live', 'Pubdomain' => 'test.ksyun.com']]",
}  # fmt: skip
MENDED_GET = {"= 1:": "= 1;", "Ket::": "Kls::"}
BRACKETS = {"'json' => ['query' => ['RecID' => $rec_id]]": "['json' => ['query' => ['RecID' => $rec_id]]]"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with the stream ``大厅-php`` live, and the space of the document's samples."""
    folder = tmp_path_factory.mktemp("php")
    running = RunningService(folder, SAMPLE_SPACE)
    running.start()
    try:
        with pushing(make_clip(folder / "clip.flv"), running.push_url(STREAM, "127.0.0.1")):
            until(lambda: _is_read(running.call("ListRealtimeStreamsInfo", Type="push")["Streams"]), 20)
            yield running
    finally:
        running.end()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home of the test's own, with nothing in it and nothing that leads a client elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OPENKLS_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "HOME": str(tmp_path)}


@pytest.fixture
def keys(environment: dict[str, str], service: RunningService) -> dict[str, str]:
    """The same with the way to the service in it."""
    return {
        **environment,
        "OPENKLS_ENDPOINT": service.endpoint,
        "OPENKLS_ACCESS_KEY": ACCESS_KEY,
        "OPENKLS_SECRET_KEY": SECRET_KEY,
    }


@pytest.fixture
def document(tmp_path: Path, environment: dict[str, str], service: RunningService) -> Path:
    """A project folder as the document makes it: ``vendor/autoload.php``, and ``~/.ksyun/config``."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/autoload.php").write_text(f"<?php require '{SDK}/autoload.php';", encoding="utf-8")
    (tmp_path / ".ksyun").mkdir()
    (tmp_path / ".ksyun/config").write_text(f'{{\n  "ak": "{ACCESS_KEY}",\n  "sk": "{SECRET_KEY}"\n}}\n')
    environment["OPENKLS_ENDPOINT"] = service.endpoint
    return tmp_path


def _is_read(streams: list[dict[str, Any]]) -> bool:
    """Whether a first row is there and a second of its media was read."""
    return bool(streams and streams[0]["Width"] and streams[0]["BwReal"] and streams[0]["Curbitrate"] > 100)


def run(name: str, *arguments: str, environment: dict[str, str], cwd: Path = SDK) -> str:
    """Standard output of a program that succeeds."""
    path = shutil.which(name)
    assert path, f"{name} is missing; .ci/run installs it"
    done = subprocess.run(
        [path, *arguments], capture_output=True, env=environment, cwd=cwd, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert done.stderr == b"", done.stderr.decode()
    return done.stdout.decode()


def suite(name: str, environment: dict[str, str]) -> int:
    """Run one of the SDK's own test suites; the number of its tests."""
    said = run("phpunit", "--testsuite", name, environment=environment)
    found = re.search(r"^OK \((\d+) tests", said, re.MULTILINE)
    assert found, said
    return int(found[1])


def test_generated_files_are_those_of_the_model():
    assert core.stale(php.files()) == []
    assert set(php.files()) == {
        str(path.relative_to(ROOT)) for path in SOURCES if core.GENERATED in path.read_text(encoding="utf-8")
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SDK)))
def test_source_is_php_with_strict_types(path: Path, environment: dict[str, str]):
    assert "\ndeclare(strict_types=1);\n" in path.read_text(encoding="utf-8")
    run("php", "-l", str(path), environment=environment)


def test_readme_begins_with_five_lines_that_list_live_streams(keys: dict[str, str], tmp_path: Path):
    _, code, _ = (SDK / "README.md").read_text(encoding="utf-8").split("```", 2)
    lines = code.removeprefix("php\n").strip().splitlines()
    assert len(lines) == 5
    program = tmp_path / "readme.php"
    given = "[$accessKey, $secretKey] = [getenv('OPENKLS_ACCESS_KEY'), getenv('OPENKLS_SECRET_KEY')];"
    text = "\n".join(["<?php", given, *lines]).replace("http://127.0.0.1:8080", keys["OPENKLS_ENDPOINT"])
    program.write_text(text.replace("sdk/php/", f"{SDK}/"), encoding="utf-8")
    assert re.fullmatch(rf"{STREAM} 640 x 360, \d+ kbps\n", run("php", str(program), environment=keys))


def test_own_suite_and_every_shared_case(environment: dict[str, str]):
    cases = sum(
        path.read_text(encoding="utf-8").count('\n      "name": ') for path in (ROOT / "sdk/conformance").glob("*.json")
    )
    assert cases >= 60
    assert suite("unit", environment) > cases


@pytest.mark.e2e
def test_live_suite(keys: dict[str, str]):
    assert suite("live", {**keys, "LIVE_STREAM": STREAM}) >= 9


@pytest.mark.e2e
def test_examples_of_all_nine(keys: dict[str, str], service: RunningService):
    def example(action: str, *more: str) -> str:
        done.add(action)
        return run("php", f"examples/{action}.php", *DOOR, *more, environment=keys)

    done: set[str] = set()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
    live = example("ListRealtimeStreamsInfo")
    assert re.fullmatch(rf"{STREAM}: 640x360 h264, \d+ frames/s, \d+ kbps from 127\.0\.0\.1\n", live)
    assert re.fullmatch(rf"{STREAM}: since {stamp}, \d+ bytes/s\n", example("ListRealtimePubStreamsInfo"))
    assert re.fullmatch(rf"{STREAM}: \d+ s from {stamp}\n", example("ListStreamDurations"))
    assert example("CheckBlacklist", "s1") == "not forbidden\n"
    assert example("ForbidStream", "s1") == "forbidden\n"
    assert example("CheckBlacklist", "s1") == "forbidden\n"
    assert re.fullmatch(rf"s1: from {stamp} to {stamp}\n", example("GetBlacklist"))
    assert example("ResumeStream", "s1") == "allowed\n"
    assert example("ResumeStream", "s1") == "was not forbidden\n"
    with pushing(service.folder / "clip.flv", service.push_url("cut")) as encoder:
        until(lambda: service.call("ListRealtimePubStreamsInfo", Pubdomain=DOOR[2], Stream="cut")["Count"] == 1)
        example("ForbidStream", "cut")
        assert encoder.wait(10) != 0
    told = until(lambda: example("ListHistoryPubStreamsInfo"))
    assert re.fullmatch(rf"cut: {stamp} for \d+ s, Forbidden by blacklist!\n", told)
    assert re.fullmatch(rf"cut: {stamp} 423 Forbidden by blacklist!\n", example("ListHistoryPubStreamsErrInfo"))
    example("ResumeStream", "cut")
    assert done == set(model.load().operations)


@pytest.mark.e2e
def test_demo_calls_all_nine(document: Path, environment: dict[str, str]):
    for action in ("ForbidStream", *model.load().operations):
        answer = run("php", "examples/demo_Kls.php", action, *DOOR, "s2", environment=environment)
        # Forbidden first, so that there is what to resume; again within a second it may be refused as too soon.
        assert re.search(r'"RetCode": ?(0|3802)\b' if action == "ForbidStream" else r'"RetCode": ?0\b', answer), answer


@pytest.mark.e2e
def test_documents_samples_with_their_slips_mended(document: Path, environment: dict[str, str]):
    def sample(text: str, mends: dict[str, str]) -> str:
        for slip, mended in {**mends, "K1s": "Kls"}.items():
            assert slip in text
            text = text.replace(slip, mended)
        program = document / "sample.php"
        program.write_text(text, encoding="utf-8")
        return run("php", str(program), environment=environment, cwd=document)

    assert "lack of parameters" in sample(FIRST, {})
    posted = sample(POST, {"= -1 //": "= -1; //", "'json' => $forbid_stream_data": "['json' => $forbid_stream_data]"})
    assert re.search(r'"RetMsg": ?"success"', posted), posted
    listed = sample(GET, BLACKLIST | MENDED_GET)
    assert re.search(r'"Stream": ?"test1234"', listed), listed
    assert "InvalidActionOrVersion" in sample(GET, BRACKETS | MENDED_GET)
