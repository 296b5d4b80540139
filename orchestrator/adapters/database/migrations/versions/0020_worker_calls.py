"""Calls of use cases that a worker executes for a server."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "worker_calls",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("at", "until", "holder", "data")),
    )
    op.create_index("worker_calls_until", "worker_calls", ["project", "until"])
