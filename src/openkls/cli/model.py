"""`openkls model`: the API described for other programs. Rule: what is written out is the service model, unchanged, or
made of nothing else."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from openkls import model
from openkls.cli.screen import USAGE, fail, note, plain, say
from openkls.model.openapi import document

# botocore looks here without being told (its Loader.CUSTOMER_DATA_PATH).
INSTALL_DEFAULT = "~/.aws/models"

VersionOption = Annotated[
    str,
    typer.Option("--version", metavar="VERSION", help=f"Or {model.OWN_VERSION}: the actions that are OpenKLS's own."),
]

commands = typer.Typer(
    help="The API described for other programs: boto3, awscli, and whatever reads OpenAPI.",
    no_args_is_help=True,
)


@commands.command("install")
def install(
    to: Annotated[
        Path,
        typer.Option("--to", metavar="DIR", help="Folder of models; elsewhere than the default needs AWS_DATA_PATH."),
    ] = Path(INSTALL_DEFAULT),
) -> None:
    """Put the model where boto3 and awscli look for it, in place of an older one.

    From then on there is `aws kls get-blacklist ... --endpoint-url URL` and `boto3.client("kls", endpoint_url=URL)`.
    """
    folder = to.expanduser() / "kls" / model.load().version
    path = folder / "service-2.json"
    # Replaced in one step: a client that starts meanwhile reads the old model or the new one.
    part = folder / f"{path.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(model.source())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}")
    say(plain(str(path)))
    note("Try: aws kls help")


@commands.command("show")
def show(version: VersionOption = model.CONTRACT_VERSION) -> None:
    """Print the service model, in botocore's format."""
    _print(model.source(_known(version)))


@commands.command("openapi")
def openapi(version: VersionOption = model.CONTRACT_VERSION) -> None:
    """Print the API as an OpenAPI 3.1 document; a running service has that of the default version at /openapi.json."""
    _print(json.dumps(document(model.load(_known(version))), ensure_ascii=False, indent=2).encode())


def _known(version: str) -> str:
    if version not in model.services():
        fail(f"there is no version {version!r}; known are {', '.join(model.services())}", USAGE)
    return version


def _print(text: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text.rstrip(b"\n") + b"\n")
    sys.stdout.flush()
