"""`openkls callbacks` on a data folder that no service runs on."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from openkls.cli.firstrun import make_first_config
from openkls.domain.callbacks import Event
from openkls.domain.keys import StreamName
from openkls.store import Store, load_or_create_secret, open_store, secret_path

Run = Callable[..., Result]
DATA = Path("openkls-data")


@pytest.fixture(autouse=True)
def config(folder: Path) -> Path:
    return make_first_config("./openkls-data")


def in_store(use: Callable[[Store], object]) -> None:
    async def work() -> None:
        store = await open_store("sqlite:///openkls.db", DATA, load_or_create_secret(secret_path("", DATA)))
        try:
            await use(store)  # type: ignore[misc]
        finally:
            await store.close()

    asyncio.run(work())


def tell(*streams: str) -> None:
    async def work(store: Store) -> None:
        for stream in streams:
            event = Event(StreamName("demo", "live", stream), {"NotifyType": "PubStart"})
            await store.writer.write(lambda _, event=event: store.announcements.add(event))

    in_store(work)


def give_up(number: int) -> None:
    async def work(store: Store) -> None:
        (found,) = await store.outbox.listed(False, number - 1, 1)
        await store.outbox.give_up(found, 1_790_000_000, "answered 500")

    in_store(work)


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def listed(run: Run, *options: str) -> list[dict[str, object]]:
    result = run("callbacks", "list", "--json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_nothing_waits_in_a_new_store(run: Run) -> None:
    assert listed(run) == []
    assert done(run("callbacks", "list")).startswith("number")


def test_waiting_and_dead_are_listed_apart(run: Run) -> None:
    tell("a", "a", "b\x1b[31m")
    give_up(1)
    shown = done(run("callbacks", "list"))
    assert "Space demo: 2 wait, 1 given up." in shown
    assert "\x1b" not in shown
    assert [row["number"] for row in listed(run)] == [2, 3]
    assert [row["number"] for row in listed(run, "--limit", "1")] == [2]
    (dead,) = listed(run, "--dead")
    assert (dead["number"], dead["error"], dead["dead_at"], dead["next_try"]) == (
        1,
        "answered 500",
        1_790_000_000,
        None,
    )
    assert dead["event"] == {"NotifyType": "PubStart", "EventId": dead["event_id"]}
    assert "answered 500" in done(run("callbacks", "list", "--dead"))


def test_dead_letter_is_retried_by_its_number_or_with_all(run: Run) -> None:
    tell("a", "b", "c")
    for number in (1, 2, 3):
        give_up(number)
    assert "1 is tried now." in done(run("callbacks", "retry", "1"))
    assert [row["number"] for row in listed(run)] == [1]
    assert "2 given up wait again" in done(run("callbacks", "retry", "--all"))
    assert [(row["number"], row["next_try"]) for row in listed(run)] == [(1, 0), (2, 0), (3, 0)]
    assert listed(run, "--dead") == []


def test_event_is_dropped(run: Run) -> None:
    tell("a", "a")
    assert "1 is dropped." in done(run("callbacks", "drop", "1"))
    assert [(row["number"], row["next_try"]) for row in listed(run)] == [(2, 0)]


def test_what_is_not_there_is_said(run: Run) -> None:
    for command in ("retry", "drop"):
        result = run("callbacks", command, "7")
        assert result.exit_code == 1
        assert "there is no event 7" in result.output


@pytest.mark.parametrize("arguments", [(), ("1", "--all")])
def test_retry_wants_a_number_or_all(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("callbacks", "retry", *arguments)
    assert result.exit_code == 2
    assert "NUMBER or --all" in result.output
