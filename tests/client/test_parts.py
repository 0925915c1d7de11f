"""Key pairs and endpoints, signed URLs, exceptions, the official SDK's client, and what an import costs."""

import importlib.util
import inspect
import json
import pickle
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from openkls import client
from openkls.client import Client, UsageError, codes, core, tables, urls
from openkls.client.compat import getKlsClient
from openkls.client.credentials import find_credentials, find_endpoint
from openkls.codec import pushauth, sigv4
from support_sdk import ENDPOINT

PAIR = "[Credentials]\nks_access_key_id={}\nks_secret_access_key={}\n"
NOW = 1_790_000_000
KEYS = {"endpoint": ENDPOINT, "access_key": "AKTEST", "secret_key": "SKTEST"}


def answering(
    body: dict[str, object], seen: list[httpx.Request] | None = None, status: int = 200
) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, content=json.dumps(body).encode())

    return httpx.MockTransport(answer)


# -- key pairs and endpoints


def test_key_pairs_come_from_the_first_place_that_has_one(tmp_path: Path) -> None:
    near, far = tmp_path / ".kscore.cfg", tmp_path / "kscore.cfg"
    environment: dict[str, str] = {}

    def found(*arguments: str) -> str:
        return find_credentials(*arguments, environment=environment, files=(near, far)).access_key

    with pytest.raises(UsageError, match="OPENKLS_ACCESS_KEY"):
        found()
    far.write_text(PAIR.format("AKFAR", "s%(x)s"))
    assert found() == "AKFAR"
    near.write_text(PAIR.format("AKNEAR", "s"))
    assert found() == "AKNEAR"
    environment |= {"OPENKLS_ACCESS_KEY": "AKENV", "OPENKLS_SECRET_KEY": "s"}
    assert found() == "AKENV"
    assert found("AKARG", "s") == "AKARG"


@pytest.mark.parametrize(
    "text", ["", "[Credentials]\n", PAIR.format("AK", ""), "hidden-secret", "[a]\nx\nhidden-secret"]
)
def test_a_file_without_a_whole_pair_is_an_error_that_tells_no_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kscore.cfg"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"kscore\.cfg") as caught:
        find_credentials(environment={}, files=(path,))
    assert "hidden-secret" not in str(caught.value)


def test_half_a_pair_is_not_completed_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "kscore.cfg"
    path.write_text(PAIR.format("AK", "s"))
    for half in ({"OPENKLS_ACCESS_KEY": "AKENV"}, {"OPENKLS_SECRET_KEY": "s"}):
        with pytest.raises(UsageError, match="environment"):
            find_credentials(environment=half, files=(path,))


def test_the_endpoint_is_never_the_clouds() -> None:
    assert find_endpoint(None, {}) == "http://127.0.0.1:8080"
    assert find_endpoint(None, {"OPENKLS_ENDPOINT": "http://a:1"}) == "http://a:1"
    assert find_endpoint("http://b:2", {"OPENKLS_ENDPOINT": "http://a:1"}) == "http://b:2"


def test_no_representation_has_the_secret() -> None:
    made = Client(**KEYS)
    pair = find_credentials("AKTEST", "SKTEST")
    assert "SKTEST" not in repr(made) + repr(pair) + repr(core.Core(ENDPOINT, pair, "r"))
    assert "AKTEST" in repr(made)
    made.close()


# -- a call


def test_the_correction_of_the_clock_holds_for_the_next_call() -> None:
    made = core.Core(ENDPOINT, find_credentials("AKTEST", "SKTEST"), "r")
    first = core.Call(made, "GetBlacklist", {})
    refused = json.dumps({"RequestId": "r", "Error": {"Code": "InvalidTimestamp", "Message": "m"}}).encode()
    date = {"date": "Mon, 21 Sep 2026 14:46:40 GMT"}
    assert first.judge(core.Answer(400, refused, date), NOW + 0.9) == core.Again(None)
    headers = dict(core.Call(made, "GetBlacklist", {}).sign(NOW + 5).headers)
    assert headers["X-Amz-Date"] == "20260921T144645Z"


def test_a_cut_is_known_as_one_also_as_text() -> None:
    made = core.Core(ENDPOINT, find_credentials("AKTEST", "SKTEST"), "r")
    reset = core.Failed(core.Fault.RESET, "cut")
    for value, again in ((1, False), ("1", False), (-1, True), ("11", True), (None, True)):
        call = core.Call(made, "ForbidStream", {"ForbidTillUnixTime": value})
        assert (call.judge(reset, NOW) is not None) == again


