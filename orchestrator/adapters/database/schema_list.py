"""The list of objects that a database of ours may have: those that the migrations of this program make, and no other.

A trigger, view or function that came with a backup would run when the database is used. So a restore compares every
object with the list first.
"""

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import sqlalchemy as sa

from orchestrator.adapters.database.engine import alembic_config
from orchestrator.adapters.database.read_tables import ALL_TABLES
from orchestrator.domain.stored_words import TABLES as EARLIER_TABLES

Objects = set[tuple[str, str, str]]
"""The kind, name and definition of objects of SQLite."""

ALEMBIC, ENGINE_VERSION = "alembic_version", "dbos_migrations"
OF_SQLITE = {
    ("sqlite_sequence", "create table sqlite_sequence ( name , seq )"),
    ("sqlite_stat1", "create table sqlite_stat1 ( tbl , idx , stat )"),
    ("sqlite_stat4", "create table sqlite_stat4 ( tbl , idx , neq , nlt , ndlt , sample )"),
}
"""Tables that SQLite makes for itself, with their definitions."""


# -- SQLite ------------------------------------------------------------------------------------------------------------


def unlisted(path: Path, *, engine: bool = False) -> list[str]:
    """The objects of the SQLite file *path* that are not on the list; *engine*: of the engine's database.

    If there are none, the objects that a journal lacks. Raises `sqlite3.Error` if the file cannot be read.
    """
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        database.execute("PRAGMA trusted_schema = OFF")
        objects = _objects(database)
        tables = {name for kind, name, _ in objects if kind == "table"}
        known = _of_engine(_number(database, tables)) if engine else _of_journal(_version(database, tables))
    lacking = set() if engine else known - objects
    strange = [f"{kind} {name}" for kind, name, _ in objects - known]
    return sorted(strange) or sorted(f"no {kind} {name}" for kind, name, _ in lacking)


def _objects(database: sqlite3.Connection) -> Objects:
    rows = database.execute("SELECT type, name, sql FROM sqlite_master")
    found = {(str(kind), str(name), _plain(str(sql or ""))) for kind, name, sql in rows}
    return {(kind, name, sql) for kind, name, sql in found if not _of_sqlite(kind, name, sql)}


def _of_sqlite(kind: str, name: str, sql: str) -> bool:
    """Whether SQLite makes such an object on its own. A prefix of the name is not enough: a file can have any name."""
    if kind == "index":
        return name.startswith("sqlite_autoindex_") and not sql
    return kind == "table" and (name, sql) in OF_SQLITE


def _plain(sql: str) -> str:
    """A definition without what differs from version to version of the programs that write it."""
    return re.sub(r"\s+", " ", re.sub(r"([(),])", r" \1 ", sql.replace('"', ""))).strip().lower()


def _version(database: sqlite3.Connection, tables: set[str]) -> str | None:
    rows = database.execute(f"SELECT version_num FROM {ALEMBIC}").fetchall() if ALEMBIC in tables else []  # noqa: S608
    if len(rows) > 1:
        raise sqlite3.DatabaseError("the database has more than one schema version")
    return str(rows[0][0]) if rows else None


def _number(database: sqlite3.Connection, tables: set[str]) -> int:
    asked = f"SELECT version FROM {ENGINE_VERSION}"  # noqa: S608
    row = database.execute(asked).fetchone() if ENGINE_VERSION in tables else None
    return row[0] if row and isinstance(row[0], int) else 0


def _of_journal(version: str | None) -> Objects:
    """The objects of a journal of that schema, made by our own migrations."""
    from alembic import command

    engine, config = sa.create_engine("sqlite://"), alembic_config()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, version or "head")
            raw = connection.connection.driver_connection
            return _objects(raw) if isinstance(raw, sqlite3.Connection) else set()
    finally:
        engine.dispose()


def _of_engine(number: int) -> Objects:
    """The objects of the engine's database after so many of its migrations."""
    from dbos._migration import sqlite_migrations

    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE TABLE {ENGINE_VERSION} (version INTEGER NOT NULL PRIMARY KEY)")
        for migration in sqlite_migrations[:number]:
            for statement in filter(str.strip, migration.split(";")):
                database.execute(statement)
        return _objects(database)


# -- Postgres ----------------------------------------------------------------------------------------------------------

NAME = r"\"?[A-Za-z_]\w*\"?"
FULL = rf"(?:public|dbos|\"dbos\")\.(?P<name>{NAME})"
HARMLESS = (
    r"SET (?:statement_timeout|lock_timeout|idle_in_transaction_session_timeout|transaction_timeout) = 0",
    r"SET (?:check_function_bodies = false|xmloption = content|client_min_messages = warning|row_security = off)",
    r"SET (?:client_encoding = 'UTF8'|standard_conforming_strings = on)",
    r"SET (?:default_tablespace = ''|default_table_access_method = heap)",
    r"SELECT pg_catalog\.set_config\('search_path', '', false\)",
    r"SELECT pg_catalog\.setval\('[\w.\"]+', \d+, (?:true|false)\)",
    r"CREATE SCHEMA (?:public|dbos)",
    r"COMMENT ON SCHEMA public IS '[^']*'",
    rf"(?:CREATE|ALTER) SEQUENCE {FULL}[^;]*",
)
ON_TABLE = (
    rf"CREATE TABLE {FULL} \(.*\)",
    rf"ALTER TABLE (?:ONLY )?{FULL} (?:ADD CONSTRAINT|ALTER COLUMN|CLUSTER ON|REPLICA IDENTITY) .*",
    rf"CREATE (?:UNIQUE )?INDEX {NAME} ON (?:ONLY )?{FULL} .*",
    rf"COPY {FULL} \([^()]*\) FROM stdin",
)
FUNCTION = re.compile(
    rf"CREATE FUNCTION {FULL}\(.*?\) RETURNS \S.*? AS (?P<tag>\$\w*\$)(?P<body>.*?)(?P=tag)\s*", re.DOTALL
)
TRIGGER = re.compile(rf"CREATE TRIGGER (?P<trigger>{NAME}) .* ON {FULL} .*EXECUTE FUNCTION (?:public|dbos)\.\w+\(\)")
BODY = re.compile(r"(?P<tag>\$\w*\$)(?P<body>.*?)(?P=tag)", re.DOTALL)
TRIGGERS = re.compile(r"CREATE TRIGGER (\w+)")
TABLES = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?\S*?\.?\"?(\w+)\"?\s*\(", re.IGNORECASE)
RESTRICT = re.compile(r"\\(?:un)?restrict \w+")  # of newer programs: while it holds, psql runs no command of its own
QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
FORBIDDEN = re.compile(r"[;$\\]|--|/\*|[eE&]''|\bPROGRAM\b", re.IGNORECASE)
"""What would let a definition be read in another way than here: comments, and other ways to quote."""

