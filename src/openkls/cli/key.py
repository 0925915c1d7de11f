"""`openkls key`: key pairs made at run time. Rule: a secret is shown when it is made, and never again; each change is
a row of the audit.

The store is opened beside a running service, which re-reads its keys every few seconds.
"""

import sys
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from openkls.cli.check import ConfigOption
from openkls.cli.place import local_config
from openkls.cli.screen import USAGE, fail, note, plain, say, show
from openkls.cli.shelf import author, change_store, with_store
from openkls.cli.spans import read_span_seconds
from openkls.config import Config
from openkls.control.keypairs import new_access_key, new_secret_key
from openkls.control.keyring import read_policy
from openkls.domain.policy import TEXT_LIMIT_CHARACTERS, PolicyError
from openkls.domain.ports import AccessKey

KeyArgument = Annotated[str, typer.Argument(help="A key of the store.", metavar="ACCESS_KEY")]

keys = typer.Typer(
    help="Make, list, rotate and disable key pairs. Works while the service runs; it notices within seconds.",
    no_args_is_help=True,
)


@keys.command("create")
def create(
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="ID", help="Account it signs for; needed where there are several."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", metavar="FILE", help="JSON statements of what it may do; default: full rights."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make a key pair and print it, ready to be put into an environment.

    The secret is shown this once: the store keeps it encrypted.
    """
    local = local_config(config)
    account_id = account_of(local, account)
    statements = None if policy is None else _read_statements(policy)
    pair = new_access_key(), new_secret_key()
    made = change_store(
        local, lambda store: store.keys.create(account_id, *pair, int(time.time()), statements, by=author())
    )
    _show_pair(made)
    note(f"Made for account {plain(account_id)}. The secret is not shown again.")


@keys.command("list")
def list_keys(config: ConfigOption = None) -> None:
    """List the key pairs of the configuration and of the store, without their secrets."""
    local = local_config(config)
    table = Table("access key", "account", "state", "rights", "made", box=None, pad_edge=False)
    for account in local.account:
        for key in account.key:
            cells = plain(key.access_key), plain(account.id), "enabled", _rights(key.policy)
            table.add_row(*cells, "in the configuration")
    for made in with_store(local, lambda store: store.keys.since(0)) if local.data_dir.is_dir() else []:
        cells = plain(made.access_key), plain(made.account_id), _state(made), _rights(made.policy)
        table.add_row(*cells, _moment(made.created_at))
    show(table)


@keys.command("disable")
def disable(access_key: KeyArgument, config: ConfigOption = None) -> None:
    """Switch a key pair of the store off for good."""
    local = _local_without(config, access_key)
    now = int(time.time())
    found = change_store(local, lambda store: store.keys.disable(access_key, now, by=author()))
    if found is None:
        _fail_unknown(access_key)
    say(f"{plain(access_key)} is disabled.")


@keys.command("rotate")
def rotate(
    access_key: KeyArgument,
    grace: Annotated[
        str, typer.Option("--grace", metavar="SPAN", help="How long the old pair signs on: 0s, 90s, 15m, 24h, 7d.")
    ] = "24h",
    config: ConfigOption = None,
) -> None:
    """Make a new key pair in the place of an old one, with the same account and policy, and print it.

    The old pair signs on for a while, so that programs can be changed one by one.
    """
    local = _local_without(config, access_key)
    now = int(time.time())
    end = now + read_span_seconds(grace, "--grace")
    pair = new_access_key(), new_secret_key()
    try:
        found = change_store(local, lambda store: store.keys.rotate(access_key, *pair, now, end, by=author()))
    except ValueError as error:
        fail(f"{error}; make a new one: openkls key create")
    if found is None:
        _fail_unknown(access_key)
    old, new = found
    _show_pair(new)
    note(f"{plain(access_key)} {_ending(old, now)}. The new secret is not shown again.")


@keys.command("policy")
def policy(
    access_key: KeyArgument,
    file: Annotated[
        str | None, typer.Argument(help="JSON statements; - is stdin. Without it: show the policy.", metavar="[FILE]")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the policy away: full rights in its account.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show, set or clear what a key pair of the store may do."""
    if clear and file is not None:
        fail("give FILE or --clear, not both", USAGE)
    local = _local_without(config, access_key)
    if file is None and not clear:
        rows = with_store(local, lambda store: store.keys.since(0))
        known = next((row for row in rows if row.access_key == access_key), None)
        if known is None:
            _fail_unknown(access_key)
        if known.policy is None:
            note("It has no policy: full rights in its account.")
        else:
            say(plain(known.policy))
        return
    statements = None if file is None else _read_statements(file)
    now = int(time.time())
    if change_store(local, lambda store: store.keys.set_policy(access_key, statements, now, by=author())) is None:
        _fail_unknown(access_key)
    say(f"{plain(access_key)} has {'full rights in its account' if statements is None else 'its new policy'}.")


def account_of(local: Config, account: str | None) -> str:
    """The account meant, which the configuration must have; ends the command when that is unclear."""
    known = [known.id for known in local.account]
    if account is None and len(known) == 1:
        return known[0]
    if account is None:
        fail(f"which account? Say --account with one of: {', '.join(known) or '(the configuration has none)'}", USAGE)
    if account not in known:
        fail(f"the configuration has no account {account}; it has: {', '.join(known) or 'none'}", USAGE)
    return account


def _local_without(config: Path | None, access_key: str) -> Config:
    """The local configuration, in which the key must not be: its keys are changed there."""
    local = local_config(config)
    if any(key.access_key == access_key for account in local.account for key in account.key):
        fail(f"{access_key} is in the configuration: change it there, then send the service SIGHUP", USAGE)
    return local


def _read_statements(file: str) -> str:
    """The JSON of a file, checked; ends the command when it is no policy."""
    try:
        with nullcontext(sys.stdin) if file == "-" else open(file, encoding="utf-8") as source:
            # One character more than is allowed, so that too long a text is refused as what it is.
            text = source.read(TEXT_LIMIT_CHARACTERS + 1)
        read_policy(text)
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}", USAGE)
    except (UnicodeDecodeError, PolicyError) as error:
        fail(f"{file}: {error}", USAGE)
    return text.strip()


def _show_pair(made: AccessKey) -> None:
    say(f"OPENKLS_ACCESS_KEY={made.access_key}")
    say(f"OPENKLS_SECRET_KEY={made.secret_key}")


def _state(key: AccessKey) -> str:
    if not key.enabled:
        return "disabled"
    if key.expires_at is None:
        return "enabled"
    return f"until {_moment(key.expires_at)}" if key.lives(time.time()) else "expired"


def _ending(old: AccessKey, now: int) -> str:
    if old.expires_at is None or old.expires_at <= now:
        return "signs no longer"
    return f"signs until {_moment(old.expires_at)}"


def _rights(policy: object) -> str:
    return "full" if policy is None else "by its policy"


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _fail_unknown(access_key: str) -> NoReturn:
    fail(f"there is no key {access_key}; `openkls key list` shows those there are")
