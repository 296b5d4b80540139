"""The words of this version in tables, and in rows of runs, requests and hosts. Entries of the journal stay."""

import sqlalchemy as sa
from alembic import op

from orchestrator.domain.stored_words import ENTRY_KINDS, TABLES, read_text

revision = "0014"
down_revision = "0013"

BATCH = 1000  # rows
INDEXES = {
    "ix_works_worker": ("ix_queued_requests_worker", "works", ["worker"]),
    "works_queue": ("queued_requests_order", "works", ["done", "number"]),
    "waits_order": ("queue_entries_order", "waits", ["environment", "number"]),
    "waits_run": ("queue_entries_run", "waits", ["run"]),
}


def upgrade() -> None:
    """Rename tables, and translate each row that has an earlier word. The read model is rebuilt afterwards."""
    for old, (_new, table, _columns) in INDEXES.items():
        op.drop_index(old, table)
    for old, new in TABLES.items():
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {old}_notify ON {old}")
        op.rename_table(old, new)
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE TRIGGER {new}_notify AFTER INSERT OR UPDATE OR DELETE ON {new} "
                "FOR EACH STATEMENT EXECUTE FUNCTION orchestrator_notify()"
            )
    for new, table, columns in INDEXES.values():
        op.create_index(new, TABLES[table], columns)
    _translate("runs", ("number",), "Run")
    _translate("queued_requests", ("number",), "QueuedRequest")
    _translate("hosts", ("environment", "host"), "HostState")
    feed = sa.table("feed", sa.column("kind", sa.Text))
    for old, new in ENTRY_KINDS.items():
        op.execute(feed.update().where(feed.c.kind == old).values(kind=new))


def _translate(table: str, key: tuple[str, ...], model: str) -> None:
    """Translate the rows of *table*, in the order of its *key*."""
    columns: list[sa.ColumnClause[str]] = [sa.column(name) for name in key]
    rows, db = sa.table(table, *columns, sa.column("data", sa.Text)), op.get_bind()
    last: tuple[object, ...] = ()
    while True:
        query = sa.select(rows).order_by(*columns).limit(BATCH)
        if last:
            query = query.where(sa.tuple_(*columns) > sa.tuple_(*last))
        found = db.execute(query).all()
        if not found:
            return
        last = tuple(getattr(found[-1], name) for name in key)
        for row in found:
            text = read_text(model, row.data)
            if text != row.data:
                mine = [column == getattr(row, column.name) for column in columns]
                db.execute(rows.update().where(*mine).values(data=text))
