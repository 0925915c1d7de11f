"""The API over a real store that is full, locked, stalled or damaged: what is answered, how soon, and what then."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from openkls.store import Store, open_store
from openkls.store.readers import READERS
from support_api import NOW, Reply, Site

KEY = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
APP = {name: value for name, value in KEY.items() if name != "Stream"}
CHANGES = ["ForbidStream", "ResumeStream"]
# What asks the store; the others answer from memory.
QUESTIONS = ["ListHistoryPubStreamsInfo", "ListHistoryPubStreamsErrInfo", "ListStreamDurations"]
# Of the store in these tests, and what may come on top of it on a busy machine.
DEADLINE_SECONDS = 1.0
GRACE_SECONDS = 1.5
FILE = "openkls.db"
HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{FILE}", tmp_path, bytes(32), deadline_seconds=DEADLINE_SECONDS)
    yield opened
    await opened.close()


@pytest.fixture
async def site(store: Store) -> AsyncIterator[Site]:
    site = Site(store.history, store.blacklist)
    await site.start()
    yield site
    await site.close()


def asked(action: str) -> dict[str, object]:
    """Parameters of a change or a question."""
    return {**APP, "StartUnixTime": NOW - 86_400, "EndUnixTime": NOW} if action in QUESTIONS else dict(KEY)


async def timely(site: Site, action: str) -> Reply:
    """The answer, which must come by the store's deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS + GRACE_SECONDS):
        return await site.call(action, **asked(action))


async def answers_from_memory(site: Site, banned: bool) -> None:
    """What needs no store is right, whatever the store does."""
    site.publish("live-one")
    check = await timely(site, "CheckBlacklist")
    assert check.data["CheckResult"] == int(banned)
    assert (await site.call("GetBlacklist", **APP)).data["Total"] == int(banned)
    assert (await site.call("ListRealtimeStreamsInfo", UniqueName="demo", App="live", Type="push")).data["Count"] == 1
    assert (await site.call("ListRealtimePubStreamsInfo", **APP)).data["Total"] == 1


async def set_pages(store: Store, extra: int | None) -> None:
    """Let the database grow by so many pages, or as it likes."""

    def limit(connection: object) -> None:
        run = connection.exec_driver_sql  # type: ignore[attr-defined]
        used = run("PRAGMA page_count").scalar()
        run(f"PRAGMA max_page_count={4294967294 if extra is None else used + extra}").close()

    await store.writer.write(limit)


async def fill(site: Site) -> int:
    """Forbid stream after stream until the store takes no more; the RetCode of the last."""
    for number in range(10_000):
        code = (await site.call("ForbidStream", **APP, Stream=f"{'x' * 200}{number}")).data["RetCode"]
        if code:
            return int(code)
    raise AssertionError("the store took 10,000 bans")


@pytest.mark.provokes(8200)
async def test_full_database_is_8200_until_there_is_room(site: Site, store: Store) -> None:
    await set_pages(store, 3)
    assert await fill(site) == 8200
    before = (await site.call("GetBlacklist", **APP)).data["Total"]
    # Nothing refused is in force, nor shown.
    assert (await site.call("CheckBlacklist", **APP, Stream=f"{'x' * 200}{before}")).data["CheckResult"] == 0
    for action in QUESTIONS:
        assert (await timely(site, action)).data["RetCode"] == 0
    await set_pages(store, None)
    assert (await timely(site, "ForbidStream")).data["RetCode"] == 0
    assert (await site.call("GetBlacklist", **APP)).data["Total"] == before + 1
    assert len(await store.blacklist.since(0)) == before + 1


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the lock of writers."""
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            process.kill()


@pytest.mark.provokes(8200)
@pytest.mark.parametrize("action", CHANGES)
async def test_store_locked_by_another_process_is_8200_in_time_and_recovers(
    site: Site, tmp_path: Path, action: str
) -> None:
    banned = action == "ResumeStream"
    if banned:
        await site.call("ForbidStream", **KEY)
    with locked(tmp_path / FILE):
        assert (await timely(site, action)).data["RetCode"] == 8200
        for question in QUESTIONS:
            assert (await timely(site, question)).data["RetCode"] == 0
        await answers_from_memory(site, banned)
    site.now += 1
    assert (await timely(site, action)).data["RetCode"] == 0
    assert (await site.call("CheckBlacklist", **KEY)).data["CheckResult"] == int(not banned)


@pytest.mark.provokes("ServiceTimeout")
@pytest.mark.parametrize("question", QUESTIONS)
async def test_stalled_reads_are_a_service_timeout_within_the_deadline(site: Site, store: Store, question: str) -> None:
    gate = threading.Event()
    stalled = [asyncio.create_task(store.readers.ask(lambda _: gate.wait(30))) for _ in range(READERS)]
    await asyncio.sleep(0)
    try:
        reply = await timely(site, question)
        assert (reply.status, reply.error_code) == (500, "ServiceTimeout")
        await answers_from_memory(site, banned=False)
    finally:
        gate.set()
        await asyncio.gather(*stalled, return_exceptions=True)
    assert (await timely(site, question)).data["RetCode"] == 0


@pytest.mark.provokes(8200)
@pytest.mark.parametrize("action", CHANGES)
async def test_stalled_writes_are_8200_within_the_deadline(site: Site, store: Store, action: str) -> None:
    gate = threading.Event()
    stalled = asyncio.create_task(store.writer.write(lambda _: gate.wait(30)))
    await asyncio.sleep(0)
    try:
        assert (await timely(site, action)).data["RetCode"] == 8200
        await answers_from_memory(site, banned=False)
    finally:
        gate.set()
        await asyncio.gather(stalled, return_exceptions=True)
    assert (await timely(site, action)).data["RetCode"] == (0 if action == "ForbidStream" else 8201)


@pytest.mark.provokes("ServiceUnavailable")
@pytest.mark.parametrize("question", QUESTIONS)
async def test_damaged_file_is_service_unavailable_and_memory_still_answers(
    site: Site, tmp_path: Path, question: str
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / FILE
    path.write_bytes(b"not a database, whatever its name" + path.read_bytes()[33:])
    reply = await timely(site, question)
    assert (reply.status, reply.error_code) == (500, "ServiceUnavailable")
    assert b"database" not in reply.body
    await answers_from_memory(site, banned=False)
