"""`openkls key`: key pairs made at run time. Rule: a secret is shown when it is made, and never again.

The store is opened beside a running service, which re-reads its keys every few seconds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from openkls import store
from openkls.cli.check import ConfigOption
from openkls.cli.firstrun import new_access_key, new_secret_key
from openkls.cli.place import local_config
from openkls.cli.screen import USAGE, fail, note, plain, say, show
from openkls.config import Config
from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import AccessKey, KeysPort
from openkls.store.secrets import SECRET_FILE

T = TypeVar("T")

keys = typer.Typer(
    help="Make, list and disable key pairs. Works while the service runs; it notices within seconds.",
    no_args_is_help=True,
)


@keys.command("create")
def create(
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="ID", help="Account it signs for; needed where there are several."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make a key pair and print it, ready to be put into an environment.

    The secret is shown this once: the store keeps it encrypted.
    """
    local = local_config(config)
    account_id = _account(local, account)
    local.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def make(port: KeysPort) -> AccessKey:
        return await port.create(account_id, new_access_key(), new_secret_key(), int(time.time()))

    made = _with_keys(local, make)
    say(f"OPENKLS_ACCESS_KEY={made.access_key}")
    say(f"OPENKLS_SECRET_KEY={made.secret_key}")
    note(f"Made for account {plain(account_id)}. The secret is not shown again.")


@keys.command("list")
def list_keys(config: ConfigOption = None) -> None:
    """List the key pairs of the configuration and of the store, without their secrets."""
    local = local_config(config)
    table = Table("access key", "account", "state", "made", box=None, pad_edge=False)
    for account in local.account:
        for key in account.key:
            table.add_row(plain(key.access_key), plain(account.id), "enabled", "in the configuration")
    for made in _with_keys(local, lambda port: port.since(0)) if local.data_dir.is_dir() else []:
        moment = datetime.fromtimestamp(made.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        state = "enabled" if made.enabled else "disabled"
        table.add_row(plain(made.access_key), plain(made.account_id), state, moment)
    show(table)


@keys.command("disable")
def disable(
    access_key: Annotated[str, typer.Argument(help="The key to switch off.", metavar="ACCESS_KEY")],
    config: ConfigOption = None,
) -> None:
    """Switch a key pair of the store off for good."""
    local = local_config(config)
    if any(key.access_key == access_key for account in local.account for key in account.key):
        fail(f"{access_key} is in the configuration: take it out there and restart the service", USAGE)

    async def switch_off(port: KeysPort) -> AccessKey | None:
        return await port.disable(access_key, int(time.time()))

    found = _with_keys(local, switch_off) if local.data_dir.is_dir() else None
    if found is None:
        fail(f"there is no key {access_key}; `openkls key list` shows those there are")
    say(f"{plain(access_key)} is disabled.")


def _account(local: Config, account: str | None) -> str:
    known = [known.id for known in local.account]
    if account is None and len(known) == 1:
        return known[0]
    if account is None:
        fail(f"which account? Say --account with one of: {', '.join(known) or '(the configuration has none)'}", USAGE)
    if account not in known:
        fail(f"the configuration has no account {account}; it has: {', '.join(known) or 'none'}", USAGE)
    return account


def _with_keys(local: Config, use: Callable[[KeysPort], Awaitable[T]]) -> T:
    """Open the store of the configuration, use its keys, close it."""

    async def work() -> T:
        path = Path(local.store.secret_file) if local.store.secret_file else local.data_dir / SECRET_FILE
        opened = await store.open_store(local.store.url, local.data_dir, store.load_or_create_secret(path))
        try:
            return await use(opened.keys)
        finally:
            await opened.close()

    try:
        return asyncio.run(work())
    except (store.SetupError, StoreUnavailable) as error:
        fail(str(error))
