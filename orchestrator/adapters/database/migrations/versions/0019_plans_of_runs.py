"""Runs are found by their plans."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column, which the rebuild after a migration fills, and its index."""
    op.add_column("run_list", sa.Column("plan", sa.Text))
    op.create_index("run_list_plan", "run_list", ["plan", "number"])
