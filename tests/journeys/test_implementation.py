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

from tests.journeys.conftest import Project
from tests.journeys.test_freeze import small

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


PLAY = """- hosts: web
  gather_facts: false
  tasks:
    - name: Append a line, slowly
      ansible.builtin.shell:
        cmd: "touch begun-{{ rows | default('release') }}; sleep {{ pause | default(0) }}; echo {{ rows | default('release') }} >> moved.txt"
        chdir: "{{ host_root }}"
"""
SUITE = """testinfra_hosts = ["ansible://web"]


def test_it_is_here(host):
    assert host.file(host.ansible.get_variables()["host_root"] + "/moved.txt").exists
"""
RELEASE = """apiVersion: orchestrator/v1
kind: Release
name: orders
version: "1.0.0"
environments: [staging]
steps:
  - {name: deploy, playbook: playbooks/move.yml, hosts: web}
verify:
  - {name: here, tests: tests/here}
"""
MOVE = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Move the orders
tasks:
  - name: measure
    inputs:
      type: object
      properties: {rows: {type: integer, minimum: 1}}
      required: [rows]
  - name: move
    kind: automated
    after: [measure]
    playbook:
      environment: staging
      playbook: playbooks/move.yml
      hosts: web
      variables: {rows: "${{ tasks.measure.rows }}", pause: "6"}
  - name: healthy
    kind: automated
    after: [move]
    gate: {environment: staging, command: [sh, -c, 'test "$ORCHESTRATOR_ENVIRONMENT" = staging'], within: 30s, every: 1s}
  - name: report
    kind: automated
    after: [healthy]
    command: {environment: staging, words: [sh, -c, 'echo "moved ${{ tasks.measure.rows }} in $ORCHESTRATOR_ENVIRONMENT"']}
  - name: decide
    kind: decision
    after: [report]
"""


def tasks_of(shop: Project) -> dict[str, Any]:
    plan = shop.run("implementation", "status", "IP-1", "--json").json["plan"]
    return {task["name"]: task for task in plan["tasks"]}


def until(shop: Project, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + 4 * PATIENCE_S
    while not holds(found := tasks_of(shop)):
        assert time.monotonic() < end, found
        time.sleep(0.5)
    return found


def kill(worker: "subprocess.Popen[str]") -> None:
    """End a worker with the processes of its calls at once, as a machine does that loses its power; jobs go on."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()


@pytest.mark.timeout(900)
def test_a_playbook_runs_once_although_workers_are_killed(shop: Project) -> None:
    """A typed input of a user is used by a playbook on a real host, which runs once while workers are killed; a gate and a command follow, with their output."""
    small(shop)
    shop.write("playbooks/move.yml", PLAY)
    shop.write("tests/here/test_here.py", SUITE)
    shop.write("releases/orders/release.yaml", RELEASE)
    shop.write("implementation/move.yaml", MOVE)
    shop.run("promote", "releases/orders", "--to", "staging")
    [variables] = shop.variables("staging").values()
    place = Path(variables["host_root"])
    shop.run("implementation", "start", "move")
    workers = [shop.start("worker")]
    try:
        time.sleep(3)
        kill(workers[-1])
        assert "G408" in shop.run("implementation", "done", "IP-1", "measure", "--input", "rows=0", code=2).err
        shop.run("implementation", "done", "IP-1", "measure", "--input", "rows=7")
        assert tasks_of(shop)["move"]["playbook"]["variables"]["rows"] == "7"
        workers.append(shop.start("worker"))
        end = time.monotonic() + 2 * PATIENCE_S
        while not (place / "begun-7").exists():
            assert time.monotonic() < end, tasks_of(shop)["move"]
            time.sleep(0.1)
        with shop.opened() as app:
            lease = app.store.lease("staging")
        assert lease is not None
        assert (lease.locked, "IP-1:move" in lease.reason) == (True, True)
        kill(workers[-1])
        workers.append(shop.start("worker"))
        found = until(shop, lambda tasks: tasks["decide"]["state"] == "ready" or "failed" in str(tasks))
    finally:
        for worker in workers:
            if worker.poll() is None:
                kill(worker)
    assert {task["name"]: task["state"] for task in found.values()} == {
        "measure": "done", "move": "done", "healthy": "done", "report": "done", "decide": "ready"
    }, found  # fmt: skip
    assert (place / "moved.txt").read_text().split() == ["release", "7"]
    shop.run("implementation", "file", "IP-1", "report", "output.log", "-o", "report.log")
    assert (shop.root / "report.log").read_text() == "moved 7 in staging\n"
    shop.run("implementation", "decide", "IP-1", "decide", "go")
    assert shop.run("implementation", "status", "IP-1", "--json").json["plan"]["state"] == "completed"
