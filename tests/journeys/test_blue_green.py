"""Two sides behind a router, on real hosts: the switch, the way back in seconds, and who is left alone meanwhile."""

import os
import shutil
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import AGAIN, ROOT, Project, lay_shop
from tests.journeys.releases import lay_release, ledgers, touched

GATE = {"name": "promise", "hosts": "web", "http": {"url": "http://{{ ansible_host }}:{{ app_port }}/gift-cards",
                                                   "contains": "{{ promised }}"}}  # fmt: skip
LATE: dict[str, Any] = {"watch": {"for": "500ms", "every": "500ms", "gates": [GATE]}}
BLUE, GREEN = {"web1", "web2"}, {"web3", "web4"}


def lay_two_sides(project: Project) -> Project:
    """The shop with the example of two sides laid over it; in production a gate wants what no release has."""
    lay_shop(project)
    shutil.copytree(ROOT / "examples/blue-green", project.root, dirs_exist_ok=True)
    for name, promised in (("staging", "10"), ("production", "100")):
        file = project.root / f"environments/{name}/environment.yaml"
        file.write_text(f'{file.read_text()}\nvars: {{promised: "{promised}"}}\n')
    return project


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """1.0.0 is live on blue."""
    made = Project(tmp_path_factory.mktemp("two") / "project", env=store())
    made.root.mkdir()
    try:
        lay_two_sides(made)
        made.run("promote", "releases/1.0.0")
        yield made
    finally:
        made.clean()


def served(project: Project) -> str:
    """The version that the router leads to."""
    router = project.variables("production")["router"]
    with urllib.request.urlopen(f"http://{router['ansible_host']}:{router['app_port']}/version", timeout=5) as answer:
        return str(answer.read().decode())


def live(project: Project) -> str:
    """The side that `status` says is live."""
    hosts = project.status("production")["hosts"]
    assert not any(host.get("switch_uncertain") for host in hosts)
    (side,) = {host["side"] for host in hosts if host.get("side") and not host.get("is_standby")}
    return str(side)


def begin(project: Project) -> set[str]:
    """See that 1.0.0 is what the router leads to, whatever other tests did; the hosts of the side that stands by."""
    if served(project) != "1.0.0":
        project.run("promote", "1.0.0", "--to", "production", *AGAIN)
    return GREEN if live(project) == "blue" else BLUE


@pytest.mark.xdist_group("test_blue_green")
def test_there_and_back(two: Project) -> None:
    """A release goes to the idle side alone, and is live after the switch; a rollback leads back, and deploys nothing. The service is always available."""
    idle = begin(two)
    where = lay_release(two, "1.1.1", environments=["staging", "production"])
    two.run("promote", where, "--to", "staging")
    plan = two.run("plan", where, "--to", "production").out
    assert f"by playbooks/switch.yml on lb; {live(two)} (" in plan
    before, old = ledgers(two, "production"), live(two)
    said = two.run("promote", where, "--to", "production")
    assert touched(before, ledgers(two, "production")) == {*idle, "router"}
    assert served(two) == "1.1.1"
    assert live(two) != old
    assert {two.releases("production")[host] for host in {*BLUE, *GREEN} - idle} == {"1.0.0"}
    assert "1.0.0 (standby) on" in said.out
    assert "the service was always available" in said.out
    assert f"{old}, standby" in two.run("status", "production").out
    rows = {
        row["release"]["version"]: row["in"]["production"]["state"]
        for row in two.run("matrix", "--json").json["releases"]
    }
    assert (rows["1.1.1"], rows["1.0.0"]) == ("current", "standby")
    assert two.run("drift", "production").code == 0

    before = ledgers(two, "production")
    two.run("rollback", "production", "--yes")
    assert (served(two), live(two)) == ("1.0.0", old)
    assert touched(before, ledgers(two, "production")) == {"router"}
    story = two.story("production")
    assert [item["live"] for item in story["switched"]] == [old]
    assert story["probe"]["downtime"] == 0


