"""What bookings, change requests, actions and trains are about, and an index of when they were written."""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
AT_ONCE = 500
ABOUT: dict[str, Callable[[dict[str, Any]], str]] = {
    "bookings": lambda data: str(data["environment"]),
    "change_requests": lambda data: str(data.get("source_ref") or ""),
    "review_actions": lambda data: str(data["review"]),
    "trains": lambda data: str(data.get("line") or ""),
}


def upgrade() -> None:
    """Add the column with its values, and both indexes."""
    for name, about in ABOUT.items():
        op.add_column(name, sa.Column("about", sa.Text, nullable=False, server_default=""))
        _fill(name, about)
        op.create_index(f"{name}_about", name, ["project", "about", "position", "key"])
        op.create_index(f"{name}_changed", name, ["project", "changed_at"])


def _fill(name: str, about: Callable[[dict[str, Any]], str]) -> None:
    """Write what each record is about, in the order of project and key."""
    table = sa.table(name, *(sa.column(each) for each in ("project", "key", "data", "about")))
    project, key, db = table.c.project, table.c.key, op.get_bind()
    query = sa.select(project, key, table.c.data).order_by(project, key).limit(AT_ONCE)
    after = ("", "")
    while rows := db.execute(query.where(sa.tuple_(project, key) > sa.tuple_(*map(sa.literal, after)))).all():
        for row in rows:
            found = about(json.loads(row.data))
            if found:
                db.execute(table.update().where(project == row.project, key == row.key).values(about=found))
        after = (rows[-1].project, rows[-1].key)
