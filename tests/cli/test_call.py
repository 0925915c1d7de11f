"""`openkls call`: what is refused before anything is sent; the calls themselves are in test_against_service."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from openkls import model
from openkls.cli.firstrun import make_first_config
from openkls.cli.place import find_access

Run = Callable[..., Result]


def test_a_misspelt_action_is_put_right(run: Run) -> None:
    result = run("call", "forbidstrem")
    assert result.exit_code == 2
    assert "did you mean ForbidStream?" in result.stderr


def test_an_action_like_no_other_lists_all(run: Run) -> None:
    result = run("call", "xyzzy")
    assert result.exit_code == 2
    assert all(name in result.stderr for name in model.load().operations)


def test_a_misspelt_parameter_is_put_right(run: Run) -> None:
    result = run("call", "ForbidStream", "Strem=a")
    assert result.exit_code == 2
    assert "did you mean Stream?" in result.stderr


def test_a_parameter_without_a_value_is_explained(run: Run) -> None:
    result = run("call", "ForbidStream", "Stream")
    assert result.exit_code == 2
    assert "Name=Value" in result.stderr


def test_a_parameter_given_twice_is_refused(run: Run) -> None:
    result = run("call", "ForbidStream", "Stream=a", "Stream=b")
    assert result.exit_code == 2
    assert "twice" in result.stderr


def test_without_a_service_it_says_what_to_give(run: Run) -> None:
    result = run("call", "GetBlacklist")
    assert result.exit_code == 1
    assert "OPENKLS_ENDPOINT" in result.stderr


def test_a_service_that_is_not_there_is_one_line(run: Run) -> None:
    make_first_config("./openkls-data")
    result = run("call", "GetBlacklist", "--endpoint", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "cannot be reached" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_endpoint_that_is_none_is_refused(run: Run) -> None:
    make_first_config("./openkls-data")
    result = run("call", "GetBlacklist", "--endpoint", "127.0.0.1:8080")
    assert result.exit_code == 2
    assert "http://host:port" in result.stderr


def test_help_lists_the_actions(run: Run) -> None:
    result = run("call", "--help")
    assert all(name in result.stdout for name in model.load().operations)


def test_options_win_over_the_local_configuration(folder: Path) -> None:
    make_first_config("./openkls-data")
    access = find_access(None, "http://other:1", "AKOTHER", "other-secret", "r")
    assert (access.endpoint, access.access_key, access.secret_key, access.region) == (
        "http://other:1",
        "AKOTHER",
        "other-secret",
        "r",
    )
    assert "other-secret" not in repr(access)


def test_what_is_not_given_comes_from_the_local_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_first_config("./openkls-data")
    monkeypatch.setenv("OPENKLS_API__LISTEN", "0.0.0.0:8123")
    monkeypatch.setenv("OPENKLS_SERVER__REGION", "cn-shanghai-3")
    access = find_access(None, None, None, None, None)
    assert access.endpoint == "http://127.0.0.1:8123"
    assert access.access_key.startswith("AK")
    assert access.region == "cn-shanghai-3"


def test_another_key_without_its_secret_says_where_to_put_it(run: Run) -> None:
    make_first_config("./openkls-data")
    result = run("call", "GetBlacklist", "--access-key", "AKOTHER")
    assert result.exit_code == 1
    assert "OPENKLS_SECRET_KEY" in result.stderr
