"""`openkls account`: switch an account's keys off and on. Rule: it stops its callers only; streams go on."""

import time
from typing import Annotated

import typer

from openkls.cli.check import ConfigOption
from openkls.cli.key import account_of
from openkls.cli.place import local_config
from openkls.cli.screen import plain, say
from openkls.cli.shelf import author, change_store

AccountArgument = Annotated[str, typer.Argument(help="The account's id.", metavar="ID")]

accounts = typer.Typer(
    help="Switch accounts off and on. Works while the service runs; it notices within seconds.", no_args_is_help=True
)


@accounts.command("disable")
def disable(account_id: AccountArgument, config: ConfigOption = None) -> None:
    """Refuse every call signed with a key of the account; its streams go on."""
    _switch(account_id, True, config)
    say(f"Account {plain(account_id)} is disabled.")


@accounts.command("enable")
def enable(account_id: AccountArgument, config: ConfigOption = None) -> None:
    """Let the account's keys sign again."""
    _switch(account_id, False, config)
    say(f"Account {plain(account_id)} is enabled.")


def _switch(account_id: str, disabled: bool, config: ConfigOption) -> None:
    local = local_config(config)
    known = account_of(local, account_id)
    now = int(time.time())
    change_store(local, lambda store: store.keys.switch_account(known, disabled, now, by=author()))
