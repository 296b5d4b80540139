"""The newest report of the requirements of each release in each environment."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "requirement_reports",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("part"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
    )
    op.create_index("requirement_reports_part", "requirement_reports", ["project", "part", "key"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
