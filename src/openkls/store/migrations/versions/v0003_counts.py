"""Counts of history; on PostgreSQL, history by days and the guard of the audit. Rule: frozen; a change of the schema is
a new step.

PostgreSQL came with this step: the tables that it makes anew there cannot hold rows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SPLIT_ROWS = 256
LEVELS = (86400, 3600, 60)
ACCEPTED = "accepted"
ERRORS = "(code <> 200 OR NOT accepted)"
LONG = "(accepted AND fin_time - pub_time > 86400)"
GUARDS = (
    "CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'audit is append-only'; END $$",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_guard()",
)


def upgrade() -> None:
    """Make the table of counts and count what there is."""
    op.create_table(
        "history_counts",
        sa.Column("unique_name", _text(64), primary_key=True),
        sa.Column("app", _text(256), primary_key=True),
        sa.Column("pubdomain", _text(253), primary_key=True),
        sa.Column("stream", _text(256), primary_key=True),
        sa.Column("errors", sa.Boolean, primary_key=True),
        sa.Column("seconds", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("split", sa.Boolean, nullable=False),
        sa.Column("last_end", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        _partition()
        for guard in GUARDS:
            op.execute(guard)
    else:
        _count()


def downgrade() -> None:
    """There is no way back: rows of a newer schema may mean nothing to an older program."""
    raise NotImplementedError("restore the backup made before the upgrade")


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _count() -> None:
    for errors, condition in ((0, ACCEPTED), (1, ERRORS)):
        for stream, column in (("''", "''"), ("stream", "history.stream")):
            above = 0
            for seconds in LEVELS:
                # Of the finer levels, only what lies in a full piece of the level above.
                inside = (
                    " AND EXISTS (SELECT 1 FROM history_counts c WHERE c.unique_name = history.unique_name "  # noqa: S608
                    f"AND c.app = history.app AND c.pubdomain = history.pubdomain AND c.stream = {column} "
                    f"AND c.errors = {errors} AND c.seconds = {above} AND c.start = pub_time - pub_time % {above} "
                    "AND c.split)"
                )
                split = f"count(*) > {SPLIT_ROWS}" if seconds != LEVELS[-1] else "0"
                op.execute(
                    "INSERT INTO history_counts (unique_name, app, pubdomain, stream, errors, seconds, start, "  # noqa: S608
                    f"row_count, split, last_end) SELECT unique_name, app, pubdomain, {stream}, {errors}, {seconds}, "
                    f"pub_time - pub_time % {seconds}, count(*), {split}, max(fin_time) "
                    f"FROM history WHERE {condition}{inside if above else ''} GROUP BY 1, 2, 3, 4, 7"
                )
                above = seconds


def _partition() -> None:
    op.drop_table("open_sessions")
    op.drop_table("history")
    facts = (
        ("session_id", _text(32)),
        ("unique_name", _text(64)),
        ("pubdomain", _text(253)),
        ("app", _text(256)),
        ("stream", _text(256)),
        ("client_ip", sa.String(45)),
        ("client_port", sa.Integer()),
        ("node", sa.String(253)),
    )
    op.create_table(
        "open_sessions",
        *(sa.Column(name, kind, nullable=False) for name, kind in facts),
        sa.Column("boot_id", sa.String(64), sa.ForeignKey("boots.boot_id"), nullable=False),
        sa.Column("pub_time", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("session_id"),
    )

    op.create_table(
        "history",
        *(sa.Column(name, kind, nullable=False) for name, kind in facts),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("pub_time", sa.BigInteger, nullable=False),
        sa.Column("fin_time", sa.BigInteger, nullable=False),
        sa.Column("code", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "fin_time"),
        postgresql_partition_by="RANGE (fin_time)",
    )
    app = ["unique_name", "app", "pubdomain"]
    order = ["pub_time", "session_id"]
    for name, columns, where in (
        ("history_app", [*app, *order, "accepted"], ACCEPTED),
        ("history_stream", [*app, "stream", *order, "accepted"], ACCEPTED),
        ("history_app_errors", [*app, *order, "code", "accepted"], ERRORS),
        ("history_stream_errors", [*app, "stream", *order, "code", "accepted"], ERRORS),
    ):
        op.create_index(name, "history", columns, postgresql_where=sa.text(where), postgresql_include=["fin_time"])
    op.create_index("history_long", "history", [*app, "fin_time"], postgresql_where=sa.text(LONG))
