"""New words in the journal: a host may be `changing`. Postgres notifies workers of what is written.

The number of the schema also counts the words that entries use. A program that does not know them must not read them.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

FUNCTION = """
CREATE FUNCTION orchestrator_notify() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('orchestrator', ''); RETURN NULL; END $$
"""


def upgrade() -> None:
    """The tables stay as they are."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(FUNCTION)
    for table in ("works", "waits", "leases"):
        op.execute(
            f"CREATE TRIGGER {table}_notify AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION orchestrator_notify()"
        )
