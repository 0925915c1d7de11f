"""kill -9: what was acknowledged is there."""

import subprocess
import sys
from pathlib import Path

from openkls.domain.audit import AuditQuery
from openkls.store import open_store
from support_store import KEY, NOON, SECRET, build_query, check_exact

CHILD = Path(__file__).with_name("child_writer.py")
ACKNOWLEDGED = 400


def run_until_killed(folder: Path, round_number: int, url: str) -> list[bytes]:
    with subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), str(round_number), url], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(ACKNOWLEDGED)]
        child.kill()
        # Whatever stands in the pipe was acknowledged too; the last line may be cut.
        lines += child.stdout.read().splitlines(keepends=True)
    assert child.returncode == -9
    return lines


async def test_every_acknowledged_write_survives_kill_9(url: str, tmp_path: Path) -> None:
    closed, bans, opened = set(), set(), set()
    for round_number in range(2):
        for line in run_until_killed(tmp_path, round_number, url):
            if not line.endswith(b"\n"):
                continue
            what, name = line.decode().split()
            {"closed": closed, "ban": bans, "open": opened}[what].add(name)
    store = await open_store(url, tmp_path, SECRET, deadline_seconds=20)
    found = set()
    while True:
        page = await store.history.page(build_query(limit=5000, offset=len(found)))
        found |= {row.facts.session_id for row in page.rows}
        if not page.rows:
            break
    left = {facts.session_id for facts in await store.history.close_lapsed("node1", "now", 0)}
    known_bans = await store.blacklist.since(0)
    assert len(closed) + len(bans) + len(opened) >= 2 * ACKNOWLEDGED
    assert closed <= found
    assert opened <= found | left
    assert not found & left
    await check_exact(store)
    assert bans <= {ban.key.stream for ban in known_bans}
    # A ban and its row in the audit are there both, acknowledged or not.
    audited = [entry.resource for entry in await store.audit.read(AuditQuery(limit=len(known_bans) + 1))]
    assert sorted(audited) == sorted(ban.key.stream for ban in known_bans)
    versions = [ban.version for ban in known_bans]
    assert versions == sorted(set(versions))
    assert await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False) is not None
    await store.close()