CALL = re.compile(r"((?:\w+\s*\.\s*)*\w+)\s*\(")
CALLED = {"pg_current_xact_id", "now", "gen_random_uuid", "extract", "date_part", "coalesce", "nextval"}
WORDS = {
    "and", "any", "as", "array", "btree", "check", "default", "gin", "hash", "identity", "in", "include", "key", "not",
    "numeric", "or", "unique", "values", "varchar", "varying", "where", "with",
}  # fmt: skip
"""What may be before a parenthesis in the definition of a table or index, besides the name of a table."""


def unlisted_statements(lines: Iterable[str]) -> list[str]:
    """The statements of a script of `pg_restore` that are not on the list; each by its first words."""
    listed = _Listed()
    return sorted({text[:100] for text in _statements(lines) if not listed.has(text)})


class _Listed:
    """What the migrations of this program make in Postgres."""

    def __init__(self) -> None:
        from dbos._migration import get_dbos_migrations

        sources = [text for notify in (True, False) for text in get_dbos_migrations("dbos", notify)]
        sources += [path.read_text("utf-8") for path in sorted(_migrations().glob("*.py"))]
        text = "\n".join(sources)
        own = {*ALL_TABLES, *EARLIER_TABLES}
        self.tables = {*own, ALEMBIC, ENGINE_VERSION, *TABLES.findall(text)}
        self.triggers = {*TRIGGERS.findall(text), *(f"{table}_notify" for table in own)}
        self.bodies = {_squeezed(match["body"]) for match in BODY.finditer(text)}

    def has(self, text: str) -> bool:
        """Whether a statement is on the list."""
        if match := FUNCTION.fullmatch(text):
            head = _plainly(text[: match.start("tag")])
            return _squeezed(match["body"]) in self.bodies and not FORBIDDEN.search(head)
        flat = _squeezed(text)
        if FORBIDDEN.search(_plainly(flat)):
            return False
        if match := TRIGGER.fullmatch(flat):
            return match["trigger"].strip('"') in self.triggers
        if any(re.fullmatch(pattern, flat) for pattern in HARMLESS):
            return True
        found = next(filter(None, (re.fullmatch(pattern, flat) for pattern in ON_TABLE)), None)
        return found is not None and found["name"].strip('"') in self.tables and self._calls_nothing(flat)

    def _calls_nothing(self, flat: str) -> bool:
        """Whether a definition calls no function but those on the list: they run with each row, and when it is made."""
        names = {name.rpartition(".")[::2] for name in CALL.findall(_plainly(flat))}
        known = CALLED | WORDS
        return all(
            (schema in {"", "pg_catalog"} and name.lower() in known)
            or (schema in {"public", "dbos"} and name in self.tables)
            for schema, name in names
        )


def _plainly(text: str) -> str:
    """*text* without the content of its strings, and without the quotes of its names; a strange name becomes `$`."""

    def plain(match: re.Match[str]) -> str:
        if match[0].startswith("'"):
            return "''"
        return match[0][1:-1] if re.fullmatch(NAME, match[0]) else "$"

    return QUOTED.sub(plain, text)


def _migrations() -> Path:
    return Path(__file__).parent / "migrations" / "versions"


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _statements(lines: Iterable[str]) -> Iterator[str]:
    """The statements of a script, without comments, and without the rows that follow a `COPY`."""
    waiting, inside = "", False
    for line in lines:
        if inside:
            inside = line.rstrip("\r\n") != "\\."
            continue
        if not waiting and (not line.strip() or line.startswith("--") or RESTRICT.fullmatch(line.strip())):
            continue
        waiting += line
        if line.startswith("\\"):  # a command of psql
            yield waiting.strip()
            waiting = ""
        elif line.rstrip().endswith(";") and _is_whole(waiting):
            text = waiting.strip().removesuffix(";").strip()
            yield text
            waiting, inside = "", bool(re.match(r"COPY .* FROM stdin$", text))
    if waiting.strip():
        yield waiting.strip()


def _is_whole(text: str) -> bool:
    """Whether no quoted text is open at the end of *text*."""
    tags = re.findall(r"\$\w*\$", text)
    plain = BODY.sub("", text)
    return all(tags.count(tag) % 2 == 0 for tag in set(tags)) and plain.count("'") % 2 == 0
