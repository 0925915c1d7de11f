"""`openkls call`: one action of the OpenAPI, signed. Rule: names are checked against the service model, values are the
service's to judge: its answer is what is shown."""

import difflib
import json
import sys
from typing import Annotated

import typer

from openkls import client, model
from openkls.cli.check import ConfigOption
from openkls.cli.place import find_access
from openkls.cli.screen import FAILURE, USAGE, fail, note, out, plain
from openkls.client.core import DRY_RUN
from openkls.client.credentials import ACCESS_KEY_VARIABLE, ENDPOINT_VARIABLE, SECRET_KEY_VARIABLE
from openkls.client.tables import Action

EPILOG = "Actions: " + ", ".join(model.operations()) + "."

EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint", envvar=ENDPOINT_VARIABLE, metavar="URL", help="The API, such as http://127.0.0.1:8080."),
]
AccessKeyOption = Annotated[
    str | None, typer.Option("--access-key", envvar=ACCESS_KEY_VARIABLE, metavar="KEY", help="The key to sign with.")
]
SecretKeyOption = Annotated[
    str | None,
    typer.Option(
        "--secret-key",
        envvar=SECRET_KEY_VARIABLE,
        metavar="SECRET",
        help="Its secret. Others on this machine can read a command line: prefer the environment.",
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help=f"The region to sign for; default {client.REGION_DEFAULT}."),
]


def call(
    action: Annotated[str, typer.Argument(help="Name of the action.", metavar="ACTION")],
    parameters: Annotated[
        list[str] | None, typer.Argument(help="Parameters of the action.", metavar="[NAME=VALUE]...")
    ] = None,
    endpoint: EndpointOption = None,
    access_key: AccessKeyOption = None,
    secret_key: SecretKeyOption = None,
    region: RegionOption = None,
    config: ConfigOption = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the answer's bytes as they came.")] = False,
) -> None:
    """Call an action of the OpenAPI and print its answer.

    Endpoint and key come from the options, else from the environment, else from the configuration of this folder. Ends
    with 0 when RetCode is 0, with 1 when the service refuses, with 2 when the command is not understood.
    """
    operation = _operation(action)
    given = _read_parameters(operation, parameters or [])
    access = find_access(config, endpoint, access_key, secret_key, region)
    failure: client.KlsError | None = None
    with access.open() as api:
        called = api.make(_callable(operation), given)
    try:
        called.data()
    except client.NoAnswer as error:
        fail(error.message)
    except client.KlsError as error:
        failure = error
    answer = called.last_answer()
    if raw or not answer.body.lstrip().startswith(b"{"):
        out.file.flush()
        sys.stdout.buffer.write(answer.body + b"\n")
        sys.stdout.flush()
    else:
        out.print_json(json.dumps(answer.whole()))
    if failure is not None:
        note(f"openkls: {plain(str(failure))}", style="red")
        if failure.advice:
            note(failure.advice)
        raise typer.Exit(FAILURE)


def _operation(action: str) -> model.Operation:
    actions = {name: each for service in model.services().values() for name, each in service.actions.items()}
    if action not in actions:
        fail(f"there is no action {action!r}{_nearest(action, list(actions))}", USAGE)
    return actions[action]


def _callable(operation: model.Operation) -> str | Action:
    """What the client takes for it: the name of one that it knows, else all that it has to know."""
    if operation.version == model.CONTRACT_VERSION:
        return operation.name
    # Those that change something make, each time, something new.
    parameters = tuple(operation.input.members)
    repeatable = operation.method == "GET"
    return Action(operation.name, operation.method, parameters, version=operation.version, repeatable=repeatable)


def _read_parameters(operation: model.Operation, texts: list[str]) -> dict[str, object]:
    """``Name=Value`` texts as the action's parameters; digits for an integer become one. Ends the command with 2 for
    a name that the action does not have."""
    members = operation.input.members
    known = [*members, DRY_RUN]
    given: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            fail(f"{text!r} is not of the form Name=Value; {operation.name} takes {', '.join(members)}", USAGE)
        if name not in known:
            fail(f"{operation.name} has no parameter {name!r}{_nearest(name, known)}", USAGE)
        if name in given:
            fail(f"{name} is given twice", USAGE)
        given[name] = _value(members[name].shape.type if name in members else "string", value)
    return given


def _value(shape_type: str, text: str) -> str | int:
    if shape_type == "integer":
        try:
            return int(text)
        except ValueError:
            pass
    return text


def _nearest(name: str, known: list[str]) -> str:
    lowered = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f"; did you mean {lowered[close[0]]}?" if close else f"; known are {', '.join(known)}"
