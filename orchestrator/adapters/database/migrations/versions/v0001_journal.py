"""The journal, and what is folded from it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    _journal()
    _folded()
    _leases()


def _journal() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("root", sa.Text, nullable=False, index=True),
        sa.Column("environment", sa.Text, nullable=False, index=True),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "records",
        sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text),
        sa.Column("data", sa.Text, nullable=False),
        sa.UniqueConstraint("run", "key"),
    )


def _folded() -> None:
    op.create_table(
        "hosts",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "verified",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False, index=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "fences",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("fence", sa.Integer, nullable=False),
    )
