"""S21: backups that were changed: their manifest, their files, their form, and what is in their databases."""

import hashlib
import io
import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.adapters.backup import authentication, restore
from orchestrator.adapters.backup.archive import BackupManifest, BackupReader, open_backup, write_backup
from orchestrator.adapters.backup.content import BackupPaths
from orchestrator.adapters.backup.take import take
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database import schema_list
from orchestrator.adapters.database.schema_list import unlisted_statements
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.release import PackageFile
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S21", "backups that were changed"

AT = "2026-01-01T00:00:00.000Z"
SECRET = b"correct horse battery staple"
REFUSED = {"S115", "S130", "S131", "S191", "S192"}
SALT = "00" * 16  # one for all: each derivation takes long


# -- a good backup -----------------------------------------------------------------------------------------------------


def _places(folder: Path) -> BackupPaths:
    return BackupPaths("shop", folder, f"sqlite:///{folder}/state.db")


def _make(folder: Path, _end: ExitStack) -> Path:
    """A whole backup of a small state."""
    state = folder / "state"
    for name, data in {
        "pulumi/passphrase": b"x" * 20,
        "project.key": b"k" * 32,
        "pulumi/backend/x.json": b"{}",
    }.items():
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(data)
        (state / name).chmod(0o600)
    places = _places(state)
    store = DatabaseStore(places.store, SystemClock())
    store.create(Run(id="r1-staging", root="r1", kind="promotion", environment="staging", release=None, by="ann"))
    store.close()
    with closing(sqlite3.connect(state / "dbos.db")):
        pass
    take(places, folder / "good.backup", AT, SECRET)
    return folder / "good.backup"


def _read(file: Path) -> tuple[BackupManifest, dict[str, bytes]]:
    with open_backup(file) as source:
        reader = BackupReader(source)
        return reader.description, {about.path: b"".join(data) for about, data in reader.content()}


def _sealed(manifest: BackupManifest, files: dict[str, bytes], *, signed: bool) -> bytes:
    """A backup with these files, every digest computed again, and with the right code if it is *signed*."""
    listed = []
    for name, data in sorted(files.items()):
        listed.append(PackageFile(path=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), executable=False))
    manifest = manifest.model_copy(update={"files": tuple(listed)})
    if signed:
        about = authentication.BackupAuthentication(salt=SALT)
        code = authentication._code(manifest.to_json(), about, SECRET)
        manifest = manifest.model_copy(update={"authentication": about.model_copy(update={"code": code})})
    out = io.BytesIO()
    write_backup(out, manifest, lambda name: io.BytesIO(files[name]))
    return out.getvalue()


# -- what is changed ---------------------------------------------------------------------------------------------------

Change = Callable[[BackupManifest, dict[str, bytes], bytes, random.Random], bytes]


def _rewritten(field: str, value: Any) -> Change:
    """Another value in the manifest, with all digests right and no new code."""

    def work(manifest: BackupManifest, files: dict[str, bytes], _data: bytes, _chance: random.Random) -> bytes:
        changed = manifest.model_copy(update={field: value})
        out = io.BytesIO()
        write_backup(out, changed, lambda name: io.BytesIO(files[name]))
        return out.getvalue()

    return work


def _replaced_text(old: str, new: str) -> Change:
    """Another text in the manifest itself, of the same length."""

    def work(_manifest: BackupManifest, _files: dict[str, bytes], data: bytes, _chance: random.Random) -> bytes:
        found = re.search(old.encode(), data)
        assert found is not None, old
        assert len(found[0]) == len(new), old
        return data.replace(found[0], new.encode(), 1)

    return work


def _file(name: str, data: bytes | None) -> Change:
    """Another content of a file; None: the file is left out. All digests are right."""

    def work(manifest: BackupManifest, files: dict[str, bytes], _data: bytes, _chance: random.Random) -> bytes:
        changed = {path: content for path, content in files.items() if path != name or data is not None}
        if data is not None:
            changed[name] = data
        return _sealed(manifest, changed, signed=False)

    return work


def _form(change: Callable[[bytes, random.Random], bytes]) -> Change:
    return lambda _manifest, _files, data, chance: change(data, chance)


