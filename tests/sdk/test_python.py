"""The Python SDK against the real service with a real encoder: the slim wheel in an environment of its own, its
examples, the lines of its README, the document's samples and all nine actions through the official SDK's client."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from openkls.client import AsyncClient, Client, codes, tables, urls
from openkls.client.compat import getKlsClient
from openkls.client.core import Core
from openkls.client.credentials import Credentials
from openkls.codec import sigv4
from support_nine import run_all_nine
from support_service import ACCESS_KEY, FFMPEG, SECRET_KEY, RunningService, make_clip, pushing, until
from tools.sdkgen.core import snake

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SDK = ROOT / "sdk" / "python"
DOOR = {"unique_name": "demo", "app": "live", "pubdomain": "push.demo.local"}
POSTED = ("ListRealtimeStreamsInfo", "ForbidStream", "ResumeStream")
# What openkls-client stands on, with the pins and hashes of the service.
DEPENDENCIES = ("anyio", "certifi", "h11", "httpcore", "httpx", "idna", "msgspec", "typing-extensions")
Bare = Callable[..., str]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=6)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service"))
    running.start()
    try:
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def streaming(service: RunningService, clip: Path) -> Iterator[RunningService]:
    """The service with a stream ``test`` that is live."""
    with pushing(clip, service.push_url("test")):
        until(lambda: live(service, "test"), 20)
        yield service


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, service: RunningService) -> Bare:
    """``bare("program.py", ...)`` or ``bare("-c", ...)``: by a Python that has the wheel and what it needs, no more."""
    folder = tmp_path_factory.mktemp("bare")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], SDK)
    (wheel,) = folder.glob("openkls_client-*.whl")
    run([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    python = str(folder / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    locked = re.findall(r"^(?:[a-z].*\\\n(?: .*\n)+)", (ROOT / "requirements" / "serve.txt").read_text(), re.MULTILINE)
    needed = [entry for entry in locked if entry.partition("==")[0] in DEPENDENCIES]
    (folder / "requirements.txt").write_text("".join(needed))
    run([*pip, "--require-hashes", "-r", str(folder / "requirements.txt")], folder)
    run([*pip, "--no-deps", str(wheel)], folder)
    run([python, "-m", "pip", "check"], folder)
    environment = {
        "OPENKLS_ENDPOINT": service.endpoint,
        "OPENKLS_ACCESS_KEY": ACCESS_KEY,
        "OPENKLS_SECRET_KEY": SECRET_KEY,
    }
    return lambda *arguments: run([python, *arguments], folder, environment)


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_anyhow(command: list[str]) -> int:
    return subprocess.run(command, timeout=30, check=False, stdin=subprocess.DEVNULL, capture_output=True).returncode


def live(service: RunningService, stream: str) -> bool:
    streams = service.call("ListRealtimeStreamsInfo", Type="push", Stream=stream)["Streams"]
    return bool(streams and streams[0]["Acodec"])


def client_of(service: RunningService) -> Client:
    return Client(service.endpoint, ACCESS_KEY, SECRET_KEY)


# -- the slim distribution


def test_the_wheel_has_nothing_of_the_server(bare: Bare) -> None:
    code = "import openkls_client, importlib.util as u; print([n for n in ('openkls', 'aiohttp') if u.find_spec(n)])"
    assert bare("-c", code) == "[]\n"
    assert (
        bare("-c", "import openkls_client.compat as c; print(c.getKlsClient.__module__)") == "openkls_client.compat\n"
    )


def test_the_first_lines_of_its_readme_list_live_streams(bare: Bare, streaming: RunningService) -> None:
    lines = re.findall(r"```python\n(.+?)```", (SDK / "README.md").read_text(), re.DOTALL)[0]
    assert len([line for line in lines.splitlines() if line]) == 4
    for said, real in (
        ("http://127.0.0.1:8080", streaming.endpoint),
        ("AK...", ACCESS_KEY),
        ('="..."', f'="{SECRET_KEY}"'),
    ):
        assert said in lines
        lines = lines.replace(said, real)
    assert re.fullmatch(r"test h264 640x360 \d+ kbps\n", bare("-c", lines))


EXAMPLES = {
    "list_realtime_streams_info": ("demo live", r"test h264 aac 640x360 \d+ kbps\n1 live"),
    "list_realtime_pub_streams_info": ("demo live push.demo.local", r"test from 127\.0\.0\.1 640x360 \d+ bytes/s"),
    "list_stream_durations": ("demo live push.demo.local", r"(?s).*test \d+ s.*"),
    "check_blacklist": ("demo live push.demo.local 直播", "not forbidden"),
    "forbid_stream": ("demo live push.demo.local 直播", "forbidden"),
    "get_blacklist": ("demo live push.demo.local", r"直播 until \d{10}"),
    "resume_stream": ("demo live push.demo.local 直播", "resumed"),
    "list_history_pub_streams_info": (
        "demo live push.demo.local",
        r"(?s).*gone \d+ s, ended by 200 Success operation!.*",
    ),
    "list_history_pub_streams_err_info": (
        "demo live push.demo.local",
        r"(?s).*test from 127\.0\.0\.1 422 Already exist stream!.*",
    ),
}


def test_there_is_an_example_for_each_action() -> None:
    found = {path.stem for path in (SDK / "examples").glob("*.py")}
    assert found == set(EXAMPLES) == {snake(name) for name in codes_of_actions()}


def codes_of_actions() -> list[str]:
    from openkls import model

    return list(model.load().operations)


def test_the_examples_do_what_they_say(bare: Bare, streaming: RunningService, clip: Path) -> None:
    push = [*(FFMPEG, "-loglevel", "error", "-t", "1", "-re", "-i", str(clip), "-c", "copy", "-f", "flv")]
    subprocess.run([*push, streaming.push_url("gone")], timeout=30, check=True, stdin=subprocess.DEVNULL)
    refused = subprocess.run(
        [*push, streaming.push_url("test")], timeout=30, check=False, stdin=subprocess.DEVNULL, capture_output=True
    )
    assert refused.returncode != 0
    until(lambda: streaming.call("ListHistoryPubStreamsInfo", Pubdomain="push.demo.local", Stream="gone")["Total"])
    until(lambda: streaming.call("ListHistoryPubStreamsErrInfo", Pubdomain="push.demo.local")["Total"])
    for name, (arguments, wanted) in EXAMPLES.items():
        printed = bare(str(SDK / "examples" / f"{name}.py"), *arguments.split())
        assert re.fullmatch(wanted, printed.removesuffix("\n")), (name, printed)


# -- code that was written for the official SDK

POST_SAMPLE = """\
#!/usr/bin/python
# -*- coding: UTF-8 -*-
from openkls_client.compat import getKlsClient
import json

