"""The register: users, access, the calendar, run requests, votes, notifications and the audit stream."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

RECORDS = (
    "users", "user_groups", "service_accounts", "own_roles", "bindings", "absences", "tokens",
    "calendar_rules", "line_stops", "run_requests", "votes", "overrides", "emergency_reviews", "outbox",
)  # fmt: skip
AUDIT_TEXTS = ("call", "at", "actor", "action", "object", "data")
AUDIT_INDEXES = {
    "audit_call": ["project", "call"],
    "audit_at": ["project", "at"],
    "audit_actor": ["project", "actor", "index"],
    "audit_object": ["project", "object", "index"],
}


def upgrade() -> None:
    """Make the tables."""
    for name in RECORDS:
        op.create_table(
            name,
            sa.Column("project", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            _text("part"),
            sa.Column("version", sa.Integer, nullable=False),
            *(_text(column) for column in ("created_at", "created_by", "changed_at", "changed_by", "data")),
        )
        op.create_index(f"{name}_part", name, ["project", "part", "key"])
    op.create_table(
        "audit",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        *(_text(column) for column in AUDIT_TEXTS),
    )
    for index, columns in AUDIT_INDEXES.items():
        op.create_index(index, "audit", columns)


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)
