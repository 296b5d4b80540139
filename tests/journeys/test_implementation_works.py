"""Playbooks and gates of implementation plans on real hosts and real servers: aborted, too late, and held or not."""

import contextlib
import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator.processes import tagged
from tests import debian
from tests.journeys.conftest import Project
from tests.journeys.test_implementation import RELEASE, SUITE, kill
from tests.server.test_process import free_port

pytestmark = pytest.mark.rare
PATIENCE_S = 240.0
PLAY = """- hosts: web
  gather_facts: false
  {serial}
  tasks:
    - name: Append a line
      ansible.builtin.shell:
        cmd: "echo {{{{ word | default('release') }}}} >> moved.txt"
        chdir: "{{{{ host_root }}}}"
"""
SLOW = """
    - name: Wait
      ansible.builtin.shell:
        cmd: "touch begun-{{ word }}; sleep {{ pause }}"
        chdir: "{{ host_root }}"
"""
MOVE = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Move the orders
parameters:
  word: {{}}
tasks:
  - name: move
    kind: automated
    {late}
    playbook:
      environment: staging
      playbook: playbooks/slow.yml
      hosts: web
      variables: {{word: "${{{{ parameters.word }}}}", pause: "300"}}
      timeout: {timeout}
  - name: after
    after: [move]
"""
LATE = {
    "abort": ("", "30m"),
    "own": ("", "90s"),
    "fail": ("{timeout: 90s, on_timeout: fail}", "30m"),
    "continue": ("{timeout: 20s, on_timeout: continue}", "90s"),
}
"""What the task states of its timeout, and the timeout of its playbook."""


@pytest.fixture
def moving(shop: Project) -> Project:
    """A shop whose staging has a release with the playbook, on two hosts."""
    shop.write("playbooks/move.yml", PLAY.format(serial="any_errors_fatal: false"))
    shop.write("playbooks/slow.yml", PLAY.format(serial="serial: 1") + SLOW)
    shop.write("tests/here/test_here.py", SUITE)
    shop.write("releases/orders/release.yaml", RELEASE)
    for name, (late, timeout) in LATE.items():
        fields = late.strip("{}").replace(", ", "\n    ")
        shop.write(f"implementation/{name}.yaml", MOVE.format(late=fields, timeout=timeout))
    shop.run("promote", "releases/orders", "--to", "staging")
    return shop


def task_of(shop: Project, plan: str, name: str = "move") -> dict[str, Any]:
    found: list[dict[str, Any]] = shop.run("implementation", "status", plan, "--json").json["plan"]["tasks"]
    return next(task for task in found if task["name"] == name)


def until(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, what()
        time.sleep(0.3)


@contextlib.contextmanager
def worker(shop: Project) -> Iterator["subprocess.Popen[str]"]:
    """A worker with the processes of its calls."""
    process = shop.start("worker")
    try:
        yield process
    finally:
        if process.poll() is None:
            kill(process)


def places(shop: Project) -> list[Path]:
    """The folders of the hosts of staging, in the order of their names."""
    found = shop.variables("staging")
    return [Path(found[host]["host_root"]) for host in sorted(found)]


def _ended_playbook(shop: Project, plan: str, name: str, first: Path, second: Path) -> None:
    """A plan of the template *name*, whose playbook is ended on the *first* host, and never reaches the *second*."""

    def about() -> object:
        return task_of(shop, plan)

    shop.run("implementation", "start", name, "--parameter", f"word={name}")
    until((first / f"begun-{name}").exists, about)
    assert len(play_processes(shop, plan)) > 1, "the playbook runs in processes of its own"
    if name == "abort":
        shop.run("implementation", "abort", plan, "-m", "the wrong table", "--yes")
    if name == "continue":
        until(lambda: bool(task_of(shop, plan, "after")["state"] == "ready"), about)
        assert task_of(shop, plan)["state"] == "in-progress"
    until(lambda: bool(task_of(shop, plan)["evidence"]), about)
    until(lambda: not play_processes(shop, plan), lambda: play_processes(shop, plan))
    task = task_of(shop, plan)
    said = "\n".join(each["text"] for each in task["evidence"])
    assert (name, task["state"]) == (name, "aborted" if name == "abort" else "failed")
    one, two = (next(line for line in said.splitlines() if line.startswith(f"{host}: ")) for host in ("web1", "web2"))
    assert "may have been changed" in one, (name, said)
    assert "succeeded" not in two, (name, said)
    assert not (second / f"begun-{name}").exists()
    with shop.opened() as app:
        assert app.store.lease("staging") is None, "the environment is free again"
    note = {"own": "ran longer than 90 s", "fail": "the timeout of the task has ended"}.get(name, "")
    assert note in task["note"], task
    after = {"abort": "aborted", "continue": "ready"}.get(name, "pending")
    assert task_of(shop, plan, "after")["state"] == after


@pytest.mark.timeout(1800)
def test_a_playbook_is_ended_by_an_abort_and_by_its_timeouts(moving: Project) -> None:
    """A playbook on real hosts is aborted while it runs, runs longer than its timeout, or its task does: its processes end, each host is named with what may have happened, and what is declared happens then."""
    first, second = places(moving)
    with worker(moving):
        for number, name in enumerate(LATE, start=1):
            _ended_playbook(moving, f"IP-{number}", name, first, second)
    assert (first / "moved.txt").read_text().split() == ["release", *LATE]
    assert (second / "moved.txt").read_text().split() == ["release"]
    assert {host["release"]["version"] for host in moving.status("staging")["hosts"]} == {"1.0.0"}


def play_processes(shop: Project, plan: str) -> list[int]:
    """The processes of the playbook that *plan* runs, on this machine."""
    root = task_of(shop, plan)["root"]
    with shop.opened() as app:
        return tagged(f"ORCHESTRATOR_JOB={app.jobs.folder(f'{plan.lower()}-{root}.move')}")


class Shop(BaseHTTPRequestHandler):
    """A real HTTP server: it is well from the third request on."""

    asked: list[str] = []  # noqa: RUF012 - of this class, of which there is one server

    def do_GET(self) -> None:
        self.asked.append(self.path)
        good = self.path == "/health" and len([path for path in self.asked if path == "/health"]) >= 3
        self.send_response(200 if good else 503)
        self.end_headers()
        self.wfile.write(b"orders are open" if good else b"warming up")

    def log_message(self, *words: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server on loopback."""
    Shop.asked.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """A real Prometheus that scrapes itself: its address."""
    path, environ = debian.command("prometheus")
    port, folder = free_port(), tmp_path / "prometheus"
    folder.mkdir()
    about = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(about))
    words = [
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([path, *words], env=environ, stdout=log, stderr=log)
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}/-/ready"), (folder / "log").read_text)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


