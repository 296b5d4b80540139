"""Implementation plans."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "implementation_plans",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("part"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
        _text("position"),
    )
    op.create_index("implementation_plans_part", "implementation_plans", ["project", "part", "key"])
    op.create_index("implementation_plans_position", "implementation_plans", ["project", "position", "key"])
    op.create_index(
        "implementation_plans_part_position", "implementation_plans", ["project", "part", "position", "key"]
    )


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
