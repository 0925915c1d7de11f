"""`openkls top`: the live streams of an app, as a table. Rule: it knows only what the OpenAPI answers."""

import time
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from openkls import client
from openkls.cli.call import AccessKeyOption, EndpointOption, RegionOption, SecretKeyOption
from openkls.cli.check import ConfigOption
from openkls.cli.place import find_access, find_config, load_config
from openkls.cli.screen import USAGE, fail, note, out, plain, show
from openkls.config import Space

PROTOCOLS = ("http+flv", "rtmp")
# A window of its own, as large as the account's: 50 calls a minute, of which three for each table make 45.
BUCKET = "top"
REFRESH_SECONDS = 4.0
# Another top of the same account has used the window up: it will be free again, so this is no failure.
OVER_THE_SPEED_LIMIT = 9016
# A service that restarts is back within this; longer, and whoever looks wants to know.
PATIENCE_ROUNDS = 5


def top(
    space: Annotated[
        str | None,
        typer.Option("--space", metavar="NAME", help="UniqueName; default: the configuration's first space."),
    ] = None,
    app: Annotated[str | None, typer.Option("--app", metavar="NAME", help="App; default: that space's first.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    endpoint: EndpointOption = None,
    access_key: AccessKeyOption = None,
    secret_key: SecretKeyOption = None,
    region: RegionOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the live streams of an app: push quality and viewers, refreshed every four seconds."""
    unique_name, app_name = _which(space, app, config)
    access = find_access(config, endpoint, access_key, secret_key, region)
    with access.open(BUCKET, retries=0) as api:
        try:
            table = _table(api, unique_name, app_name)
        except client.KlsError as error:
            fail(str(error))
        if once or not out.is_terminal:
            show(table)
            return
        try:
            _follow(api, unique_name, app_name, table)
        except KeyboardInterrupt:
            note("Stopped.")


def _follow(api: client.Client, unique_name: str, app: str, table: Table) -> None:
    failures = 0
    with Live(table, console=out, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_SECONDS)
            try:
                table, failures = _table(api, unique_name, app), 0
            except client.KlsError as error:
                failures += error.ret_code != OVER_THE_SPEED_LIMIT
                if failures >= PATIENCE_ROUNDS:
                    live.stop()
                    fail(str(error))
                table.caption = plain(str(error))
            live.update(table, refresh=True)


def _which(space: str | None, app: str | None, config: ConfigOption) -> tuple[str, str]:
    if space and app:
        return space, app
    path = find_config(config)
    spaces: list[Space] = (
        [known for account in load_config(path).account for known in account.space] if path is not None else []
    )
    found = next((known for known in spaces if space in (None, known.unique_name)), None)
    unique_name = space or (found.unique_name if found else None)
    app_name = app or (found.apps[0] if found and found.apps else None)
    if not unique_name or not app_name:
        fail("which streams? Say --space and --app", USAGE)
    return unique_name, app_name


def _table(api: client.Client, unique_name: str, app: str) -> Table:
    """One table: a push listing, and a pull listing for each protocol."""
    asked: dict[str, object] = {"UniqueName": unique_name, "App": app}
    pushed = api.call("ListRealtimeStreamsInfo", asked | {"Type": "push"})["Streams"]
    viewers: dict[str, dict[str, int]] = {}
    sent_bps = 0
    for protocol in PROTOCOLS:
        pulled = api.call("ListRealtimeStreamsInfo", asked | {"Type": "pull", "PullProtocol": protocol})
        sent_bps += pulled["Bw"]
        for row in pulled["Streams"]:
            viewers.setdefault(row["Stream"], {})[protocol] = row["OnlineUser"]
    everybody = sum(sum(counts.values()) for counts in viewers.values())
    title = f"{unique_name}/{app}: {len(pushed)} stream(s), {everybody} viewer(s), {sent_bps / 1e6:.1f} Mbps out"
    table = Table(title=plain(title), title_justify="left", box=None, pad_edge=False)
    for head in ("stream", "from", "since", "video", "audio"):
        table.add_column(head)
    for head in ("fps", "lost %", "encoder kbps", "uplink kbps", *PROTOCOLS):
        table.add_column(head, justify="right")
    for row in sorted(pushed, key=lambda row: str(row["Stream"])):
        counts = viewers.get(row["Stream"], {})
        table.add_row(*_cells(row), *(str(counts.get(protocol, 0)) for protocol in PROTOCOLS))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    video = f"{row['Vcodec']} {row['Width']}x{row['Height']}" if row["Vcodec"] else "-"
    audio = f"{row['Acodec']} {row['SampleRate']}" if row["Acodec"] else "-"
    return [
        plain(str(row["Stream"])),
        plain(str(row["ClientIP"])),
        time.strftime("%m-%d %H:%M:%S", time.localtime(row["PubTime"])),
        plain(video),
        plain(audio),
        f"{row['Curfps']}/{row['FrameRate']}",
        str(row["FLR"]),
        f"{row['BwIn']:g}",
        f"{row['BwReal']:g}",
    ]
