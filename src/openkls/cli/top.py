"""`openkls top`: the live streams as the console's live page shows them, as a table. Rule: one call for each table."""

import time
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from openkls import client
from openkls.cli.call import AccessKeyOption, EndpointOption, RegionOption, SecretKeyOption
from openkls.cli.check import ConfigOption
from openkls.cli.place import find_access
from openkls.cli.screen import fail, note, out, plain, show
from openkls.client.tables import Action
from openkls.domain.trouble import trouble_of

ACTION = Action("DescribeLiveStreams", "GET", ("UniqueName", "App", "Stream"), version="2026-01-01", repeatable=True)
# A window of its own, as large as the account's: 50 calls a minute, of which these are 30.
BUCKET = "top"
REFRESH_SECONDS = 2.0
# Another top of the same account has used the window up: it will be free again, so this is no failure.
OVER_THE_SPEED_LIMIT = "LimitExceeded"
# A service that restarts is back within this; longer, and whoever looks wants to know.
PATIENCE_ROUNDS = 5
# Title, heads, caption.
FRAME_LINES = 4


def top(
    space: Annotated[
        str | None, typer.Option("--space", metavar="NAME", help="UniqueName; default: all spaces of the account.")
    ] = None,
    app: Annotated[str | None, typer.Option("--app", metavar="NAME", help="App; default: all apps.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    endpoint: EndpointOption = None,
    access_key: AccessKeyOption = None,
    secret_key: SecretKeyOption = None,
    region: RegionOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the live streams: push quality and viewers by protocol, the most watched first, refreshed every two
    seconds."""
    asked: dict[str, object] = {"UniqueName": space, "App": app}
    access = find_access(config, endpoint, access_key, secret_key, region)
    with access.open(BUCKET, retries=0) as api:
        try:
            found = api.make(ACTION, asked).data()
        except client.KlsError as error:
            fail(str(error))
        if once or not out.is_terminal:
            show(build_table(found))
            return
        try:
            _follow(api, asked, found)
        except KeyboardInterrupt:
            note("Stopped.")


def _follow(api: client.Client, asked: dict[str, object], found: dict[str, Any]) -> None:
    failures = 0
    table = build_table(found, out.height - FRAME_LINES)
    with Live(table, console=out, screen=True, auto_refresh=False) as live:
        live.refresh()
        while True:
            time.sleep(REFRESH_SECONDS)
            try:
                table, failures = build_table(api.make(ACTION, asked).data(), out.height - FRAME_LINES), 0
            except client.KlsError as error:
                failures += error.code != OVER_THE_SPEED_LIMIT
                if failures >= PATIENCE_ROUNDS:
                    live.stop()
                    fail(str(error))
                table.caption = plain(str(error))
            live.update(table, refresh=True)


def build_table(found: dict[str, Any], rows_limit: int | None = None) -> Table:
    """A table of DescribeLiveStreams' answer, of ``rows_limit`` rows at most."""
    title = (
        f"{found['Count']} stream(s), {found['OnlineUser']} viewer(s), {found['BwReal'] / 1000:.1f} Mbps in, "
        f"{found['Bw'] / 1e6:.1f} Mbps out"
    )
    table = Table(title=plain(title), title_justify="left", caption_justify="left", box=None, pad_edge=False)
    for head in ("stream", "state", "from", "since", "picture", "sound"):
        table.add_column(head, overflow="fold" if head == "stream" else "ellipsis")
    for head in ("fps", "lost %", "encoder kbps", "uplink kbps", "diff", "rtmp", "flv", "hls", "out Mbps"):
        table.add_column(head, justify="right")
    streams = sorted(
        found["Streams"], key=lambda row: (-row["OnlineUser"], row["UniqueName"], row["App"], row["Stream"])
    )
    for row in streams[:rows_limit]:
        table.add_row(*_cells(row, found["UpdateTime"]))
    if len(streams) > len(table.rows):
        table.caption = f"and {len(streams) - len(table.rows)} more; --space and --app narrow it down"
    return table


def _cells(row: dict[str, Any], now: int) -> list[str]:
    trouble = trouble_of(now - row["PubTime"], row["FrameRate"], row["Curfps"], row["FLR"], row["BwIn"], row["BwReal"])
    return [
        plain(f"{row['UniqueName']}/{row['App']}/{row['Stream']}"),
        trouble or "ok",
        plain(row["ClientIp"]),
        time.strftime("%m-%d %H:%M:%S", time.localtime(row["PubTime"])),
        plain(f"{row['Vcodec']} {row['Width']}x{row['Height']}") if row["Vcodec"] else "-",
        plain(f"{row['Acodec']} {row['SampleRate']}") if row["Acodec"] else "-",
        f"{row['Curfps']}/{row['FrameRate']}",
        str(row["FLR"]),
        f"{row['BwIn']:g}",
        f"{row['BwReal']:g}",
        f"{row['BwDiff']:g}",
        str(row["OnlineRtmp"]),
        str(row["OnlineFlv"]),
        str(row["OnlineHls"]),
        f"{row['Bw'] / 1e6:.1f}",
    ]
