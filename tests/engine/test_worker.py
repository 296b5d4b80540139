"""Workers: processes that do what was left to their queue."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.journal import Entry, QueuedRequest, Run
from orchestrator.engine.durable import Engine, EngineConfig, RunFlow
from orchestrator.engine.jobs import LocalJobs
from orchestrator.ports import Job
from orchestrator.processes import kill_tree, tagged
from tests.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
MARK = "ORCHESTRATOR_TEST_WORKER"
PATIENCE = 60.0

WORKER = """
import json, os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.engine.test_worker import engine_in, store_at
from orchestrator.domain.worker import WorkerConfig
from orchestrator.engine.worker import Worker, forked

folder = Path({folder!r})

def walk(durable, ownership, data):
    def work():
        with open(folder / "effects", "a") as effects:
            effects.write(data["root"] + "\\n")
        while (folder / f"hold-{{data['root']}}").exists():
            time.sleep(0.05)
        if (folder / f"die-{{data['root']}}").exists():
            os.kill(os.getpid(), 9)
        return 1
    durable.step("one", work)
    durable.step("two", lambda: 2)
    return {{}}

def work(root):
    import signal
    signal.signal(signal.SIGTERM, lambda *_: engine.stop_signal.request_stop())
    wait = engine.begin(root, {{"root": root}})
    import threading
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while thread.is_alive() and not engine.stop_signal.parked.is_set():
        thread.join(0.05)
    if thread.is_alive():
        engine.release()
        return 130
    return 0

store = store_at({url!r})
engine = engine_in(folder, {url!r}, store, walk)
start = lambda root: forked(engine, store, root, folder / "log", lambda: work(root))
tell = lambda news: print(json.dumps([news.what, news.root, news.process, news.why]), flush=True)
rules = WorkerConfig("q", int(sys.argv[1]), "--once" in sys.argv, "--until-input-ends" in sys.argv)
Worker(engine, store, start, tell, rules).run()
"""


def store_at(url: str) -> DatabaseStore:
    """The store at *url*."""
    return DatabaseStore(url, SystemClock())


def engine_in(folder: Path, url: str, store: DatabaseStore, walk: RunFlow) -> Engine:
    """An engine whose locks are in *folder*, as on a machine of its own."""
    own = f"sqlite:///{folder}/engine.db" if url.startswith("sqlite") else url
    place = EngineConfig(own, folder / "executors", ttl=4.0, bound=not url.startswith("sqlite"))
    return Engine(place, store, LocalJobs(folder / "jobs"), walk)


class Yard:
    """A folder, a database, and the workers that were started in them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.store = folder, url, store_at(url)
        self.processes: list[subprocess.Popen[str]] = []

    def ask(self, root: str, environment: str, queue: str = "q") -> Run:
        """Leave *root* to workers, in the queue of its environment."""
        run = Run(id=f"{root}-{environment}", root=root, kind="promotion", environment=environment)
        self.store.submit(QueuedRequest(root=root, request={"targets": [environment]}, queue=queue), run)
        self.store.enqueue(environment, run, supersede=False)
        return run

    def ask_in_waves(self, root: str, *environments: str, queue: str = "q") -> Run:
        """Leave a walk in waves to workers; it stands in no environment's queue."""
        run = Run(id=root, root=root, kind="waves", environment="all")
        asked = {"targets": list(environments), "parameters": {"waves": {"plans": {}}}}
        self.store.submit(QueuedRequest(root=root, request=asked, queue=queue), run)
        return run

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a worker."""
        code = WORKER.format(root=str(ROOT), folder=str(self.folder), url=self.url)
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: str(self.folder)},
        )
        self.processes.append(process)
        return process

    def effects(self) -> list[str]:
        """What was done, in order."""
        file = self.folder / "effects"
        return file.read_text().split() if file.exists() else []

    def until(self, reached: Callable[[], object]) -> None:
        """Wait until it is so."""
        deadline = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def done(self, root: str) -> bool:
        """Whether it is done."""
        return self.store.work(root).done


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Yard]:
    """A place for workers, with each kind of store."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/state.db"
    else:
        server: Server = request.getfixturevalue("postgres")
        url = server.fresh()
    made = Yard(tmp_path, url)
    try:
        yield made
    finally:
        kill_tree(f"{MARK}={tmp_path}")
        for process in made.processes:
            process.communicate()
        made.store.close()


def _events(text: str) -> list[tuple[str, str]]:
    return [(what, root) for what, root, _process, _why in map(json.loads, text.splitlines())]


