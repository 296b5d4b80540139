"""Backups are authenticated, bring no object that acts in a database, and have secrets only if they are asked for."""

import contextlib
import hashlib
import io
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.adapters.ansible.kept_files import KeptFiles, Writer
from orchestrator.adapters.backup.archive import BackupReader, open_backup, write_backup
from orchestrator.adapters.backup.content import BackupPaths
from orchestrator.adapters.backup.restore import inspect, restore_backup
from orchestrator.adapters.backup.take import take
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import engine_url, sqlite_path
from orchestrator.adapters.database.schema_list import unlisted_statements
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.project_key import FileKeys
from orchestrator.adapters.pulumi.settings import _embedded
from orchestrator.adapters.withheld import MARKER, Withheld, WithheldSecrets
from orchestrator.app.requests import Promote
from orchestrator.cli import main
from orchestrator.cli.passphrase import read_passphrase
from orchestrator.domain.authentication import key_id
from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.release import PackageFile, PackageRef
from orchestrator.wiring import App
from tests.passphrase import passphrase

REF = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'0' * 64}")

AT = "2026-01-01T00:00:00.000Z"
SECRET = b"correct horse battery staple"
PHRASE, KEY = b"canary-of-the-stacks", b"canary-of-the-project-key-32-by!"


def lay(state: Path) -> BackupPaths:
    """A state with a journal and both secrets."""
    for name, data in {"pulumi/passphrase": PHRASE, "project.key": KEY, "pulumi/backend/x.json": b"{}"}.items():
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(data)
        (state / name).chmod(0o600)
    places = BackupPaths("shop", state, f"sqlite:///{state}/state.db")
    store = DatabaseStore(places.store, SystemClock())
    store.create(Run(id="r1-staging", root="r1", kind="promotion", environment="staging", release=None, by="ann"))
    store.close()
    return places


@pytest.fixture
def places(tmp_path: Path) -> BackupPaths:
    return lay(tmp_path / "state")


def refused(code: str, work: Callable[[], object]) -> str:
    with pytest.raises(OrchestratorError) as caught:
        work()
    assert caught.value.code == code, caught.value
    return caught.value.message


