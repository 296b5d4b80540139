"""Backups: complete, strict about what they read, and put back as a whole or not at all."""

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from dbos._migration import ensure_dbos_schema, run_dbos_migrations, sqlite_migrations

from orchestrator.adapters.ansible.kept_files import KeptFiles, Writer
from orchestrator.adapters.audit_head import HeadFile
from orchestrator.adapters.backup import restore as restoring
from orchestrator.adapters.backup.archive import BackupManifest, write_backup
from orchestrator.adapters.backup.content import BackupPaths
from orchestrator.adapters.backup.restore import inspect, restore_backup, undo_restore
from orchestrator.adapters.backup.take import take
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import SCHEMA, engine_url, sqlite_path
from orchestrator.adapters.database.register import DatabaseRegister
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.app.environment_reports import keep_drift, keep_parity
from orchestrator.cli import cli, main
from orchestrator.domain.context import Context
from orchestrator.domain.drift import Drift
from orchestrator.domain.environment_reports import DriftReport, ParityReport, drift_report, parity_reports
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.parity import Parity
from orchestrator.domain.register import DRIFT_REPORTS, PARITY_REPORTS
from orchestrator.domain.release import PackageFile, PackageRef
from orchestrator.register_ports import Register
from tests.app.desk import Desk
from tests.passphrase import passphrase
from tests.postgres import Server

AT = "2026-01-01T00:00:00.000Z"
FILES = {
    "packages/aa.release": b"a package",
    "packages/aa/content/file": b"unpacked",
    "plans/" + "b" * 64 + "/plan.json": b"{}",
    "pulumi/passphrase": b"secret",
    "pulumi/salts/production.production": b"encryptionsalt: v1:x",
    "pulumi/backend/.pulumi/stacks/shop/production.json": b"{}",
    "pulumi/backend/.pulumi/locks/organization/x.json": b"{}",
    "pulumi/definitions/cc/tree/run.sh": b"#!/bin/sh",
    "pulumi/work/production/Pulumi.yaml": b"a copy",
    "jobs/r1.deploy/output.log": b"said",
    "jobs/r1.deploy/secret.json": b"secret",
    "hosts/staging/web1/host.json": b"{}",
}
LEFT_OUT = {"packages/aa/content/file", "pulumi/backend/.pulumi/locks/organization/x.json"}
LEFT_OUT |= {"pulumi/work/production/Pulumi.yaml", "hosts/staging/web1/host.json"}


SECRET = b"correct horse battery staple"


def backup(places: BackupPaths, file: Path, *, logs: bool = False) -> BackupManifest:
    """A backup with all secrets."""
    return take(places, file, AT, SECRET, logs=logs, secrets=True)


def run(name: str) -> Run:
    return Run(id=f"{name}-staging", root=name, kind="promotion", environment="staging", release=None, by="ann")


def lay(state: Path, url: str | None = None) -> BackupPaths:
    """A project's state with one run in its journal."""
    for name, data in FILES.items():
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(data)
    (state / "pulumi/definitions/cc/tree/run.sh").chmod(0o755)
    places = BackupPaths("shop", state, url or f"sqlite:///{state}/state.db")
    add(places, "r1")
    return places


def add(places: BackupPaths, name: str) -> None:
    store = DatabaseStore(places.store, SystemClock())
    store.create(run(name))
    store.append(f"{name}-staging", [Entry(kind="notice", data={"text": name})])
    store.close()


def runs(places: BackupPaths) -> list[str]:
    store = DatabaseStore(places.store, SystemClock())
    try:
        return [item.id for item in store.runs()]
    finally:
        store.close()


def remember(places: BackupPaths, what: str) -> None:
    """Write something into the database of durable execution."""
    if places.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(sqlite_path(engine_url(places.store)))) as database, database:
            _lay_engine(database)
            database.execute("INSERT INTO workflow_status (workflow_uuid) VALUES (?)", (what,))
        return
    engine = sa.create_engine(places.store.replace("postgresql://", "postgresql+psycopg://"))
    ensure_dbos_schema(engine, "dbos")
    run_dbos_migrations(engine, "dbos", use_listen_notify=True)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO dbos.workflow_status (workflow_uuid) VALUES (:what)"), {"what": what})
    engine.dispose()


