"""`openkls key`, `openkls account` and `openkls audit` on a data folder that no service runs on."""

import getpass
import json
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from openkls.cli.firstrun import make_first_config
from openkls.cli.spans import SPAN_LIMIT_SECONDS, read_span_seconds
from openkls.control.keyring import read_policy

Run = Callable[..., Result]
POLICY = '[{"Effect": "Allow", "Action": "kls:List*", "Resource": "*"}]'


@pytest.fixture(autouse=True)
def account_id(folder: Path) -> str:
    """The account of the folder's configuration."""
    text = make_first_config("./openkls-data").read_text()
    return text.partition('id = "')[2].partition('"')[0]


def file_key() -> str:
    text = Path("openkls-data/openkls.toml").read_text()
    return text.partition('access_key = "')[2].partition('"')[0]


def made(result: Result) -> tuple[str, str]:
    assert result.exit_code == 0, result.output
    pair = dict(line.split("=", 1) for line in result.stdout.splitlines())
    return pair["OPENKLS_ACCESS_KEY"], pair["OPENKLS_SECRET_KEY"]


def state(run: Run, access_key: str) -> str:
    return next(line for line in run("key", "list").stdout.splitlines() if access_key in line)


def audited(run: Run, *options: str) -> list[dict[str, object]]:
    result = run("audit", "--json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_rotated_key_signs_on_for_its_grace(run: Run) -> None:
    old, _ = made(run("key", "create"))
    rotated = run("key", "rotate", old)
    new, secret = made(rotated)
    assert new != old
    assert f"{old} signs until " in rotated.stderr
    assert " until " in state(run, old)
    assert "enabled" in state(run, new)
    assert secret not in run("key", "list").output + run("audit").output
    ends = sqlite3.connect("openkls-data/openkls.db").execute("SELECT max(expires_at) FROM access_keys").fetchone()[0]
    assert abs(ends - time.time() - 86400) < 60


def test_rotation_without_grace_ends_the_old_key_at_once(run: Run) -> None:
    old, _ = made(run("key", "create"))
    rotated = run("key", "rotate", old, "--grace", "0s")
    assert f"{old} signs no longer" in rotated.stderr
    assert "expired" in state(run, old)
    again = run("key", "rotate", old)
    assert again.exit_code == 1
    assert f"{old} is expired" in again.stderr


def test_policy_is_set_shown_and_cleared(run: Run, folder: Path) -> None:
    (folder / "policy.json").write_text(POLICY + "\n")
    key, _ = made(run("key", "create"))
    assert "full" in state(run, key)
    assert run("key", "policy", key, "policy.json").exit_code == 0
    assert run("key", "policy", key).stdout == POLICY + "\n"
    assert "by its policy" in state(run, key)
    successor, _ = made(run("key", "rotate", key))
    assert run("key", "policy", successor).stdout == POLICY + "\n"
    assert run("key", "policy", key, "--clear").exit_code == 0
    shown = run("key", "policy", key)
    assert shown.stdout == ""
    assert "full rights" in shown.stderr


def test_key_is_made_with_a_policy(run: Run, folder: Path) -> None:
    (folder / "policy.json").write_text(POLICY)
    key, _ = made(run("key", "create", "--policy", "policy.json"))
    assert run("key", "policy", key).stdout == POLICY + "\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[{", "is not JSON"),
        ("{}", "a list of statements"),
        ('[{"Effect": "Allow"}]', "statement 1"),
        ("[" + " " * 65_536 + "]", "at most 65536"),
        (None, "cannot be read"),
    ],
)
def test_policy_that_is_none_changes_nothing(run: Run, folder: Path, content: str | None, text: str) -> None:
    key, _ = made(run("key", "create"))
    if content is not None:
        (folder / "policy.json").write_text(content)
    for command in (("key", "policy", key, "policy.json"), ("key", "create", "--policy", "policy.json")):
        result = run(*command)
        assert result.exit_code == 2
        assert text in result.stderr
    assert [row["action"] for row in audited(run)] == ["CreateKey"]


def test_the_example_of_the_document_is_a_policy() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "keys.md").read_text()
    (example,) = re.findall(r"```json\n(.+?)```", page, re.DOTALL)
    assert set(read_policy(example).rules) > {"ForbidStream", "ResumeStream", "ListStreamDurations"}


def test_file_and_clear_exclude_each_other(run: Run) -> None:
    assert run("key", "policy", "AK", "policy.json", "--clear").exit_code == 2


@pytest.mark.parametrize("command", [("rotate",), ("policy",), ("disable",)])
def test_keys_of_the_configuration_are_changed_there(run: Run, command: tuple[str, ...]) -> None:
    result = run("key", *command, file_key())
    assert result.exit_code == 2
    assert "SIGHUP" in result.stderr


@pytest.mark.parametrize("command", [("rotate",), ("policy",), ("policy", "--clear"), ("disable",)])
def test_unknown_key_is_said_to_be_so(run: Run, command: tuple[str, ...]) -> None:
    result = run("key", command[0], "AKNOBODY", *command[1:])
    assert result.exit_code == 1
    assert "no key AKNOBODY" in result.stderr


def test_every_change_is_a_row_with_the_systems_user(run: Run, folder: Path, account_id: str) -> None:
    (folder / "policy.json").write_text(POLICY)
    key, _ = made(run("key", "create"))
    run("key", "policy", key, "policy.json")
    successor, _ = made(run("key", "rotate", key))
    run("key", "disable", successor)
    run("account", "disable", account_id)
    run("account", "enable", account_id)
    rows = audited(run)
    assert [(row["action"], row["resource"]) for row in reversed(rows)] == [
        ("CreateKey", key),
        ("SetKeyPolicy", key),
        ("RotateKey", key),
        ("DisableKey", successor),
        ("DisableAccount", account_id),
        ("EnableAccount", account_id),
    ]
    assert {(row["access_key"], row["address"], row["outcome"]) for row in rows} == {("cli", getpass.getuser(), "0")}
    assert {row["account_id"] for row in rows} == {account_id}


def test_audit_is_picked_and_limited(run: Run) -> None:
    for _ in range(3):
        key, _ = made(run("key", "create"))
    run("key", "disable", key)
    assert [row["action"] for row in audited(run, "--action", "DisableKey")] == ["DisableKey"]
    assert len(audited(run, "--key", "cli", "--since", "1h")) == 4
    assert audited(run, "--key", "AKOTHER") == []
    assert [row["number"] for row in audited(run, "--limit", "2")] == [4, 3]
    table = run("audit", "--limit", "2")
    assert "DisableKey" in table.stdout
    assert key in table.stdout
    assert "there may be more" in table.stderr


def test_audit_of_a_folder_that_was_never_used_is_empty_and_makes_nothing(run: Run, folder: Path) -> None:
    (folder / "openkls.toml").write_text('[server]\ndata_dir = "never"\n')
    assert audited(run) == []
    assert not (folder / "never").exists()


def test_unknown_account_is_not_switched(run: Run, account_id: str) -> None:
    result = run("account", "disable", "1")
    assert result.exit_code == 2
    assert account_id in result.stderr


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("15m", 900), ("24h", 86400), ("3650d", SPAN_LIMIT_SECONDS)]
)
def test_span_is_read(text: str, seconds: int) -> None:
    assert read_span_seconds(text, "--since") == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1.5h", "1w", "3651d", "１h", "9" * 5000 + "s"])
def test_what_is_no_span_is_refused(run: Run, text: str) -> None:
    result = run("audit", "--since", text)
    assert result.exit_code == 2
    assert "--since" in result.stderr
