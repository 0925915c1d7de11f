"""Audit, policies and expiry of key pairs, and a version of accounts. Rule: frozen; a change of the schema is a new
step."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GUARDS = (
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
    "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS "
    "(SELECT 1 FROM audit WHERE number = NEW.number) BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
)


def upgrade() -> None:
    """Add the columns, make the table and what keeps its rows as they are."""
    op.add_column("access_keys", sa.Column("policy", sa.Text))
    op.add_column("access_keys", sa.Column("expires_at", sa.BigInteger))
    op.add_column("accounts", sa.Column("version", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.create_index("accounts_version", "accounts", ["version"])
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("access_key", sa.String(128), nullable=False),
        sa.Column("address", sa.String(253), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_at", "audit", ["at", "number"])
    if op.get_bind().dialect.name == "sqlite":
        for guard in GUARDS:
            op.execute(guard)


def downgrade() -> None:
    """There is no way back: rows of a newer schema may mean nothing to an older program."""
    raise NotImplementedError("restore the backup made before the upgrade")
