"""The project definition of each run, with an index of it."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Add the column, which runs of earlier versions leave empty, and its index."""
    op.add_column("run_list", sa.Column("project_definition", sa.Text))
    op.create_index("run_list_project_definition", "run_list", ["project_definition", "number"])
