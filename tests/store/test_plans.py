"""How SQLite answers the questions of history: by the index meant for each, without sorting or scanning."""

import pytest
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable

from openkls.store import Store
from openkls.store.blacklist import _since
from openkls.store.history import _count_statement, _page_statement, _purge, _spans_statement

KEY = "unique_name=? AND app=? AND pubdomain=?"
BEGAN = "pub_time>? AND pub_time<?"


async def explain(store: Store, statement: Executable) -> list[str]:
    sql = str(statement.compile(dialect=sqlite.dialect()))

    def question(connection: Connection) -> list[str]:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (0,) * sql.count("?"))
        return [row[3] for row in plan]

    return await store.readers.ask(question)


@pytest.mark.parametrize("errors", [False, True])
@pytest.mark.parametrize("one_stream", [False, True])
async def test_page_and_total_walk_their_index(store: Store, errors: bool, one_stream: bool) -> None:
    index = f"history_{'stream' if one_stream else 'app'}{'_errors' if errors else ''}"
    walk = f"INDEX {index} ({KEY}{' AND stream=?' if one_stream else ''} AND {BEGAN})"
    assert await explain(store, _count_statement(errors, one_stream)) == [f"SEARCH history USING COVERING {walk}"]
    for ascending in (False, True):
        plan = await explain(store, _page_statement(errors, one_stream, ascending))
        assert plan == [f"SEARCH history USING {walk}"]


@pytest.mark.parametrize("one_stream", [False, True])
async def test_spans_read_a_day_more_than_the_window_and_the_long_ones(store: Store, one_stream: bool) -> None:
    plan = await explain(store, _spans_statement(one_stream))
    index = "history_stream" if one_stream else "history_app"
    of_history = [step for step in plan if " history " in step]
    assert of_history == [
        f"SEARCH history USING INDEX {index} ({KEY}{' AND stream=?' if one_stream else ''} AND {BEGAN})",
        f"SEARCH history USING INDEX history_long ({KEY} AND fin_time>?)",
    ]


async def test_bans_are_read_by_version_and_purging_walks_old_ids_only(store: Store) -> None:
    assert await explain(store, _since) == ["SEARCH blacklist USING INDEX blacklist_version (version>?)"]
    plan = await explain(store, _purge)
    assert "SEARCH history USING INDEX sqlite_autoindex_history_1 (session_id<?)" in plan
    assert not [step for step in plan if step.startswith("SCAN")]
