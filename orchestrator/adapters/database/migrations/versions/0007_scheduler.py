"""Plans as they were shown to approvers, who built packages, and the lease of the process that does what is due."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    for name in ("plan_texts", "package_builders"):
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
        "scheduler_leases",
        sa.Column("project", sa.Text, primary_key=True),
        _text("holder"),
        sa.Column("fence", sa.Integer, nullable=False),
        _text("until"),
    )


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