def _lay_engine(database: sqlite3.Connection) -> None:
    """Make the schema of durable execution, as its own program does."""
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'dbos_migrations'").fetchone() is None:
        database.execute("CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY)")
        for migration in sqlite_migrations:
            for statement in filter(str.strip, migration.split(";")):
                database.execute(statement)
        database.execute("INSERT INTO dbos_migrations VALUES (?)", (len(sqlite_migrations),))


def remembered(places: BackupPaths) -> list[str]:
    """What is in the database of durable execution."""
    if places.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(sqlite_path(engine_url(places.store)))) as database:
            return [row[0] for row in database.execute("SELECT workflow_uuid FROM workflow_status")]
    with psycopg.connect(places.store) as connection:
        return [row[0] for row in connection.execute("SELECT workflow_uuid FROM dbos.workflow_status").fetchall()]


def content(state: Path) -> dict[str, bytes]:
    """Every file that a restore may touch; the databases' by what is in them."""
    found = {}
    for folder in ("packages", "plans", "pulumi", "jobs", "hosts"):
        for path in (state / folder).rglob("*"):
            if path.is_file():
                found[path.relative_to(state).as_posix()] = path.read_bytes()
    return found


@pytest.fixture
def places(tmp_path: Path) -> BackupPaths:
    return lay(tmp_path / "state")


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupPaths:
    """A project's state on either store."""
    if request.param == "sqlite":
        return lay(tmp_path / "state")
    server: Server = request.getfixturevalue("postgres")
    monkeypatch.setenv("PATH", f"{server.programs}{os.pathsep}{os.environ['PATH']}")
    return lay(tmp_path / "state", server.fresh())


def _refused(code: str, work: Callable[[], object]) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as caught:
        work()
    assert caught.value.code == code, caught.value
    return caught.value


def test_what_was_there_comes_back(either: BackupPaths, tmp_path: Path) -> None:
    """After a restore the journal, the engine's database and every file are those of the backup, and what was there is kept beside them."""
    remember(either, "one")
    before = content(either.state)
    file = tmp_path / "a.backup"
    manifest = backup(either, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (manifest.made_at, manifest.schema_version, manifest.store) == (AT, SCHEMA, either.kind)

    add(either, "r2")
    remember(either, "two")
    shutil.rmtree(either.state / "plans")
    (either.state / "pulumi/passphrase").write_bytes(b"another")
    (either.state / "packages/new.release").write_bytes(b"newer")
    kept = restore_backup(either, file, "now", SECRET)

    assert runs(either) == ["r1-staging"]
    missing = {"packages/aa/content/file"} | {name for name in LEFT_OUT if name.startswith("pulumi/")}
    assert content(either.state) == {name: data for name, data in before.items() if name not in missing}
    assert (either.state / "pulumi/definitions/cc/tree/run.sh").stat().st_mode & stat.S_IXUSR
    assert (kept / "pulumi/passphrase").read_bytes() == b"another"
    assert (kept / "packages/new.release").read_bytes() == b"newer"
    assert (kept / ("journal.db" if either.kind == "sqlite" else "database.dump")).is_file()
    assert not (either.state / "restoring").exists()
    assert remembered(either) == ["one"]


@contextlib.contextmanager
def register_of(places: BackupPaths) -> Iterator[Register]:
    """The register of the project, open for the block."""
    keys = MemoryKeys()
    found = DatabaseRegister(places.store, SystemClock(), places.project, keys, HeadFile(places.state / "audit-head"))
    try:
        yield found
    finally:
        found.close()


def test_reports_of_environments_come_back(either: BackupPaths, tmp_path: Path) -> None:
    """After a restore on each store the newest reports of drift and parity are those of the backup, and not the later ones."""
    ref = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'1' * 64}")
    known = Drift(environment="staging", release=ref, run="r1-staging", since=AT)
    alike = Parity(left="staging", right="production")
    at = parse_moment(AT)
    drift = drift_report(known.model_copy(update={"unknown": ("web1: unreachable",)}), at, "ann", request="R-1")
    parity = parity_reports(alike.model_copy(update={"unknown": ("web2: unreachable",)}), at, "ann")[0]

    def keep(*reports: DriftReport | ParityReport) -> None:
        with register_of(either) as register:
            desk = Desk(register)
            for report in reports:
                kept = keep_drift if isinstance(report, DriftReport) else keep_parity
                kept(desk.acting("operator"), report)  # type: ignore[arg-type]

    def found() -> tuple[object, ...]:
        with register_of(either) as register:
            return register.reading(lambda records: (*records.all(DRIFT_REPORTS), *records.all(PARITY_REPORTS)))

    keep(drift, parity)
    file = tmp_path / "a.backup"
    backup(either, file)
    later = at + timedelta(hours=1)
    keep(drift_report(known, later, "bob"), parity_reports(alike, later, "bob")[0])
    assert [report.by for report in found()] == ["bob", "bob"]  # type: ignore[attr-defined]
    restore_backup(either, file, "now", SECRET)
    assert found() == (drift, parity)


