"""The program: its commands put together. Rule: a command is a function of its own module; nothing is decided here."""

from importlib.metadata import version
from typing import Annotated

import typer

from openkls.cli import account, audit, call, callbacks, cert, check, db, key, model, play, publish, serve, top
from openkls.cli.screen import say

app = typer.Typer(
    name="openkls",
    help="A live-streaming service that speaks the Kingsoft Cloud KLS OpenAPI.",
    epilog="Start with: openkls serve",
    no_args_is_help=True,
    add_completion=False,
    # A traceback is for our bugs only, and then it is Python's own: it shows no values, which may be secret.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        say(f"openkls {version('openkls')}")
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("check-config")(check.check_config)
app.command("cert")(cert.cert)
app.command("call", epilog=call.EPILOG)(call.call)
app.command("publish")(publish.publish)
app.command("play")(play.play)
app.command("top")(top.top)
app.command("audit")(audit.audit)
app.add_typer(key.keys, name="key")
app.command("backup")(db.backup)
app.command("restore")(db.restore)
app.add_typer(db.databases, name="db")
app.add_typer(account.accounts, name="account")
app.add_typer(callbacks.callbacks, name="callbacks")
app.add_typer(model.commands, name="model")


def main() -> None:
    """Run the command line; ends the process."""
    app()
