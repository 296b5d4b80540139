"""Accounts at providers, the sessions that come from them, and what is kept for one use."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Make the tables, and add the column of sessions."""
    op.create_table(
        "accounts",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("part"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
    )
    op.create_index("accounts_part", "accounts", ["project", "part", "key"])
    op.create_table(
        "kept_once",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("until"),
        _text("data"),
    )
    op.create_index("kept_once_until", "kept_once", ["project", "until"])
    op.add_column("sessions", sa.Column("provider_session", sa.Text, nullable=False, server_default=""))
    op.create_index("sessions_provider", "sessions", ["project", "provider_session"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
