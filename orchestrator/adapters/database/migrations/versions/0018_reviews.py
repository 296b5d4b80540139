"""Reviews of runs and releases, and their actions."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make both tables."""
    for table in ("release_reviews", "review_actions"):
        op.create_table(
            table,
            sa.Column("project", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            _text("part"),
            sa.Column("version", sa.Integer, nullable=False),
            *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
            _text("position"),
        )
        op.create_index(f"{table}_part", table, ["project", "part", "key"])
        op.create_index(f"{table}_position", table, ["project", "position", "key"])
        op.create_index(f"{table}_part_position", table, ["project", "part", "position", "key"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
