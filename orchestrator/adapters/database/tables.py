"""The tables, as the newest migration leaves them. `docs/reference/journal.md` describes them."""

import sqlalchemy as sa

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("root", sa.Text, nullable=False, index=True),
    sa.Column("environment", sa.Text, nullable=False, index=True),
    sa.Column("last_seq", sa.Integer, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)

records = sa.Table(
    "records",
    metadata,
    sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text),
    sa.Column("data", sa.Text, nullable=False),
    sa.UniqueConstraint("run", "key"),
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("data", sa.Text, nullable=False),
)

verified = sa.Table(
    "verified",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False, index=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)

fences = sa.Table(
    "fences",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
)

works = sa.Table(
    "works",
    metadata,
    sa.Column("root", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("done", sa.Boolean, nullable=False, index=True),
    sa.Column("worker", sa.Text, nullable=False, index=True),
    sa.Column("data", sa.Text, nullable=False),
)

waits = sa.Table(
    "waits",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.UniqueConstraint("environment", "run"),
)
