"""Records of the register are listed by their times, and the last three tables get the column of the project."""

import json

import sqlalchemy as sa
from alembic import op

from orchestrator.domain.moments import moment_text, parse_moment

revision = "0021"
down_revision = "0020"
TIMES = {"run_requests": "requested_at", "overrides": "at", "emergency_reviews": "opened_at"}
"""The field of each kind that is its position."""


def upgrade() -> None:
    """Add the columns, the indexes by positions, and one for the entries of the audit stream that explain it."""
    for table, field in TIMES.items():
        op.add_column(table, sa.Column("position", sa.Text, nullable=False, server_default=""))
        _place(table, field)
        op.create_index(f"{table}_position", table, ["project", "position", "key"])
        op.create_index(f"{table}_part_position", table, ["project", "part", "position", "key"])
        if op.get_bind().dialect.name == "postgresql":
            patterns = {"key": "text_pattern_ops"}
            op.create_index(f"{table}_key", table, ["project", "key"], postgresql_ops=patterns)
    for table in ("records", "run_steps", "run_hosts"):
        op.add_column(table, sa.Column("project", sa.Text, nullable=False, server_default=""))
    op.create_index("audit_action", "audit", ["project", "action", "index"])


def _place(table: str, field: str) -> None:
    project, key, data, position = (sa.column(name, sa.Text) for name in ("project", "key", "data", "position"))
    rows, db = sa.table(table, project, key, data, position), op.get_bind()
    for row in db.execute(sa.select(project, key, data)).all():
        if time := json.loads(row.data).get(field):
            at = moment_text(parse_moment(time))
            db.execute(rows.update().where(project == row.project, key == row.key).values(position=at))
