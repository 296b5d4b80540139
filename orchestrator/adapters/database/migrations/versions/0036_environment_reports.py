"""The newest report of drift, and that of parity, of each environment."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Make the tables."""
    for name in ("drift_reports", "parity_reports"):
        op.create_table(
            name,
            sa.Column("project", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            _text("part"),
            sa.Column("version", sa.Integer, nullable=False),
            *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
        )
        op.create_index(f"{name}_part", name, ["project", "part", "key"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
