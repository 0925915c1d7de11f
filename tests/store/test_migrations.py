"""Databases of earlier versions: carried over with their rows."""

import sqlite3
from pathlib import Path

from openkls.domain.session import BreakCode
from openkls.store import counts, open_store
from support_store import KEY, NOON, SECRET, URL, build_query, build_row, check_exact, make_at


async def test_rows_of_schema_2_are_there_and_counted(tmp_path: Path) -> None:
    make_at(tmp_path / "openkls.db", "0002")
    made = [
        build_row(
            pub_time=NOON + 60 * (n % 7) + 3600 * (n % 3) + 86400 * (n % 2),
            code=BreakCode.FORBIDDEN if n % 5 == 0 else BreakCode.SUCCESS,
            accepted=n % 10 != 0,
        )
        for n in range(3600)
    ]
    db = sqlite3.connect(tmp_path / "openkls.db")
    for row in made:
        facts = row.facts
        db.execute(
            "INSERT INTO history (session_id, unique_name, pubdomain, app, stream, client_ip, client_port, node, "
            "boot_id, pub_time, fin_time, code, reason, accepted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(facts.session_id, KEY.unique_name, KEY.pubdomain, KEY.app, KEY.stream, facts.client_ip),
                *(facts.client_port, facts.node, facts.boot_id, facts.pub_time, row.fin_time, int(row.code)),
                *(str(row.reason), row.accepted),
            ),
        )
    db.commit()
    db.close()
    store = await open_store(URL, tmp_path, SECRET, deadline_seconds=20)
    try:
        found = await check_exact(store)
        page = await store.history.page(build_query())
        expected = sorted(
            (row for row in made if row.accepted), key=lambda row: (row.facts.pub_time, row.facts.session_id)
        )
        assert page.total == len(expected)
        assert page.rows == expected[:1000]
        assert counts.SPLIT_ROWS == 256
        assert {key[2] for key in found} == {86400, 3600, 60}
        await store.history.close(build_row())
        await check_exact(store)
    finally:
        await store.close()
