"""The read model, an order over all entries, and the project that each row belongs to.

The migration makes the tables. The program that runs it fills them from the journal afterwards.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

WITH_PROJECT = ("runs", "hosts", "verified", "leases", "fences", "works", "waits")


def upgrade() -> None:
    """Make the tables and indexes."""
    for table in WITH_PROJECT:
        op.add_column(table, _project())
    op.drop_index("ix_runs_environment", "runs")
    op.create_index("runs_environment", "runs", ["environment", "number"])
    op.drop_index("ix_verified_environment", "verified")
    op.create_index("verified_environment", "verified", ["environment", "number"])
    op.create_index("verified_digest", "verified", ["environment", "digest", "number"])
    op.create_index("works_queue", "works", ["done", "number"])
    op.drop_index("ix_works_done", "works")
    op.create_index("waits_order", "waits", ["environment", "number"])
    op.create_index("waits_run", "waits", ["run"])
    if op.get_bind().dialect.name == "postgresql":  # ids by a prefix, whatever the language of the database
        op.create_index("runs_beginning", "runs", ["id"], postgresql_ops={"id": "text_pattern_ops"})
    _run_list()
    _run_steps()
    _releases()
    _environments()
    _feed()


def _project() -> "sa.Column[str]":
    return sa.Column("project", sa.Text, nullable=False, server_default="")


def _count(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)


def _maybe(*names: str) -> "list[sa.Column[str]]":
    return [sa.Column(name, sa.Text) for name in names]


def _run_list() -> None:
    op.create_table(
        "run_list",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _project(),
        *(_text(name) for name in ("id", "root", "kind", "environment")),
        *_maybe("name", "version", "digest"),
        *(_text(name) for name in ("by", "state", "control", "requested_at")),
        *_maybe("ended_at"),
        sa.Column("seconds", sa.Float),
        sa.Column("exit", sa.Integer),
        _text("message"),
        *_maybe("definition"),
        sa.Column("has_effect", sa.Boolean, nullable=False),
    )
    op.create_index("run_list_id", "run_list", ["project", "id"], unique=True)
    op.create_index("run_list_root", "run_list", ["root", "number"])
    op.create_index("run_list_environment", "run_list", ["environment", "number"])
    op.create_index("run_list_name", "run_list", ["name", "number"])
    op.create_index("run_list_digest", "run_list", ["digest", "environment", "number"])
    op.create_index("run_list_state", "run_list", ["state", "number"])
    op.create_index("run_list_kind", "run_list", ["kind", "number"])
    has_not_ended = sa.text("ended_at IS NULL")
    only: dict[str, Any] = {"sqlite_where": has_not_ended, "postgresql_where": has_not_ended}
    op.create_index("run_list_open", "run_list", ["number"], **only)
    op.create_index("run_list_open_in", "run_list", ["environment", "number"], **only)


def _run_steps() -> None:
    op.create_table(
        "run_steps",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        *(_text(name) for name in ("verb", "label", "started_at")),
        *_maybe("finished_at", "outcome"),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        *_maybe("code"),
        sa.Column("log", sa.Text, nullable=False, server_default=""),
        *(_count(name) for name in ("hosts_ok", "hosts_bad", "hosts_unknown", "tests_ok", "tests_bad")),
        sa.Column("first_seq", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.Integer),
    )
    op.create_index("run_steps_order", "run_steps", ["run", "first_seq"])
    op.create_table(
        "run_hosts",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("run", "step", "host")),
        _text("verb"),
        *_maybe("outcome"),
        sa.Column("touched", sa.Boolean),
    )
    op.create_index("run_hosts_host", "run_hosts", ["host", "run"])


def _releases() -> None:
    op.create_table(
        "release_list",
        _project(),
        _text("digest"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("last_number", sa.Integer, nullable=False),
        *(_text(name) for name in ("name", "version")),
        sa.PrimaryKeyConstraint("project", "digest"),
    )
    op.create_index("release_list_last", "release_list", ["last_number"])
    op.create_index("release_list_name", "release_list", ["name", "last_number"])
    op.create_table(
        "release_in_environment",
        _project(),
        *(_text(name) for name in ("digest", "environment")),
        sa.Column("on_hosts", sa.Integer, nullable=False),
        sa.Column("standby_hosts", sa.Integer, nullable=False),
        *_maybe("verified_at", "verified_by_run", "run", "run_kind", "run_state"),
        sa.PrimaryKeyConstraint("project", "digest", "environment"),
    )
    op.create_index("release_in_environment_environment", "release_in_environment", ["environment", "digest"])
    op.create_index("release_in_environment_digest", "release_in_environment", ["digest", "environment"])


def _environments() -> None:
    op.create_table(
        "host_list",
        _project(),
        *(_text(name) for name in ("environment", "host", "truth")),
        *_maybe("digest"),
        sa.Column("is_running", sa.Boolean, nullable=False),
        sa.Column("is_standby", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("project", "environment", "host"),
    )
    op.create_index("host_list_digest", "host_list", ["environment", "digest"])
    op.create_index("host_list_release", "host_list", ["digest"])
    op.create_table(
        "environment_summary",
        _project(),
        _text("environment"),
        *_maybe(
            "digest", "name", "version", "verified_at", "verified_by_run", "run", "run_kind", "run_state", "run_at"
        ),
        *(_count(name) for name in ("hosts", "hosts_on", "hosts_unknown", "open_runs")),
        sa.PrimaryKeyConstraint("project", "environment"),
    )
    op.create_index("environment_summary_environment", "environment_summary", ["environment"])


def _feed() -> None:
    """Postgres writes the transaction of each row, because it gives out ids before a transaction is committed."""
    columns = (
        "at TEXT NOT NULL, project TEXT DEFAULT '' NOT NULL, environment TEXT NOT NULL, run TEXT, seq INTEGER, "
        "kind TEXT NOT NULL"
    )
    if op.get_bind().dialect.name == "postgresql":
        head = "id BIGSERIAL NOT NULL PRIMARY KEY, tx xid8 DEFAULT pg_current_xact_id() NOT NULL"
    else:
        head = "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, tx INTEGER DEFAULT 0 NOT NULL"
    op.execute(f"CREATE TABLE feed ({head}, {columns})")
    op.create_index("feed_order", "feed", ["tx", "id"])
    op.create_index("feed_run", "feed", ["run", "seq"])
