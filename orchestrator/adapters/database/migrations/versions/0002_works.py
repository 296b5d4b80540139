"""Tables for requests and their workers, and for the queue of each environment."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and find again what had not ended."""
    works = op.create_table(
        "works",
        sa.Column("root", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("done", sa.Boolean, nullable=False, index=True),
        sa.Column("worker", sa.Text, nullable=False, index=True),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "waits",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.UniqueConstraint("environment", "run"),
    )
    rows = _asked()
    if rows:
        op.bulk_insert(works, rows)


def _asked() -> list[dict[str, object]]:
    """The requests from before this table existed: the first record of each root's first run contains them."""
    db, rows = op.get_bind(), {}
    found = db.execute(
        sa.text(
            "SELECT runs.root, runs.data, records.data FROM runs LEFT JOIN records "
            "ON records.run = runs.id AND records.seq = 1 ORDER BY runs.number"
        )
    )
    for root, run, record in found:
        ended = json.loads(run).get("ended_at") is not None
        first = json.loads(record) if record else {}
        if first.get("kind") == "requested":
            rows[root] = {"root": root, "asked": first["data"]}
        if root in rows:
            rows[root]["done"] = ended
    return [
        {"root": root, "number": number, "done": row["done"], "worker": "", "data": json.dumps(row)}
        for number, (root, row) in enumerate(rows.items(), start=1)
    ]
