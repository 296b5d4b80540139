"""The rule of each notification, by which lists find it, and an index of when notifications were written."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
NAME, AT_ONCE = "notifications", 500


def upgrade() -> None:
    """Add the column with its values, and both indexes."""
    op.add_column(NAME, sa.Column("about", sa.Text, nullable=False, server_default=""))
    _fill()
    op.create_index(f"{NAME}_about", NAME, ["project", "about", "position", "key"])
    op.create_index(f"{NAME}_changed", NAME, ["project", "changed_at"])


def _fill() -> None:
    """Write the rule of each notification, in the order of project and key."""
    table = sa.table(NAME, *(sa.column(each) for each in ("project", "key", "data", "about")))
    project, key, db = table.c.project, table.c.key, op.get_bind()
    query = sa.select(project, key, table.c.data).order_by(project, key).limit(AT_ONCE)
    after = ("", "")
    while rows := db.execute(query.where(sa.tuple_(project, key) > sa.tuple_(*map(sa.literal, after)))).all():
        for row in rows:
            rule = str(json.loads(row.data)["rule"])
            db.execute(table.update().where(project == row.project, key == row.key).values(about=rule))
        after = (rows[-1].project, rows[-1].key)
