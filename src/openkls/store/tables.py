"""The tables of the store. Rule: what stands here is what the newest migration makes; a test compares them.

Theory of operation. A live session is a row of ``open_sessions``, small and rewritten all the time; a session that is
over is a row of ``history``, which only grows and is only purged by age. A change of a ban or of a key pair takes the
next value of a row in ``counters`` within its own transaction. Rows of ``audit`` are only ever added. The three tables
of callbacks are outbox.py's.

The indexes of history. Every question names UniqueName, App and Pubdomain, then bounds the time: one index for a whole
app and one for a single stream, for accepted sessions and again, small, for errors. They begin with the key, go on
with the order of the answer, so that a page needs no sorting, and end with the columns of their own condition, so that
a count reads nothing but the index (at 500,000 rows 23 ms against 32 ms, and no table page on a cold cache).

``history_counts`` says how many rows there are in each day, and where there are many, in each hour and minute;
counts.py is their theory.

Overlap with a window (durations) is two questions. A session no longer than LONG_SECONDS that reaches into the window
began at most LONG_SECONDS before it: a range of the same index, one day wider. A longer one is found by its end in
``history_long``, which holds nothing else: a stream can end at most one of them a day. So nothing depends on a longest
length, and a day asked for out of 60 reads two days, not 60 (7 ms for 8,128 rows of 500,000).

PostgreSQL. History is partitioned by ``fin_time`` (partitions.py), which a primary key there has to include: that one
session has one row is then the doing of history.py, not of the key. Texts compare by their bytes there too (collation
"C"), as the order of an answer must not depend on a server's language.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    event,
    text,
)

METADATA = MetaData()

# The shortest window of ListStreamDurations, so that looking this far back at most doubles what is read.
LONG_SECONDS = 86400

# Conditions of partial indexes. They must be in the question word for word, without parameters, to be seen by the
# planners of SQLite and PostgreSQL.
ACCEPTED = "accepted"
ERRORS = "(code <> 200 OR NOT accepted)"
LONG = f"(accepted AND fin_time - pub_time > {LONG_SECONDS})"
DUE = "next_try IS NOT NULL"
WAITING = "dead_at IS NULL"
DEAD = "dead_at IS NOT NULL"

BANS_COUNTER = "blacklist"
KEYS_COUNTER = "access_keys"

# Lengths of the pieces of time that are counted; each holds a whole number of the next, and all begin at midnight UTC.
LEVELS = (86400, 3600, 60)


def _text(length: int) -> String:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_SESSION_ID = _text(32)


def _facts() -> list[Column[str] | Column[int]]:
    return [
        Column("session_id", _SESSION_ID, primary_key=True),
        Column("unique_name", _text(64), nullable=False),
        Column("pubdomain", _text(253), nullable=False),
        Column("app", _text(256), nullable=False),
        Column("stream", _text(256), nullable=False),
        Column("client_ip", String(45), nullable=False),
        Column("client_port", Integer, nullable=False),
        Column("node", String(253), nullable=False),
    ]


boots = Table(
    "boots",
    METADATA,
    Column("boot_id", String(64), primary_key=True),
    Column("node_id", String(64), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
)

open_sessions = Table(
    "open_sessions",
    METADATA,
    *_facts(),
    # A live session whose process nobody knows would never be found to have crashed.
    Column("boot_id", String(64), ForeignKey("boots.boot_id"), nullable=False),
    Column("pub_time", BigInteger, nullable=False),
    # Of a session whose start was told (callbacks); NULL of others.
    Column("pub_param", Text),
)

history = Table(
    "history",
    METADATA,
    *_facts(),
    Column("boot_id", String(64), nullable=False),
    Column("pub_time", BigInteger, nullable=False),
    Column("fin_time", BigInteger, nullable=False),
    Column("code", SmallInteger, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("accepted", Boolean, nullable=False),
    postgresql_partition_by="RANGE (fin_time)",
)

history_counts = Table(
    "history_counts",
    METADATA,
    Column("unique_name", _text(64), primary_key=True),
    Column("app", _text(256), primary_key=True),
    Column("pubdomain", _text(253), primary_key=True),
    # Empty: of all streams together.
    Column("stream", _text(256), primary_key=True),
    Column("errors", Boolean, primary_key=True),
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("row_count", BigInteger, nullable=False),
    # Whether the pieces of the next level are counted as well.
    Column("split", Boolean, nullable=False),
    # When the last of its rows ended, or later: keeps a question to few partitions.
    Column("last_end", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_APP = (history.c.unique_name, history.c.app, history.c.pubdomain)
_ORDER = (history.c.pub_time, history.c.session_id)


def _partial(name: str, *columns: Column[str] | Column[int] | Column[bool], where: str) -> Index:
    # PostgreSQL looks at the partition key too: without it in the index, each row would be fetched to be counted.
    return Index(
        name, *columns, sqlite_where=text(where), postgresql_where=text(where), postgresql_include=["fin_time"]
    )


_partial("history_app", *_APP, *_ORDER, history.c.accepted, where=ACCEPTED)
_partial("history_stream", *_APP, history.c.stream, *_ORDER, history.c.accepted, where=ACCEPTED)
_partial("history_app_errors", *_APP, *_ORDER, history.c.code, history.c.accepted, where=ERRORS)
_partial(
    "history_stream_errors",
    *(*_APP, history.c.stream, *_ORDER, history.c.code, history.c.accepted),
    where=ERRORS,
)
Index("history_long", *_APP, history.c.fin_time, sqlite_where=text(LONG), postgresql_where=text(LONG))

blacklist = Table(
    "blacklist",
    METADATA,
    Column("unique_name", String(64), primary_key=True),
    Column("pubdomain", String(253), primary_key=True),
    Column("app", String(256), primary_key=True),
    Column("stream", String(256), primary_key=True),
    Column("forbid_time", BigInteger, nullable=False),
    Column("till", BigInteger, nullable=False),
    Column("permanent", Boolean, nullable=False),
    Column("resumed", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("blacklist_version", "version", unique=True),
)

counters = Table(
    "counters",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

accounts = Table(
    "accounts",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False),
    # 0 until it is switched for the first time; on the counter of the key pairs.
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Index("accounts_version", "version"),
)

access_keys = Table(
    "access_keys",
    METADATA,
    Column("access_key", String(128), primary_key=True),
    Column("account_id", String(64), ForeignKey("accounts.id"), nullable=False),
    Column("sealed_secret", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("policy", Text),
    Column("expires_at", BigInteger),
    Index("access_keys_version", "version", unique=True),
)

audit = Table(
    "audit",
    METADATA,
    # AUTOINCREMENT: a number is never given twice, so that a gap shows what a hand took away.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("account_id", String(64), nullable=False),
    Column("access_key", String(128), nullable=False),
    Column("address", String(253), nullable=False),
    Column("action", String(64), nullable=False),
    Column("resource", Text, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Index("audit_at", "at", "number"),
    Index("audit_account", "account_id", "at", "number"),
    sqlite_autoincrement=True,
)

callback_outbox = Table(
    "callback_outbox",
    METADATA,
    # AUTOINCREMENT: what waits is told in the order of its numbers.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String(32), nullable=False),
    Column("unique_name", _text(64), nullable=False),
    Column("app", _text(256), nullable=False),
    Column("stream", _text(256), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Only of the first of each stream that waits.
    Column("next_try", BigInteger),
    Column("dead_at", BigInteger),
    Column("error", String(128), nullable=False),
    sqlite_autoincrement=True,
)


def _of_outbox(name: str, *columns: str, where: str) -> Index:
    of = (callback_outbox.c[column] for column in columns)
    return Index(name, *of, sqlite_where=text(where), postgresql_where=text(where))


_of_outbox("callback_due", "unique_name", "next_try", "number", where=DUE)
_of_outbox("callback_waiting", "unique_name", "app", "stream", "number", where=WAITING)
_of_outbox("callback_dead", "unique_name", "dead_at", "number", where=DEAD)

callback_spaces = Table(
    "callback_spaces",
    METADATA,
    Column("unique_name", _text(64), primary_key=True),
    Column("waiting", BigInteger, nullable=False),
    Column("dead", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
)

callback_lease = Table(
    "callback_lease",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", BigInteger, nullable=False),
)

# Append-only is the database's own rule, for whatever program opens it. INSERT OR REPLACE deletes a row without asking
# the trigger that guards deletes, hence the third.
AUDIT_GUARDS = {
    "sqlite": (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS "
        "(SELECT 1 FROM audit WHERE number = NEW.number) BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit is append-only'; END $$",
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_guard()",
    ),
}
for _dialect, _guards in AUDIT_GUARDS.items():
    for _guard in _guards:
        event.listen(audit, "after_create", DDL(_guard).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
