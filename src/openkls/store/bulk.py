"""Many rows of history at once. Rule: they are counted by the code that counts those that come one by one."""

import operator
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from openkls.store.counts import Counted, add_rows
from openkls.store.database import Database
from openkls.store.tables import history

COLUMNS = tuple(column.name for column in history.columns)

_counted = operator.itemgetter(*(COLUMNS.index(name) for name in Counted._fields))
_fin_time = operator.itemgetter(COLUMNS.index("fin_time"))


def add_history(database: Database, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, each with the values of COLUMNS, and count them, within the caller's transaction. That they are not
    there yet, and that none ends before it began, is the caller's to know."""
    for day_end in {_fin_time(row) // 86400 * 86400 for row in rows}:
        database.make_room(connection, day_end)
    database.copy(connection, "history", COLUMNS, rows)
    add_rows(connection, [Counted(*_counted(row)) for row in rows])
