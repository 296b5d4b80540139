"""Project definitions: their records, and their archives."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "project_definitions",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("part"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data", "position")),
    )
    op.create_index("project_definitions_part", "project_definitions", ["project", "part", "key"])
    op.create_index("project_definitions_position", "project_definitions", ["project", "position", "key"])
    op.create_index("project_definitions_part_position", "project_definitions", ["project", "part", "position", "key"])
    op.create_table(
        "definition_archives",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
