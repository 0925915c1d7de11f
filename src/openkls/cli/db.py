"""`openkls db`, `openkls backup` and `openkls restore`: what an operator does to the store. Rule: all or nothing, and
what was done is said with its numbers."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from openkls import store
from openkls.cli.check import ConfigOption
from openkls.cli.place import local_config
from openkls.cli.screen import fail, note, plain, say, show
from openkls.config import Config

PROGRESS_SECONDS = 2.0
SQLITE_FILE = "openkls.db"

T = TypeVar("T")

databases = typer.Typer(help="Look at the store's database, bring it up to date, move it.", no_args_is_help=True)


class _Progress:
    """A line on stderr now and then, so that long work is seen to go on."""

    def __init__(self) -> None:
        self._silent_until = time.monotonic() + PROGRESS_SECONDS

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + PROGRESS_SECONDS
            note(f"{what}: {done:,} of {total:,}")


@databases.command("upgrade")
def upgrade(config: ConfigOption = None) -> None:
    """Bring the database to the schema of this version, as `serve` does at its start.

    Stop the services of older versions first, and make a backup: there is no way back.
    """
    local = local_config(config)
    note("This may take minutes where there is much history.")
    before, after = _work(local, lambda database, seal: store.upgrade(database, seal))
    say(f"Schema {after}." if before == after else f"Schema {before or 'none'} is now {after}.")


@databases.command("stats")
def stats(config: ConfigOption = None) -> None:
    """Show what there is in the store and how much room it takes. Works while the service runs."""
    local = local_config(config)
    found = _try(lambda: store.read_stats(store.open_database(local.store.url, local.data_dir)))
    table = Table(show_header=False, box=None, pad_edge=False)
    days = "none" if found.oldest is None or found.newest is None else f"{_day(found.oldest)} to {_day(found.newest)}"
    for name, value in (
        ("database", plain(found.name)),
        ("schema", found.schema or ""),
        ("size", f"{found.size_bytes / 1e6:,.1f} MB"),
        ("running processes", f"{found.processes:,}"),
        ("live sessions", f"{found.live:,}"),
        ("finished sessions", f"{found.sessions:,}"),
        ("refusals and errors", f"{found.errors:,}"),
        ("days of history (UTC)", days),
        ("counts of history", f"{found.counts:,}"),
        ("bans, with those over", f"{found.bans:,}"),
        ("key pairs", f"{found.keys:,}"),
        ("rows of audit", f"{found.audit:,}"),
    ):
        table.add_row(name, value)
    show(table)


@databases.command("migrate-from-sqlite")
def migrate_from_sqlite(
    file: Annotated[
        Path | None,
        typer.Argument(help=f"The embedded database; default: {SQLITE_FILE} in the data folder.", metavar="[FILE]"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Copy the embedded database into the empty PostgreSQL database of `[store] url`.

    The service must be stopped. In one transaction: it is all there, counted on both sides, or nothing is.
    """
    local = local_config(config)
    path = file or local.data_dir / SQLITE_FILE
    progress = _Progress()

    def move(database: store.Database, seal: store.Seal) -> dict[str, int]:
        if not database.partitioned:
            raise store.SetupError("[store] url is not PostgreSQL's; set it to the database to move into")
        held = store.lock_data_dir(path.parent)
        try:
            return store.move(path, database, seal, progress)
        finally:
            held.release()

    moved = _work(local, move)
    for name, rows in moved.items():
        say(f"{name}: {rows:,} rows")
    note(f"Moved and counted. {plain(str(path))} is as it was; keep the secret file, it is still needed.")


def backup(
    file: Annotated[Path, typer.Argument(help="A new file to write; it holds secrets.", metavar="FILE")],
    config: ConfigOption = None,
) -> None:
    """Write the embedded store, of one moment, and its secret file into one file. Works while the service runs."""
    local = local_config(config)
    secret_file = store.secret_path(local.store.secret_file, local.data_dir)
    progress = _Progress()
    database = _try(lambda: store.open_database(local.store.url, local.data_dir))
    _try(lambda: store.back_up(database, secret_file, file, lambda done, total: progress("pages copied", done, total)))
    say(f"{plain(str(file))}: {file.stat().st_size / 1e6:,.1f} MB, for its owner's eyes only.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `openkls backup` wrote.", metavar="FILE")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace a store that is there; it is kept in a folder beside.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup in the place of the embedded store. The service must be stopped.

    The backup is checked, and brought up to date, before anything is replaced.
    """
    local = local_config(config)
    secret_file = store.secret_path(local.store.secret_file, local.data_dir)
    database = _try(lambda: store.open_database(local.store.url, local.data_dir))
    kept = _try(lambda: store.restore(database, secret_file, local.data_dir, file, force=force))
    say(f"Restored into {plain(database.name)}.")
    if kept is not None:
        note(f"What was there before is in {plain(str(kept))}.")


def _work(local: Config, use: Callable[[store.Database, store.Seal], T]) -> T:
    """``use`` with the database and the secret of the configuration; ends the command with what is wrong."""

    def work() -> T:
        local.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = store.load_or_create_secret(store.secret_path(local.store.secret_file, local.data_dir))
        return use(store.open_database(local.store.url, local.data_dir), store.Seal(secret))

    return _try(work)


def _try(work: Callable[[], T]) -> T:
    try:
        return work()
    except (store.SetupError, OSError) as error:
        fail(str(error))


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