def remade(source: Path, target: Path, change: Callable[[Path], None], folder: Path, secret: bytes | None) -> None:
    """Write *source* again with its journal changed, and every digest computed again; with *secret* the code, too."""
    folder.mkdir()
    with open_backup(source) as file:
        reader = BackupReader(file)
        for about, chunks in reader.content():
            (folder / about.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / about.path).write_bytes(b"".join(chunks))
    change(folder / "journal.db")
    files = []
    for about in reader.description.files:
        data = (folder / about.path).read_bytes()
        files.append(about.model_copy(update={"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}))
    manifest = reader.description.model_copy(update={"files": tuple(files)})
    manifest = manifest.authenticated(secret) if secret is not None else manifest
    with target.open("wb") as out:
        write_backup(out, manifest, lambda name: io.BytesIO((folder / name).read_bytes()))


def sql(*statements: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            for statement in statements:
                database.execute(statement)

    return run


# -- authentication


@pytest.mark.parametrize("statement", ["DELETE FROM runs", "UPDATE runs SET environment = 'production'"])
def test_a_backup_whose_digests_were_computed_again_is_refused(
    places: BackupPaths, tmp_path: Path, statement: str
) -> None:
    """The authentication code covers every byte; nothing is changed by the attempt."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    remade(tmp_path / "a.backup", tmp_path / "b.backup", sql(statement), tmp_path / "x", None)
    assert "changed" in refused("S191", lambda: restore_backup(places, tmp_path / "b.backup", "now", SECRET))
    assert not [path for path in places.state.iterdir() if path.name.startswith(("restoring", "state-before"))]
    restore_backup(places, tmp_path / "a.backup", "now", SECRET)


def test_another_passphrase_does_not_fit(places: BackupPaths, tmp_path: Path) -> None:
    """A backup is restored with its own passphrase only; without one it is refused as well."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    refused("S191", lambda: inspect(places, tmp_path / "a.backup", SECRET + b"r"))
    refused("S190", lambda: inspect(places, tmp_path / "a.backup", None))
    assert inspect(places, tmp_path / "a.backup", SECRET).project == "shop"


def test_two_backups_have_two_salts(places: BackupPaths, tmp_path: Path) -> None:
    """A passphrase cannot be searched for in two backups at once."""
    made = [take(places, tmp_path / f"{number}.backup", AT, SECRET).authentication for number in (1, 2)]
    assert made[0] is not None
    assert made[1] is not None
    assert made[0].salt != made[1].salt
    assert (made[0].kdf, made[0].iterations, made[0].lanes, made[0].memory_kib) == ("argon2id", 3, 4, 65536)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"iterations":3', b'"iterations":9'),
        (b'"memory_kib":65536', b'"memory_kib":99999'),
        (b'"kdf":"argon2id"', b'"kdf":"argon2i_"'),
    ],
)
def test_a_file_does_not_decide_what_a_restore_costs(
    places: BackupPaths, tmp_path: Path, before: bytes, after: bytes
) -> None:
    """Other parameters of the derivation are refused before anything is derived."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    data = (tmp_path / "a.backup").read_bytes()
    assert before in data
    (tmp_path / "a.backup").write_bytes(data.replace(before, after))
    refused("S130", lambda: inspect(places, tmp_path / "a.backup", SECRET))


def test_a_backup_of_an_earlier_version_needs_a_word_of_the_operator(places: BackupPaths, tmp_path: Path) -> None:
    """It has no code: it is restored only if the operator accepts that."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    with open_backup(tmp_path / "a.backup") as file:
        reader = BackupReader(file)
        data = {about.path: b"".join(pieces) for about, pieces in reader.content()}
    old = reader.description.model_copy(update={"authentication": None, "withheld": ()})
    with (tmp_path / "old.backup").open("wb") as out:
        write_backup(out, old, lambda name: io.BytesIO(data[name]))
    refused("S191", lambda: restore_backup(places, tmp_path / "old.backup", "now", SECRET))
    restore_backup(places, tmp_path / "old.backup", "now", None)


def test_a_file_that_is_replaced_between_two_reads_is_refused(
    places: BackupPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unpacked is what was authenticated."""
    file = tmp_path / "a.backup"
    take(places, file, AT, SECRET)
    remade(file, tmp_path / "b.backup", sql("DELETE FROM runs"), tmp_path / "x", None)
    manifest = inspect(places, file, SECRET)
    (tmp_path / "b.backup").replace(file)
    monkeypatch.setattr("orchestrator.adapters.backup.restore.inspect", lambda *_: manifest)
    assert "replaced" in refused("S131", lambda: restore_backup(places, file, "now", SECRET))


def test_the_passphrase_is_in_a_private_file(tmp_path: Path) -> None:
    """One line of 12 bytes or more, that no other user can read; a pipe of a password manager does as well."""
    file = tmp_path / "phrase"
    file.write_bytes(b"twelve bytes\r\n")
    file.chmod(0o600)
    assert read_passphrase(file) == b"twelve bytes"
    for data in (b"", b"\n", b"short\n", b"two lines of\ntext\n", b"x" * 5000):
        file.write_bytes(data)
        refused("S190", lambda: read_passphrase(file))
    file.write_bytes(SECRET)
    file.chmod(0o640)
    assert "0640" in refused("S190", lambda: read_passphrase(file))
    refused("S190", lambda: read_passphrase(tmp_path / "none"))
    refused("S190", lambda: read_passphrase(tmp_path))
    reading, writing = os.pipe()
    os.write(writing, SECRET + b"\n")
    os.close(writing)
    assert read_passphrase(Path(f"/dev/fd/{reading}")) == SECRET
    os.close(reading)


# -- objects of databases

HOSTILE = [
    "CREATE TRIGGER evil AFTER INSERT ON runs BEGIN DELETE FROM leases; END",
    "CREATE VIEW evil AS SELECT 1",
    "CREATE TABLE evil (x)",
    "CREATE INDEX evil ON runs (environment)",
    "CREATE VIRTUAL TABLE evil USING fts5(x)",
    "ALTER TABLE runs ADD COLUMN evil TEXT DEFAULT 'x'",
    "ALTER TABLE runs ADD COLUMN evil TEXT GENERATED ALWAYS AS (hex(id)) VIRTUAL",
]


@pytest.mark.parametrize("statement", HOSTILE)
def test_an_object_that_is_not_on_the_list_is_refused(places: BackupPaths, tmp_path: Path, statement: str) -> None:
    """Even where the passphrase fits: triggers, views, tables, indexes, and tables with another definition."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    remade(tmp_path / "a.backup", tmp_path / "b.backup", sql(statement), tmp_path / "x", SECRET)
    message = refused("S192", lambda: restore_backup(places, tmp_path / "b.backup", "now", SECRET))
    assert "journal.db: " in message
    assert "evil" in message or "runs" in message
    assert not (places.state / "restoring").exists()


def test_the_engine_s_database_has_a_list_of_its_own(places: BackupPaths, tmp_path: Path) -> None:
    """A trigger in the database of durable execution is refused, too."""
    engine = sqlite_path(engine_url(places.store))
    sql("CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY)")(engine)
    take(places, tmp_path / "a.backup", AT, SECRET)
    restore_backup(places, tmp_path / "a.backup", "now", SECRET)
    sql("CREATE TRIGGER evil AFTER INSERT ON dbos_migrations BEGIN SELECT 1; END")(engine)
    take(places, tmp_path / "b.backup", AT, SECRET)
    assert "engine.db: trigger evil" in refused(
        "S192", lambda: restore_backup(places, tmp_path / "b.backup", "later", SECRET)
    )


def test_a_name_that_was_taken_for_another_object_is_refused(places: BackupPaths, tmp_path: Path) -> None:
    """A view in the place of a table, and a schema that was written by hand."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    change = sql("ALTER TABLE queue_entries RENAME TO hidden", "CREATE VIEW queue_entries AS SELECT * FROM hidden")
    remade(tmp_path / "a.backup", tmp_path / "b.backup", change, tmp_path / "x", SECRET)
    refused("S192", lambda: restore_backup(places, tmp_path / "b.backup", "now", SECRET))


@pytest.mark.parametrize("kind", ["trigger", "index"])
def test_the_beginning_of_a_name_excuses_nothing(places: BackupPaths, tmp_path: Path, kind: str) -> None:
    """A file can have a trigger that is named as SQLite names its own objects; it is refused all the same."""
    made = {
        "trigger": "CREATE TRIGGER evil AFTER INSERT ON runs BEGIN DELETE FROM leases; END",
        "index": "CREATE INDEX evil ON runs (environment)",
    }[kind]
    rename = "UPDATE sqlite_master SET name = 'sqlite_autoindex_evil_1', sql = replace(sql, 'evil', 'sqlite_autoindex_evil_1')"
    change = sql(made, "PRAGMA writable_schema = ON", f"{rename} WHERE name = 'evil'")
    take(places, tmp_path / "a.backup", AT, SECRET)
    remade(tmp_path / "a.backup", tmp_path / "b.backup", change, tmp_path / "x", SECRET)
    assert "sqlite_autoindex_evil_1" in refused(
        "S192", lambda: restore_backup(places, tmp_path / "b.backup", "now", SECRET)
    )


@pytest.mark.parametrize("name", ["journal.db-wal", "journal.db-shm", "journal.db-journal", "engine.db-wal"])
def test_a_database_in_a_backup_has_no_unfinished_changes(places: BackupPaths, tmp_path: Path, name: str) -> None:
    """What SQLite keeps beside a database would change it when it is opened; `backup` never writes such a file."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    with open_backup(tmp_path / "a.backup") as file:
        reader = BackupReader(file)
        data = {about.path: b"".join(pieces) for about, pieces in reader.content()} | {name: b"x"}
    more = PackageFile(path=name, size=1, sha256=hashlib.sha256(b"x").hexdigest(), executable=False)
    files = tuple(sorted((*reader.description.files, more), key=lambda about: about.path))
    manifest = reader.description.model_copy(update={"files": files}).authenticated(SECRET)
    with (tmp_path / "b.backup").open("wb") as out:
        write_backup(out, manifest, lambda path: io.BytesIO(data[path]))
    assert "unfinished" in refused("S131", lambda: restore_backup(places, tmp_path / "b.backup", "now", SECRET))


SCRIPT = r"""--
-- PostgreSQL database dump
--
\restrict abcDEF123
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA dbos;
CREATE FUNCTION public.orchestrator_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_notify('orchestrator', ''); RETURN NULL; END $$;
CREATE TABLE public.runs (
    id text NOT NULL,
    by text DEFAULT ';'::text
);
CREATE TABLE dbos.workflow_status (
    workflow_uuid text NOT NULL
);
COPY public.runs (id, by) FROM stdin;
1	CREATE VIEW evil AS SELECT 1;
2	\\! touch /tmp/x
\.
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);
ALTER TABLE ONLY dbos.workflow_status ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE;
CREATE INDEX y ON dbos.workflow_status USING btree (status) WHERE (status = ANY (ARRAY['A (b'::text]));
CREATE TRIGGER works_notify AFTER INSERT OR DELETE OR UPDATE ON public.works FOR EACH STATEMENT EXECUTE FUNCTION public.orchestrator_notify();
\unrestrict abcDEF123
"""

EVIL = [
    "CREATE VIEW public.runs AS SELECT 1;",
    "CREATE TABLE public.evil (\n    id text\n);",
    "CREATE TABLE other.runs (id text);",
    "CREATE TRIGGER evil BEFORE INSERT ON public.runs FOR EACH ROW EXECUTE FUNCTION public.orchestrator_notify();",
    "CREATE FUNCTION public.orchestrator_notify() RETURNS trigger\n    LANGUAGE plpgsql\n    AS $$ BEGIN DELETE FROM leases; RETURN NULL; END $$;",
    "CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS $x$ BEGIN RETURN NULL; END $x$;",
    "CREATE RULE evil AS ON INSERT TO public.runs DO INSTEAD NOTHING;",
    "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION public.orchestrator_notify();",
    "CREATE EXTENSION plperlu;",
    "ALTER TABLE public.runs ENABLE ROW LEVEL SECURITY;",
    "ALTER SYSTEM SET archive_command = 'x';",
    "COPY public.runs (id) FROM PROGRAM 'id';",
    "COPY public.runs (id) FROM '/etc/passwd';",
    "DO $$ BEGIN PERFORM 1; END $$;",
    "CREATE TABLE public.runs (id text DEFAULT pg_read_file('/etc/passwd'));",
    "CREATE TABLE public.runs (id text DEFAULT query_to_xml('DROP TABLE leases', true, false, ''));",
    "ALTER TABLE ONLY public.runs ADD CONSTRAINT x CHECK ((query_to_xml('DELETE FROM leases', true, false, '') IS NOT NULL));",
    "CREATE INDEX x ON public.runs USING btree (public.evil(id));",
    "CREATE INDEX x ON public.runs USING btree (id) WHERE (\"query_to_xml\"('x', true, false, '') IS NOT NULL);",
    "ALTER TABLE public.runs ALTER COLUMN id SET DEFAULT pg_catalog.lo_import ('/etc/passwd');",
    "CREATE TABLE public.runs (id text DEFAULT E'\\'' || evil() || '');",
    "CREATE TABLE public.runs (id text -- '\n DEFAULT evil() -- '\n);",
    "CREATE TABLE public.runs (id text /* ' */ DEFAULT evil() /* ' */);",
    "CREATE TABLE public.runs (id text DEFAULT $$'$$ || evil() || $$'$$);",
    'CREATE TABLE public.runs ("a\'" text DEFAULT evil(), "b\'" text);',
    "SET standard_conforming_strings = off;",
    "SET client_encoding = 'SJIS';",
    "SET session_preload_libraries = 'evil';",
    "CREATE FUNCTION public.f(x text DEFAULT 'a' /* $$ */) RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('orchestrator', ''); RETURN NULL; END $$;",
    "SELECT pg_catalog.set_config('session_preload_libraries', 'x', false);",
    "DELETE FROM public.leases;",
    "\\! id",
    "\\copy runs from program 'id'",
    "CREATE TABLE public.runs (id text); DROP TABLE public.leases;",
    "INSERT INTO public.runs VALUES ('x')",
]


def test_a_dump_of_postgres_has_statements_of_a_list_only() -> None:
    """What `pg_restore` makes of our own databases is on the list; rows are data, whatever they say."""
    assert unlisted_statements(io.StringIO(SCRIPT)) == []


@pytest.mark.parametrize("statement", EVIL)
def test_another_statement_in_a_dump_is_refused(statement: str) -> None:
    """Wherever it stands in the script."""
    at = SCRIPT.index("CREATE TABLE public.runs")
    for text in (f"{SCRIPT}{statement}\n", f"{SCRIPT[:at]}{statement}\n{SCRIPT[at:]}"):
        assert unlisted_statements(io.StringIO(text)) != []


# -- secrets


def test_a_backup_has_no_secrets_by_default(places: BackupPaths, tmp_path: Path) -> None:
    """The passphrase of the stacks and the project key are in it only if they are asked for."""
    FileKeys(places.state / "project.key", SystemClock()).rotate()
    key = (places.state / "project.key").read_bytes()
    plain, full = tmp_path / "a.backup", tmp_path / "b.backup"
    manifest = take(places, plain, AT, SECRET)
    assert [item.name for item in manifest.withheld] == ["project.key", "pulumi/passphrase"]
    names = {file.path for file in take(places, full, AT, SECRET, secrets=True).files}
    assert {"project.key", "project.key.retired", "pulumi/passphrase"} <= names
    for canary in (PHRASE, KEY.hex().encode(), key):
        assert canary not in plain.read_bytes()
        assert canary in full.read_bytes()


def test_secrets_of_this_machine_stay(places: BackupPaths, tmp_path: Path) -> None:
    """A restore where the backup was made needs nothing else."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    restore_backup(places, tmp_path / "a.backup", "now", SECRET)
    assert (places.state / "pulumi/passphrase").read_bytes() == PHRASE
    assert (places.state / "project.key").read_bytes() == KEY
    assert (places.state / "project.key").stat().st_mode & 0o777 == 0o600
    WithheldSecrets(places.state, {}).require()
    assert not (places.state / MARKER).exists()


@pytest.fixture
def elsewhere(places: BackupPaths, tmp_path: Path) -> BackupPaths:
    """Another machine, with a backup without secrets restored. It had a key of its own."""
    take(places, tmp_path / "a.backup", AT, SECRET)
    other = BackupPaths("shop", tmp_path / "other", f"sqlite:///{tmp_path}/other/state.db")
    other.state.mkdir()
    (other.state / "project.key").write_bytes(b"k" * 32)
    restore_backup(other, tmp_path / "a.backup", "now", SECRET)
    return other


def test_what_is_missing_is_named_until_it_is_given(elsewhere: BackupPaths) -> None:
    """Another key or passphrase does not do; after the right ones were copied the rule is gone."""
    secrets = WithheldSecrets(elsewhere.state, {})
    message = refused("S193", secrets.require)
    assert str(elsewhere.state / "project.key") in message
    assert str(elsewhere.state / "pulumi/passphrase") in message
    assert key_id(KEY) in message
    (elsewhere.state / "project.key").write_bytes(b"other" * 6)
    (elsewhere.state / "pulumi/passphrase").write_bytes(PHRASE + b"\n")
    assert [item.name for item in secrets.missing()] == ["project.key"]
    (elsewhere.state / "project.key").write_bytes(KEY)
    secrets.require()
    assert not (elsewhere.state / MARKER).exists()


def test_nothing_makes_a_new_secret_in_its_place(elsewhere: BackupPaths) -> None:
    """Neither a plan nor the engine's environment: what was restored could not be read with it."""
    keys = FileKeys(elsewhere.state / "project.key", SystemClock())
    refused("S193", keys.current)
    refused("S193", lambda: keys.authenticate({"kind": "Plan"}))
    refused("S193", lambda: _embedded(elsewhere.state / "pulumi", {}))
    assert not (elsewhere.state / "project.key").exists()
    assert not (elsewhere.state / "pulumi/passphrase").exists()


def test_a_passphrase_in_the_environment_does_as_well(elsewhere: BackupPaths) -> None:
    """As for Pulumi itself, in a variable or in a file that a variable names."""
    environ = {"PULUMI_CONFIG_PASSPHRASE": PHRASE.decode()}
    assert [item.name for item in WithheldSecrets(elsewhere.state, environ).missing()] == ["project.key"]
    named = elsewhere.state.parent / "key"
    named.write_bytes(KEY)
    WithheldSecrets(elsewhere.state, {**environ, "ORCHESTRATOR_PROJECT_KEY_FILE": str(named)}).require()


def test_a_lost_project_key_is_replaced_by_a_new_one(elsewhere: BackupPaths) -> None:
    """`keys rotate` is the decision of the operator; the passphrase is still missing."""
    FileKeys(elsewhere.state / "project.key", SystemClock()).rotate()
    assert [item.name for item in WithheldSecrets(elsewhere.state, {}).missing()] == ["pulumi/passphrase"]


def keep_files(state: Path, declared: tuple[str, ...], **content: str) -> None:
    """Let a play leave controller files, of which *declared* are secret."""
    context = Context("r1", "staging", "shop", controller_files=("credentials/", "facts/"), secret_files=declared)
    copy = state.parent / f"copy-of-{state.name}"
    for name, text in content.items():
        path = copy / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    KeptFiles(state, context).take(copy, state.parent / "sealed", Writer("r1.deploy", "sha256:1"))


VERSION = f"controller-files/staging/000001-{hashlib.sha256(b'r1.deploy').hexdigest()[:12]}"


def test_a_backup_has_no_secret_controller_file(places: BackupPaths, tmp_path: Path) -> None:
    """Files that the environment marks as secret are left out and named; others are in the backup."""
    keep_files(places.state, ("credentials/",), credentials_db="canary-of-a-file", facts_web1="canary-of-facts")
    manifest = take(places, tmp_path / "a.backup", AT, SECRET)
    data = (tmp_path / "a.backup").read_bytes()
    assert (b"canary-of-a-file" in data, b"canary-of-facts" in data) == (False, True)
    assert f"{VERSION}/credentials/db" in [item.name for item in manifest.withheld]
    full = take(places, tmp_path / "b.backup", AT, SECRET, secrets=True)
    assert f"{VERSION}/credentials/db" in [file.path for file in full.files]
    assert full.withheld == ()


@pytest.mark.parametrize(
    ("declared", "left_out"),
    [({}, {"credentials/db", "facts/web1"}), ({"staging": ()}, set()), ({"staging": ("facts/",)}, {"facts/web1"})],
)
def test_versions_that_record_nothing_are_secret_as_declared_now(
    places: BackupPaths, tmp_path: Path, declared: dict[str, tuple[str, ...]], left_out: set[str]
) -> None:
    """Versions of an earlier program are judged by what the environment declares; all are secret if it is not known."""
    keep_files(places.state, ("credentials/",), credentials_db="one", facts_web1="two")
    index = places.state / "controller-files/staging/versions.json"
    index.write_text(
        json.dumps([{k: v for k, v in each.items() if k != "secret"} for each in json.loads(index.read_text())])
    )
    manifest = take(replace(places, declared=declared), tmp_path / "a.backup", AT, SECRET)
    names = [item.name for item in manifest.withheld if item.salt]
    assert {name.removeprefix(f"{VERSION}/") for name in names} == left_out


def test_a_restore_waits_for_secret_controller_files(places: BackupPaths, tmp_path: Path) -> None:
    """On this machine they stay. On another one each is named until it has its content again, or is given up."""
    keep_files(places.state, ("credentials/",), credentials_db="canary-of-a-file", credentials_web="another")
    take(places, tmp_path / "a.backup", AT, SECRET)
    restore_backup(places, tmp_path / "a.backup", "now", SECRET)
    place = places.state / VERSION / "credentials/db"
    assert (place.read_text(), place.stat().st_mode & 0o777) == ("canary-of-a-file", 0o600)
    WithheldSecrets(places.state, {}).require()

    other = BackupPaths("shop", tmp_path / "other", f"sqlite:///{tmp_path}/other/state.db")
    other.state.mkdir()
    for name, data in {"project.key": KEY, "pulumi/passphrase": PHRASE}.items():
        (other.state / name).parent.mkdir(exist_ok=True)
        (other.state / name).write_bytes(data)
    restore_backup(other, tmp_path / "a.backup", "now", SECRET)
    waiting = WithheldSecrets(other.state, {})
    assert f"{other.state / VERSION}/credentials/db" in refused("S193", waiting.require)
    place = other.state / VERSION / "credentials/db"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("something else")
    assert len(waiting.missing()) == 2
    place.write_text("canary-of-a-file")
    assert [item.name for item in waiting.missing()] == [f"{VERSION}/credentials/web"]
    assert not waiting.give_up("project.key")
    assert waiting.give_up(f"{VERSION}/credentials/web")
    waiting.require()


@pytest.mark.parametrize(
    "name",
    ["controller-files/../000001-0123456789ab/x", f"{VERSION}/../../../x", f"{VERSION}//x", "controller-files/x"],
)
def test_a_backup_names_secrets_in_their_places_only(name: str) -> None:
    """A name that leads elsewhere is not that of a secret."""
    with pytest.raises(ValidationError):
        Withheld(name=name, id="0" * 16, salt="0" * 32)
    with pytest.raises(ValidationError):
        Withheld(name="project.key", id="0" * 16, salt="0" * 32)


def test_a_backup_of_such_a_state_still_names_what_is_missing(elsewhere: BackupPaths, tmp_path: Path) -> None:
    """A second backup and restore do not lose the rule."""
    take(elsewhere, tmp_path / "second.backup", AT, SECRET)
    third = BackupPaths("shop", tmp_path / "third", f"sqlite:///{tmp_path}/third/state.db")
    third.state.mkdir()
    restore_backup(third, tmp_path / "second.backup", "now", SECRET)
    assert len(WithheldSecrets(third.state, {}).missing()) == 2


def test_the_commands_print_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`backup` says what it left out, `restore_backup` what is missing; `plan` and `promote` are refused, `status` is not."""
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    monkeypatch.chdir(tmp_path)
    words = passphrase(tmp_path)
    lay(tmp_path / ".orchestrator")
    assert main(["backup", "a.backup"]) == 2
    assert "error[S190]" in capsys.readouterr().err
    assert main(["backup", "a.backup", *words]) == 0
    assert "not in the backup" in capsys.readouterr().err
    (tmp_path / ".orchestrator").rename(tmp_path / "lost")
    (tmp_path / ".orchestrator").mkdir()
    assert main(["restore", "a.backup", "--yes"]) == 2
    assert "error[S190]" in capsys.readouterr().err
    assert main(["restore", "a.backup", "--yes", *words]) == 0
    assert "missing: " in capsys.readouterr().err
    assert main(["status"]) == 0
    app, asked = App(tmp_path), Promote(root="r2", package=REF, targets=("staging",), by="ann")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: app.plans.make(app.actor, None, "staging"),  # type: ignore[arg-type]
        lambda: app.plans.make_for_waves(app.actor, None, None),  # type: ignore[arg-type]
        lambda: app.execution.begin(app.actor, asked),
    )
    for work in attempts:
        refused("S193", work)
    for command in (["restore", "--lost", "project.key"], ["keys", "show"]):  # nothing is recorded without the key
        assert main(command) == 3
        assert "error[S193]" in capsys.readouterr().err
    assert main(["keys", "rotate"]) == 0
    capsys.readouterr()
    assert main(["audit", "list", "--json"]) == 0
    assert "maintenance.rotate_key" in capsys.readouterr().out
    assert main(["restore", "--lost", "project.key"]) == 2
    assert "not a missing controller file" in capsys.readouterr().err
