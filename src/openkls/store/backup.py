"""Backups of the embedded store: one file with all that cannot be made again. Rule: a backup is complete or not there,
and nothing is replaced before the whole of what replaces it has been checked.

A backup is a tar file, for its owner alone as it holds the key of all secrets: what it is (``backup.json``), the
database of one moment, and the secret file. SQLite copies the database while the service goes on: one reading, held
from the first page to the last, which no writer waits for.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from openkls.store.database import Database
from openkls.store.datadir import lock_data_dir
from openkls.store.engine import prepare
from openkls.store.errors import SetupError
from openkls.store.secrets import Seal, load_or_create_secret
from openkls.store.sqlite import Sqlite

FORMAT = 1
ABOUT, DATABASE, SECRET = "backup.json", "openkls.db", "secret.key"
# Of 4 KiB: 8 MB between two looks at the progress.
PAGES_A_STEP = 2048
# Nothing of ours but the database is longer.
SMALL_FILE_BYTES = 4096

Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


def back_up(database: Database, secret_file: Path, target: Path, progress: Progress) -> None:
    """Write a backup to ``target``, which must not exist, with mode 0600; the service may run. SetupError says what
    keeps it from that."""
    source = _embedded(database)
    if not source.path.is_file():
        raise SetupError(f"there is no database {source.path} to back up")
    if target.exists():
        raise SetupError(f"{target} exists already; name a new file")
    try:
        with tempfile.TemporaryDirectory(prefix=".openkls-backup-", dir=target.parent) as folder:
            copy = Path(folder, DATABASE)
            _copy(source.path, copy, progress)
            about = Path(folder, ABOUT)
            about.write_text(json.dumps({"format": FORMAT, "made_at": int(time.time()), "schema": _check(copy)}))
            draft = Path(folder, "draft")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    for name, path in ((ABOUT, about), (SECRET, secret_file), (DATABASE, copy)):
                        tar.add(path, name, recursive=False)
                file.flush()
                os.fsync(file.fileno())
            # Unlike a renaming, this never takes the place of a file that came meanwhile.
            os.link(draft, target)
        _sync(target.parent)
    except FileExistsError:
        raise SetupError(f"{target} exists already; name a new file") from None
    except (OSError, sqlite3.Error) as error:
        raise SetupError(f"no backup was made: {error}") from error


def restore(database: Database, secret_file: Path, data_dir: Path, source: Path, *, force: bool) -> Path | None:
    """Put a backup in the place of the embedded store, migrated to the newest schema; returns the folder that what was
    there before is kept in. SetupError, with nothing changed, when a service runs, when something is there and
    ``force`` is not given, or when the backup is not whole."""
    target = _embedded(database)
    held = lock_data_dir(data_dir)
    try:
        there = [path for path in (*_files(target.path), secret_file) if path.exists()]
        if there and not force:
            raise SetupError(f"{there[0]} is there already; --force replaces it, and keeps it in a folder beside")
        return _restore(target, secret_file, source, there)
    except OSError as error:
        raise SetupError(f"not restored: {error}") from error
    finally:
        held.release()


def _restore(target: Sqlite, secret_file: Path, source: Path, there: list[Path]) -> Path | None:
    with tempfile.TemporaryDirectory(prefix=".openkls-restore-", dir=target.path.parent) as name:
        folder = Path(name)
        _unpack(source, folder)
        copy = folder / DATABASE
        _check(copy)
        # Opens with the secret it came with, and is brought up to date, before anything is touched.
        prepare(Sqlite(copy), Seal(load_or_create_secret(folder / SECRET)))
        kept = None
        if there:
            kept = target.path.parent / f"replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
            kept.mkdir(mode=0o700)
            for path in there:
                os.replace(path, kept / path.name)
        os.replace(folder / SECRET, secret_file)
        os.replace(copy, target.path)
        _sync(target.path.parent)
        return kept


def _embedded(database: Database) -> Sqlite:
    if not isinstance(database, Sqlite):
        raise SetupError(
            f"database {database.name} is PostgreSQL's: back it up with pg_dump and restore it with pg_restore; "
            "copy the secret file too"
        )
    return database


def _copy(source: Path, copy: Path, progress: Progress) -> None:
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(source, isolation_level=None)) as reading:
        reading.execute("PRAGMA query_only=ON")
        # One reading around all steps: else each write of the service would begin the copy anew.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with contextlib.closing(sqlite3.connect(copy)) as writing:
            reading.backup(
                writing, pages=PAGES_A_STEP, progress=lambda _, left, total: progress(total - left, total), sleep=0
            )
    with open(copy, "rb") as file:
        os.fsync(file.fileno())


def _check(path: Path) -> str:
    """The schema's revision of a database that is whole; SetupError for any other."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as db:
            found = [line for (line,) in db.execute("PRAGMA integrity_check(3)")]
            if found != ["ok"]:
                raise SetupError(f"the copy of the database is damaged: {found[0]}")
            revision: str = db.execute("SELECT version_num FROM alembic_version").fetchone()[0]
            return revision
    except sqlite3.Error as error:
        raise SetupError(f"the copy of the database cannot be read: {error}") from error


def _unpack(source: Path, folder: Path) -> None:
    found = set()
    try:
        with tarfile.open(source, "r:") as tar:
            for member in tar:
                # Names are compared, never used as paths.
                if member.name not in (ABOUT, DATABASE, SECRET) or not member.isreg() or member.name in found:
                    raise SetupError(f"{source} is no backup of OpenKLS: it holds {member.name!r}")
                if member.name != DATABASE and member.size > SMALL_FILE_BYTES:
                    raise SetupError(f"{source} is no backup of OpenKLS: its {member.name} is too long")
                found.add(member.name)
                content = tar.extractfile(member)
                assert content is not None
                descriptor = os.open(folder / member.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                    file.flush()
                    os.fsync(file.fileno())
    except (tarfile.TarError, EOFError) as error:
        raise SetupError(f"{source} is no backup of OpenKLS, or it is damaged: {error}") from error
    if found != {ABOUT, DATABASE, SECRET}:
        raise SetupError(f"{source} is no backup of OpenKLS, or it was cut: it lacks a part")
    try:
        form = json.loads((folder / ABOUT).read_bytes())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{source} is no backup of OpenKLS: its {ABOUT} is not one") from error
    if form != FORMAT:
        raise SetupError(f"{source} has format {form}, this version of OpenKLS knows {FORMAT}; run the newer version")


def _files(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
