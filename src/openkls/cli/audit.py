"""`openkls audit`: who changed what. Rule: it reads; nothing changes a row."""

import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from openkls.cli.check import ConfigOption
from openkls.cli.place import local_config
from openkls.cli.screen import note, plain, say, show
from openkls.cli.shelf import with_store
from openkls.cli.spans import read_span_seconds
from openkls.domain.audit import AuditEntry, AuditQuery

LIMIT_DEFAULT = 100
# Read at once and held in memory: a few tens of megabytes.
LIMIT_MOST = 100_000


def audit(
    since: Annotated[
        str | None, typer.Option("--since", metavar="SPAN", help="Not older than 90s, 15m, 1h, 7d; default: any age.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="NAME", help="Of this action only, such as ForbidStream.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="ACCESS_KEY", help="By this key only; cli is the command line.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=LIMIT_MOST, help="The newest so many rows at most.")
    ] = LIMIT_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show who forbade and resumed streams and changed keys, the newest first.

    A ForbidStream or ResumeStream is there whatever became of it, once its signature had verified; outcome 0 is done,
    else it is the code that was answered.
    """
    local = local_config(config)
    oldest = 0 if since is None else int(time.time()) - read_span_seconds(since, "--since")
    query = AuditQuery(oldest, action, key, limit)
    rows = with_store(local, lambda store: store.audit.read(query)) if local.data_dir.is_dir() else []
    if as_json:
        for row in rows:
            say(json.dumps(_as_json(row), ensure_ascii=True))
        return
    table = Table(
        "when (UTC)", "action", "resource", "outcome", "key", "from", "request", "detail", box=None, pad_edge=False
    )
    for row in rows:
        author = row.author
        cells = (row.action, row.resource, row.outcome, author.access_key, author.address, author.request_id)
        table.add_row(_moment(row.at), *(plain(cell) for cell in cells), plain(row.detail))
    show(table)
    if len(rows) == limit:
        note(f"The newest {limit} rows; there may be more (--limit).")


def _as_json(row: AuditEntry) -> dict[str, object]:
    return {
        "number": row.number,
        "at": row.at,
        "account_id": row.account_id,
        "access_key": row.author.access_key,
        "address": row.author.address,
        "action": row.action,
        "resource": row.resource,
        "request_id": row.author.request_id,
        "outcome": row.outcome,
        "detail": row.detail,
    }


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
