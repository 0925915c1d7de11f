"""The outbox of callbacks, the parameters of live publishes, the audit by account.

Rule: frozen; a change of the schema is a new step.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = (
    ("callback_due", ["unique_name", "next_try", "number"], "next_try IS NOT NULL"),
    ("callback_waiting", ["unique_name", "app", "stream", "number"], "dead_at IS NULL"),
    ("callback_dead", ["unique_name", "dead_at", "number"], "dead_at IS NOT NULL"),
)


def upgrade() -> None:
    """Make the tables, the one row of the lease, and the index."""
    op.create_index("audit_account", "audit", ["account_id", "at", "number"])
    op.add_column("open_sessions", sa.Column("pub_param", sa.Text))
    op.create_table(
        "callback_outbox",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("unique_name", _text(64), nullable=False),
        sa.Column("app", _text(256), nullable=False),
        sa.Column("stream", _text(256), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_try", sa.BigInteger),
        sa.Column("dead_at", sa.BigInteger),
        sa.Column("error", sa.String(128), nullable=False),
        sqlite_autoincrement=True,
    )
    for name, columns, where in INDEXES:
        op.create_index(name, "callback_outbox", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "callback_spaces",
        sa.Column("unique_name", _text(64), primary_key=True),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("dead", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
    )
    lease = op.create_table(
        "callback_lease",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(lease, [{"name": "delivery", "owner": "", "until": 0}])


def downgrade() -> None:
    """There is no way back: rows of a newer schema may mean nothing to an older program."""
    raise NotImplementedError("restore the backup made before the upgrade")


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")
