"""The questions that history answers, as statements. Rule: one for each form that a question takes, made once; whether
history is kept by days is known here and nowhere above."""

import functools
from typing import Any

from sqlalchemy import (
    BigInteger,
    Select,
    bindparam,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.sql import ColumnElement, CompoundSelect
from sqlalchemy.sql.selectable import ScalarSelect

from openkls.store.tables import ACCEPTED, ERRORS, LONG, METADATA, history, open_sessions


def _of_key(name: str, one_stream: bool) -> list[ColumnElement[bool]]:
    table = METADATA.tables[name]
    columns = ["unique_name", "app", "pubdomain", *(["stream"] if one_stream else [])]
    return [table.c[column] == bindparam(column) for column in columns]


def _listed(errors: bool, one_stream: bool, by_day: bool, bounds: tuple[str, str]) -> list[ColumnElement[bool]]:
    condition: ColumnElement[bool] = literal_column(ERRORS if errors else ACCEPTED)
    first, last = bindparam(bounds[0], type_=BigInteger), bindparam(bounds[1], type_=BigInteger)
    # Which rows end from the window's start on is no condition, but says which days to look at.
    days = [history.c.fin_time.between(first, bindparam("last_end"))] if by_day else []
    return [*_of_key("history", one_stream), history.c.pub_time.between(first, last), *days, condition]


@functools.cache
def count_statement(errors: bool, one_stream: bool, by_day: bool) -> Select[tuple[int, int]]:
    """The rows of two ranges of time, one by one."""

    def rows(name: str) -> ScalarSelect[int]:
        wanted = _listed(errors, one_stream, by_day, (f"{name}_from", f"{name}_to"))
        return select(func.count()).select_from(history).where(*wanted).scalar_subquery()

    return select(rows("first"), rows("last"))


@functools.cache
def page_statement(errors: bool, one_stream: bool, ascending: bool, by_day: bool) -> Select[Any]:
    """The rows of a range of time, in order."""
    order = [history.c.pub_time, history.c.session_id]
    return (
        select(history)
        .where(*_listed(errors, one_stream, by_day, ("start", "end")))
        .order_by(*(column.asc() if ascending else column.desc() for column in order))
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )


@functools.cache
def spans_statement(one_stream: bool, by_day: bool) -> CompoundSelect[Any]:
    """Three disjoint kinds (see tables.py): began at most LONG_SECONDS before the window or within it; began before
    that, so that it is a long one if it reaches in; live."""
    of_history = select(history.c.stream, history.c.pub_time, history.c.fin_time, history.c.session_id)
    recent = of_history.where(
        *_of_key("history", one_stream),
        literal_column(ACCEPTED),
        history.c.pub_time > bindparam("early"),
        history.c.pub_time < bindparam("end"),
        or_(history.c.fin_time > bindparam("start"), history.c.pub_time >= bindparam("start")),
        *([history.c.fin_time >= bindparam("start")] if by_day else []),
    )
    # Adding nothing hides these columns from the planner, which would walk all of time in another index.
    long = of_history.where(
        *_of_key("history", False),
        literal_column(LONG),
        history.c.fin_time > bindparam("start"),
        history.c.pub_time + 0 <= bindparam("early"),
        *([history.c.stream.concat("") == bindparam("stream")] if one_stream else []),
    )
    live = select(
        open_sessions.c.stream,
        open_sessions.c.pub_time,
        null().label("fin_time"),
        open_sessions.c.session_id,
    ).where(*_of_key("open_sessions", one_stream), open_sessions.c.pub_time < bindparam("end"))
    return union_all(recent, long, live).order_by(text("pub_time"), text("session_id")).limit(bindparam("limit"))
