"""The names of the options of this version in run requests. Entries of the journal stay."""

import sqlalchemy as sa
from alembic import op

from orchestrator.domain.stored_words import read_text

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Translate each run request that has an earlier name of a field."""
    project, key, data = sa.column("project", sa.Text), sa.column("key", sa.Text), sa.column("data", sa.Text)
    requests, db = sa.table("run_requests", project, key, data), op.get_bind()
    earlier = sa.select(requests).where(data.like('%"again"%')).order_by(project, key)
    for row in db.execute(earlier).all():
        text = read_text("RunRequest", row.data)
        db.execute(requests.update().where(project == row.project, key == row.key).values(data=text))