def test_controller_files_come_back(places: BackupPaths, tmp_path: Path) -> None:
    """After a restore each play finds the version that it found when the backup was taken, as private as it was."""
    context = Context(run="r1", environment="staging", project="shop", controller_files=("credentials/",))
    kept, sealed, file = KeptFiles(places.state, context), tmp_path / "sealed", tmp_path / "a.backup"
    for number in (1, 2):
        written = tmp_path / str(number) / "credentials/db"
        written.parent.mkdir(parents=True)
        written.write_text(f"password {number}")
        kept.take(tmp_path / str(number), sealed, Writer(f"r1.deploy.{number}", f"sha256:{number}", "r1", "deploy.1"))
    backup(places, file)
    shutil.rmtree(places.state / "controller-files")
    restore_backup(places, file, "now", SECRET)
    for step, digest, found in (("deploy.1", "new", "password 2"), ("restore.deploy", "sha256:1", "password 1")):
        kept.lay(tmp_path / step, Writer("r2", digest, "r2", step))
        assert (tmp_path / step / "credentials/db").read_text() == found
    modes = {
        stat.S_IMODE(path.stat().st_mode) for path in (places.state / "controller-files").rglob("*") if path.is_file()
    }
    assert modes <= {0o600, 0o644}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (places.state / "controller-files").rglob("db")} == {0o600}


def test_only_what_cannot_be_made_again_is_in_it(places: BackupPaths, tmp_path: Path) -> None:
    """Unpacked packages, locks, copies of programs and hosts are left out, and so is what jobs said unless it is asked for."""
    names = {file.path for file in backup(places, tmp_path / "a.backup").files}
    assert names == {"journal.db"} | {name for name in FILES if name not in LEFT_OUT and not name.startswith("jobs/")}
    names = {file.path for file in backup(places, tmp_path / "b.backup", logs=True).files}
    assert {name for name in names if name.startswith("jobs/")} == {"jobs/r1.deploy/output.log"}


def test_a_backup_is_taken_while_others_write(places: BackupPaths, tmp_path: Path) -> None:
    """A backup that is taken while the journal is written to holds whole records up to some moment, in order, and loses none of the writer's."""
    store, stop, written = DatabaseStore(places.store, SystemClock()), threading.Event(), [0]

    def busy() -> None:
        while not stop.is_set():
            store.append("r1-staging", [Entry(kind="notice", data={"n": written[0]}) for _ in range(5)])
            written[0] += 1

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for number in range(3):
            backup(places, tmp_path / f"{number}.backup")
    finally:
        stop.set()
        thread.join()
    assert len(store.records("r1-staging")) == 5 * written[0] + 1
    store.close()
    restore_backup(places, tmp_path / "2.backup", "now", SECRET)
    again = DatabaseStore(places.store, SystemClock())
    found = again.records("r1-staging")
    again.close()
    assert [record.seq for record in found] == list(range(1, len(found) + 1))
    assert len(found) % 5 == 1


