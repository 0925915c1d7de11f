"""The Java SDK: built and tested by Maven, then against the live service with a real stream.

Rule: nothing is skipped; where Java or Maven is missing, the tests fail and say so.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from openkls import model
from support_nine import run_all_nine
from support_service import ACCESS_KEY, SECRET_KEY, RunningService, make_clip, pushing, until

ROOT = Path(__file__).resolve().parents[2]
SDK = ROOT / "sdk" / "java"
TARGET = SDK / "target"
PUBDOMAIN = "push.demo.local"
# A first build downloads Maven's plugins.
BUILD_SECONDS = 900
PROGRAM_SECONDS = 60

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(BUILD_SECONDS + 60)]


def _tool(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing; .ci/run installs it"
    return found


def _run(command: list[str], environment: Mapping[str, str] | None = None, seconds: int = PROGRAM_SECONDS) -> str:
    done = subprocess.run(
        command,
        cwd=SDK,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def classpath() -> str:
    """`mvn verify`; what a program needs to run with the SDK: its jar and those it stands on."""
    shutil.rmtree(TARGET, ignore_errors=True)
    _run([_tool("mvn"), "--batch-mode", "--no-transfer-progress", "verify"], seconds=BUILD_SECONDS)
    jar = next(TARGET.glob("ksc-sdk-java-kls-*[0-9].jar"))
    return os.pathsep.join([str(jar), (TARGET / "classpath").read_text().strip()])


@pytest.fixture(scope="module")
def examples(classpath: str) -> str:
    """The class path of the compiled examples."""
    out = TARGET / "examples"
    sources = [str(path) for path in sorted((SDK / "examples").glob("*.java"))]
    _run([_tool("javac"), "--release", "11", "-Xlint:all", "-Werror", "-cp", classpath, "-d", str(out), *sources])
    return os.pathsep.join([str(out), classpath])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service"))
    running.start()
    try:
        yield running
    finally:
        running.end()


def _settings(service: RunningService) -> dict[str, str]:
    return {
        "OPENKLS_ENDPOINT": service.endpoint,
        "OPENKLS_ACCESS_KEY": ACCESS_KEY,
        "OPENKLS_SECRET_KEY": SECRET_KEY,
    }


@contextlib.contextmanager
def _every_action(classpath: str, service: RunningService) -> Iterator[Callable[..., dict[str, Any]]]:
    """The typed methods by name, in one Java process."""
    path = os.pathsep.join([str(TARGET / "test-classes"), classpath])
    with subprocess.Popen(
        [_tool("java"), "-cp", path, "com.ksc.kls.EveryAction"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **_settings(service)},
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines, answers = process.stdin, process.stdout

        def call(action: str, **parameters: object) -> dict[str, Any]:
            print(json.dumps([action, parameters]), file=lines, flush=True)
            line = answers.readline()
            assert line, f"the program ended at {action} with {process.wait(10)}"
            answer: dict[str, Any] = json.loads(line)
            return answer

        try:
            yield call
        finally:
            process.kill()


def test_maven_ran_every_vector_and_every_conformance_case(classpath: str) -> None:
    assert classpath
    ran = {}
    for report in (TARGET / "surefire-reports").glob("TEST-*.xml"):
        suite = ElementTree.parse(report).getroot()
        assert {suite.get("failures"), suite.get("errors"), suite.get("skipped")} == {"0"}
        ran[str(suite.get("name")).rpartition(".")[2]] = int(suite.get("tests", "0"))
    cases = [
        case
        for path in (ROOT / "sdk" / "conformance").glob("*.json")
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
    ]
    untyped = [case for case in cases if case.get("error", {}).get("kind") == "Usage"]
    paged = [case for case in cases if case.get("pages")]
    # Each by its typed method and by the call by name, but for what only one of them can be asked for.
    assert ran["ConformanceTest"] == 2 * len(cases) - len(untyped) - len(paged)
    captures = json.loads((ROOT / "tests" / "vectors" / "sigv4-captures.json").read_text(encoding="utf-8"))
    assert ran["SigV4Test"] > len(captures["requests"])


def test_jackson_is_the_only_dependency(classpath: str) -> None:
    names = {Path(entry).name.rpartition("-")[0] for entry in classpath.split(os.pathsep)[1:]}
    assert names == {"jackson-annotations", "jackson-core", "jackson-databind"}


def test_javadoc_has_a_page_for_every_action(classpath: str) -> None:
    assert classpath
    with zipfile.ZipFile(next(TARGET.glob("*-javadoc.jar"))) as pages:
        paths = {name.rpartition("com/ksc/")[2]: name for name in pages.namelist()}
        client = pages.read(paths["kls/KSCKLS.html"]).decode()
    for action in model.load().operations:
        assert f"kls/model/{action}Request.html" in paths
        assert f'id="{action[0].lower()}{action[1:]}(' in client


def test_typed_methods_call_all_nine(classpath: str, service: RunningService, clip: Path) -> None:
    with _every_action(classpath, service) as call:
        run_all_nine(call, service, clip)


def test_get_record_task_is_none_of_the_actions(classpath: str, service: RunningService) -> None:
    with _every_action(classpath, service) as call:
        told = call("GetRecordTask", UniqueName="demo", App="live", Pubdomain=PUBDOMAIN, RecID=1)
    assert told["Failure"] == "InvalidActionOrVersionException", told


def test_a_wrong_secret_is_told_by_its_class(classpath: str, service: RunningService, examples: str) -> None:
    with pytest.raises(AssertionError, match="SignatureNotMatchException"):
        _run(
            [_tool("java"), "-cp", examples, "CheckOneStream", "s"],
            {**_settings(service), "OPENKLS_SECRET_KEY": "another"},
        )


def test_every_example_runs(examples: str, service: RunningService, clip: Path) -> None:
    stream = "example-1"
    ran = set()

    def example(name: str) -> str:
        ran.add(name)
        return _run([_tool("java"), "-cp", examples, name, stream], _settings(service))

    def live() -> bool:
        streams = service.call("ListRealtimeStreamsInfo", Type="push", Stream=stream)["Streams"]
        return bool(streams and streams[0]["Acodec"] and streams[0]["Curfps"])

    with pushing(clip, service.push_url(stream)) as encoder:
        until(live, 20)
        assert "h264 and aac" in example("ListRealtimeStreams")
        assert f"{stream}: 640x360, " in example("ListRealtimePubStreams")
        assert f"{stream}: " in example("ListDurations")
        assert example("CheckOneStream") == "allowed\n"
        assert example("ForbidOneStream") == "success\n"
        encoder.wait(10)
    assert example("CheckOneStream") == "forbidden\n"
    assert f"{stream} until 20" in example("ListForbiddenStreams")
    until(lambda: service.call("ListHistoryPubStreamsErrInfo", Pubdomain=PUBDOMAIN, Stream=stream)["Total"] == 1)
    banned = f"{stream} from 127.0.0.1: 423 Forbidden by blacklist!\n"
    assert example("ListHistoryPubStreams") == banned
    assert example("ListHistoryPubStreamErrors") == banned
    assert example("ResumeOneStream") == "success\n"
    assert example("ResumeOneStream") == "stream is not on the blacklist\n"
    assert ran | {"DocumentSample"} == {path.stem for path in (SDK / "examples").glob("*.java")}


def test_the_documents_sample_runs(examples: str, service: RunningService, tmp_path: Path) -> None:
    """As it stands, endpoint and all: Java's own proxy setting brings it here. Once with the key in the program, once
    with the file that the document describes."""
    stream = f"banned-{time.time_ns()}"
    service.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream=stream)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    java = [
        *(_tool("java"), "-cp", examples, f"-Duser.home={tmp_path}"),
        *("-Dhttp.proxyHost=127.0.0.1", f"-Dhttp.proxyPort={service.api_port}", "DocumentSample"),
    ]
    for arguments in ([ACCESS_KEY, SECRET_KEY], []):
        answer = json.loads(_run([*java, *arguments]))
        assert answer["Data"]["Recs"][0]["Stream"] == stream
        assert model.conforms("GetBlacklist", answer) == []
