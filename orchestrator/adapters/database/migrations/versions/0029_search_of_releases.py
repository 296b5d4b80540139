"""An index with all that a search for releases compares, in the order of its result."""

from alembic import op

revision = "0029"
down_revision = "0027"


def upgrade() -> None:
    """Put the texts into the index of the newest releases."""
    op.drop_index("release_list_last", "release_list")
    op.create_index("release_list_last", "release_list", ["last_number", "name", "version", "digest"])
