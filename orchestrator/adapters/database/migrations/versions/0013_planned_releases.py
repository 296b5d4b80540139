"""Planned releases."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "planned_releases",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("part"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
        _text("position"),
    )
    op.create_index("planned_releases_part", "planned_releases", ["project", "part", "key"])
    op.create_index("planned_releases_position", "planned_releases", ["project", "position", "key"])
    op.create_index("planned_releases_part_position", "planned_releases", ["project", "part", "position", "key"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
