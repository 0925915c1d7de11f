"""`openkls model`: what it installs is what botocore loads, and what it prints is what other programs read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from openkls import model
from openkls.model.openapi import document

Run = Callable[..., Result]
INSTALLED = Path("kls", "2017-01-01", "service-2.json")


def test_model_is_installed_where_botocore_looks(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    result = run("model", "install")
    path = folder / ".aws" / "models" / INSTALLED
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    assert path.read_bytes() == model.source()


def test_installed_model_is_found_by_botocore(run: Run, folder: Path) -> None:
    from botocore.loaders import Loader

    assert run("model", "install", "--to", "models").exit_code == 0
    assert Loader(extra_search_paths=[str(folder / "models")]).load_service_model("kls", "service-2")["operations"]


def test_older_model_is_replaced_and_nothing_is_left_beside_it(run: Run, folder: Path) -> None:
    path = folder / "models" / INSTALLED
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert run("model", "install", "--to", "models").exit_code == 0
    assert path.read_bytes() == model.source()
    assert list(path.parent.iterdir()) == [path]


def test_folder_that_cannot_be_made_is_explained(run: Run, folder: Path) -> None:
    (folder / "models").write_text("")
    result = run("model", "install", "--to", "models")
    assert result.exit_code == 1
    assert "models/kls/2017-01-01/service-2.json cannot be written: Not a directory" in result.stderr


def test_file_that_cannot_be_replaced_leaves_nothing_beside_it(run: Run, folder: Path) -> None:
    path = folder / "models" / INSTALLED
    path.mkdir(parents=True)
    assert run("model", "install", "--to", "models").exit_code == 1
    assert list(path.parent.iterdir()) == [path]


def test_show_prints_the_model_as_it_is(run: Run) -> None:
    assert json.loads(run("model", "show").stdout) == json.loads(model.source())


def test_own_version_is_shown_when_it_is_asked_for(run: Run) -> None:
    own = model.OWN_VERSION
    assert json.loads(run("model", "show", "--version", own).stdout) == json.loads(model.source(own))
    shown = json.loads(run("model", "openapi", "--version", own).stdout)
    assert shown == json.loads(json.dumps(document(model.load(own))))


def test_unknown_version_is_refused(run: Run) -> None:
    for command in ("show", "openapi"):
        result = run("model", command, "--version", "2016-01-01")
        assert result.exit_code == 2
        assert "2017-01-01, 2026-01-01" in result.stderr


def test_own_version_is_not_installed_since_botocore_would_take_it_for_the_newest(run: Run, folder: Path) -> None:
    assert run("model", "install", "--to", "models").exit_code == 0
    assert [path.name for path in (folder / "models" / "kls").iterdir()] == ["2017-01-01"]


def test_openapi_prints_the_document(run: Run) -> None:
    assert json.loads(run("model", "openapi").stdout) == json.loads(json.dumps(document(model.load())))
