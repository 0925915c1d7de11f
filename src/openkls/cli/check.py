"""`openkls check-config`: is the configuration right, and what would it do? Rule: nothing is made, bound or changed."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from openkls.api.tls import Certificate, CertificateError
from openkls.cli.place import CONFIG_NAME, data_dir, find_config, load_config
from openkls.cli.screen import fail, note, plain, say
from openkls.cli.welcome import open_doors_warning
from openkls.config import Config, ConfigError, PlayDomain, PublishDomain, Space
from openkls.control.keyring import KeyRing

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help=f"Configuration; default ./{CONFIG_NAME}, then the data folder's."
    ),
]


def check_config(config: ConfigOption = None) -> None:
    """Say whether the configuration is right, and what the service would do with it.

    Reads the file and the OPENKLS_* environment as `openkls serve` does. Ends with 0 when it is right, with 1 and the
    key at fault when it is not.
    """
    if config is not None and not config.is_file():
        fail(f"{config}: there is no such file")
    path = find_config(config)
    tree = load_config(path)
    try:
        KeyRing(tree.account)  # which reads the policies
        if tree.api.tls_listen:
            Certificate(Path(tree.api.tls_certificate), Path(tree.api.tls_key))
    except ConfigError as error:
        fail(str(error))
    except CertificateError as error:
        fail(f"api.{error.key}: {error}")
    if path is None:
        say(f"OK: no configuration here; `openkls serve` would make {data_dir()}/{CONFIG_NAME}.")
        return
    say(f"OK: {path}")
    for line in _account_of(tree):
        say(f"  {plain(line)}")
    warning = open_doors_warning(tree)
    if warning:
        note(f"Warning: {plain(warning)}", style="yellow")


def _account_of(tree: Config) -> list[str]:
    secured = f" and HTTPS on {tree.api.tls_listen}" if tree.api.tls_listen else ""
    lines = [
        f"API on {tree.api.listen}{secured}, RTMP on {tree.rtmp.listen}, play on {tree.play.listen};"
        f" region {tree.server.region}",
        f"data in {tree.server.data_dir}, history kept for {tree.store.retention_days} days,"
        f" days begin in {tree.server.timezone}",
    ]
    for account in tree.account:
        lines.append(f"account {account.id}: {len(account.key)} key(s), {len(account.space)} space(s)")
        lines.extend(_space(space) for space in account.space)
    if not tree.account:
        lines.append("no account: nobody can call the API or push a stream")
    return lines


def _space(space: Space) -> str:
    apps = ", ".join(space.apps) or "any app"
    doors = ", ".join(_domain(door) for door in space.doors) or "nothing (no publish domain)"
    windows = ", ".join(_domain(domain) for domain in space.play_domain) or "addresses only"
    # The host alone: the rest of the URL may hold a secret.
    told = f"; tells {urlsplit(space.callback_url).netloc}" if space.callback_url else ""
    return f"  space {space.unique_name} ({apps}): push to {doors}; play from {windows}{told}"


def _domain(domain: PublishDomain | PlayDomain) -> str:
    return domain.name if domain.auth == "none" else f"{domain.name} [{domain.auth}]"
