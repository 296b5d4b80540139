"""An implementation plan with manual tasks over restarts and `kill -9`: nothing waits in a process, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.rare
PATIENCE_S = 90.0
LAUNCH = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Launch
tasks:
  - name: announce
    timeout: 1s
    on_timeout: needs-help
  - name: check
    after: [announce]
  - name: late
    after: [announce]
    start: 3s
"""


class Place:
    """A project in a folder, its commands, and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workers = folder, list[subprocess.Popen[bytes]]()
        self.environ = {**os.environ, "NO_COLOR": "1", "ORCHESTRATOR_RECOVERY": "manual"}
        (folder / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: demo\n")
        (folder / "implementation").mkdir()
        (folder / "implementation" / "launch.yaml").write_text(LAUNCH)

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "orchestrator", *words]

    def json(self, *words: str) -> Any:
        done = subprocess.run(
            self.words(*words, "--json"), cwd=self.folder, env=self.environ, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def work(self) -> subprocess.Popen[bytes]:
        out = (self.folder / f"worker-{len(self.workers)}.log").open("wb")
        with out:
            self.workers.append(
                subprocess.Popen(self.words("worker"), cwd=self.folder, env=self.environ, stdout=out, stderr=out)
            )
        return self.workers[-1]

    def states(self) -> list[str]:
        return [task["state"] for task in self.json("implementation", "status", "IP-1")["plan"]["tasks"]]

    def wait(self, holds: Callable[[list[str]], bool]) -> list[str]:
        until = time.monotonic() + PATIENCE_S
        while not holds(found := self.states()):
            assert time.monotonic() < until, (found, (self.folder / "worker-0.log").read_text())
            time.sleep(0.5)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for worker in made.workers:
        if worker.poll() is None:
            worker.send_signal(signal.SIGKILL)
        worker.wait()


def test_a_plan_survives_restarts_and_kills(place: Place) -> None:
    """A worker that is killed leaves a plan that commands change without it, and that the next worker continues."""
    place.json("implementation", "start", "launch")
    first = place.work()
    assert place.wait(lambda found: found[0] == "needs-help") == ["needs-help", "pending", "pending"]
    first.send_signal(signal.SIGKILL)
    first.wait()
    place.json("implementation", "begin", "IP-1", "announce")
    place.json("implementation", "done", "IP-1", "announce", "--evidence", "mailed")
    assert place.states()[:2] == ["done", "ready"]
    place.json("implementation", "replan", "IP-1", "check", "--for", "2h")
    place.work()
    assert place.wait(lambda found: found[2] == "ready") == ["done", "ready", "ready"]
    place.workers[-1].send_signal(signal.SIGKILL)
    for name in ("check", "late"):
        place.json("implementation", "done", "IP-1", name)
    (plan,) = place.json("implementation", "list", "--all")["plans"]
    assert (plan["plan"]["state"], len(plan["plan"]["tasks"][0]["evidence"])) == ("completed", 1)
    events = [entry.get("detail", {}).get("event") for entry in place.json("audit", "list")["entries"]]
    assert events.count("complete") == 4