def test_what_can_be_taken_is_done_oldest_first(place: Yard) -> None:
    """A worker does its own queue's roots, oldest first, and leaves those of a busy environment and of other queues."""
    place.store.acquire("two", "lock:x", "ann", "maintenance")
    for root, environment in (("a", "one"), ("b", "two"), ("c", "three")):
        place.ask(root, environment)
    place.ask("d", "four", queue="other")
    out, _ = place.start("1", "--once").communicate(timeout=PATIENCE)
    assert place.effects() == ["a", "c"]
    assert [place.done(root) for root in "abcd"] == [True, False, True, False]
    assert _events(out)[:3] == [("ready", ""), ("took", "a"), ("done", "a")]


def test_who_waits_longer_goes_first(place: Yard) -> None:
    """A root whose environment is promised to somebody else is not taken, and holds nobody's place."""
    run = Run(id="p-one", root="p", kind="promotion", environment="one")
    place.store.submit(QueuedRequest(root="p", request={"targets": ["one"]}), run)
    place.store.enqueue("one", run, supersede=False)
    place.ask("a", "one")
    place.ask("b", "two")
    place.start("1", "--once").wait(PATIENCE)
    assert place.effects() == ["b"]


def test_sigterm_parks_and_the_next_worker_goes_on(place: Yard) -> None:
    """SIGTERM ends a worker once its root has stopped before its next step; the next worker ends it, nothing twice."""
    place.ask("a", "one")
    place.ask("b", "two")
    (place.folder / "hold-a").touch()
    worker = place.start("1")
    place.until(place.effects)
    worker.terminate()
    time.sleep(0.5)
    assert worker.poll() is None
    (place.folder / "hold-a").unlink()
    out, _ = worker.communicate(timeout=PATIENCE)
    assert _events(out)[-3:] == [("stopping", "a"), ("left", "a"), ("ended", "")]
    assert place.effects() == ["a"]
    assert not tagged(f"{MARK}={place.folder}")
    place.start("2", "--once").wait(PATIENCE)
    assert place.effects() == ["a", "b"]
    assert place.done("a")


def test_the_end_of_the_input_stops_a_worker_that_was_told_so(place: Yard) -> None:
    """A worker stops as by SIGTERM when the process that holds its input open has ended; another worker does not."""
    place.ask("a", "one")
    (place.folder / "hold-a").touch()
    worker, other = place.start("1", "--until-input-ends"), place.start("1")
    place.until(place.effects)
    for process in (worker, other):
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    time.sleep(0.7)
    (place.folder / "hold-a").unlink()
    place.until(lambda: worker.poll() is not None)
    place.until(lambda: place.done("a"))
    assert (worker.returncode, other.poll()) == (0, None)
    assert place.effects() == ["a"]


def test_a_killed_worker_loses_nothing(place: Yard) -> None:
    """After `kill -9` of a worker what it began goes on, and another worker does the rest, nothing twice."""
    place.ask("a", "one")
    place.ask("b", "two")
    (place.folder / "hold-a").touch()
    worker = place.start("1")
    place.until(place.effects)
    worker.kill()
    worker.wait()
    place.start("1", "--once").wait(PATIENCE)
    assert place.effects() == ["a", "b"]
    (place.folder / "hold-a").unlink()
    place.until(lambda: place.done("a"))
    assert place.effects() == ["a", "b"]


def test_a_root_that_kills_its_process_starves_nobody(place: Yard) -> None:
    """A root whose process dies again and again is taken later each time, and others are done meanwhile."""
    place.ask("a", "one")
    (place.folder / "die-a").touch()
    place.ask("b", "two")
    worker = place.start("1")
    place.until(lambda: place.done("b") and place.effects().count("a") == 2)
    (place.folder / "die-a").unlink()
    place.until(lambda: place.done("a"))
    worker.send_signal(signal.SIGINT)
    out, _ = worker.communicate(timeout=PATIENCE)
    whys = [why for what, root, _, why in map(json.loads, out.splitlines()) if (what, root) == ("let go", "a")]
    assert whys[0] == "signal 9, time 1; again in 1 s"
    assert whys[1] == "signal 9, time 2; again in 2 s"


def test_what_is_paused_stands_still(place: Yard) -> None:
    """A run that a person has paused is not taken."""
    run = place.ask("a", "one")
    place.store.append(run.id, [Entry(kind="control", data={"control": "pause", "by": "ann"})])
    place.start("1", "--once").wait(PATIENCE)
    assert place.effects() == []


