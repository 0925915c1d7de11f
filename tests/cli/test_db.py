"""`openkls db`, `openkls backup` and `openkls restore` on a data folder."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from openkls.cli.firstrun import make_first_config
from openkls.store import lock_data_dir

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def config(folder: Path) -> Path:
    """The folder's configuration, with a key pair in its store."""
    return make_first_config("./openkls-data")


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def test_upgrade_makes_the_tables_and_stats_count_them(run: Run) -> None:
    assert "is empty" in run("db", "stats").output
    assert "Schema none is now 0004" in done(run("db", "upgrade"))
    assert "Schema 0004." in done(run("db", "upgrade"))
    done(run("key", "create"))
    shown = done(run("db", "stats"))
    assert re.search(r"key pairs +1\b", shown)
    assert "openkls-data/openkls.db" in shown


def test_backup_is_restored_by_the_command(run: Run) -> None:
    done(run("key", "create"))
    assert "for its owner's eyes only" in done(run("backup", "saved.tar"))
    assert run("backup", "saved.tar").exit_code == 1
    done(run("key", "create"))
    refused = run("restore", "saved.tar")
    assert refused.exit_code == 1
    assert "--force" in refused.output
    assert "replaced-" in done(run("restore", "saved.tar", "--force"))
    assert re.search(r"key pairs +1\b", done(run("db", "stats")))


def test_restore_beside_a_running_service_is_refused(run: Run) -> None:
    done(run("key", "create"))
    done(run("backup", "saved.tar"))
    held = lock_data_dir(Path("openkls-data"))
    refused = run("restore", "saved.tar", "--force")
    held.release()
    assert refused.exit_code == 1
    assert "in use by process" in refused.output


def test_move_needs_postgresql_in_the_configuration(run: Run, config: Path) -> None:
    done(run("key", "create"))
    refused = run("db", "migrate-from-sqlite")
    assert refused.exit_code == 1
    assert "not PostgreSQL's" in refused.output


def test_store_moves_to_postgresql_by_the_command(run: Run, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done(run("key", "create"))
    monkeypatch.setenv("OPENKLS_STORE__URL", postgres_url)
    held = lock_data_dir(Path("openkls-data"))
    refused = run("db", "migrate-from-sqlite")
    held.release()
    assert "in use by process" in refused.output
    assert "access_keys: 1 rows" in done(run("db", "migrate-from-sqlite"))
    assert re.search(r"key pairs +1\b", done(run("db", "stats")))
    assert "has rows in" in run("db", "migrate-from-sqlite").output
    refused = run("backup", "saved.tar")
    assert "pg_dump" in refused.output