def test_pauses_are_random_and_grow_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made = core.Core(ENDPOINT, find_credentials("AKTEST", "SKTEST"), "r", retries=7)
    call = core.Call(made, "GetBlacklist", {})
    bounds: list[tuple[float, float]] = []
    monkeypatch.setattr(core.random, "uniform", lambda low, high: bounds.append((low, high)) or 0.0)
    while call.judge(core.Failed(core.Fault.RESET, "cut"), NOW) is not None:
        pass
    assert bounds == [(0, bound) for bound in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0)]


@pytest.mark.parametrize("value", ["\ud800", object()])
def test_what_cannot_be_written_is_not_sent(value: object) -> None:
    with Client(**KEYS, transport=answering({})) as made:
        for action in ("ForbidStream", "CheckBlacklist"):
            if isinstance(value, str) or action == "ForbidStream":
                with pytest.raises(UsageError):
                    made.call(action, {"Stream": value})


def test_an_answer_that_does_not_fit_its_type_is_no_answer() -> None:
    body: dict[str, object] = {"Data": {"RetCode": 0, "RetMsg": "success", "CheckResult": "x"}, "RequestId": "r"}
    with Client(**KEYS, transport=answering(body)) as made, pytest.raises(client.NoAnswer, match="CheckResult"):
        made.check_blacklist(unique_name="demo", app="live", pubdomain="p", stream="s")


def test_entities_in_xml_are_not_read() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "y">]><ErrorResponse><Error><Code>&x;</Code></Error></ErrorResponse>'
    made = core.Core(ENDPOINT, find_credentials("AKTEST", "SKTEST"), "r", retries=0)
    call = core.Call(made, "GetBlacklist", {})
    assert call.judge(core.Answer(400, bomb, {}), NOW) is None
    with pytest.raises(client.NoAnswer):
        call.data()


def test_a_presigned_url_verifies() -> None:
    with Client(**KEYS, clock=lambda: NOW) as made:
        url = made.presigned_url("CheckBlacklist", {"UniqueName": "demo", "Stream": "直播"}, expires_seconds=600)
    parts = urlsplit(url)
    request = sigv4.SignedRequest("GET", parts.path, parts.query, [("Host", parts.netloc)])
    claim = sigv4.read_claim(request)
    assert sigv4.verify(request, claim, "SKTEST")
    assert sigv4.is_timely(claim, NOW + 599)


# -- exceptions


def test_codes_have_their_exceptions_and_advice() -> None:
    body: dict[str, object] = {"Data": {"RetCode": 8201, "RetMsg": "m"}, "RequestId": "r-1"}
    with Client(**KEYS, transport=answering(body)) as made, pytest.raises(codes.NotForbidden) as caught:
        made.resume_stream(unique_name="demo", app="live", pubdomain="p", stream="s")
    assert caught.value.advice == "The stream is not forbidden, or no longer."
    assert str(caught.value) == "RetCode 8201: m (request r-1)"
    error = {"Code": "InvalidAuthenticationCode", "Message": "lack of policy to [a] the resources[b]"}
    transport = answering({"Error": error}, status=403)
    with Client(**KEYS, transport=transport) as made, pytest.raises(codes.InvalidAuthenticationCode) as denied:
        made.call("GetBlacklist", {})
    assert denied.value.advice == "No Allow statement of the key's policy matches."


def test_every_failure_that_the_service_gives_has_advice() -> None:
    assert set(codes.BUSINESS) <= set(tables.RET_CODE_ADVICE)
    assert {row.code for row in tables.GATEWAY_ADVICE} == set(codes.GATEWAY)


