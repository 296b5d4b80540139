"""The tables of the read model, as the newest migration leaves them: derived from the journal, and rebuilt from it."""

from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database.tables import metadata, project_column

HAS_NOT_ENDED = sa.text("ended_at IS NULL")


class TransactionId(sa.types.UserDefinedType[Any]):
    """The id of a transaction of Postgres."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return "xid8"


run_list = sa.Table(
    "run_list",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    project_column(),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("root", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("version", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("control", sa.Text, nullable=False),
    sa.Column("requested_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("seconds", sa.Float),
    sa.Column("exit", sa.Integer),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("definition", sa.Text),
    sa.Column("has_effect", sa.Boolean, nullable=False),
    sa.Column("plan", sa.Text),
    sa.Column("project_definition", sa.Text),
    sa.Index("run_list_id", "project", "id", unique=True),
    sa.Index("run_list_root", "root", "number"),
    sa.Index("run_list_environment", "environment", "number"),
    sa.Index("run_list_name", "name", "number"),
    sa.Index("run_list_digest", "digest", "environment", "number"),
    sa.Index("run_list_plan", "plan", "number"),
    sa.Index("run_list_project_definition", "project_definition", "number"),
    sa.Index("run_list_state", "state", "number"),
    sa.Index("run_list_kind", "kind", "number"),
    sa.Index("run_list_open", "number", sqlite_where=HAS_NOT_ENDED, postgresql_where=HAS_NOT_ENDED),
    sa.Index("run_list_open_in", "environment", "number", sqlite_where=HAS_NOT_ENDED, postgresql_where=HAS_NOT_ENDED),
)

run_steps = sa.Table(
    "run_steps",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("code", sa.Text),
    sa.Column("log", sa.Text, nullable=False, server_default=""),
    sa.Column("hosts_ok", sa.Integer, nullable=False, server_default="0"),
    sa.Column("hosts_bad", sa.Integer, nullable=False, server_default="0"),
    sa.Column("hosts_unknown", sa.Integer, nullable=False, server_default="0"),
    sa.Column("tests_ok", sa.Integer, nullable=False, server_default="0"),
    sa.Column("tests_bad", sa.Integer, nullable=False, server_default="0"),
    sa.Column("first_seq", sa.Integer, nullable=False),
    sa.Column("last_seq", sa.Integer),
    project_column(),
    sa.Index("run_steps_order", "run", "first_seq"),
)

run_hosts = sa.Table(
    "run_hosts",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("touched", sa.Boolean),
    project_column(),
    sa.Index("run_hosts_host", "host", "run"),
)

release_list = sa.Table(
    "release_list",
    metadata,
    project_column(),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("last_number", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("project", "digest"),
    sa.Index("release_list_last", "last_number", "name", "version", "digest"),
    sa.Index("release_list_name", "name", "last_number"),
)

host_list = sa.Table(
    "host_list",
    metadata,
    project_column(),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("truth", sa.Text, nullable=False),
    sa.Column("digest", sa.Text),
    sa.Column("is_running", sa.Boolean, nullable=False),
    sa.Column("is_standby", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("project", "environment", "host"),
    sa.Index("host_list_digest", "environment", "digest"),
    sa.Index("host_list_release", "digest"),
)

release_in_environment = sa.Table(
    "release_in_environment",
    metadata,
    project_column(),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("on_hosts", sa.Integer, nullable=False),
    sa.Column("standby_hosts", sa.Integer, nullable=False),
    sa.Column("verified_at", sa.Text),
    sa.Column("verified_by_run", sa.Text),
    sa.Column("run", sa.Text),
    sa.Column("run_kind", sa.Text),
    sa.Column("run_state", sa.Text),
    sa.PrimaryKeyConstraint("project", "digest", "environment"),
    sa.Index("release_in_environment_environment", "environment", "digest"),
    sa.Index("release_in_environment_digest", "digest", "environment"),
)

environment_summary = sa.Table(
    "environment_summary",
    metadata,
    project_column(),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("digest", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("version", sa.Text),
    sa.Column("verified_at", sa.Text),
    sa.Column("verified_by_run", sa.Text),
    sa.Column("run", sa.Text),
    sa.Column("run_kind", sa.Text),
    sa.Column("run_state", sa.Text),
    sa.Column("run_at", sa.Text),
    sa.Column("hosts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("hosts_on", sa.Integer, nullable=False, server_default="0"),
    sa.Column("hosts_unknown", sa.Integer, nullable=False, server_default="0"),
    sa.Column("open_runs", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("project", "environment"),
    sa.Index("environment_summary_environment", "environment"),
)

FEED_CHANNEL = "orchestrator_feed"
"""Postgres notifies its listeners when a transaction with entries of the feed is committed."""

feed = sa.Table(
    "feed",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("tx", TransactionId().with_variant(sa.Integer, "sqlite"), nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    project_column(),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("run", sa.Text),
    sa.Column("seq", sa.Integer),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Index("feed_order", "tx", "id"),
    sa.Index("feed_run", "run", "seq"),
    sqlite_autoincrement=True,
)

REBUILT = (run_list, run_steps, run_hosts, release_list, host_list, release_in_environment, environment_summary)
"""The tables that a rebuild writes again. The feed is not one of them: readers keep places in it."""

ALL_TABLES = metadata.tables
"""Every table of the journal's database, by name."""
