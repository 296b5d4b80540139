"""New words in the journal: a host may be `changing`. The tables stay as they are.

The number of the schema also counts the words that entries use. A program that does not know them must not read them.
"""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing changes but the number."""