def test_exceptions_survive_pickling() -> None:
    for error in (
        codes.NotLive(200, 8502, "", "m", "r", False, "advice"),
        client.NoAnswer(0, None, "NoAnswer", "m", "", True),
        UsageError("no such thing"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert vars(again) == vars(error)
        assert str(again) == str(error)


# -- signed URLs


@pytest.mark.parametrize("stream", ["stream", "直播", "a.flv"])
def test_signed_push_urls_verify(stream: str) -> None:
    url = urls.sign_push_url(f"rtmp://push.demo.local/live/{stream}?x=1", "123456", NOW)
    assert pushauth.check_md5(("123456",), stream, url.partition("?")[2], NOW) == 200
    url = urls.sign_push_url_hmac(
        f"rtmp://h/live/{stream}?nonce=a%20b%2B", "camera", "TESTSECRET", NOW, {"public": "0"}
    )
    assert pushauth.check_hmac({"camera": ("TESTSECRET",)}, url.partition("?")[2], NOW) == 200


def test_the_vectors_of_the_contract() -> None:
    assert urls.sign_push_url("rtmp://h/live/stream", "123456", 1560096712).endswith("?t=1560096712&k=4f88e741140240e2")
    url = urls.sign_push_url_hmac("rtmp://h/a/s", "ak", "TESTSECRET", 1436976000)
    assert "signature=WMWhRUQ7r4%2BWzdRUlFGB7pJkl4g%3D" in url
    url = urls.sign_push_url_hmac("rtmp://h/a/s?nonce=abc&public=0", "ak", "TESTSECRET", 1436976000, {"vdoid": "12345"})
    assert "signature=35HI6wPR2wQr0OVy%2FwTTqYeDPUE%3D" in url
    assert url.count("?") == 1


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://h/live/s1",
        "http://h/live/s1.flv",
        "https://h/live/s1.m3u8",
        "http://h/live/s1/index.m3u8",
        "http://h/live/%73%31.flv",
    ],
)
def test_signed_play_urls_are_of_the_stream(url: str) -> None:
    signed = urls.sign_play_url(url, "123456", NOW)
    assert pushauth.check_md5(("123456",), "s1", signed.partition("?")[2], NOW) == 200


# -- the official SDK's client


def test_the_official_clients_signatures_are_ours() -> None:
    # Read, not imported: the official SDK leaves import hooks behind.
    spec = importlib.util.find_spec("kscore")
    assert spec is not None
    assert spec.submodule_search_locations
    text = Path(spec.submodule_search_locations[0], "kls.py").read_text("utf-8")
    official: dict[str, object] = {}
    exec(text.replace("from kscore.session import get_session", ""), official)
    theirs, ours = official["KlsClient"], type(getKlsClient(ks_access_key_id="a", ks_secret_access_key="s"))
    for action in tables.ACTIONS:
        wanted = inspect.signature(getattr(theirs, action)).parameters
        given = inspect.signature(getattr(ours, action)).parameters
        assert [(each.name, each.default) for each in given.values()] == [
            (each.name, each.default) for each in wanted.values()
        ]


def test_the_official_clients_answers_are_whole_and_business_failures_no_exceptions() -> None:
    seen: list[httpx.Request] = []
    made = getKlsClient("kls", "cn-beijing-6", False, "AKTEST", "SKTEST", ENDPOINT)
    body: dict[str, object] = {"Data": {"RetCode": 8201, "RetMsg": "m"}, "RequestId": "r"}
    made.client = Client(**KEYS, transport=answering(body, seen))
    assert made.ResumeStream({"Stream": "s"}) == body
    made.ListHistoryPubStreamsInfo(UniqueName="demo")
    assert "Limit=1&Marker=0" in str(seen[1].url)
    made.client = Client(**KEYS, transport=answering({"Error": {"Code": "InvalidAccesskey"}}, status=400))
    with pytest.raises(codes.InvalidAccesskey):
        made.GetBlacklist()


def test_use_ssl_makes_the_endpoint_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENKLS_ENDPOINT", "http://kls.test:8443")
    assert "https://kls.test:8443" in repr(getKlsClient("kls", "r", True, "a", "s").client)
    with pytest.raises(ValueError, match="iam"):
        getKlsClient("iam", "r", False, "a", "s")


# -- what an import costs


def test_the_client_loads_nothing_of_the_server() -> None:
    code = "import openkls.client, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = set(done.stdout.split())
    assert "openkls.client.sync" in loaded
    # httpx loads rich and click where they are, for a command of its own.
    heavy = {"aiohttp", "sqlalchemy", "alembic", "cryptography", "uvloop", "openkls.app"}
    assert not loaded & (heavy | {"openkls.model", "openkls.config", "openkls.codec.rtmp", "openkls.control"})


def test_timeouts_bound_a_whole_answer_not_each_piece() -> None:
    class Slow(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for _ in range(100):
                time.sleep(0.02)
                yield b"x"

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Slow()))
    began = time.monotonic()
    made = Client(**KEYS, transport=transport, timeout_seconds=0.1, retries=0)
    with made, pytest.raises(client.NoAnswer, match=r"0\.1 s"):
        made.call("GetBlacklist", {})
    assert time.monotonic() - began < 1.5