def test_nothing_is_overwritten(places: BackupPaths, tmp_path: Path) -> None:
    """A file that is there already is left as it is, and a backup that cannot be written leaves nothing behind."""
    file = tmp_path / "a.backup"
    file.write_text("mine")
    _refused("S134", lambda: backup(places, file))
    assert file.read_text() == "mine"
    _refused("S134", lambda: backup(places, tmp_path / "none/a.backup"))
    assert [path.name for path in places.state.iterdir() if path.name.startswith("backing-up-")] == []


def test_every_changed_byte_is_noticed(places: BackupPaths, tmp_path: Path) -> None:
    """A backup with a byte changed, cut off or added anywhere is refused, and the state stays as it was."""
    file, damaged = tmp_path / "a.backup", tmp_path / "b.backup"
    backup(places, file)
    data, before = file.read_bytes(), content(places.state)
    step = max(1, len(data) // 60)
    for at in [*range(0, len(data), step), len(data) - 1]:
        damaged.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(OrchestratorError) as caught:
            restore_backup(places, damaged, "now", SECRET)
        assert caught.value.code in {"S130", "S131"}
    for changed in (b"", data[: len(data) // 2], data[:-1], data + b"\0", data + b"more"):
        damaged.write_bytes(changed)
        with pytest.raises(OrchestratorError) as caught:
            restore_backup(places, damaged, "now", SECRET)
        assert caught.value.code in {"S130", "S131"}
    assert content(places.state) == before
    assert runs(places) == ["r1-staging"]
    assert not (places.state / "restoring").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "plans/../../outside", "-rf", "a\\b", "plans//x"])
def test_names_that_lead_elsewhere(places: BackupPaths, tmp_path: Path, name: str) -> None:
    """A backup with a name that is not a plain relative path is refused, however well its digests fit."""
    file, data = tmp_path / "a.backup", b"x"
    about = PackageFile(path=name, size=1, sha256=hashlib.sha256(data).hexdigest())
    manifest = BackupManifest(
        project="shop", program="1", made_at=AT, store="sqlite", schema_version=SCHEMA, logs=False, files=(about,)
    )
    with pytest.MonkeyPatch.context() as patched, file.open("wb") as out:
        patched.setattr("orchestrator.adapters.backup.archive.check_name", lambda wanted: wanted)
        write_backup(out, manifest, lambda _: io.BytesIO(data))
    _refused("S131", lambda: restore_backup(places, file, "now", SECRET))
    assert not (tmp_path / "outside").exists()


def test_what_is_not_ours(places: BackupPaths, tmp_path: Path) -> None:
    """Another project's backup, one of another kind of store, a newer one and something else are refused by name."""
    file = tmp_path / "a.backup"
    backup(places, file)
    other = BackupPaths("blog", places.state, places.store)
    assert "'shop'" in _refused("S130", lambda: inspect(other, file, SECRET)).message
    _refused("S130", lambda: inspect(BackupPaths("shop", places.state, "postgresql://x/y"), file, SECRET))
    with sqlite3.connect(places.state / "state.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    backup(places, tmp_path / "new.backup")
    assert "9999" in _refused("S115", lambda: inspect(places, tmp_path / "new.backup", SECRET)).message
    (tmp_path / "text").write_text("not a backup" * 100)
    _refused("S130", lambda: inspect(places, tmp_path / "text", SECRET))
    _refused("S130", lambda: inspect(places, tmp_path, SECRET))
    os.mkfifo(tmp_path / "pipe")
    _refused("S130", lambda: inspect(places, tmp_path / "pipe", SECRET))


@pytest.mark.parametrize("at", range(10))
def test_a_restore_is_all_or_nothing(
    places: BackupPaths, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its process dies at any move of a file, the restore is undone as a whole, or begun again to its end."""
    file = tmp_path / "a.backup"
    backup(places, file)
    add(places, "r2")
    (places.state / "pulumi/passphrase").write_bytes(b"another")
    shutil.rmtree(places.state / "plans")
    before, moves, real = content(places.state), [0], Path.rename

    class Died(BaseException):
        pass

    def rename(path: Path, target: Path) -> Path:
        if path.is_relative_to(places.state):
            moves[0] += 1
            if moves[0] > at:
                raise Died
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    putting_back = restoring._move_back
    monkeypatch.setattr(restoring, "_move_back", lambda _: None)  # the dead do nothing
    died = False
    try:
        restore_backup(places, file, "now", SECRET)
    except Died:
        died = True
    monkeypatch.setattr(Path, "rename", real)
    monkeypatch.setattr(restoring, "_move_back", putting_back)
    if died and at % 2 == 0:
        assert undo_restore(places)
        assert content(places.state) == before
        assert runs(places) == ["r2-staging", "r1-staging"]
    restore_backup(places, file, "again", SECRET)
    assert runs(places) == ["r1-staging"]
    assert (places.state / "pulumi/passphrase").read_bytes() == b"secret"
    assert not undo_restore(places)


def test_a_move_that_fails_is_undone_at_once(
    places: BackupPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a file cannot be moved, everything is back in its place when the error is told."""
    file = tmp_path / "a.backup"
    backup(places, file)
    add(places, "r2")
    before, real = content(places.state), restoring._flush

    def fail(*paths: Path) -> None:
        if len(paths) > 1 and places.state in paths[:1]:
            raise OSError(28, "No space left on device", "x")
        real(*paths)

    monkeypatch.setattr(restoring, "_flush", fail)
    _refused("S134", lambda: restore_backup(places, file, "now", SECRET))
    assert content(places.state) == before
    assert runs(places) == ["r2-staging", "r1-staging"]
    assert not (places.state / "restoring").exists()


def test_postgres_needs_its_own_programs(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pg_dump the backup of a Postgres store is refused by name, and no password is ever on a command line."""
    places = lay(tmp_path / "state", postgres.fresh())
    monkeypatch.setenv("PATH", str(tmp_path))
    error = _refused("S133", lambda: backup(places, tmp_path / "a.backup"))
    assert "pg_dump" in error.message
    assert not (tmp_path / "a.backup").exists()
    (tmp_path / "pg_dump").write_text('#!/bin/sh\necho "$PGPASSWORD $*" >&2\nexit 1\n')
    (tmp_path / "pg_dump").chmod(0o755)
    secret = BackupPaths("shop", places.state, "postgresql://ann:s3cret%21@db.test:5433/shop?sslmode=require")
    said = _refused("S133", lambda: backup(secret, tmp_path / "a.backup")).message
    assert "s3cret! --dbname=postgresql://ann@db.test:5433/shop?sslmode=require --format=custom" in said


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`backup` names the file that it wrote; `restore_backup` asks first, refuses while somebody works, and says what it kept."""
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    monkeypatch.chdir(tmp_path)
    places = lay(tmp_path / ".orchestrator")
    monkeypatch.setenv("ORCHESTRATOR_PASSPHRASE_FILE", passphrase(tmp_path)[1])
    assert main(["backup", "a.backup", "--with-secrets"]) == 0
    assert capsys.readouterr().out.strip() == "a.backup"
    add(places, "r2")
    assert main(["restore", "a.backup"]) == 2
    assert "error[M102]" in capsys.readouterr().err

    (places.state / "executors").mkdir()
    with (places.state / "executors/r2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["restore", "a.backup", "--yes"]) == 8
    assert "error[S132]" in capsys.readouterr().err
    assert main(["restore", "a.backup", "--yes"]) == 0
    said = capsys.readouterr()
    assert "state-before-restore-" in said.out
    assert "r2-staging" in said.err
    assert runs(places) == ["r1-staging"]

    (places.restoring / "old").mkdir(parents=True)
    (places.restoring / "parts.json").write_text("{}")
    assert main(["status"]) == 1
    assert "error[S135]" in capsys.readouterr().err
    assert main(["restore", "--undo"]) == 0
    assert main(["status"]) == 0
    assert CliRunner().invoke(cli, ["restore"]).exit_code == 2
