"""Rows 6, 7 and 11 to 15: power goes, disks lie, and databases are locked, damaged, lost, restarted or contended."""

import contextlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import sqlalchemy as sa

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import engine_url, integrity, sqlite_url
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from tests.campaigns.chaos.parts import EDGE, apart, ended, postgres, small, until
from tests.campaigns.chaos.processes import FAST, recovered
from tests.campaigns.chaos.proxy import UP, Proxy
from tests.campaigns.chaos.table import NotHere, Scene, needs, row
from tests.passphrase import passphrase
from tests.postgres import serving

ROOT = Path(__file__).resolve().parents[3]
WRITTEN = 12  # entries of each writer into each of two runs
WRITER = """
import sys
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.journal import Entry, Run
store = DatabaseStore(sys.argv[1], SystemClock())
store.create(Run(id="r1-edge", root="r1", kind="promotion", environment="edge"))
for number in range(100_000):
    store.append("r1-edge", [Entry(kind="notice", data={"n": number})])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@contextlib.contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    """A file system at *place*, for as long as the block lasts. Raises `NotHere` where we may not mount."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"mount {' '.join(words)}: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


@row(6, "power is lost")
def power(scene: Scene) -> str:
    """Copy the disk below a writer at a random moment: everything that was acknowledged is on the copy."""
    needs("mkfs.ext4", "losetup", "mount", root=True)
    disk, copy, said = scene.folder / "disk", scene.folder / "copy", scene.folder / "said"
    with disk.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk)], check=True, env={"PATH": f"{os.environ['PATH']}:/usr/sbin"})
    with mounted(scene.folder / "mnt", "-o", "loop,commit=300", str(disk)) as place:
        words = [sys.executable, "-c", WRITER, sqlite_url(place / "state.db")]
        with said.open("wb") as out:
            writer = subprocess.Popen(words, cwd=ROOT, stdout=out, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            until(lambda: said.stat().st_size, "the first entry is acknowledged")
            time.sleep(scene.rng.uniform(0, 2))
            writer.send_signal(signal.SIGSTOP)
            until(lambda: _stopped(writer.pid), "the writer stands still")
            acknowledged = len(said.read_text().split())
            copy.write_bytes(disk.read_bytes())
        finally:
            writer.kill()
            writer.wait()
    with mounted(scene.folder / "after", "-o", "loop", str(copy)) as place:
        url = sqlite_url(place / "state.db")
        assert integrity(url) == []
        store = DatabaseStore(url, SystemClock())
        found = [record.data["n"] for record in store.records("r1-edge")]
        store.close()
    assert found == list(range(len(found)))
    assert len(found) >= acknowledged, f"{acknowledged} were acknowledged, and {len(found)} are there"
    return f"{acknowledged} entries acknowledged, {len(found)} on the disk"


def _stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@row(7, "a write or sync ends with EIO")
def input_output_error(scene: Scene) -> str:
    """From some write or sync of the orchestrator on its disk fails, for once or for good: nothing is called done that is not."""
    needs("strace")
    project = small(scene)
    call, good = scene.rng.choice(("fsync", "fdatasync", "pwrite64")), scene.rng.random() < 0.5
    first, version, before = scene.rng.randint(1, 60), project.make(), project.last()
    when = f"{first}" if good else f"{first}+"
    plain = project.program
    project.program = (
        *FAST,
        "--seccomp-bpf",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:error=EIO:when={when}",
        *plain,
    )
    try:
        code, said = ended(project.begin(version))
    finally:
        project.program = plain
    assert code != 0 or project.status(EDGE)["last_run"]["state"] == "succeeded", said[-500:]
    journal = sqlite_url(project.state / "state.db")
    assert (integrity(journal), integrity(engine_url(journal))) == ([], [])
    if project.last() == before:
        return f"{call} {when}: ended with {code} before anything was asked for"
    if code == 4:
        return f"{call} {when}: {project.judge(project.last(), 'rolled back')}"
    return f"{call} {when}: ended with {code}, {recovered(project, version)}"


@row(11, "the database is locked by another program")
def locked(scene: Scene) -> str:
    """Hold it for longer than is waited for: a command that only looks says so, and the run goes on afterwards."""
    project, version = small(scene), small(scene).make()
    process = project.halfway(version)
    with contextlib.closing(sqlite3.connect(project.state / "state.db", isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        project.free()
        said = project.run("status", code=None)
        took = time.monotonic() - began
        other.execute("ROLLBACK")
    assert said.code != 0, "status has an answer from a database that is locked"
    assert "S112" in said.err, said.err[-500:]
    assert took < 45, f"it was waited for {took:.0f} s"
    code, _ = ended(process)
    assert code in {0, 130}, code
    return f"status gave up after {took:.0f} s; the promotion ended with {code}, {recovered(project, version)}"


def _damage(file: Path, rng: random.Random) -> str:
    data = bytearray(file.read_bytes())
    kind = rng.choice(("the head", "the schema's page", "many pages", "the end"))
    if kind == "the head":
        data[:100] = bytes(rng.randrange(256) for _ in range(100))
    elif kind == "the schema's page":
        data[100:612] = bytes(rng.randrange(256) for _ in range(512))
    elif kind == "many pages":
        for page in range(4096, len(data), 4096):
            data[page : page + 16] = bytes(rng.randrange(256) for _ in range(16))
    else:
        del data[len(data) // 2 :]
    file.write_bytes(data)
    return kind


@row(12, "the database's file is damaged")
def damaged(scene: Scene) -> str:
    """Write over parts of it: no promotion begins, and a backup puts it right."""
    project = apart(scene)
    secret = passphrase(scene.folder)
    project.run("backup", "good.backup", *secret)
    good, version = project.good_release(), project.make()
    kind = _damage(project.state / "state.db", scene.rng)
    said = project.promote(version, code=None)
    assert said.code not in {0, 4}, said.err[-500:]
    found = re.findall(r"\bS1\d\d\b", said.err)
    assert found, f"{kind}: {said.code}: {said.err[-800:]}"
    assert [project.marks(number).count(version) for number in (0, 1)] == [0, 0]
    project.run("restore", "good.backup", "--yes", *secret)
    assert set(project.releases(EDGE).values()) == {good}
    project.promote(version)
    project.judge(project.last(), "succeeded")
    return f"{kind}: refused with {found[0]}, restored, and promoted"


@row(13, "the database is an older one")
def older(scene: Scene) -> str:
    """Restore a backup from before the last promotion: the hosts' fences tell, and it is put right before anything is done."""
    project = small(scene)
    file = f"{scene.folder}/older.backup"
    secret = passphrase(scene.folder)
    project.run("backup", file, *secret)
    project.promote(project.make())
    project.run("restore", file, "--yes", *secret)
    version = project.make()
    said = project.promote(version)
    assert "the store was older than the hosts" in said.err, said.err[-800:]
    project.judge(project.last(), "succeeded")
    project.once(version)
    return "noticed by the hosts' fences, and reconciled"


def _through(scene: Scene, proxy: Proxy, url: str) -> str:
    """The database of *url* as it is reached through a proxy."""
    name = url.split("@/")[1].partition("?")[0]
    return f"postgresql://orchestrator@127.0.0.1:{proxy.port}/{name}?sslmode=disable"


@row(14, "Postgres: the answer to a COMMIT is lost", quick=True)
def unanswered(scene: Scene) -> str:
    """Commit, and cut the connection before its answer, or before the commit itself: once there, in order."""
    server = postgres(scene)
    url = server.fresh()
    proxy = scene.end.enter_context(Proxy(server.folder / ".s.PGSQL.5432"))
    store = DatabaseStore(_through(scene, proxy, url), SystemClock())
    scene.end.callback(store.close)
    store.create(Run(id="r1-edge", root="r1", kind="promotion", environment="edge"))
    asked, answered = [0], [True]

    def watch(way: str, data: bytes) -> bool:
        if way == UP and b"COMMIT" in data:
            asked[0] += 1
            answered[0] = scene.rng.random() > 0.3
            return scene.rng.random() > 0.1  # else: not even the server hears of it
        if way == UP or answered[0]:
            return True
        answered[0] = True  # for the connection that comes after this one
        return False

    proxy.faults.watch = watch
    lease = store.acquire("edge", "r1-edge", "ann", "a promotion")
    for number in range(20):
        entries = [Entry(kind="notice", data={"n": number}), Entry(kind="notice", data={"n": number}, key=f"k{number}")]
        store.append("r1-edge", entries, lease.fence)
    proxy.faults.watch = None
    found = [(record.seq, record.data["n"]) for record in store.records("r1-edge")]
    assert found == [(at + 1, at // 2) for at in range(40)], f"{len(found)} entries"
    assert store.acquire("edge", "r1-edge", "ann", "a promotion").fence >= lease.fence
    return f"{asked[0]} commits for 20 writes, {proxy.resets} without an answer: 40 entries, each once"


@row(14, "Postgres: its backends die at a COMMIT")
def backend(scene: Scene) -> str:
    """`kill -9` of the server's process at a commit, so that the whole server recovers: once there, in order."""
    with serving() as server:
        url = server.fresh()
        store = DatabaseStore(url, SystemClock())
        scene.end.callback(store.close)
        store.create(Run(id="r1-edge", root="r1", kind="promotion", environment="edge"))
        kills = [2]

        @sa.event.listens_for(store._engine, "commit")
        def _commit(connection: sa.Connection) -> None:
            if kills[0] and scene.rng.random() < 0.2:
                kills[0] -= 1
                process = cast("Any", connection.connection.driver_connection).info.backend_pid
                if scene.rng.random() < 0.5:
                    connection.connection.commit()
                os.kill(process, signal.SIGKILL)
                until(lambda: not Path(f"/proc/{process}").exists(), "the backend is gone")

        for number in range(40):
            store.append("r1-edge", [Entry(kind="notice", data={"n": number})])
        found = [record.data["n"] for record in store.records("r1-edge")]
    assert found == list(range(40)), found
    assert kills[0] < 2
    return f"{2 - kills[0]} backends killed at a commit: 40 entries, each once"


@row(14, "Postgres crashes under a promotion")
def crashes(scene: Scene) -> str:
    """Stop the server as by a power cut in the middle of a deployment, and start it again: the run ends well."""
    server = scene.end.enter_context(serving())
    project = apart(scene, ORCHESTRATOR_STORE=server.fresh())
    version, away = project.make(), scene.rng.uniform(0.5, 6)
    process = project.begin(version)
    until(lambda: version in project.marks(0), "the first host is deployed to")
    server.stop(at_once=True)
    time.sleep(away)
    server.start()
    code, said = ended(process)
    assert code in {0, 130}, f"{code}: {said[-800:]}"
    return f"away for {away:.1f} s, ended with {code}, {recovered(project, version)}"


@row(15, "Postgres: deadlocks and serialization failures")
def contention(scene: Scene) -> str:
    """A rival takes the same rows the other way round, and many write at once under SERIALIZABLE: all arrives, once."""
    server = postgres(scene)
    url = server.fresh()
    name = url.split("@/")[1].partition("?")[0]
    server.execute(f'ALTER DATABASE "{name}" SET deadlock_timeout = 30')
    store = DatabaseStore(url, SystemClock())
    scene.end.callback(store.close)
    store._engine = store._engine.execution_options(isolation_level="SERIALIZABLE")
    for number in range(2):
        store.create(Run(id=f"r{number}-edge", root=f"r{number}", kind="promotion", environment="edge"))
    fence = store.acquire("edge", "r0-edge", "ann", "a promotion").fence
    over, errors, seen = threading.Event(), list[OrchestratorError](), Counter[str]()

    @sa.event.listens_for(store._engine, "handle_error")
    def _count(context: sa.engine.ExceptionContext) -> None:
        seen[str(getattr(context.original_exception, "sqlstate", ""))] += 1

    threads = [threading.Thread(target=_write, args=(store, at, fence, errors), daemon=True) for at in range(3)]
    rival = threading.Thread(target=_rival, args=(url, over), daemon=True)
    for thread in (rival, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    rival.join()
    assert errors == [], errors[0].message
    for run in ("r0-edge", "r1-edge"):
        found = store.records(run)
        assert [record.seq for record in found] == list(range(1, 3 * WRITTEN + 1))
        for at in range(3):
            assert [record.data["n"] for record in found if record.data["at"] == at] == list(range(WRITTEN))
    assert seen["40P01"] + seen["40001"], "nobody came into anybody's way"
    counts = f"{seen['40P01']} deadlocks, {seen['40001']} serialization failures"
    return f"{counts}; {6 * WRITTEN} entries of three writers, each once, in order"


def _rival(url: str, over: threading.Event) -> None:
    """Take the leases first and a fence after them, where the store does it the other way round."""
    with psycopg.connect(url) as connection:
        connection.execute("SET deadlock_timeout = 60000")  # it is never the one who gives way
        connection.commit()
        while not over.wait(0.15):
            with contextlib.suppress(psycopg.Error), connection.transaction():
                connection.execute("LOCK TABLE leases IN EXCLUSIVE MODE")
                time.sleep(0.03)
                connection.execute("SELECT 1 FROM fences FOR UPDATE")


def _write(store: DatabaseStore, at: int, fence: int, errors: list[OrchestratorError]) -> None:
    try:
        for number in range(WRITTEN):
            store.append("r0-edge", [Entry(kind="notice", data={"n": number, "at": at})], fence)
            store.append("r1-edge", [Entry(kind="notice", data={"n": number, "at": at})])
            store.acquire(f"other{at}", "r1-edge", "ann", "a promotion")
            store.release(f"other{at}", "r1-edge")
    except OrchestratorError as error:
        errors.append(error)
