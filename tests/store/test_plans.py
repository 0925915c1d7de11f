"""How SQLite answers the questions of history: by the index meant for each, without sorting or scanning."""

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable

from openkls.store import Store, outbox
from openkls.store.blacklist import _since
from openkls.store.counts import _look
from openkls.store.history import _old
from openkls.store.questions import count_statement, page_statement, spans_statement
from openkls.store.tables import audit
from openkls.store.walk import _inner, _parts_statement
from support_store import URL

KEY = "unique_name=? AND app=? AND pubdomain=?"
BEGAN = "pub_time>? AND pub_time<?"


@pytest.fixture
def url() -> str:
    return URL


async def explain(store: Store, statement: Executable, **lists: object) -> list[str]:
    """The steps of a plan; ``lists`` are the values of expanding parameters."""
    compiled = statement.compile(dialect=sqlite.dialect())
    sql = compiled._process_parameters_for_postcompile({**dict.fromkeys(compiled.binds), **lists}).statement  # type: ignore[attr-defined]

    def question(connection: Connection) -> list[str]:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (0,) * sql.count("?"))
        return [row[3] for row in plan]

    return await store.readers.ask(question)


@pytest.mark.parametrize("errors", [False, True])
@pytest.mark.parametrize("one_stream", [False, True])
async def test_page_and_total_walk_their_index(store: Store, errors: bool, one_stream: bool) -> None:
    index = f"history_{'stream' if one_stream else 'app'}{'_errors' if errors else ''}"
    walk = f"INDEX {index} ({KEY}{' AND stream=?' if one_stream else ''} AND {BEGAN})"
    plan = await explain(store, count_statement(errors, one_stream, False))
    assert [step for step in plan if " history " in step] == [f"SEARCH history USING COVERING {walk}"] * 2
    for ascending in (False, True):
        plan = await explain(store, page_statement(errors, one_stream, ascending, False))
        assert plan == [f"SEARCH history USING {walk}"]


@pytest.mark.parametrize("one_stream", [False, True])
async def test_spans_read_a_day_more_than_the_window_and_the_long_ones(store: Store, one_stream: bool) -> None:
    plan = await explain(store, spans_statement(one_stream, False))
    index = "history_stream" if one_stream else "history_app"
    of_history = [step for step in plan if " history " in step]
    assert of_history == [
        f"SEARCH history USING INDEX {index} ({KEY}{' AND stream=?' if one_stream else ''} AND {BEGAN})",
        f"SEARCH history USING INDEX history_long ({KEY} AND fin_time>?)",
    ]


async def test_bans_are_read_by_version_and_purging_walks_old_ids_only(store: Store) -> None:
    assert await explain(store, _since) == ["SEARCH blacklist USING INDEX blacklist_version (version>?)"]
    assert await explain(store, _old) == ["SEARCH history USING INDEX sqlite_autoindex_history_1 (session_id<?)"]


async def test_counts_are_found_by_their_key(store: Store) -> None:
    of = "unique_name=? AND app=? AND pubdomain=? AND stream=? AND errors=? AND seconds=?"
    search = f"SEARCH history_counts USING PRIMARY KEY ({of} AND start>? AND start<?)"
    assert await explain(store, _inner) == [search]
    plan = await explain(store, _parts_statement())
    looked_up = f"SEARCH history_counts USING PRIMARY KEY ({of} AND start=?)"
    assert [step for step in plan if "history_counts" in step] == ([looked_up] * 2 + [search] * 2) * 3
    plan = await explain(store, _look, streams=["a", "b", "c"])
    assert plan == [looked_up]


async def test_events_are_found_by_the_index_meant_for_each_however_many_wait(store: Store) -> None:
    of_stream = "callback_waiting (unique_name=? AND app=? AND stream=?)"
    assert any("callback_due (unique_name=? AND next_try" in step for step in await explain(store, outbox._due))
    assert not any("ORDER BY" in step for step in await explain(store, outbox._due))
    for statement in (outbox._add, outbox._promote):
        steps = await explain(store, statement)
        assert any(of_stream in step for step in steps), steps
        assert not any(step.startswith("SCAN") and "CONSTANT" not in step for step in steps), steps
    assert any("callback_dead (unique_name=?" in step for step in await explain(store, outbox._oldest_dead))


async def test_audit_of_an_account_is_walked_by_its_own_index(store: Store) -> None:
    newest = select(audit.c.number).where(audit.c.account_id == "a", audit.c.at >= 0)
    plan = await explain(store, newest.order_by(audit.c.at.desc(), audit.c.number.desc()))
    assert plan == ["SEARCH audit USING COVERING INDEX audit_account (account_id=? AND at>?)"]
    plan = await explain(store, select(audit.c.number).where(audit.c.account_id == "a"))
    assert plan == ["SEARCH audit USING COVERING INDEX audit_account (account_id=?)"]
