"""Ephemeral stacks that were made are found by an index of their entries."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the index, which only has these entries."""
    made = sa.text("key = 'ephemeral:made'")
    op.create_index("records_ephemeral", "records", ["key", "run"], sqlite_where=made, postgresql_where=made)