def test_a_walk_between_two_waves_takes_nobodys_place(place: Yard) -> None:
    """A walk in waves of which no environment is at work leaves its place to others; one that is paused is not taken."""
    place.ask_in_waves("a", "one", "two")
    (place.folder / "hold-a").touch()
    paused = place.ask_in_waves("b", "three")
    place.store.append(paused.id, [Entry(kind="control", data={"control": "pause", "by": "ann"})])
    place.ask("c", "four")
    worker = place.start("1")
    place.until(lambda: place.done("c"))
    assert place.effects() == ["a", "c"]
    place.store.create(Run(id="a-one", root="a", kind="promotion", environment="one"))
    place.ask("d", "five")
    time.sleep(1.5)
    assert not place.done("d")  # an environment of the walk is at work now
    place.store.append("a-one", [Entry(kind="ended", data={"state": "succeeded", "exit": 0})])
    place.until(lambda: place.done("d"))
    (place.folder / "hold-a").unlink()
    place.until(lambda: place.done("a"))
    worker.send_signal(signal.SIGINT)
    worker.communicate(timeout=PATIENCE)
    assert place.effects() == ["a", "c", "d"]


def test_a_walk_waits_only_when_all_its_environments_do(place: Yard) -> None:
    """A walk that was interrupted is taken when one of its environments can go on, whatever the others wait for."""
    place.ask_in_waves("a", "one", "two")
    place.store.claim("a", "dead", "elsewhere", 0.0)
    for name in ("one", "two"):
        run = Run(id=f"a-{name}", root="a", kind="promotion", environment=name)
        place.store.create(run)
        place.store.acquire(name, f"lock:{name}", "ann", "maintenance")
        place.store.enqueue(name, run, supersede=False)
    place.start("1", "--once").wait(PATIENCE)
    assert place.effects() == []
    place.store.release("two", "lock:two")
    place.start("1", "--once").wait(PATIENCE)
    assert place.effects() == ["a"]


def test_what_is_cancelled_waits_for_nobody(place: Yard) -> None:
    """A run that a person has cancelled is taken at once, whoever has its environment: it only has to end."""
    place.store.acquire("one", "lock:x", "ann", "maintenance")
    run = place.ask("a", "one")
    place.store.append(run.id, [Entry(kind="control", data={"control": "cancel", "by": "ann"})])
    place.start("1", "--once").wait(PATIENCE)
    assert place.done("a")


def test_a_job_does_not_outlive_its_claim(tmp_path: Path, postgres: Server) -> None:
    """On Postgres a job ends before the claim does when its orchestrator is killed; on SQLite it goes on."""
    for url, outlives in ((postgres.fresh(), False), (f"sqlite:///{tmp_path}/state.db", True)):
        folder = tmp_path / ("lite" if outlives else "post")
        folder.mkdir()
        store = store_at(url)
        run = Run(id="a-one", root="a", kind="promotion", environment="one")
        store.submit(QueuedRequest(root="a", request={"targets": ["one"]}), run)
        code = JOB.format(root=str(ROOT), folder=str(folder), url=url)
        process = subprocess.Popen([sys.executable, "-c", code])
        try:
            deadline = time.monotonic() + PATIENCE
            while not (folder / "jobs/a.one/pid").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            time.sleep(5)  # longer than a claim: it is renewed
            assert not (folder / "jobs/a.one/outcome.json").exists()
            process.kill()
            process.wait()
            until = store.work("a").until
            assert until is not None
            mark = f"ORCHESTRATOR_JOB={folder}/jobs/a.one"
            while not (over := SystemClock().now() >= until) and tagged(mark):  # who wrote the outcome ends last
                time.sleep(0.05)
            assert over == outlives
            assert bool(tagged(mark)) == outlives
            if not outlives:
                assert json.loads((folder / "jobs/a.one/outcome.json").read_text())["how"] == "lost"
        finally:
            process.kill()
            process.wait()
            kill_tree(f"ORCHESTRATOR_JOB={folder}/jobs/a.one")
            with contextlib.suppress(FileNotFoundError):
                store.close()


JOB = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from orchestrator.ports import Job
from tests.engine.test_worker import engine_in, job_in, store_at

folder = Path({folder!r})

def walk(durable, ownership, data):
    return durable.step("job", lambda: job_in(engine._jobs, folder))

engine = engine_in(folder, {url!r}, store_at({url!r}), walk)
engine.begin("a", {{}})()
"""


def job_in(jobs: LocalJobs, folder: Path) -> str:
    """A job that goes on for long."""
    words = ("sh", "-c", f"echo $$ > {folder}/jobs/a.one/pid; exec sleep 60")
    return jobs.run(Job(key="a.one", argv=words, cwd=folder, env=dict(os.environ), files={}, view=None)).how
