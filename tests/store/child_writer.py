"""Writes sessions and bans for ever and tells each one that was acknowledged; test_durability kills it."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

# As a program of its own it does not get pytest's pythonpath.
sys.path.insert(0, str(Path(__file__).parents[1]))

from openkls.domain.audit import AuditEntry, Author
from openkls.domain.session import BreakCode, HistoryRow, Reason
from openkls.store import Store, open_store
from support_store import KEY, NOON, SECRET, build_facts


async def publish(store: Store, boot_id: str, lane: int) -> None:
    for number in range(1_000_000):
        facts = build_facts(replace(KEY, stream=f"s{lane}"), NOON + number % 1000, boot_id)
        await store.history.open(facts)
        print("open", facts.session_id, flush=True)
        await store.history.close(HistoryRow(facts, NOON + 2000, BreakCode.SUCCESS, Reason.CLOSED))
        print("closed", facts.session_id, flush=True)
        stream = f"{boot_id}-{lane}-{number}"
        key = replace(KEY, stream=stream)
        entry = AuditEntry(NOON, "1", Author("AK1", "192.0.2.1"), "ForbidStream", stream, "0")
        await store.blacklist.forbid(key, NOON, NOON + 60, False, entry)
        print("ban", stream, flush=True)


async def main(folder: Path, boot_id: str, url: str) -> None:
    store = await open_store(url, folder, SECRET, deadline_seconds=20)
    await store.history.begin_boot(boot_id, "node1", NOON)
    await asyncio.gather(*(publish(store, boot_id, lane) for lane in range(8)))


asyncio.run(main(Path(sys.argv[1]), f"boot{sys.argv[2]}", sys.argv[3]))
