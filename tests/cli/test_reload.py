"""SIGHUP on the real service: what is taken up, what is not, and what a wrong configuration does: nothing."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from openkls.client import Client, KlsError
from support_service import ACCESS_KEY, ACCOUNT, SECRET_KEY, RunningService, make_clip, pushing, until

pytestmark = pytest.mark.e2e

Run = Callable[..., Result]
APP = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
LOOSE_LIMITS = "[limits]\nenforce = false\n"


@pytest.fixture
def service(folder: Path) -> Iterator[RunningService]:
    running = RunningService(folder)
    running.start()
    try:
        yield running
    finally:
        running.end()


def start_bare(service: RunningService, stdin: int = subprocess.DEVNULL) -> None:
    """Start without anything in the environment, which would win over the file; in a session of its own."""
    with service.log.open("ab") as log:
        service.process = subprocess.Popen(
            [sys.executable, "-m", "openkls", "serve", "--config", str(service.config)],
            stdin=stdin,
            stdout=log,
            stderr=log,
            cwd=service.folder,
            start_new_session=True,
        )
    until(lambda: "is running" in service.log.read_text(), 30)


def hang_up(service: RunningService, word: str = "is taken up") -> str:
    """Send SIGHUP and wait for its line; what the log says since."""
    assert service.process is not None
    seen = len(service.log.read_text())
    service.process.send_signal(signal.SIGHUP)
    until(lambda: word in service.log.read_text()[seen:])
    return service.log.read_text()[seen:]


def answer(service: RunningService, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY, **names: str) -> str:
    """What GetBlacklist answers: "0", a RetCode or an error code."""
    with Client(service.endpoint, access_key, secret_key) as api:
        try:
            api.call("GetBlacklist", APP | names)
        except KlsError as error:
            return str(error.code)
        return "0"


def test_keys_and_spaces_of_a_changed_file_are_there_and_gone_without_a_restart(service: RunningService) -> None:
    first = service.config.read_text()
    service.config.write_text(
        first.replace(SECRET_KEY, "another-secret")
        + f'[[account]]\nid = "2000002"\n[[account.key]]\naccess_key = "AKSECOND"\nsecret_key = "{SECRET_KEY}"\n'
        '[[account.space]]\nunique_name = "second"\npublish_domains = ["push.second.local"]\n'
    )
    second = {"UniqueName": "second", "Pubdomain": "push.second.local"}
    assert answer(service, "AKSECOND", **second) == "InvalidAccesskey"
    said = hang_up(service)
    assert "2 account(s), 2 key(s), 2 space(s)" in said
    assert "unchanged" not in said
    assert answer(service, "AKSECOND", **second) == "0"
    assert answer(service) == "SignatureNotMatch"
    assert answer(service, secret_key="another-secret") == "0"
    service.config.write_text(first)
    hang_up(service)
    assert answer(service, "AKSECOND", **second) == "InvalidAccesskey"
    assert answer(service) == "0"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("this is not TOML", "is not TOML"),
        ('[limits]\nconnections_per_addres = 1\n[[account]]\nid = "9"\n', "connections_per_addres"),
        (None, "cannot be read"),
    ],
)
def test_file_that_is_wrong_or_gone_changes_nothing_and_says_why(
    service: RunningService, content: str | None, text: str
) -> None:
    if content is None:
        service.config.unlink()
    else:
        service.config.write_text(content)
    said = hang_up(service, "nothing has changed")
    assert text in said
    assert answer(service) == "0"


def test_key_that_the_store_has_too_is_refused(service: RunningService, run: Run) -> None:
    (service.folder / "openkls.toml").touch()
    pair = run("key", "create").stdout
    access_key = pair.partition("OPENKLS_ACCESS_KEY=")[2].splitlines()[0]
    until(lambda: answer(service, access_key) == "SignatureNotMatch")  # the service knows it
    first = service.config.read_text()
    service.config.write_text(first.replace(ACCESS_KEY, access_key))
    assert f"{access_key} exists in the store too" in hang_up(service, "nothing has changed")
    assert answer(service) == "0"


def test_what_needs_a_restart_is_named_and_stays(service: RunningService) -> None:
    text = service.config.read_text()
    changed = text.replace(f'"127.0.0.1:{service.api_port}"', '"127.0.0.1:1"')
    changed += LOOSE_LIMITS + '[store]\nurl = "sqlite:///other.db"\n'
    service.config.write_text(changed.replace('data_dir = "', 'data_dir = "/elsewhere'))
    said = hang_up(service, "until a restart")
    assert "unchanged until a restart: server.data_dir, api.listen, store.url" in said
    assert answer(service) == "0"


def test_limits_are_taken_up(folder: Path) -> None:
    service = RunningService(folder)

    def calls() -> set[str]:
        names = APP | {"Limit": 1}
        with Client(service.endpoint, ACCESS_KEY, SECRET_KEY, retries=0) as api:
            codes = set()
            for _ in range(60):
                try:
                    api.call("ListHistoryPubStreamsInfo", names)
                except KlsError as error:
                    codes.add(str(error.code))
            return codes

    service.config.write_text(service.config.read_text() + LOOSE_LIMITS)
    start_bare(service)
    try:
        assert calls() == set()
        service.config.write_text(service.config.read_text().replace("enforce = false", "enforce = true"))
        hang_up(service)
        assert calls() == {"LimitExceeded"}
    finally:
        service.end()


def test_live_streams_go_on_and_new_ones_meet_the_new_doors(
    service: RunningService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clip = make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=4)

    def live(stream: str) -> list[dict[str, int]]:
        found: list[dict[str, int]] = service.call("ListRealtimeStreamsInfo", Type="push", Stream=stream)["Streams"]
        return found

    with pushing(clip, service.push_url("stays")) as encoder:
        began = until(lambda: live("stays"), 20)[0]["PubTime"]
        text = service.config.read_text()
        service.config.write_text(text.replace('"push.demo.local", "localhost", "127.0.0.1"', '"push.demo.local"'))
        hang_up(service)
        log = service.folder / "second.log"
        with pushing(clip, service.push_url("comes"), log) as second:
            assert second.wait(20) != 0
        assert live("comes") == []
        # It has gone on for long enough to have been cut, and is the very session it was.
        time_of_reading = time.time()
        until(lambda: time.time() > time_of_reading + 1)
        assert [row["PubTime"] for row in live("stays")] == [began]
        assert encoder.poll() is None


def test_account_that_is_switched_off_is_refused_until_it_is_switched_on(service: RunningService, run: Run) -> None:
    assert run("account", "disable", ACCOUNT).exit_code == 0
    until(lambda: answer(service) == "UnavailableAccountID")
    assert run("account", "enable", ACCOUNT).exit_code == 0
    until(lambda: answer(service) == "0")


def test_policy_and_rotation_reach_the_running_service(service: RunningService, run: Run, folder: Path) -> None:
    pair = dict(line.split("=", 1) for line in run("key", "create").stdout.splitlines())
    access_key, secret_key = pair["OPENKLS_ACCESS_KEY"], pair["OPENKLS_SECRET_KEY"]
    until(lambda: answer(service, access_key, secret_key) == "0")
    (folder / "policy.json").write_text('[{"Effect": "Allow", "Action": "kls:ForbidStream", "Resource": "*"}]')
    assert run("key", "policy", access_key, "policy.json").exit_code == 0
    until(lambda: answer(service, access_key, secret_key) == "InvalidAuthenticationCode")
    assert run("key", "policy", access_key, "--clear").exit_code == 0
    until(lambda: answer(service, access_key, secret_key) == "0")
    rotated = dict(line.split("=", 1) for line in run("key", "rotate", access_key, "--grace", "6s").stdout.splitlines())
    new = rotated["OPENKLS_ACCESS_KEY"], rotated["OPENKLS_SECRET_KEY"]
    until(lambda: answer(service, *new) == "0")
    assert answer(service, access_key, secret_key) == "0"
    until(lambda: answer(service, access_key, secret_key) == "InvalidAccesskey", 15)
    assert answer(service, *new) == "0"


def test_forbid_is_in_the_audit_when_it_is_answered_and_survives_a_kill(service: RunningService, run: Run) -> None:
    service.call("ForbidStream", Pubdomain="push.demo.local", Stream="s1", ForbidTillUnixTime=-1)
    service.kill()
    result = run("audit", "--json", "--action", "ForbidStream")
    row = json.loads(result.stdout)
    assert (row["access_key"], row["address"], row["outcome"]) == (ACCESS_KEY, "127.0.0.1", "0")
    assert row["resource"] == "demo/push.demo.local/live/s1"
    assert row["detail"] == "ForbidTillUnixTime=-1"
    assert len(row["request_id"]) == 36


def test_hangup_of_its_terminal_ends_it(folder: Path) -> None:
    running = RunningService(folder)
    ours, theirs = pty.openpty()
    try:
        start_bare(running, theirs)
        assert running.process is not None
        hang_up(running)
        assert answer(running) == "0"
        os.close(ours)
        running.process.send_signal(signal.SIGHUP)
        assert running.process.wait(15) == 0
    finally:
        os.close(theirs)
        running.end()
