"""Hooks and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Make the tables."""
    _table("hooks")
    _table("hook_deliveries", _text("position"))
    op.create_index("hook_deliveries_position", "hook_deliveries", ["project", "position", "key"])
    op.create_index("hook_deliveries_part_position", "hook_deliveries", ["project", "part", "position", "key"])


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
