"""What fails, where, and what is true afterwards: each verb of the flow on the real engines."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from orchestrator.hosts import loopback
from tests.journeys.conftest import ROOT, Project

BOTH = {"web1": "1.0.0", "web2": "1.0.0"}


@pytest.fixture
def release(running: Project) -> Iterator[Callable[..., str]]:
    """Makes further releases of the shop, each with a change of its own, and verifies them in staging."""
    made: list[Path] = []

    def make(version: str, *changes: tuple[str, str, str], staged: bool = True) -> str:
        folder = running.root / "releases" / version
        shutil.copytree(running.root / "releases" / "1.1.0", folder)
        made.append(folder)
        running.replace(f"releases/{version}/release.yaml", 'version: "1.1.0"', f'version: "{version}"')
        running.replace(f"releases/{version}/release.yaml", "shop-1.1.0", f"shop-{version}")
        shutil.copytree(running.root / "app/1.1.0", running.root / "app" / version)
        running.replace(f"app/{version}/server.py", '"1.1.0"', f'"{version}"')
        subprocess.run([sys.executable, "app/build.py", version], cwd=running.root, check=True, capture_output=True)
        for path, old, new in changes:
            running.replace(f"releases/{version}/{path}", old, new)
        if staged:
            running.run("promote", f"releases/{version}", "--to", "staging")
        return f"releases/{version}"

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.mark.rare
def test_busy(running: Project) -> None:
    """An environment that somebody holds is busy (exit 8), and says who has it."""
    from orchestrator.wiring import open_app

    store = open_app(running.root, {**running.environ()}).store
    store.acquire("production", "somebody-else", "ann", "an upgrade by hand")
    try:
        said = running.run("promote", "releases/1.0.0", "--to", "production", code=8)
    finally:
        store.release("production", "somebody-else")
        store.close()
    assert "somebody-else (an upgrade by hand, by ann" in said.err


def test_not_verified_before(running: Project) -> None:
    """A release that was not verified in staging is refused for production (exit 3), and nothing is touched."""
    before = running.status("production")["hosts"]
    said = running.run("promote", "releases/1.2.0", "--to", "production", code=3)
    assert "has not been verified in staging" in said.err
    assert running.status("production")["hosts"] == before


def test_requirements(running: Project, release: Callable[..., str]) -> None:
    """A host that has not what the release requires is named before anything changes there (exit 1)."""
    wanted = release("1.1.1", ("release.yaml", "memory: 32MiB", "memory: 64TiB"), staged=False)
    running.run("environment", "up", "staging", "--yes")
    said = running.run("promote", wanted, "--to", "staging", code=1)
    assert "64" in said.err
    assert running.releases("staging") == {"web1": "1.0.0"}


def test_tampered_package(running: Project, release: Callable[..., str]) -> None:
    """A package whose content was changed after staging is refused before any effect in production."""
    name = release("1.1.2")
    digest = running.run("package", "show", "1.1.2", "--json").json["digest"].removeprefix("sha256:")
    playbook = running.state / "packages" / digest / "content" / "playbooks" / "deploy.yml"
    playbook.parent.chmod(0o755)
    playbook.chmod(0o644)
    sealed = playbook.read_text()
    playbook.write_text(sealed.replace("hosts: web", "hosts: all"))
    before = running.status("production")["hosts"]
    for wanted in (name, "1.1.2"):
        said = running.run("promote", wanted, "--to", "production", code=None)
        assert said.code in {1, 2, 3}
        assert "deploy.yml" in said.err
    assert running.status("production")["hosts"] == before
    playbook.write_text(sealed)
    playbook.chmod(0o444)
    playbook.parent.chmod(0o555)


@pytest.mark.rare
def test_provision_fails(running: Project, release: Callable[..., str]) -> None:
    """An update of the infrastructure that fails half-way is taken back to the definition that was verified."""
    name = release("1.1.3")
    taken = "127.91.0.7"
    extra = f'\nLoopbackHost("web3", address="127.91.0.6")\nLoopbackHost("web4", address="{taken}", opts=pulumi.ResourceOptions(depends_on=web))\n'
    program = running.root / "environments/production/__main__.py"
    before = program.read_text()
    program.write_text(before + extra)
    with _listening(taken, loopback.SSH_PORT):
        said = running.run("promote", name, "--to", "production", code=4)
    program.write_text(before)
    assert "is taken by another program" in said.err
    assert running.releases("production") == BOTH
    hosts = running.run("hosts", "list", "--json").json["hosts"]
    assert sorted(host["name"] for host in hosts if host["stack"] == "production-production") == ["web1", "web2"]
    assert all(host["alive"] for host in hosts)
    steps = [step["name"] for step in running.story("production")["steps"]]
    assert steps[-5:] == ["restore.stack", "hosts.restored", "restore.look", "verify.smoke.restored", "close"]


def test_deploy_fails(running: Project, release: Callable[..., str]) -> None:
    """A playbook that fails on the first host is taken back there, and the other host is left alone."""
    name = release("1.1.4", staged=False)
    running.write(
        "releases/1.1.4/playbooks/deploy.yml",
        _playbook(running, "inventory_hostname == 'web1' and environment_name == 'production'"),
    )
    shutil.copytree(running.root / "playbooks/templates", running.root / "releases/1.1.4/playbooks/templates")
    running.run("promote", name, "--to", "staging")
    said = running.run("promote", name, "--to", "production", code=4)
    assert "the disk is on fire" in said.err
    assert running.releases("production") == BOTH
    steps = {step["name"]: step for step in running.story("production")["steps"]}
    assert [host["host"] for host in steps["restore.deploy"]["hosts"]] == ["web1"]


@pytest.mark.rare
def test_watch_fails(running: Project, release: Callable[..., str]) -> None:
    """A release that fails while it is watched is rolled back, though it was promoted already."""
    suite = "watch: {for: 2s, every: 1s, tests: tests/watch}\n"
    name = release("1.1.5", staged=False)
    file = running.root / "releases/1.1.5/release.yaml"
    file.write_text(file.read_text() + suite)
    running.write("releases/1.1.5/tests/watch/test_later.py", WATCH)
    running.run("promote", name, "--to", "staging")
    running.run("promote", name, "--to", "production", code=4)
    story = running.story("production")
    assert "watching" in [state["state"] for state in story["states"]]
    assert running.releases("production") == BOTH
    assert running.status("production")["release"]["version"] == "1.0.0"


def test_unreachable_host(
    running: Project, release: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that cannot be reached when the plan is made refuses the run; one that goes away later is unknown, the others go back, and a person is asked."""
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(tmp_path / "hosts"))
    reached, stopped = tmp_path / "reached", tmp_path / "stopped"
    wait = f"""
    - name: Wait until somebody has pulled the plug of the other host
      ansible.builtin.shell: touch {reached}; while [ ! -e {stopped} ]; do sleep 0.1; done
      delegate_to: localhost
      vars: {{ansible_connection: local, ansible_python_interpreter: "{sys.executable}"}}
      when: orchestrator_release.environment == 'edge' and inventory_hostname == 'edge1'
"""
    own = ("release.yaml", "environments: [staging, production]", "environments: [staging, edge]")
    running.write("environments/edge/environment.yaml", f"{EDGE}isolation: {{write: [{tmp_path}]}}\n")
    first, second = release("1.1.6", own), release("1.1.7", own)
    plain = (running.root / "playbooks/deploy.yml").read_text()
    there = running.variables("staging")["web1"]
    hosts = {}
    try:
        for number, name in enumerate(("edge1", "edge2")):
            mine = loopback.start("edge", name).variables()
            hosts[name] = {**there, **mine, "app_port": 8090 + number, "shop_tax": "7.5"}
        inventory = running.root / "inventories/edge.json"
        running.write("inventories/edge.json", json.dumps({"web": {"hosts": hosts}}))
        running.run("promote", first, "--to", "edge")

        ghost = {**hosts["edge1"], "ansible_host": "127.91.0.9"}
        inventory.write_text(json.dumps({"web": {"hosts": {**hosts, "ghost": ghost}}}))
        refused = running.run("promote", second, "--to", "edge", code=1)
        assert running.releases("edge") == {"edge1": "1.1.6", "edge2": "1.1.6"}
        inventory.write_text(json.dumps({"web": {"hosts": hosts}}))

        running.write("playbooks/deploy.yml", plain + wait)
        third = release("1.1.8", own)
        process = running.launch("promote", third, "--to", "edge")
        deadline = time.monotonic() + 120
        while not reached.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        found = loopback.find_host("edge", "edge2")
        assert found is not None
        loopback.remove_host(found)
        stopped.touch()
        out, err = process.communicate(timeout=200)
        known = {h["host"]: (h["truth"], (h["release"] or {}).get("version")) for h in running.status("edge")["hosts"]}
        story = running.story("edge")
    finally:
        stopped.touch()
        for host in loopback.recorded(tmp_path / "hosts"):
            loopback.remove_host(host)
        running.write("playbooks/deploy.yml", plain)
        shutil.rmtree(running.root / "environments/edge")
    assert "cannot be reached: ghost" in refused.err + refused.out
    assert process.returncode == 5, err
    assert known == {"edge1": ("seen", "1.1.6"), "edge2": ("unknown", "1.1.6")}
    assert "1.1.6 (unknown) on edge2" in out
    steps = {step["name"]: step for step in story["steps"]}
    assert (steps["deploy.2"]["outcome"], steps["restore.deploy"]["outcome"]) == ("unknown", "succeeded")
    assert story["run"]["state"] == "needs intervention"