@pytest.mark.rare
@pytest.mark.xdist_group("test_blue_green")
def test_back_within_two_seconds(two: Project) -> None:
    """When the release fails after the switch, the service leads back within two seconds of that, before anything else goes back; who was live is never touched. (On a busy machine: within the time that two deployments take there.)"""
    idle = begin(two)
    where = lay_release(two, "1.1.2", **LATE)
    two.run("promote", where, "--to", "staging")
    before, old = ledgers(two, "production"), live(two)
    said = two.run("promote", where, "--to", "production", code=4)
    assert (served(two), live(two)) == ("1.0.0", old)
    assert touched(before, ledgers(two, "production")) == {*idle, "router"}
    assert set(two.releases("production").values()) == {"1.0.0"}
    story = two.story("production")
    names = [step["name"] for step in story["steps"]]
    assert names.index("switch.back") < names.index("restore.router") < names.index("restore.deploy")
    assert story["rollback_plan"]["live"] == old
    assert [item["live"] for item in story["switched"]] == [live_after(old), old]
    assert story["probe"]["downtime"] == 0
    assert "switched back" in said.out
    deployed = next(step["seconds"] for step in story["steps"] if step["name"] == "deploy.1")
    assert story["switch_back_seconds"] <= max(2.0, 2 * deployed)


def live_after(side: str) -> str:
    return "green" if side == "blue" else "blue"


@pytest.mark.xdist_group("test_blue_green")
@pytest.mark.parametrize(
    ("version", "step", "end"),
    [pytest.param("1.1.3", "switch", "1.1.3", marks=pytest.mark.rare), ("1.1.4", "switch.back", "1.0.0")],
)
def test_a_switch_outlives_its_process(two: Project, version: str, step: str, end: str) -> None:
    """Killed in the middle of a switch, there or back, a run goes on with it, switches once, and ends as it would have."""
    begin(two)
    where = lay_release(two, version, **(LATE if step == "switch.back" else {}))
    two.run("promote", where, "--to", "staging")
    old = live(two)
    process = two.start("promote", version, "--to", "production")
    run = two.reaches(process, "production", step)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    two.run("resume", run, code=None)
    assert served(two) == end
    assert live(two) == (old if end == "1.0.0" else live_after(old))
    story = two.story("production")
    assert story["run"]["state"] == ("rolled back" if end == "1.0.0" else "succeeded")
    assert story["probe"]["downtime"] == 0
    assert len(list(two.state.glob(f"jobs/{run}.{step}"))) == 1


@pytest.mark.rare
@pytest.mark.xdist_group("test_blue_green")
def test_the_old_side_is_retired(two: Project) -> None:
    """The playbook for the old side runs there when all is over, and a rollback puts the release there once more."""
    idle = begin(two)
    steps = [
        {"name": "router", "playbook": "playbooks/router.yml", "hosts": "lb"},
        {"name": "deploy", "playbook": "playbooks/deploy.yml", "hosts": "web", "rollout": {
            "strategy": "blue_green", "batches": [1, "100%"], "blue_green": {
                "blue": "blue", "green": "green", "switch": "playbooks/switch.yml", "router": "lb",
                "observe": "500ms", "every": "500ms", "gates": [{"name": "up", "hosts": "web", "http": {
                    "url": "http://{{ ansible_host }}:{{ app_port }}/version", "contains": "{{ orchestrator_release.version }}"}}],
                "retire": "playbooks/retire.yml"}}},
    ]  # fmt: skip
    where = lay_release(two, "1.1.5", steps=steps)
    two.run("promote", where, "--to", "staging")
    two.run("promote", where, "--to", "production")
    roots = {host: Path(found["host_root"]) for host, found in two.variables("production").items()}
    old = {*BLUE, *GREEN} - idle
    assert {host for host in {*BLUE, *GREEN} if (roots[host] / "current").exists()} == idle
    assert {two.releases("production").get(host) for host in old} == {None}
    names = [step["name"] for step in two.story("production")["steps"]]
    assert names.index("verify.smoke.side") < names.index("gate.up.switch.look.1") < names.index("switch")
    assert names.index("verify.smoke.environment") < names.index("retire")
    assert served(two) == "1.1.5"
    assert two.run("drift", "production").code == 0
    before = ledgers(two, "production")
    two.run("rollback", "production", "--yes")
    assert touched(before, ledgers(two, "production")) == {*old, "router"}
    assert served(two) == "1.0.0"


@pytest.mark.rare
@pytest.mark.xdist_group("test_blue_green")
def test_a_rehearsal_with_sides(two: Project) -> None:
    """A rehearsal switches there, back and there again, finds that all came back, and the service is always available."""
    begin(two)
    where = lay_release(two, "1.1.6")
    two.run("promote", where, "--to", "staging")
    two.run("rehearse", "1.1.6", "--in", "production")
    assert served(two) == "1.1.6"
    story = two.story("production")
    assert story["rehearsed"]["good"]
    assert len(story["switched"]) == 3
    assert story["probe"]["downtime"] == 0
