"""A release that is watched after its promotion: what fails late, what is flaky, and what nobody can say."""

import os
import signal
import socket

import pytest

from orchestrator.hosts import loopback
from orchestrator.processes import command_line, tagged
from tests.journeys.conftest import Project
from tests.journeys.releases import lay_release

HEALTH = {
    "name": "health",
    "http": {"url": "http://{{ ansible_host }}:{{ app_port }}/health", "contains": "{{ release_version }}"},
    "hosts": "web",
}
SUITE = {"name": "smoke", "tests": "tests/smoke"}
COMMAND = {"name": "mine", "command": ["sh", "-c", 'test -f playbooks/deploy.yml && test -n "$ORCHESTRATOR_HOSTS"']}
ONCE = '''
"""Fails where it is run for the first time in production."""

testinfra_hosts = ["ansible://web"]


def test_it_has_been_here_before(host) -> None:
    variables = host.ansible.get_variables()
    seen = f"{variables['host_root']}/seen-{variables['orchestrator_release']['version']}"
    new = variables["orchestrator_release"]["environment"] == "production" and not host.file(seen).exists
    host.run_expect([0], f"touch {seen}")
    assert not new
'''


def watched(project: Project, version: str, **watch: object) -> str:
    """A release with this watch, verified in staging."""
    where = lay_release(project, version, watch={"for": "2s", "every": "1s", **watch})
    project.run("promote", where, "--to", "staging")
    return where


def stop_service(project: Project, name: str) -> None:
    """Kill what serves the shop on a host of production, and nothing else there."""
    host = next(
        host for host in loopback.recorded(project.state) if f"production/{name}" in host.folder and host.name == name
    )
    for process in tagged(host.mark):
        if "server.py" in command_line(process):
            os.kill(process, signal.SIGKILL)


def test_a_late_failure(running: Project) -> None:
    """A service that stops while the release is watched takes the release back, and it never counted as verified."""
    running.put_in_production("1.0.0")
    where = watched(running, "1.1.3", **{"for": "15s", "gates": [HEALTH]})
    process = running.launch("promote", where, "--to", "production")
    running.reaches(process, "production", "gate.health.watch.1")
    stop_service(running, "web2")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 4, f"{out}\n{err}"
    assert "gate health" in err  # a request may have been on its way: refused, reset or closed
    assert running.releases("production") == {"web1": "1.0.0", "web2": "1.0.0"}
    assert running.status("production")["release"]["version"] == "1.0.0"


def test_a_flaky_suite(running: Project) -> None:
    """A suite of the watch that fails once and then passes is called flaky, wherever the run is shown, and stays."""
    running.put_in_production("1.0.0")
    running.write("tests/once/test_once.py", ONCE)
    where = watched(running, "1.1.4", tests="tests/once", flaky={"retries": 2, "within": "1s"})
    said = running.run("promote", where, "--to", "production")
    assert "production: watch everywhere is flaky: it failed 1 time, then passed" in said.out
    assert "flaky: watch everywhere failed 1 time, then passed" in said.err
    story = running.story("production")
    assert [(flaky["step"], flaky["failed"]) for flaky in story["flaky"]] == [("verify.watch.watch.1", 1)]
    assert (story["run"]["state"], story["failed_at"]) == ("succeeded", None)
    assert "flaky: watch everywhere, 1 time" in running.run("show", story["run"]["id"]).out


@pytest.mark.rare
def test_the_same_suite_without_a_rule(running: Project) -> None:
    """Without a rule the first failure of the watch counts, and takes the release back."""
    running.put_in_production("1.0.0")
    running.write("tests/once/test_once.py", ONCE)
    where = watched(running, "1.1.5", tests="tests/once")
    running.run("promote", where, "--to", "production", code=4)
    assert running.releases("production") == {"web1": "1.0.0", "web2": "1.0.0"}
    assert running.story("production")["flaky"] == []


@pytest.mark.rare
def test_a_gate_that_cannot_be_asked(running: Project) -> None:
    """A Prometheus that is not there rolls nothing back: the run says so, once, and the release stays; others are asked."""
    running.put_in_production("1.0.0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    query = {"server": f"http://127.0.0.1:{port}", "query": "errors", "below": 0.01, "timeout": "1s"}
    where = watched(running, "1.1.6", gates=[{"name": "errors", "prometheus": query}, SUITE, COMMAND])
    said = running.run("promote", where, "--to", "production")
    assert said.err.count("gate errors could not be checked") == 1
    story = running.story("production")
    assert (story["run"]["state"], len(story["alerts"])) == ("succeeded", 1)
    assert running.releases("production") == {"web1": "1.1.6", "web2": "1.1.6"}
    outcomes = {step["name"]: step["outcome"] for step in story["steps"] if step["name"].endswith(".watch.2")}
    assert outcomes == {
        "gate.errors.watch.2": "unknown", "verify.gate.smoke.watch.2": "succeeded", "gate.mine.watch.2": "succeeded",
    }  # fmt: skip
