"""`openkls check-config` and what every command says of a configuration that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from openkls.cli.firstrun import make_first_config

Run = Callable[..., Result]


def test_without_a_configuration_it_says_what_serve_would_do_and_makes_nothing(run: Run, folder: Path) -> None:
    result = run("check-config")
    assert result.exit_code == 0
    assert "would make ./openkls-data/openkls.toml" in result.stdout
    assert list(folder.iterdir()) == []


def test_the_first_configuration_is_found_and_told(run: Run) -> None:
    make_first_config("./openkls-data")
    result = run("check-config")
    assert result.exit_code == 0
    assert "OK: openkls-data/openkls.toml" in result.stdout
    assert "space demo (live): push to push.demo.local, localhost, 127.0.0.1" in result.stdout
    assert result.stderr == ""


def test_a_file_in_the_folder_comes_before_the_data_folders(run: Run, folder: Path) -> None:
    make_first_config("./openkls-data")
    (folder / "openkls.toml").write_text("[limits]\nenforce = false\n")
    assert "OK: openkls.toml" in run("check-config").stdout


def test_the_server_that_is_told_is_named_without_its_path_and_keys(run: Run, folder: Path) -> None:
    (folder / "openkls.toml").write_text(
        '[[account]]\nid = "1"\n[[account.space]]\nunique_name = "demo"\n'
        'callback_url = "https://hooks.example:8443/told?token=secret"\ncallback_keys = ["secret"]\n'
    )
    result = run("check-config")
    assert "; tells hooks.example:8443" in result.stdout
    assert "secret" not in result.output


def test_the_key_at_fault_is_named(run: Run, folder: Path) -> None:
    (folder / "openkls.toml").write_text('[play]\nmerge_ms = "150"\n')
    result = run("check-config")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "play.merge_ms" in result.stderr
    assert result.stderr.count("\n") == 1


def test_policy_at_fault_is_named_with_its_key(run: Run, folder: Path) -> None:
    statement = '{ Effect = "Deny", Action = "kls:ForbidSteam", Resource = "*" }'
    (folder / "openkls.toml").write_text(
        f'[[account]]\nid = "1"\n[[account.key]]\naccess_key = "AKONE"\nsecret_key = "real"\npolicy = [{statement}]\n'
    )
    result = run("check-config")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "account.key.policy of AKONE: statement 1: Action: 'kls:ForbidSteam' is none of" in result.stderr


def test_an_unknown_variable_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENKLS_PLAY__MERGE", "150")
    result = run("check-config")
    assert result.exit_code == 1
    assert "OPENKLS_PLAY__MERGE" in result.stderr


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_a_file_that_is_not_there_is_one_line(run: Run, command: str) -> None:
    result = run(command, "--config", "nowhere.toml")
    assert result.exit_code == 1
    assert "nowhere.toml" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_door_open_to_the_network_is_warned_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_first_config("./openkls-data")
    monkeypatch.setenv("OPENKLS_RTMP__LISTEN", "0.0.0.0:1935")
    result = run("check-config")
    assert result.exit_code == 0
    assert "whoever reaches it may push through: push.demo.local" in result.stderr


def test_no_secret_is_shown(run: Run, folder: Path) -> None:
    secret = make_first_config("./openkls-data").read_text().partition('secret_key = "')[2].partition('"')[0]
    result = run("check-config")
    assert len(secret) == 40
    assert secret not in result.output
