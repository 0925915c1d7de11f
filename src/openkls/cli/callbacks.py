"""`openkls callbacks`: the events that wait to be told, and those that were given up. Rule: the store is opened beside
a running service, which sees within a second what was changed."""

import json
import time
from datetime import UTC, datetime
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from openkls.cli.check import ConfigOption
from openkls.cli.place import local_config
from openkls.cli.screen import USAGE, fail, note, plain, say, show
from openkls.cli.shelf import with_store
from openkls.domain.callbacks import Callback, SpaceCounts

LIMIT_DEFAULT = 100
# Read at once and held in memory: some tens of megabytes.
LIMIT_MOST = 20_000

NumberArgument = Annotated[int, typer.Argument(help="The number of an event in the list.", metavar="NUMBER", min=1)]

callbacks = typer.Typer(
    help="Look at the callbacks that wait or were given up, and deliver or drop them. Works while the service runs.",
    no_args_is_help=True,
)


@callbacks.command("list")
def list_callbacks(
    dead: Annotated[bool, typer.Option("--dead", help="Those that were given up, instead of those that wait.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=LIMIT_MOST, help="So many at most, the oldest first.")
    ] = LIMIT_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with the event itself.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the events that wait to be told, in their order, or with --dead those that were given up."""
    local = local_config(config)
    rows: list[Callback] = []
    spaces: list[SpaceCounts] = []
    if local.data_dir.is_dir():
        rows = list(with_store(local, lambda store: store.outbox.listed(dead, 0, limit)))
        spaces = with_store(local, lambda store: store.outbox.spaces())
    if as_json:
        for row in rows:
            say(json.dumps(_as_json(row), ensure_ascii=True))
        return
    table = Table("number", "space", "app", "stream", "event", "made (UTC)", "tries", box=None, pad_edge=False)
    table.add_column("given up (UTC)" if dead else "next try (UTC)")
    table.add_column("last answer")
    for row in rows:
        event = json.loads(row.body).get("NotifyType", "")
        cells = (plain(cell) for cell in (*row.name, event))
        when = _moment(row.dead_at) if row.dead_at is not None else _next_try(row.next_try)
        table.add_row(str(row.number), *cells, _moment(row.created_at), str(row.attempts), when, plain(row.error))
    show(table)
    for space in spaces:
        lost = f", {space.refused} lost for want of room" if space.refused else ""
        note(f"Space {plain(space.unique_name)}: {space.waiting} wait, {space.dead} given up{lost}.")


@callbacks.command("retry")
def retry(
    number: Annotated[int | None, typer.Argument(help="The number of an event.", metavar="[NUMBER]", min=1)] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were given up, and all that wait for their next try.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Have an event told again that was given up, or one tried now that waits for its next try.

    One that was given up goes before those of its stream that wait; later ones may have been told meanwhile.
    """
    if (number is None) is not everything:
        fail("give NUMBER or --all, one of them", USAGE)
    local = local_config(config)
    now = int(time.time())
    if number is None:
        revived = with_store(local, lambda store: store.outbox.retry_all(now))
        say(f"{revived} given up wait again; all that wait are tried now.")
        return
    if not with_store(local, lambda store: store.outbox.retry(number, now)):
        _fail_unknown(number, ", or its space has no room for it")
    say(f"{number} is tried now.")


@callbacks.command("drop")
def drop(number: NumberArgument, config: ConfigOption = None) -> None:
    """Forget an event for good: it is not told any more."""
    local = local_config(config)
    if not with_store(local, lambda store: store.outbox.drop(number)):
        _fail_unknown(number)
    say(f"{number} is dropped.")


def _as_json(row: Callback) -> dict[str, object]:
    return {
        "number": row.number,
        "event_id": row.event_id,
        "created_at": row.created_at,
        "attempts": row.attempts,
        "next_try": row.next_try,
        "dead_at": row.dead_at,
        "error": row.error,
        "event": json.loads(row.body),
    }


def _next_try(at: int | None) -> str:
    if at is None:
        return "behind another"
    return "now" if at <= time.time() else _moment(at)


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _fail_unknown(number: int, more: str = "") -> NoReturn:
    fail(f"there is no event {number}{more}; `openkls callbacks list` and `list --dead` show those there are")
