"""The first tables: sessions, bans, accounts and key pairs. Rule: frozen; a change of the schema is a new step."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACCEPTED = "accepted"
ERRORS = "(code <> 200 OR NOT accepted)"
LONG = "(accepted AND fin_time - pub_time > 86400)"


def upgrade() -> None:
    """Make the tables."""
    _make_sessions()
    _make_bans()
    _make_keys()


def downgrade() -> None:
    """There is no way back: rows of a newer schema may mean nothing to an older program."""
    raise NotImplementedError("restore the backup made before the upgrade")


def _facts() -> list[sa.Column[str] | sa.Column[int]]:
    return [
        sa.Column("session_id", sa.String(32), primary_key=True),
        sa.Column("unique_name", sa.String(64), nullable=False),
        sa.Column("pubdomain", sa.String(253), nullable=False),
        sa.Column("app", sa.String(256), nullable=False),
        sa.Column("stream", sa.String(256), nullable=False),
        sa.Column("client_ip", sa.String(45), nullable=False),
        sa.Column("client_port", sa.Integer, nullable=False),
        sa.Column("node", sa.String(253), nullable=False),
    ]


def _make_sessions() -> None:
    op.create_table(
        "boots",
        sa.Column("boot_id", sa.String(64), primary_key=True),
        sa.Column("node_id", sa.String(64), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "open_sessions",
        *_facts(),
        sa.Column("boot_id", sa.String(64), sa.ForeignKey("boots.boot_id"), nullable=False),
        sa.Column("pub_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "history",
        *_facts(),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("pub_time", sa.BigInteger, nullable=False),
        sa.Column("fin_time", sa.BigInteger, nullable=False),
        sa.Column("code", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
    )
    app = ["unique_name", "app", "pubdomain"]
    order = ["pub_time", "session_id"]
    _index("history_app", [*app, *order, "accepted"], ACCEPTED)
    _index("history_stream", [*app, "stream", *order, "accepted"], ACCEPTED)
    _index("history_app_errors", [*app, *order, "code", "accepted"], ERRORS)
    _index("history_stream_errors", [*app, "stream", *order, "code", "accepted"], ERRORS)
    _index("history_long", [*app, "fin_time"], LONG)


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "history", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _make_bans() -> None:
    op.create_table(
        "blacklist",
        sa.Column("unique_name", sa.String(64), primary_key=True),
        sa.Column("pubdomain", sa.String(253), primary_key=True),
        sa.Column("app", sa.String(256), primary_key=True),
        sa.Column("stream", sa.String(256), primary_key=True),
        sa.Column("forbid_time", sa.BigInteger, nullable=False),
        sa.Column("till", sa.BigInteger, nullable=False),
        sa.Column("permanent", sa.Boolean, nullable=False),
        sa.Column("resumed", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("blacklist_version", "blacklist", ["version"], unique=True)
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "blacklist", "value": 0}, {"name": "access_keys", "value": 0}])


def _make_keys() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
    )
    op.create_table(
        "access_keys",
        sa.Column("access_key", sa.String(128), primary_key=True),
        sa.Column("account_id", sa.String(64), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("sealed_secret", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("access_keys_version", "access_keys", ["version"], unique=True)
