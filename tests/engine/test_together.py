"""Walks that do several runs side by side, and survive the process that does them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.journal import Entry, QueuedRequest, Run
from orchestrator.engine.durable import Engine, EngineConfig, RunFlow
from orchestrator.engine.jobs import LocalJobs

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
NAMES = ("a", "b", "c")

WALK = """
import json, os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from orchestrator.domain.journal import Entry
from tests.engine.test_together import engine_in, NAMES

folder = Path({folder!r})

def one(durable, ownership, name):
    run = f"root1-{{name}}"
    def work(number):
        while store.run(run).control == "pause":
            ownership.park()
        ownership.acting(run)
        with open(folder / "effects", "a") as effects:
            effects.write(f"{{name}}{{number}}\\n")
        (folder / f"at-{{name}}{{number}}").touch()
        while (folder / f"hold-{{name}}{{number}}").exists():
            time.sleep(0.02)
        ownership.acting(None)
        return number
    answers = [durable.step(f"{{name}}.{{number}}", lambda: work(number)) for number in range(3)]
    durable.step(f"{{name}}.end", lambda: store.append(run, [Entry(kind="ended", data={{"state": "succeeded", "exit": 0}})]))
    return {{"answers": answers}}

def walk(durable, ownership, data):
    if data.get("part"):
        return one(durable, ownership, data["part"]["name"])
    durable.step("before", lambda: 1)
    found = durable.together({{f"root1-{{name}}": {{"name": name}} for name in NAMES}})
    durable.step("after", lambda: (folder / "after").touch())
    return found

engine, store = engine_in(folder, walk)
wait = engine.begin("root1", {{"factor": 10}})
import signal, threading
signal.signal(signal.SIGTERM, lambda *_: engine.stop_signal.request_stop())
done = {{}}
thread = threading.Thread(target=lambda: done.update(wait()), daemon=True)
thread.start()
while thread.is_alive() and not engine.stop_signal.parked.is_set():
    thread.join(0.05)
if thread.is_alive():
    engine.release()
    os._exit(9)
(folder / "answer").write_text(json.dumps(done))
engine.close()
"""


def engine_in(folder: Path, walk: RunFlow) -> tuple[Engine, DatabaseStore]:
    """An engine and its store in *folder*, where one root with three runs was asked for."""
    store = DatabaseStore(f"sqlite:///{folder}/state.db", SystemClock())
    runs = [Run(id=f"root1-{name}", root="root1", kind="promotion", environment=name) for name in NAMES]
    store.submit(QueuedRequest(root="root1", request={}), runs[0])
    for run in runs:
        store.create(run)
    place = EngineConfig(f"sqlite:///{folder}/engine.db", folder / "executors", ttl=6.0)
    return Engine(place, store, LocalJobs(folder / "jobs"), walk), store


def start(folder: Path) -> "subprocess.Popen[str]":
    """Do the walk in a process of its own."""
    code = WALK.format(root=str(ROOT), folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def until(what: Callable[[], bool]) -> None:
    """Wait until *what* is so."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def wish(folder: Path, name: str, what: str) -> None:
    """Write down what a person wants of the run of *name*."""
    store = DatabaseStore(f"sqlite:///{folder}/state.db", SystemClock())
    store.append(f"root1-{name}", [Entry(kind="control", data={"control": what, "by": "ann"})])
    store.close()


def ended(process: "subprocess.Popen[str]", code: int) -> None:
    """See the process to its end."""
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == code, said


def effects(folder: Path) -> list[str]:
    """What was done, in order."""
    return (folder / "effects").read_text().split()


def test_parts_go_on_beside_each_other_and_survive(tmp_path: Path) -> None:
    """Runs are done side by side; after `kill -9` each goes on where it was, and what was done is not done again."""
    for held in ("a1", "b2"):
        (tmp_path / f"hold-{held}").touch()
    process = start(tmp_path)
    until(
        lambda: (tmp_path / "at-a1").exists() and (tmp_path / "at-b2").exists() and effects(tmp_path).count("c2") == 1
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for held in ("a1", "b2"):
        (tmp_path / f"hold-{held}").unlink()
    ended(start(tmp_path), 0)
    answer = json.loads((tmp_path / "answer").read_text())
    assert answer == {f"root1-{name}": {"answers": [0, 1, 2]} for name in NAMES}
    done = effects(tmp_path)
    assert {name: done.count(name) for name in set(done)} == {
        **{f"{name}{number}": 1 for name in NAMES for number in range(3)},
        "a1": 2,  # it was in the middle of these
        "b2": 2,
    }


def test_a_stop_waits_for_every_part(tmp_path: Path) -> None:
    """SIGTERM parks the process when each of its runs has come to its next step, and none is cut off in one."""
    for held in ("a1", "b1", "c1"):
        (tmp_path / f"hold-{held}").touch()
    process = start(tmp_path)
    until(lambda: all((tmp_path / f"at-{name}1").exists() for name in NAMES))
    process.send_signal(signal.SIGTERM)
    (tmp_path / "hold-a1").unlink()
    time.sleep(1.5)
    assert process.poll() is None
    for held in ("b1", "c1"):
        (tmp_path / f"hold-{held}").unlink()
    ended(process, 9)
    assert sorted(effects(tmp_path)) == ["a0", "a1", "b0", "b1", "c0", "c1"]
    ended(start(tmp_path), 0)
    assert sorted(effects(tmp_path)) == sorted(f"{name}{number}" for name in NAMES for number in range(3))


def test_one_side_stands_still_alone(tmp_path: Path) -> None:
    """A run that is paused stands still while the others go on to their ends; then the process lets go of all of it."""
    (tmp_path / "hold-a0").touch()
    process = start(tmp_path)
    until((tmp_path / "at-a0").exists)
    wish(tmp_path, "a", "pause")
    (tmp_path / "hold-a0").unlink()
    ended(process, 9)
    assert sorted(effects(tmp_path)) == ["a0", "b0", "b1", "b2", "c0", "c1", "c2"]
    assert not (tmp_path / "after").exists()
    wish(tmp_path, "a", "")
    ended(start(tmp_path), 0)
    assert effects(tmp_path)[-2:] == ["a1", "a2"]
    assert (tmp_path / "after").exists()


def test_one_side_that_stood_still_goes_on_with_the_others(tmp_path: Path) -> None:
    """A paused run is let go on while the others are still at work, in the same process."""
    for held in ("a0", "b1"):
        (tmp_path / f"hold-{held}").touch()
    process = start(tmp_path)
    until(lambda: (tmp_path / "at-a0").exists() and (tmp_path / "at-b1").exists())
    wish(tmp_path, "a", "pause")
    (tmp_path / "hold-a0").unlink()
    time.sleep(1.0)
    assert "a1" not in effects(tmp_path)
    wish(tmp_path, "a", "")
    until(lambda: "a2" in effects(tmp_path))
    assert process.poll() is None
    (tmp_path / "hold-b1").unlink()
    ended(process, 0)
