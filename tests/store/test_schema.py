"""Opening: urls, migrations, and what keeps a store from starting."""

import re
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from openkls.store import SetupError, open_store, schema
from openkls.store.database import open_database
from openkls.store.sqlite import Sqlite
from openkls.store.tables import METADATA
from support_store import SECRET, URL


def read_schema(path: Path) -> set[tuple[str, str, str]]:
    db = sqlite3.connect(path)
    try:
        rows = db.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    finally:
        db.close()
    return {(kind, name, re.sub(r"\s+", " ", sql)) for kind, name, sql in rows if "alembic_version" not in name}


async def test_migrated_schema_is_that_of_the_tables(tmp_path: Path) -> None:
    await (await open_store(URL, tmp_path, SECRET)).close()
    engine = create_engine(f"sqlite:///{tmp_path}/made.db")
    METADATA.create_all(engine)
    engine.dispose()
    made = read_schema(tmp_path / "made.db")
    assert len(made) > 15
    assert read_schema(tmp_path / "openkls.db") == made
    engine = create_engine(f"sqlite:///{tmp_path}/openkls.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    database = Sqlite(tmp_path / "openkls.db")
    for _ in range(2):
        connection = database.connect_writer()
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        schema.migrate(connection)
        connection.exec_driver_sql("COMMIT")
        connection.close()


def test_migration_that_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    database = Sqlite(tmp_path / "openkls.db")
    connection = database.connect_writer()
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    schema.migrate(connection)
    assert database.in_transaction(connection)
    connection.close()
    assert read_schema(database.path) == set()


async def test_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    await (await open_store(URL, tmp_path, SECRET)).close()
    db = sqlite3.connect(tmp_path / "openkls.db")
    db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.commit()
    db.close()
    with pytest.raises(SetupError, match=r"schema 9999.*none newer than 0004; run the newer version"):
        await open_store(URL, tmp_path, SECRET)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mysql://root:hunter2@db/kls", "unknown scheme 'mysql'; use sqlite:///"),
        ("postgresql+asyncpg://kls:hunter2@db/kls", "unknown scheme"),
        ("postgresql://kls:hunter2@db", "user:password@host:5432/database"),
        ("openkls.db", "not a url"),
        ("", "not a url"),
        ("sqlite://", "path of a file"),
        ("sqlite:///:memory:", "path of a file"),
        ("sqlite://host/file.db", "path of a file"),
        ("sqlite:///file.db?mode=ro", "path of a file"),
    ],
)
async def test_other_urls_are_refused_without_telling_their_password(tmp_path: Path, url: str, text: str) -> None:
    with pytest.raises(SetupError, match=text) as caught:
        await open_store(url, tmp_path, SECRET)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_absolute_path_leaves_the_data_folder_alone(tmp_path: Path) -> None:
    for name in ("data", "else where"):
        (tmp_path / name).mkdir()
    await (await open_store(f"sqlite:///{tmp_path}/else where/kls.db", tmp_path / "data", SECRET)).close()
    assert list((tmp_path / "data").iterdir()) == []
    found = (tmp_path / "else where" / "kls.db").stat()
    assert stat.S_IMODE(found.st_mode) == 0o600


async def test_missing_folder_and_foreign_file_are_explained(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be opened: check that its folder exists"):
        await open_store("sqlite:///none/kls.db", tmp_path, SECRET)
    (tmp_path / "kls.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(SetupError, match="not an SQLite database"):
        await open_store("sqlite:///kls.db", tmp_path, SECRET)


def test_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 23, 1))
    with pytest.raises(SetupError, match="or newer is needed"):
        open_database(URL, tmp_path)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 24, 0))
    open_database(URL, tmp_path)


async def test_writer_is_durable_and_readers_read_only(tmp_path: Path) -> None:
    store = await open_store(URL, tmp_path, SECRET)
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "query_only")
    of_writer = await store.writer.write(
        lambda connection: [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    )
    assert of_writer == ["wal", 2, 1, 0]
    only = await store.readers.ask(lambda connection: connection.exec_driver_sql("PRAGMA query_only").scalar())
    assert only == 1
    await store.close()
