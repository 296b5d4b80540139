"""Rules of notifications, what they send, and how far the journal was read for them."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Make the tables."""
    _table("notification_rules")
    _table("feed_places")
    _table("notifications", _text("position"))
    op.create_index("notifications_position", "notifications", ["project", "position", "key"])
    op.create_index("notifications_part_position", "notifications", ["project", "part", "position", "key"])


def _table(name: str, *more: "sa.Column[str]") -> None:
    op.create_table(
        name,
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("part"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
        *more,
    )
    op.create_index(f"{name}_part", name, ["project", "part", "key"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