def _flipped(part: float) -> Change:
    def work(data: bytes, chance: random.Random) -> bytes:
        at = min(len(data) - 1025, int(len(data) * part) + chance.randint(0, 50))
        at = next((place for place in range(at, len(data) - 1024) if data[place]), at)  # padding is refused as well
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return _form(work)


MANIFEST: dict[str, Change] = {
    "the project of the manifest": _rewritten("project", "other"),
    "the store of the manifest": _rewritten("store", "postgresql"),
    "the time of the manifest": _rewritten("made_at", "2027-01-01T00:00:00.000Z"),
    "the program of the manifest": _rewritten("program", "0.0.1"),
    "the schema of the manifest": _rewritten("schema_version", "0000"),
    "the logs of the manifest": _rewritten("logs", True),
    "the withheld secrets of the manifest": _rewritten("withheld", ()),
    "the authentication, which is removed": _rewritten("authentication", None),
    "the iterations of the key": _replaced_text('"iterations":3', '"iterations":1'),
    "the memory of the key": _replaced_text('"memory_kib":65536', '"memory_kib":00008'),
    "the lanes of the key": _replaced_text('"lanes":4', '"lanes":1'),
    "the function of the key": _replaced_text('"kdf":"argon2id"', '"kdf":"argon2i_"'),
    "the salt": _replaced_text('"salt":"[0-9a-f]{32}"', f'"salt":"{"0" * 32}"'),
    "the code": _replaced_text('"code":"[0-9a-f]{64}"', f'"code":"{"0" * 64}"'),
    "the kind of the manifest": _replaced_text('"kind":"Backup"', '"kind":"Packag"'),
    "the version of the manifest": _replaced_text("orchestrator/v1", "orchestrator/v9"),
    "a field that is unknown": _replaced_text('"logs":', '"logz":'),
    "the executable bit of a file": _replaced_text('"executable":false', '"executable":true '),
    "a path that leads outside": _replaced_text('"pulumi/backend/x.json"', '"../../../../../x.json"'),
    "a path from the root": _replaced_text('"pulumi/backend/x.json"', '"/ulumi/backend/x.json"'),
    "a path in another case": _replaced_text('"pulumi/backend/x.json"', '"Pulumi/backend/x.json"'),
}
FILES: dict[str, Change] = {
    "a state of Pulumi": _file("pulumi/backend/x.json", b'{"evil": 1}'),
    "a new state of Pulumi": _file("pulumi/backend/y.json", b"{}"),
    "a state of Pulumi that is gone": _file("pulumi/backend/x.json", None),
    "a project key that is added": _file("project.key", b"e" * 32),
    "a passphrase that is added": _file("pulumi/passphrase", b"evil"),
    "a plan that is added": _file("plans/0000/plan.json", b"{}"),
    "a package that is added": _file("packages/evil.release", b"x"),
    "a log that is added": _file("jobs/x/output.log", b"x"),
    "a list of awaited secrets": _file("withheld.json", b'{"withheld":[]}'),
    "a file of another name": _file("evil.sh", b"#!/bin/sh"),
    "unfinished changes of the journal": _file("journal.db-wal", b"x" * 100),
    "a rollback journal": _file("journal.db-journal", b"x" * 100),
    "unfinished changes of the engine": _file("engine.db-wal", b"x" * 100),
    "a journal that is empty": _file("journal.db", b""),
    "a journal that is none": _file("journal.db", b"x" * 5000),
    "a journal that is gone": _file("journal.db", None),
    "a dump beside the journal": _file("database.dump", b"PGDMP"),
}
FORM: dict[str, Change] = {
    "nothing at all": _form(lambda _data, _chance: b""),
    "only the manifest": _form(lambda data, _chance: data[:4096]),
    "an end that is cut off": _form(lambda data, _chance: data[:-1024]),
    "half of it": _form(lambda data, _chance: data[: len(data) // 1024 * 512]),
    "an odd number of bytes": _form(lambda data, _chance: data[:-700]),
    "data behind the end": _form(lambda data, _chance: data + b"x" * 512),
    "itself twice": _form(lambda data, _chance: data + data),
    "zeros at the beginning": _form(lambda data, _chance: bytes(512) + data),
    "a compressed backup": _form(lambda data, _chance: b"\x1f\x8b" + data[2:]),
    "a file before the manifest": _form(lambda data, _chance: data[-2048:-1024] + data),
    **{f"a bit that is flipped at {part:.0%}": _flipped(part) for part in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)},
}
STATEMENTS = {
    "a trigger before a row": "CREATE TRIGGER evil BEFORE INSERT ON runs BEGIN DELETE FROM leases; END",
    "a trigger after a row": "CREATE TRIGGER evil AFTER UPDATE ON runs BEGIN DELETE FROM leases; END",
    "a trigger with a condition": "CREATE TRIGGER evil AFTER DELETE ON runs WHEN 1 BEGIN SELECT 1; END",
    "a temporary name of a trigger": "CREATE TRIGGER 'temp.evil' AFTER INSERT ON runs BEGIN SELECT 1; END",
    "a view": "CREATE VIEW evil AS SELECT * FROM runs",
    "a view with a trigger": "CREATE VIEW evil AS SELECT 1 AS x",
    "a table": "CREATE TABLE evil (x)",
    "a table without rowid": "CREATE TABLE evil (x PRIMARY KEY) WITHOUT ROWID",
    "a virtual table": "CREATE VIRTUAL TABLE evil USING fts5(x)",
    "an index": "CREATE INDEX evil ON runs (environment)",
    "an index of an expression": "CREATE INDEX evil ON runs (length(environment))",
    "a partial index": "CREATE UNIQUE INDEX evil ON runs (environment) WHERE environment = 'x'",
    "a column": "ALTER TABLE runs ADD COLUMN evil TEXT",
    "a column with a default": "ALTER TABLE runs ADD COLUMN evil TEXT DEFAULT (1)",
    "a computed column": "ALTER TABLE runs ADD COLUMN evil TEXT GENERATED ALWAYS AS (hex(id)) VIRTUAL",
    "a renamed column": "ALTER TABLE runs RENAME COLUMN environment TO evil",
    "a column that is gone": "ALTER TABLE runs DROP COLUMN last_seq",
    "a table that is gone": "DROP TABLE waits",
    "a renamed table": "ALTER TABLE waits RENAME TO evil",
    "a schema that is none": "UPDATE alembic_version SET version_num = 'evil'",
    "two schemas": "INSERT INTO alembic_version VALUES ('evil')",
    "no schema": "DELETE FROM alembic_version",
}
RENAMED = {
    "a trigger with a name of SQLite": "CREATE TRIGGER evil AFTER INSERT ON runs BEGIN DELETE FROM leases; END",
    "an index with a name of SQLite": "CREATE INDEX evil ON runs (environment)",
}
DUMPS = {
    "a view": "CREATE VIEW public.runs AS SELECT 1;",
    "a materialized view": "CREATE MATERIALIZED VIEW public.runs AS SELECT 1;",
    "a table": "CREATE TABLE public.evil (\n    id text\n);",
    "a table of another schema": "CREATE TABLE other.runs (id text);",
    "a temporary table": "CREATE TEMP TABLE runs (id text);",
    "a table that is not logged": "CREATE UNLOGGED TABLE public.runs (id text);",
    "a foreign table": "CREATE FOREIGN TABLE public.runs (id text) SERVER evil;",
    "a trigger": "CREATE TRIGGER evil BEFORE INSERT ON public.runs FOR EACH ROW EXECUTE FUNCTION public.orchestrator_notify();",
    "another body": "CREATE FUNCTION public.orchestrator_notify() RETURNS trigger\n    LANGUAGE plpgsql\n    AS $$ BEGIN DELETE FROM leases; RETURN NULL; END $$;",
    "a function": "CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS $x$ BEGIN RETURN NULL; END $x$;",
    "a procedure": "CREATE PROCEDURE public.evil() LANGUAGE sql AS $$ SELECT 1 $$;",
    "an aggregate": "CREATE AGGREGATE public.evil(int) (sfunc = int4pl, stype = int);",
    "an operator": "CREATE OPERATOR public.+ (function = evil, leftarg = text);",
    "a cast": "CREATE CAST (text AS int) WITH FUNCTION evil(text);",
    "a type": "CREATE TYPE public.evil AS ENUM ('a');",
    "a domain": "CREATE DOMAIN public.evil AS text CHECK (evil(VALUE));",
    "a rule": "CREATE RULE evil AS ON INSERT TO public.runs DO INSTEAD NOTHING;",
    "an event trigger": "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION public.orchestrator_notify();",
    "an extension": "CREATE EXTENSION plperlu;",
    "a language": "CREATE LANGUAGE plpython3u;",
    "a policy": "CREATE POLICY evil ON public.runs USING (true);",
    "a publication": "CREATE PUBLICATION evil FOR ALL TABLES;",
    "a role": "CREATE ROLE evil SUPERUSER;",
    "row security": "ALTER TABLE public.runs ENABLE ROW LEVEL SECURITY;",
    "a setting of the server": "ALTER SYSTEM SET archive_command = 'x';",
    "a setting of the database": "ALTER DATABASE x SET session_preload_libraries = 'evil';",
    "a setting of the session": "SET session_preload_libraries = 'evil';",
    "another role": "SET ROLE postgres;",
    "other quotes": "SET standard_conforming_strings = off;",
    "another encoding": "SET client_encoding = 'SJIS';",
    "a search path": "SELECT pg_catalog.set_config('search_path', 'evil', false);",
    "a program": "COPY public.runs (id) FROM PROGRAM 'id';",
    "a file of the server": "COPY public.runs (id) FROM '/etc/passwd';",
    "a file that is written": "COPY public.runs (id) TO '/tmp/x';",
    "a block": "DO $$ BEGIN PERFORM 1; END $$;",
    "a call": "CALL public.evil();",
    "a query": "SELECT pg_read_file('/etc/passwd');",
    "rows that are inserted": "INSERT INTO public.runs VALUES ('x');",
    "rows that are deleted": "DELETE FROM public.leases;",
    "rows that are changed": "UPDATE public.leases SET fence = 1;",
    "a table that is dropped": "DROP TABLE public.leases;",
    "a command of psql": "\\! id",
    "a copy of psql": "\\copy runs from program 'id'",
    "a file of psql": "\\i /etc/passwd",
    "another database": "\\connect evil",
    "two statements in one": "CREATE TABLE public.runs (id text); DROP TABLE public.leases;",
    "a default that calls": "CREATE TABLE public.runs (id text DEFAULT query_to_xml('DROP TABLE leases', true, false, ''));",
    "a check that calls": "ALTER TABLE ONLY public.runs ADD CONSTRAINT x CHECK ((evil(id)));",
    "an index that calls": "CREATE INDEX x ON public.runs USING btree (public.evil(id));",
    "a condition that calls": 'CREATE INDEX x ON public.runs USING btree (id) WHERE ("evil"(id));',
    "a later default that calls": "ALTER TABLE public.runs ALTER COLUMN id SET DEFAULT pg_catalog.lo_import ('/etc/passwd');",
    "a call behind an escape": "CREATE TABLE public.runs (id text DEFAULT E'\\'' || evil() || '');",
    "a call behind a comment": "CREATE TABLE public.runs (id text -- '\n DEFAULT evil() -- '\n);",
    "a call behind a long comment": "CREATE TABLE public.runs (id text /* ' */ DEFAULT evil() /* ' */);",
    "a call behind dollars": "CREATE TABLE public.runs (id text DEFAULT $$'$$ || evil() || $$'$$);",
    "a call behind a name": 'CREATE TABLE public.runs ("a\'" text DEFAULT evil(), "b\'" text);',
    "a statement that is not ended": "INSERT INTO public.runs VALUES ('x')",
}
SCRIPT = """--
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.runs (
    id text NOT NULL
);
COPY public.runs (id) FROM stdin;
1
\\.
"""


def cases(seed: int) -> Iterator[Case]:
    """Every change, without the passphrase and, where it is about what databases have, with it."""
    chance = random.Random(seed)
    found = [
        Case(f"{what} ({kind})", partial(_restored, change, random.Random(chance.random())))
        for kind, changes in {"manifest": MANIFEST, "file": FILES, "form": FORM}.items()
        for what, change in changes.items()
    ]
    for what, statement in STATEMENTS.items():
        found += [
            Case(f"{what} in the journal", partial(_object, (statement,), "journal.db", True)),
            Case(f"{what} in the journal, without the passphrase", partial(_object, (statement,), "journal.db", False)),
        ]
    for what, statement in RENAMED.items():
        rename = "UPDATE sqlite_master SET name = 'sqlite_autoindex_evil_1', sql = replace(sql, 'evil', 'sqlite_autoindex_evil_1')"
        steps = (statement, "PRAGMA writable_schema = ON", f"{rename} WHERE name = 'evil'")
        found.append(Case(f"{what} in the journal", partial(_object, steps, "journal.db", True)))
    for what, statement in DUMPS.items():
        found += [
            Case(f"{what} at the end of a dump", partial(_dumped, f"{SCRIPT}{statement}\n")),
            Case(f"{what} at the beginning of a dump", partial(_dumped, f"{statement}\n{SCRIPT}")),
        ]
    found.append(Case("another passphrase", _other_passphrase))
    chance.shuffle(found)
    yield from found


def _attempted(data: bytes, yard: Yard, passphrase: bytes = SECRET) -> Outcome:
    """Restore *data* into an empty state, and see that nothing of it is there afterwards."""
    file, state = yard.inside / "x.backup", yard.inside / "state"
    file.write_bytes(data)
    state.mkdir()
    (state / "project.key").write_bytes(b"own" * 10)
    try:
        restore.restore_backup(_places(state), file, "now", passphrase)
    except OrchestratorError as error:
        if error.code not in REFUSED:
            raise
    else:
        return Outcome(accepted="it was restored")
    left = sorted(path.name for path in state.iterdir() if path.name not in {"project.key", "restoring.lock"})
    left = [name for name in left if not name.endswith(".lock")]
    return Outcome(accepted=f"refused, and left {left}") if left else HELD


def _restored(change: Change, chance: random.Random, yard: Yard) -> Outcome:
    good = yard.shared.part("backup", _make)
    manifest, files = _read(good)
    try:
        data = change(manifest, files, good.read_bytes(), chance)
    except OrchestratorError as error:  # our own writer refuses such a name; the reader is not asked then
        return HELD if error.code.startswith(("P", "S")) else Outcome(accepted=error.code)
    return _attempted(data, yard)


def _object(statements: tuple[str, ...], name: str, signed: bool, yard: Yard) -> Outcome:
    manifest, files = _read(yard.shared.part("backup", _make))
    path = yard.inside / "changed.db"
    path.write_bytes(files[name])
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    return _attempted(_sealed(manifest, {**files, name: path.read_bytes()}, signed=signed), yard)


def _dumped(script: str, _yard: Yard) -> Outcome:
    found = unlisted_statements(io.StringIO(script))
    return HELD if found else Outcome(accepted="every statement is on the list")


def _other_passphrase(yard: Yard) -> Outcome:
    return _attempted(yard.shared.part("backup", _make).read_bytes(), yard, SECRET + b"x")


# -- the defences ------------------------------------------------------------------------------------------------------


def _unauthenticated() -> AbstractContextManager[None]:
    return replaced(BackupManifest, "verify", lambda _self, _passphrase: None)


DEFENCES: dict[str, Defence] = {
    "authentication": _unauthenticated,
    "objects": lambda: replaced(schema_list, "unlisted", lambda _path, engine=False: []),  # noqa: ARG005
    "names of SQLite": lambda: replaced(
        schema_list, "_of_sqlite", lambda _kind, name, _sql: name.startswith("sqlite_")
    ),
    "statements": lambda: replaced(schema_list._Listed, "has", lambda _self, _text: True),
    "calls": lambda: replaced(schema_list._Listed, "_calls_nothing", lambda _self, _flat: True),
    "ways to quote": lambda: replaced(schema_list, "FORBIDDEN", re.compile("(?!)")),
}