if __name__ == "__main__":
    ks_access_key_id="{access_key}"
    ks_secret_access_key="{secret_key}"
    client = getKlsClient("kls", "cn-beijing-6", use_ssl=False, ks_access_key_id=ks_access_key_id, ks_secret_access_key=ks_secret_access_key)

    param = {{
        "UniqueName": "demo",
        "App": "live",
        "Pubdomain": "push.demo.local",
        "Stream": "sample",
        "ForbidTillUnixTime": -1
    }}

    #禁止单路直播流推送: ForbidStream
    res = client.ForbidStream(param)
    print (json.dumps(res))
"""  # noqa: E501 - the document's own line
GET_SAMPLE = """\
#!/usr/bin/python
# -*- coding: UTF-8 -*-
from openkls_client.compat import getKlsClient
import json

if __name__ == "__main__":
    client = getKlsClient("kls", "cn-beijing-6", use_ssl=False)

    res = client.GetBlacklist(UniqueName = "demo", App = "live", Pubdomain = "push.demo.local")
    print (json.dumps(res))
"""


def test_the_documents_samples(bare: Bare, service: RunningService, tmp_path: Path) -> None:
    posted = bare("-c", POST_SAMPLE.format(access_key=ACCESS_KEY, secret_key=SECRET_KEY))
    assert re.fullmatch(r'\{"Data": \{"RetCode": 0, "RetMsg": "success"\}, "RequestId": "[0-9a-f-]{36}"\}\n', posted)
    gotten = bare("-c", GET_SAMPLE)
    assert '"Stream": "sample"' in gotten
    assert '"ForbidTillUnixTime": -1' in gotten
    service.call("ResumeStream", Pubdomain="push.demo.local", Stream="sample")


def test_an_action_that_is_none_of_the_nine_is_refused_by_the_service(service: RunningService) -> None:
    core = Core(service.endpoint, Credentials(ACCESS_KEY, SECRET_KEY), "cn-beijing-6")
    query = sigv4.encode_query([("Action", "GetRecordTask"), ("RecID", "2017"), ("Version", "2017-01-01")])
    request = core.sign("GET", query, b"", time.time())
    answer = httpx.get(service.endpoint + request.target, headers=request.headers, trust_env=False)
    assert (answer.status_code, answer.json()["Error"]["Code"]) == (400, "InvalidActionOrVersion")


def test_the_official_clients_interface_calls_all_nine(clip: Path, tmp_path: Path) -> None:
    service = RunningService(tmp_path)  # of its own: it counts what has happened
    made = getKlsClient("kls", "cn-beijing-6", False, ACCESS_KEY, SECRET_KEY, service.endpoint)

    def call(action: str, **parameters: object) -> dict[str, Any]:
        if tables.ACTIONS[action].paging:
            parameters.setdefault("Limit", 100)  # the official client's default is 1
        method = getattr(made, action)
        answer: dict[str, Any] = method(parameters) if action in POSTED else method(**parameters)
        return answer

    service.start()
    try:
        with made.client:
            run_all_nine(call, service, clip)
    finally:
        service.end()


# -- both clients


def test_pages_of_real_history(service: RunningService, clip: Path) -> None:
    for number in range(3):
        push = [*(FFMPEG, "-loglevel", "error", "-t", "0.3", "-i", str(clip), "-c", "copy", "-f", "flv")]
        subprocess.run([*push, service.push_url(f"page-{number}")], timeout=30, check=True, stdin=subprocess.DEVNULL)
    with client_of(service) as made:

        def paged() -> list[str]:
            rows = made.iter_list_history_pub_streams_info(**DOOR, limit=1)
            return sorted(row.stream for row in rows if row.stream.startswith("page-"))

        until(lambda: paged() == ["page-0", "page-1", "page-2"])


async def test_the_asyncio_client_makes_many_calls_at_once(streaming: RunningService) -> None:
    async with AsyncClient(streaming.endpoint, ACCESS_KEY, SECRET_KEY) as made:
        names = ["直播", "a b", "a+b~c", *(f"s{number}" for number in range(20))]
        answers = await asyncio.gather(*(made.check_blacklist(**DOOR, stream=name) for name in names[3:]))
        assert {answer.check_result for answer in answers} == {0}
        assert [row.stream async for row in made.iter_list_realtime_pub_streams_info(**DOOR)] == ["test"]
        with pytest.raises(codes.NotLive):
            await made.forbid_stream(**DOOR, stream="nobody", forbid_till_unix_time=1)
        await made.forbid_stream(**DOOR, stream=names[0])
        assert (await made.get_blacklist(**DOOR)).recs[0].stream == names[0]
        await made.resume_stream(**DOOR, stream=names[0])


def test_a_clock_that_is_off_is_corrected_by_the_service(service: RunningService) -> None:
    for hours in (-7, 5):
        clock = lambda hours=hours: time.time() + hours * 3600  # noqa: E731
        with Client(service.endpoint, ACCESS_KEY, SECRET_KEY, clock=clock, retries=0) as made:
            assert made.check_blacklist(**DOOR, stream="s").check_result == 0


def test_a_presigned_url_is_answered(service: RunningService) -> None:
    with client_of(service) as made:
        url = made.presigned_url(
            "CheckBlacklist", {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "直播"}
        )
    assert httpx.get(url, trust_env=False).json()["Data"]["CheckResult"] == 0


def test_a_signed_push_url_is_accepted_and_a_wrong_one_is_not(service: RunningService, clip: Path) -> None:
    plain = f"rtmp://127.0.0.1:{service.rtmp_port}/live/直播?vhost=md5.demo.local"
    with pushing(clip, urls.sign_push_url(plain, "123456", int(time.time()) + 60)):
        until(lambda: live(service, "直播"), 20)
    with pushing(clip, urls.sign_push_url(plain, "wrong", int(time.time()) + 60)) as encoder:
        assert encoder.wait(20) != 0
