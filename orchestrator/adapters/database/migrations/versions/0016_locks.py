"""New words in the journal: runs that record a lock and its end. The tables stay as they are."""

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Change nothing: an older program must not read the new words."""
