"""Pages and spans against a list in memory that answers the same questions."""

import asyncio
import itertools
import operator
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openkls.domain.ports import Span
from openkls.domain.session import BreakCode, HistoryRow, SessionFacts
from openkls.store import Store, counts, open_store
from openkls.store.tables import LONG_SECONDS
from support_store import KEY, NOON, SECRET, URL, build_facts, build_query, build_row
from tools.postgres import PrivatePostgres

SEAM = NOON % 86400 + 60
# Few seconds and few names, so that rows collide in everything but their ids.
# Around a full minute and hour, where the counts have their seams, and a few hours and days off.
seconds = st.builds(operator.add, st.integers(-3, 3), st.sampled_from([0, 0, -SEAM, 3600 - SEAM]))
lengths = st.one_of(st.integers(0, 3), st.integers(LONG_SECONDS - 2, LONG_SECONDS + 5), st.just(30 * LONG_SECONDS))
outcomes = st.sampled_from([(BreakCode.SUCCESS, True), (BreakCode.FORBIDDEN, True), (BreakCode.FORBIDDEN, False)])
streams = st.sampled_from(["s1", "s2"])
rows = st.lists(st.tuples(seconds, lengths, outcomes, streams), max_size=25)
lives = st.lists(st.tuples(seconds, streams), max_size=4)
asked_streams = st.sampled_from([None, "s1", "s2", "s3"])

_spaces = itertools.count()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """One store for all examples; each example has a space of its own in it."""
    folder: Path = tmp_path_factory.mktemp("model")
    url = URL
    if request.param == "postgresql":
        server: PrivatePostgres = request.getfixturevalue("postgres")
        url = server.create("model", template="migrated")
    store = runner.run(open_store(url, folder, SECRET, deadline_seconds=20))
    runner.run(store.history.begin_boot("boot1", "node1", NOON))
    with pytest.MonkeyPatch.context() as patch:
        # So that a few rows are counted at every level.
        patch.setattr(counts, "SPLIT_ROWS", 2)
        yield store
    runner.run(store.close())


async def fill(
    store: Store, drawn: list[tuple[int, int, tuple[BreakCode, bool], str]], unique_name: str
) -> list[HistoryRow]:
    made = [
        build_row(
            replace(KEY, unique_name=unique_name, stream=stream),
            NOON + began,
            NOON + began + (length if accepted else 0),
            code,
            accepted,
        )
        for began, length, (code, accepted), stream in drawn
    ]
    await asyncio.gather(*(store.history.close(row) for row in made))
    return made


@settings(max_examples=60, deadline=None)
@given(rows, asked_streams, st.booleans(), st.booleans(), seconds, seconds)
def test_every_page_is_the_models(
    shared: Store,
    runner: asyncio.Runner,
    drawn: list[tuple[int, int, tuple[BreakCode, bool], str]],
    stream: str | None,
    errors: bool,
    ascending: bool,
    start: int,
    end: int,
) -> None:
    async def check() -> None:
        unique_name = f"space{next(_spaces)}"
        made = await fill(shared, drawn, unique_name)
        expected = sorted(
            (
                row
                for row in made
                if (row.code != BreakCode.SUCCESS or not row.accepted if errors else row.accepted)
                and stream in (None, row.facts.key.stream)
                and NOON + start <= row.facts.pub_time <= NOON + end
            ),
            key=lambda row: (row.facts.pub_time, row.facts.session_id),
            reverse=not ascending,
        )
        whole = build_query(
            replace(KEY, unique_name=unique_name),
            stream,
            start=NOON + start,
            end=NOON + end,
            errors=errors,
            ascending=ascending,
        )
        for limit in (1, 3, len(expected) + 1):
            for offset in range(0, len(expected) + 2, limit):
                page = await shared.history.page(replace(whole, offset=offset, limit=limit))
                assert page.total == len(expected)
                assert page.rows == expected[offset : offset + limit]

    runner.run(check())


@settings(max_examples=60, deadline=None)
@given(rows, lives, asked_streams, seconds, st.integers(1, 4), st.integers(0, 6))
def test_spans_are_the_models(
    shared: Store,
    runner: asyncio.Runner,
    drawn: list[tuple[int, int, tuple[BreakCode, bool], str]],
    live: list[tuple[int, str]],
    stream: str | None,
    start: int,
    length: int,
    limit: int,
) -> None:
    async def check() -> None:
        unique_name = f"space{next(_spaces)}"
        made = await fill(shared, drawn, unique_name)
        living = [build_facts(replace(KEY, unique_name=unique_name, stream=name), NOON + began) for began, name in live]
        await asyncio.gather(*(shared.history.open(facts) for facts in living))
        ends: list[tuple[SessionFacts, int | None]] = [(facts, None) for facts in living]
        ends += [(row.facts, row.fin_time) for row in made if row.accepted]
        # A later window too, so that sessions longer than LONG_SECONDS began well before it.
        for first in (NOON + start, NOON + start + LONG_SECONDS + 1, NOON + start + 20 * LONG_SECONDS):
            expected = [
                Span(facts.key.stream, facts.pub_time, over)
                for facts, over in sorted(ends, key=lambda end: (end[0].pub_time, end[0].session_id))
                if stream in (None, facts.key.stream)
                and facts.pub_time < first + length
                and (over is None or over > first or (over == first == facts.pub_time))
            ]
            found = await shared.history.spans(
                unique_name, KEY.app, KEY.pubdomain, stream, first, first + length, limit
            )
            assert found == expected[: limit + 1]

    runner.run(check())