@pytest.mark.rare
def test_nothing_to_roll_back_to(project: Project) -> None:
    """A first release that fails says beforehand that there is no way back, and afterwards what a person can do."""
    project.run("init", "--name", "first")
    project.replace("tests/smoke/test_smoke.py", '"It works" in page.stdout', '"It flies" in page.stdout')
    project.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
    project.run("environment", "up", "staging", "--yes")
    plan = project.run("plan", "releases/first", "--to", "staging")
    assert "nothing to roll back to" in plan.out
    said = project.run("promote", "releases/first", code=5)
    assert "there is no verified release to roll back to" in said.err
    assert "promote a corrected release; there is no rollback target" in said.out
    assert project.status("staging")["hosts"][0]["truth"] in {"seen", "assumed"}
    assert project.status("staging")["release"] is None


def _playbook(project: Project, when: str) -> str:
    text = (project.root / "playbooks/deploy.yml").read_text()
    return (
        text
        + f"""
    - name: Stumble
      ansible.builtin.fail:
        msg: the disk is on fire
      when: {when.replace("environment_name", "orchestrator_release.environment")}
"""
    )


EDGE = """
apiVersion: orchestrator/v1
kind: Environment
name: edge
description: Hosts that nobody provisions
program: null
after: staging
inventory: {files: [inventories/edge.json]}
"""

