"""Fencing tokens of 15 digits on every database, as hosts read them. A higher one that a host had raised is lowered.

A Postgres column of 32 bits refused tokens from 2^31 on. A token of more than 15 digits is not read by any host, which
therefore accepted older ones. The next token must be one that hosts read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

HIGHEST = 900_000_000_000_000
LARGEST = 10**15 - 1


def upgrade() -> None:
    """Widen the column where it is too narrow (SQLite has one width), and lower what no host reads."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("fences", "fence", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
    lowered = sa.text("UPDATE fences SET fence = :highest WHERE fence > :largest")
    op.execute(lowered.bindparams(sa.bindparam("highest", HIGHEST), sa.bindparam("largest", LARGEST)))
