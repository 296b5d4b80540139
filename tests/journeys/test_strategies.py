"""A rollout in the shape its owner chose, on ten hosts: canaries, batches, their way back, and what a probe saw of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.journeys.conftest import Project, lay_shop
from tests.journeys.releases import lay_release, ledgers, touched

URL = "http://{{ ansible_host }}:{{ app_port }}"
PROBE = {"url": f"{URL}/health", "every": "50ms", "hosts": "web"}
PROMISE = {"name": "promise", "http": {"url": f"{URL}/gift-cards", "contains": "{{ promised }}"}, "hosts": "web"}


def step(**rollout: object) -> list[dict[str, object]]:
    return [{"name": "deploy", "playbook": "playbooks/deploy.yml", "hosts": "web", "rollout": rollout}]


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """The shop on one host in staging and ten in production, all on 1.0.0; there web2 has a tax that 1.2.0 dislikes."""
    made = Project(tmp_path_factory.mktemp("ten") / "project", env=store())
    made.root.mkdir()
    try:
        lay_shop(made)
        made.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
        made.replace("environments/production/Pulumi.yaml", "default: 4", "default: 10")
        made.replace("environments/production/__main__.py", '"web1": {', '"web2": {')
        for name, promised in (("staging", "10"), ("production", "100")):
            file = made.root / f"environments/{name}/environment.yaml"
            file.write_text(f'{file.read_text()}\nvars: {{promised: "{promised}"}}\n')
        made.run("promote", "releases/1.0.0")
        yield made
    finally:
        made.clean()


@pytest.mark.xdist_group("test_strategies")
def test_a_canary_is_rolled_back_alone(ten: Project) -> None:
    """A canary whose gate is shut goes back by itself: of ten hosts one remembers anything of the release."""
    canary = {"hosts": "10%", "observe": "1s", "every": "500ms", "gates": [PROMISE]}
    where = lay_release(ten, "1.1.1", steps=step(strategy="canary", order="reverse", canary=canary), probe=PROBE)
    ten.run("promote", where, "--to", "staging")
    plan = ten.run("plan", where, "--to", "production").out
    assert "canary: web9 first, then their observation every 0.5 s for 1.0 s" in plan
    assert "order: reverse" in plan
    assert f"gate promise: {URL}/gift-cards answers 200 has '{{{{ promised }}}}' on web" in plan
    before = ledgers(ten, "production")
    said = ten.run("promote", where, "--to", "production", code=4)
    assert "gate promise" in said.err
    assert touched(before, ledgers(ten, "production")) == {"web9"}
    assert set(ten.releases("production").values()) == {"1.0.0"}
    story = ten.story("production")
    assert story["ending"]["failure"]["code"] == "V140"
    assert story["probe"]["hosts"] == 10
    assert story["probe"]["most_unavailable"] <= 1
    assert set(story["probe"]["host_downtime"]) <= {"web9"}
    assert "production: the service was always available" in said.out


@pytest.mark.xdist_group("test_strategies")
def test_a_second_batch_that_fails(ten: Project) -> None:
    """A failure in the second batch takes two touched hosts of ten back and leaves eight alone, by their own ledgers."""
    where = lay_release(ten, "1.2.9", like="1.2.0", steps=step(batches=[1, 1, "100%"], order="sorted"))
    ten.run("promote", where, "--to", "staging")
    before = ledgers(ten, "production")
    assert set(ten.releases("production").values()) == {"1.0.0"}
    ten.run("promote", where, "--to", "production", code=4)
    assert touched(before, ledgers(ten, "production")) == {"web1", "web2"}
    assert set(ten.releases("production").values()) == {"1.0.0"}
    assert {host for host, text in ledgers(ten, "production").items() if "1.2.9" in text} <= {"web1", "web2"}


@pytest.mark.xdist_group("test_strategies")
def test_a_look_outlives_its_process(ten: Project) -> None:
    """Killed in the middle of a look, a run goes on with it, does nothing twice, and its probe has measured all the time."""
    gate = {**PROMISE, "http": {"url": f"{URL}/gift-cards"}}
    canary = {"observe": "4s", "every": "1s", "gates": [gate]}
    rollout = step(strategy="canary", order="shuffled", canary=canary)
    where = lay_release(ten, "1.1.2", steps=rollout, probe=PROBE)
    ten.run("promote", where, "--to", "staging")
    process = ten.start("promote", "1.1.2", "--to", "production")
    run = ten.reaches(process, "production", "gate.promise.deploy.1.look.2")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1.5)
    ten.run("resume", run)
    assert set(ten.releases("production").values()) == {"1.1.2"}
    story = ten.story("production")
    names = [item["name"] for item in story["steps"] if item["name"].startswith("gate.")]
    assert names == [f"gate.promise.deploy.1.look.{number}" for number in (1, 2, 3, 4)]
    assert story["probe"]["downtime"] == 0
    assert story["probe"]["gaps"] == []
    assert "availability: the service was always available" in ten.run("show", run).out
    assert not list(ten.state.glob("jobs/*.probe.2"))
    ten.run("rollback", "production", "--yes")
