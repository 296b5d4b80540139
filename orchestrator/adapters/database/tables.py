"""The tables, as the newest migration leaves them. `docs/reference/journal.md` describes them."""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()


def project_column() -> "sa.Column[str]":
    """The column with the project that a row belongs to: the one that the engine was opened for."""
    return sa.Column("project", sa.Text, nullable=False, server_default="", default=_project_of)


def _project_of(context: Any) -> str:
    return str(context.execution_options.get("project", ""))


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("root", sa.Text, nullable=False, index=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("last_seq", sa.Integer, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    project_column(),
    sa.Index("runs_environment", "environment", "number"),
)

STACK_WAS_MADE = sa.text("key = 'ephemeral:made'")

records = sa.Table(
    "records",
    metadata,
    sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text),
    sa.Column("data", sa.Text, nullable=False),
    project_column(),
    sa.UniqueConstraint("run", "key"),
    sa.Index("records_ephemeral", "key", "run", sqlite_where=STACK_WAS_MADE, postgresql_where=STACK_WAS_MADE),
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("data", sa.Text, nullable=False),
    project_column(),
)

verified = sa.Table(
    "verified",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    project_column(),
    sa.Index("verified_environment", "environment", "number"),
    sa.Index("verified_digest", "environment", "digest", "number"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    project_column(),
)

fences = sa.Table(
    "fences",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    project_column(),
)

queued_requests = sa.Table(
    "queued_requests",
    metadata,
    sa.Column("root", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("worker", sa.Text, nullable=False, index=True),
    sa.Column("data", sa.Text, nullable=False),
    project_column(),
    sa.Index("queued_requests_order", "done", "number"),
)

queue_entries = sa.Table(
    "queue_entries",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    project_column(),
    sa.UniqueConstraint("environment", "run"),
    sa.Index("queue_entries_order", "environment", "number"),
    sa.Index("queue_entries_run", "run"),
)


def _register_table(name: str, *more: sa.schema.SchemaItem) -> sa.Table:
    """The table of one kind of management record. *part* is what records are searched by beside their key."""
    return sa.Table(
        name,
        metadata,
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        *more,
        sa.Index(f"{name}_part", "project", "part", "key"),
    )


def _listed_table(name: str, *more: sa.schema.SchemaItem) -> sa.Table:
    """The table of a kind of record that is listed page by page, in the order of *position* and key.

    Those of `ABOUT` are found by what they are about, and by when they were written.
    """
    if name in ABOUT:
        more = (
            *more,
            sa.Column("about", sa.Text, nullable=False, server_default=""),
            sa.Index(f"{name}_about", "project", "about", "position", "key"),
            sa.Index(f"{name}_changed", "project", "changed_at"),
        )
    position = sa.Column("position", sa.Text, nullable=False)
    return _register_table(
        name,
        position,
        *more,
        sa.Index(f"{name}_position", "project", "position", "key"),
        sa.Index(f"{name}_part_position", "project", "part", "position", "key"),
    )


ABOUT = frozenset({"bookings", "change_requests", "notifications", "review_actions", "trains"})
"""The kinds whose `RecordKind.about` is kept."""
REGISTER = (
    "users", "user_groups", "service_accounts", "own_roles", "bindings", "absences", "tokens",
    "calendar_rules", "line_stops", "votes", "outbox",
    "plan_texts", "package_builders", "passwords", "sign_in_links", "accounts", "calendar_addresses",
    "notification_rules", "feed_places", "requirement_reports", "drift_reports", "parity_reports",
)  # fmt: skip
"""The kinds of management records that are found by their key or part; `domain/register.py` describes them."""

MANAGEMENT = ("counters", "booking_quotas", "train_lines", "hooks", "evidence_files")
"""The kinds of `orchestrator/management` that are found by their key."""

LISTED = (
    "run_requests", "overrides", "emergency_reviews",
    "change_requests", "bookings", "planned_releases", "implementation_plans", "release_reviews", "review_actions",
    "trains", "hook_deliveries", "notifications", "project_definitions",
)  # fmt: skip
"""The kinds that have a position: those of `domain/register.py` and those of `orchestrator/management`."""

register_tables = {
    **{name: _register_table(name) for name in (*REGISTER, *MANAGEMENT)},
    **{name: _listed_table(name) for name in LISTED},
}

scheduler_leases = sa.Table(
    "scheduler_leases",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("until", sa.Text, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("provider_session", sa.Text, nullable=False, server_default=""),
    sa.Index("sessions_user", "project", "user"),
    sa.Index("sessions_provider", "project", "provider_session"),
)

kept_once = sa.Table(
    "kept_once",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("until", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("kept_once_until", "project", "until"),
)

sign_in_failures = sa.Table(
    "sign_in_failures",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("last_at", sa.Text, nullable=False),
)

kept_replies = sa.Table(
    "kept_replies",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("actor", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("kept_replies_at", "project", "at"),
)

worker_calls = sa.Table(
    "worker_calls",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("until", sa.Text, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("worker_calls_until", "project", "until"),
)

definition_archives = sa.Table(
    "definition_archives",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("call", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("audit_call", "project", "call"),
    sa.Index("audit_at", "project", "at"),
    sa.Index("audit_actor", "project", "actor", "index"),
    sa.Index("audit_action", "project", "action", "index"),
    sa.Index("audit_object", "project", "object", "index"),
)
