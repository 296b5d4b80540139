"""The files of evidence of tasks, by their digests."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "evidence_files",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("part"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
    )
    op.create_index("evidence_files_part", "evidence_files", ["project", "part", "key"])


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
