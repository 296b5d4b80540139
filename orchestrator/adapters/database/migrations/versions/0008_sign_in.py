"""Passwords, one-time links, sessions, failed sign-ins and kept replies of the server."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    for name in ("passwords", "sign_in_links"):
        op.create_table(
            name,
            sa.Column("project", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            _text("part"),
            sa.Column("version", sa.Integer, nullable=False),
            *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
        )
        op.create_index(f"{name}_part", name, ["project", "part", "key"])
    op.create_table(
        "sessions",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, primary_key=True),
        _text("user"),
        _text("data"),
    )
    op.create_index("sessions_user", "sessions", ["project", "user"])
    op.create_table(
        "sign_in_failures",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        _text("last_at"),
    )
    op.create_table(
        "kept_replies",
        *(sa.Column(column, sa.Text, primary_key=True) for column in ("project", "actor", "key")),
        _text("at"),
        _text("data"),
    )
    op.create_index("kept_replies_at", "kept_replies", ["project", "at"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
