"""Walks that survive the process that does them."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import QueuedRequest, Run
from orchestrator.engine.durable import Engine, EngineConfig, RunFlow
from orchestrator.engine.jobs import LocalJobs
from orchestrator.ports import Durable

ROOT = Path(__file__).resolve().parents[2]

WALK = """
import json, os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.engine.test_durable import engine_in

folder = Path({folder!r})

def walk(durable, ownership, data):
    answers = []
    for number in range(4):
        def work():
            with open(folder / "effects", "a") as effects:
                effects.write(f"{{number}}\\n")
            if number == 2 and not (folder / "second").exists():
                (folder / "reached").touch()
                time.sleep(30)
            return number * data["factor"]
        answers.append(durable.step(f"step{{number}}", work))
        durable.sleep(f"wait{{number}}", 0)
    return {{"answers": answers}}

engine = engine_in(folder, walk)
if len(sys.argv) > 1 and sys.argv[1] == "brake":
    engine.stop_signal.request_stop()
wait = engine.begin("root1", {{"factor": 10}})
if len(sys.argv) > 1 and sys.argv[1] == "brake":
    engine.stop_signal.parked.wait(20)
    os._exit(9)
(folder / "answer").write_text(json.dumps(wait()))
engine.close()
"""


def engine_in(folder: Path, walk: RunFlow) -> Engine:
    """An engine with its store in *folder*, where two roots were asked for."""
    store = DatabaseStore(f"sqlite:///{folder}/state.db", SystemClock())
    for root in ("root1", "root2"):
        run = Run(id=f"{root}-staging", root=root, kind="promotion", environment="staging")
        store.submit(QueuedRequest(root=root, request={}), run)
    place = EngineConfig(f"sqlite:///{folder}/engine.db", folder / "executors", ttl=3.0)
    return Engine(place, store, LocalJobs(folder / "jobs"), walk)


def _idle(_durable: object, _tenure: object, _data: object) -> dict[str, int]:
    return {}


def _start(tmp_path: Path, *words: str) -> "subprocess.Popen[str]":
    code = WALK.format(root=str(ROOT), folder=str(tmp_path))
    return subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True)


def _reached(tmp_path: Path) -> None:
    deadline = time.monotonic() + 30
    while not (tmp_path / "reached").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_walk_goes_on(tmp_path: Path) -> None:
    """After `kill -9` in the middle of a step, the steps before it are not done again, and the walk comes to its end."""
    process = _start(tmp_path)
    _reached(tmp_path)
    assert engine_in(tmp_path, _idle).working("root1")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not engine_in(tmp_path, _idle).working("root1")
    (tmp_path / "second").touch()
    again = _start(tmp_path)
    assert again.wait(60) == 0, again.stderr and again.stderr.read()
    assert json.loads((tmp_path / "answer").read_text()) == {"answers": [0, 10, 20, 30]}
    assert (tmp_path / "effects").read_text().split() == ["0", "1", "2", "2", "3"]


def test_one_process_a_walk(tmp_path: Path) -> None:
    """Two processes never work on one walk: the second is told who does."""
    process = _start(tmp_path)
    _reached(tmp_path)
    engine = engine_in(tmp_path, _idle)
    with pytest.raises(OrchestratorError) as caught:
        engine.begin("root1", {})
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert caught.value.code == "S120"
    assert str(process.pid) in caught.value.message


def test_the_brake_parks_before_an_effect(tmp_path: Path) -> None:
    """With the brake pulled nothing more is begun, and the walk can be gone on with afterwards."""
    process = _start(tmp_path, "brake")
    assert process.wait(60) == 9
    assert not (tmp_path / "effects").exists()
    (tmp_path / "second").touch()
    assert _start(tmp_path).wait(60) == 0
    assert (tmp_path / "effects").read_text().split() == ["0", "1", "2", "3"]


def test_a_walk_that_has_ended_gives_its_answer_again(tmp_path: Path) -> None:
    """Begun again, a walk that has ended does nothing and gives the same answer."""
    calls: list[int] = []

    def walk(durable: Durable, _tenure: object, data: dict[str, int]) -> dict[str, int]:
        def work() -> int:
            calls.append(1)
            return data["x"]

        return {"answer": durable.step("one", work)}

    for _ in range(2):
        engine = engine_in(tmp_path, walk)
        try:
            assert engine.begin("root2", {"x": 5})() == {"answer": 5}
        finally:
            engine.close()
    assert calls == [1]
    assert threading.active_count() < 20


def test_every_walk_of_a_process_is_recorded_in_its_own_database(tmp_path: Path) -> None:
    """A walk that begins after another one in the same process records its steps in its own database, and does none twice."""
    calls: list[str] = []

    def walk(durable: Durable, _tenure: object, data: dict[str, str]) -> dict[str, str]:
        def work() -> str:
            calls.append(data["x"])
            return data["x"]

        return {"answer": durable.step("one", work)}

    engines = []
    for folder, root in (("a", "root1"), ("a", "root2"), ("b", "root2"), ("a", "root1"), ("b", "root2")):
        (tmp_path / folder).mkdir(exist_ok=True)
        engines.append(engine_in(tmp_path / folder, walk))
        x = f"{folder}/{root}"
        assert engines[-1].begin(root, {"x": x})() == {"answer": x}
        assert _executors(tmp_path / folder)[root] == root
    for engine in engines:
        engine.close()
    assert calls == ["a/root1", "a/root2", "b/root2"]


def test_a_process_works_on_one_walk(tmp_path: Path) -> None:
    """A process that is working on a walk cannot begin another one, and can once the first has ended."""
    going = threading.Event()
    calls: list[int] = []

    def walk(durable: Durable, _tenure: object, data: dict[str, int]) -> dict[str, int]:
        def work() -> int:
            calls.append(data["x"])
            going.wait(30)
            return data["x"]

        return {"answer": durable.step("one", work)}

    first, second = engine_in(tmp_path, walk), engine_in(tmp_path, walk)
    try:
        wait = first.begin("root1", {"x": 1})
        with pytest.raises(RuntimeError, match="another request"):
            second.begin("root2", {"x": 2})
        assert not second.working("root2")
        going.set()
        assert wait() == {"answer": 1}
        assert second.begin("root2", {"x": 2})() == {"answer": 2}
    finally:
        going.set()
        first.close()
        second.close()
    assert calls == [1, 2]


def _executors(folder: Path) -> dict[str, str]:
    """The executor under which each walk in *folder* is recorded: the one that recovers it."""
    with contextlib.closing(sqlite3.connect(folder / "engine.db")) as database:
        return dict(database.execute("SELECT workflow_uuid, executor_id FROM workflow_status"))


def test_what_is_kept_is_for_its_owner(tmp_path: Path) -> None:
    """The database of walks can be read by its owner only, from the start."""
    engine = engine_in(tmp_path, _idle)
    try:
        engine.begin("root2", {})()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    finally:
        engine.close()
