"""The Python SDK and `openkls call` do what the conformance cases say: both clients by their typed methods."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from openkls import client
from openkls.cli.program import app
from openkls.client import AsyncClient, Client, tables
from support_sdk import CASES, ENDPOINT, Network, options
from tools.sdkgen.core import snake

KINDS = {
    "Business": client.BusinessError,
    "Gateway": client.GatewayError,
    "NoAnswer": client.NoAnswer,
    "Usage": client.UsageError,
}
ids = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def method(case: dict[str, Any], made: Any) -> Callable[[], Any]:
    """The typed method with its keywords; the call by name where a case wants what no signature has."""
    action = tables.ACTIONS.get(case["action"])
    mandatory = {"UniqueName", "App"} | ({"Pubdomain"} if action and "Pubdomain" in action.parameters else set())
    by_name = action is None or set(case["parameters"]) - set(action.parameters) or mandatory - set(case["parameters"])
    if by_name or (action.name == "ListStreamDurations" and "StartUnixTime" not in case["parameters"]):
        return functools.partial(made.call, case["action"], case["parameters"])
    name = ("iter_" if case.get("pages") else "") + snake(case["action"])
    return functools.partial(getattr(made, name), **{snake(name): value for name, value in case["parameters"].items()})


def check(case: dict[str, Any], network: Network, outcome: Any) -> None:
    network.check()
    if "error" in case:
        wanted = dict(case["error"])
        assert isinstance(outcome, KINDS[wanted.pop("kind")])
        assert {name: getattr(outcome, name) for name in wanted} == wanted
        assert "SKTEST" not in repr(outcome) + str(outcome)
        return
    assert not isinstance(outcome, Exception), outcome
    given = msgspec.to_builtins(outcome)
    assert_holds(given, case["result"])


def assert_holds(given: Any, wanted: Any) -> None:
    """What is wanted is in what is given, of the same type."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            assert_holds(given[name], value)
    elif isinstance(wanted, list):
        assert len(given) == len(wanted)
        for one, other in zip(given, wanted, strict=True):
            assert_holds(one, other)
    else:
        assert type(given) is type(wanted) or isinstance(given, float)
        assert given == wanted


@ids
def test_the_synchronous_client(case: dict[str, Any]) -> None:
    network = Network(case)
    outcome: Any
    with Client(**options(case, httpx.MockTransport(network.answer), network, network.pause)) as made:
        try:
            outcome = method(case, made)()
            outcome = list(outcome) if case.get("pages") else outcome
        except client.KlsError as error:
            outcome = error
    check(case, network, outcome)


@ids
async def test_the_asyncio_client(case: dict[str, Any]) -> None:
    network = Network(case)
    outcome: Any
    async with AsyncClient(
        **options(case, httpx.MockTransport(network.answer_async), network, network.pause_async)
    ) as made:
        try:
            called = method(case, made)()
            outcome = [row async for row in called] if case.get("pages") else await called
        except client.KlsError as error:
            outcome = error
    check(case, network, outcome)


@pytest.mark.parametrize("case", [case for case in CASES if not case.get("pages")], ids=lambda case: case["name"])
def test_openkls_call(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    network = Network(case)
    asked = options(case, httpx.MockTransport(network.answer), network, network.pause)
    played = {name: asked[name] for name in ("transport", "clock", "sleep")}

    def made(*arguments: Any, retries: int, **more: Any) -> Client:
        return Client(*arguments, **more, **played, retries=case["client"].get("retries", retries))

    monkeypatch.setattr(client, "Client", made)
    access = ["--endpoint", ENDPOINT, "--access-key", asked["access_key"], "--region", asked["region"]]
    given = [f"{name}={value}" for name, value in case["parameters"].items() if value is not None]
    environment = {"OPENKLS_SECRET_KEY": asked["secret_key"], "TERM": "dumb", "COLUMNS": "1000"}
    result = CliRunner().invoke(app, ["call", case["action"], *given, *access], env=environment)
    network.check()
    wanted = case.get("error")
    if wanted is None:
        assert result.exit_code == 0, result.output
        assert_holds(json.loads(result.stdout)["Data"], case["result"])
    elif wanted["kind"] == "Usage":
        assert result.exit_code == 2
    else:
        assert result.exit_code == 1, result.output
        said = {"Business": f"RetCode {wanted.get('ret_code')}: ", "Gateway": f"{wanted.get('code')}: ", "NoAnswer": ""}
        assert said[wanted["kind"]] + wanted.get("message", "") in result.stderr
        assert asked["secret_key"] not in result.output