GATES = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Check the shop
parameters:
  shop: {}
  metrics: {}
tasks:
  - name: healthy
    kind: automated
    gate:
      environment: staging
      http: {url: "http://${{ parameters.shop }}/health", contains: orders are open}
      within: 60s
      every: 1s
  - name: scraped
    kind: automated
    gate:
      environment: staging
      prometheus: {server: "http://${{ parameters.metrics }}", query: 'up{job="self"}', above: 0.5}
      within: 60s
      every: 1s
  - name: quiet
    kind: automated
    gate:
      environment: staging
      prometheus: {server: "http://${{ parameters.metrics }}", query: prometheus_tsdb_head_series, below: 1}
      within: 3s
      every: 1s
  - name: missing
    kind: automated
    gate:
      environment: staging
      http: {url: "http://${{ parameters.shop }}/nothing"}
"""


@pytest.mark.timeout(900)
def test_gates_ask_real_servers_until_they_hold(moving: Project, server: ThreadingHTTPServer, prometheus: str) -> None:
    """A gate asks a real HTTP server or a real Prometheus until it holds; one that does not hold in its time fails with what was answered."""
    moving.write("implementation/gates.yaml", GATES)
    address = f"127.0.0.1:{server.server_port}"
    with worker(moving):
        moving.run(
            "implementation",
            "start",
            "gates",
            "--parameter",
            f"shop={address}",
            "--parameter",
            f"metrics={prometheus.removeprefix('http://')}",
        )
        names = ("healthy", "scraped", "quiet", "missing")
        until(
            lambda: all(task_of(moving, "IP-1", name)["state"] in {"done", "failed"} for name in names),
            lambda: [task_of(moving, "IP-1", name) for name in names],
        )
    found = {name: task_of(moving, "IP-1", name) for name in names}
    assert {name: task["state"] for name, task in found.items()} == {
        "healthy": "done", "scraped": "done", "quiet": "failed", "missing": "failed"
    }, found  # fmt: skip
    assert Shop.asked.count("/health") >= 3
    assert "503" in found["missing"]["note"], found["missing"]
    assert "prometheus_tsdb_head_series" in found["quiet"]["note"], found["quiet"]