WATCH = '''
"""Passes twice on each host, and then never again in production."""

import os


def test_it_lasts(host) -> None:
    root = host.ansible.get_variables()["host_root"]
    seen = host.run("echo x >> %s/watched; wc -l < %s/watched", root, root).stdout.strip()
    assert os.environ["ORCHESTRATOR_ENVIRONMENT"] == "staging" or int(seen) < 2
'''


def _listening(address: str, port: int) -> "Listener":
    return Listener(address, port)


class Listener:
    """Holds an address and port for as long as its block lasts."""

    def __init__(self, address: str, port: int) -> None:
        self.where = (address, port)

    def __enter__(self) -> None:
        import socket

        self.socket = socket.create_server(self.where)

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_the_way_back_is_a_plan(running: Project, release: Callable[..., str]) -> None:
    """While a promotion is under way `plan --rollback` shows what its rollback would do, by digest; the rollback does exactly that, and `show` keeps it; before and after, it shows what `rollback` would do."""
    running.put_in_production("1.0.0")
    running.put("1.1.0")
    new = release("1.7.0")
    before = running.run("plan", "--rollback", "production", "--json").json
    assert (before["kind"], before["action"], before["release"]["version"]) == ("Plan", "rollback", "1.0.0")

    crash = subprocess.run(
        [*running.program, "promote", new, "--to", "production"],
        cwd=running.root,
        env={**running.environ(), "ORCHESTRATOR_CRASH": "production.deploy.1:recorded"},
        capture_output=True,
        check=False,
    )
    assert crash.returncode < 0
    during = running.run("plan", "--rollback", "production", "--json").json
    jsonschema.validate(during, json.loads((ROOT / "docs/schemas/rollback-plan.json").read_text()))
    assert during["release"]["version"] == "1.1.0"
    assert {host for play in during["restore"] for host in play["limit"]} == set(during["touched"]) != set()
    said = running.run("plan", "--rollback", "production").out
    assert f"restore by deploy: playbooks/deploy.yml on {', '.join(during['touched'])}" in said

    run = running.status("production")["last_run"]["id"]
    running.run("cancel", run, code=4)
    story = running.story("production")
    assert story["rollback_plan"]["digest"] == during["digest"]
    restored = [
        step["about"]["hosts"] for step in story["steps"] if step["verb"] == "restore" and step["about"].get("hosts")
    ]
    assert restored == [play["limit"] for play in during["restore"]]
    assert f"plan {during['digest'][7:19]}" in running.run("show", run).out
    assert set(running.releases("production").values()) == {"1.1.0"}
    after = running.run("plan", "--rollback", "production", "--json").json
    assert (after["kind"], after["release"]["version"]) == ("Plan", "1.0.0")
