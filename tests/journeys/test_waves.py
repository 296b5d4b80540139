"""A release that goes to several environments in waves: told by the hosts themselves."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from orchestrator.domain.journal import Run
from orchestrator.wiring import open_app
from tests.journeys.conftest import Project, lay_shop
from tests.journeys.releases import lay_release, ledgers

NAMES = ("asia-1", "eu-1", "eu-2")
LISTS: dict[str, dict[str, Any]] = {
    "regions": {"environments": [["eu-1"], ["eu-2"], ["asia-1"]]},
    "undone": {"environments": [["eu-1"], ["eu-2"], ["asia-1"]], "on_failure": "rollback"},
    "at-once": {"environments": [["eu-1", "eu-2", "asia-1"]]},
    "slow": {"environments": [["asia-1"], ["eu-1", "eu-2"]], "soak": "6s"},
}
pytestmark = pytest.mark.xdist_group("test_waves")


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """The shop in three environments with one host each; that of eu-2 has a tax that 1.2.0 and its like dislike."""
    made = Project(tmp_path_factory.mktemp("regions") / "project", env=store())
    made.root.mkdir()
    try:
        lay_shop(made)
        staging = made.root / "environments" / "staging"
        for name in NAMES:
            tax = "7,5" if name == "eu-2" else "7.5"
            for file in staging.iterdir():
                text = file.read_text().replace("name: staging", f"name: {name}").replace("default: 2", "default: 1")
                made.write(f"environments/{name}/{file.name}", text.replace('"7.5"', f'"{tax}"'))
        for name in ("staging", "production"):
            for file in (made.root / "environments" / name).iterdir():
                file.unlink()
            (made.root / "environments" / name).rmdir()
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            made.replace(f"releases/{version}/release.yaml", "[staging, production]", f"[{', '.join(NAMES)}]")
        waves = yaml.safe_dump({"waves": [{"name": name, **about} for name, about in LISTS.items()]})
        made.write("orchestrator.yaml", f"{(made.root / 'orchestrator.yaml').read_text()}{waves}")
        digest = made.run("plan", "releases/1.0.0", "--to", "at-once", "--json").json["digest"]
        made.run("promote", "--plan", digest)
        yield made
    finally:
        made.clean()


def answers(project: Project) -> dict[str, str]:
    """What the host of each environment answers when it is asked for its version."""
    found = {}
    for name in NAMES:
        (host,) = project.variables(name).values()
        with urllib.request.urlopen(f"http://{host['ansible_host']}:{host['app_port']}/version", timeout=10) as answer:
            found[name] = answer.read().decode()
    return found


def memories(project: Project) -> dict[str, str]:
    """The ledger of each environment's host."""
    return {name: next(iter(ledgers(project, name).values())) for name in NAMES}


def walk(project: Project, waves: str) -> dict[str, Any]:
    """The last walk through *waves*, as `show --json` tells it."""
    app = open_app(project.root, project.environ())
    try:
        (run,) = app.store.runs(waves, limit=1)
    finally:
        app.close()
    return dict(project.run("show", run.id, "--json").json)


def states(story: dict[str, Any]) -> dict[str, str]:
    """How each environment ended."""
    return {place["environment"]: place["state"] for wave in story["waves"] for place in wave["environments"]}


def runs(project: Project, root: str) -> list[Run]:
    """All runs of one root, oldest first."""
    app = open_app(project.root, project.environ())
    try:
        return [run for run in reversed(app.store.runs()) if run.root == root]
    finally:
        app.close()


def waits_for(project: Project, waves: str, event: str, number: int, besides: Callable[[str], bool]) -> str:
    """Wait until the walk has come to *event* of the wave *number*, and *besides* is true of its root; the root."""
    store = open_app(project.root, project.environ()).store
    end = time.monotonic() + 200
    try:
        while time.monotonic() < end:
            for run in store.runs(waves, limit=1):
                told = [record.data for record in store.records(run.id) if record.kind == "wave"]
                there = any((data["event"], data.get("number")) == (event, number) for data in told)
                if not run.ended and there and besides(run.id):
                    return run.id
            time.sleep(0.05)
    finally:
        store.close()
    raise AssertionError(f"wave {number} never came to {event}")


@pytest.mark.timeout(900)
def test_environments_of_a_wave_go_side_by_side(regions: Project) -> None:
    """A planned release goes to three environments at once, each held to its own plan."""
    story = walk(regions, "at-once")
    assert states(story) == dict.fromkeys(NAMES, "succeeded")
    parts = [run for run in runs(regions, story["run"]["id"]) if run.kind == "promotion"]
    assert max(run.requested_at for run in parts) < min(str(run.ended_at) for run in parts)
    assert len({run.plan for run in parts}) == 3
    digest = regions.run("plan", "releases/1.1.0", "--to", "regions", "--no-check", "--json").json["digest"]
    said = regions.run("plan", "releases/1.1.0", "--to", "regions", "--no-check").out
    assert "Wave 2 of 3" in said
    assert f"Digest   {digest}" in said


@pytest.mark.timeout(900)
def test_a_failure_in_the_second_wave_holds_the_third(regions: Project) -> None:
    """Where the second wave fails it goes back by itself, the first keeps the release, and the third is never touched."""
    where = lay_release(regions, "1.2.9", like="1.2.0")
    before, remembered = answers(regions), memories(regions)
    said = regions.run("promote", where, "--to", "regions", code=4)
    assert answers(regions) == {**before, "eu-1": "1.2.9"}
    now = memories(regions)
    assert now["asia-1"] == remembered["asia-1"]
    assert now["eu-2"] != remembered["eu-2"]
    story = walk(regions, "regions")
    assert states(story) == {"eu-1": "succeeded", "eu-2": "rolled back", "asia-1": "not started"}
    assert story["ending"]["failure"]["code"] == "R221"
    assert "not started: asia-1 (eu-2 failed)" in said.err
    assert "wave 2 of 3: eu-2" in said.err
    status = regions.run("status").out
    assert "held: eu-2 failed; keeps the release: eu-1" in status
    assert regions.run("promote", where, "--to", "regions", code=3).err.count("R203")


@pytest.mark.rare
@pytest.mark.timeout(900)
def test_what_earlier_waves_took_goes_back_as_well(regions: Project) -> None:
    """With on_failure: rollback the first wave goes back by itself when the second fails, and every host says so."""
    where = lay_release(regions, "1.2.2", like="1.2.0")
    before, remembered = answers(regions), memories(regions)
    regions.run("promote", where, "--to", "undone", code=4)
    assert answers(regions) == before
    now = memories(regions)
    assert now["asia-1"] == remembered["asia-1"]
    story = walk(regions, "undone")
    assert states(story) == {"eu-1": "rolled back", "eu-2": "rolled back", "asia-1": "not started"}
    root = story["run"]["id"]
    told = [json.loads(line) for line in now["eu-1"].splitlines()]
    assert {entry["run"] for entry in told} >= {f"{root}-eu-1", f"{root}-eu-1_back"}, told
    assert root not in now["asia-1"]
    assert story["run"]["state"] == "rolled back"
    back = next(run for run in runs(regions, root) if run.kind == "rollback")
    assert (back.id, back.state) == (f"{root}-eu-1_back", "rolled back")
    assert back.plan is not None
    assert "rolled back" in regions.run("show", root).out


@pytest.mark.timeout(900)
def test_a_walk_outlives_its_process(regions: Project) -> None:
    """Killed in its soak, and again with two environments at work, a walk goes on where it was and does nothing twice."""
    where = lay_release(regions, "1.1.1")
    regions.run("build", where)
    process = regions.start("promote", "shop-1.1.1", "--to", "slow")
    root = waits_for(regions, "slow", "soaking", 1, lambda _root: True)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert f"orchestrator resume {root}" in regions.run("status").out
    assert answers(regions)["asia-1"] == "1.1.1"
    coming = regions.run("queue", "--json").json["environments"]
    assert {item["environment"]: [walk["wave"] for walk in item["coming"]] for item in coming} == {
        "asia-1": [],
        "eu-1": [2],
        "eu-2": [2],
    }

    process = regions.start("resume", root)

    def at_work(name: str) -> bool:
        jobs = regions.state / "jobs"
        return all((jobs / f"{name}-{where}.deploy.1" / "started").exists() for where in ("eu-1", "eu-2"))

    waits_for(regions, "slow", "begun", 2, at_work)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    regions.run("resume", root)
    assert answers(regions) == dict.fromkeys(NAMES, "1.1.1")
    assert states(walk(regions, "slow")) == dict.fromkeys(NAMES, "succeeded")
    for name in NAMES:
        names = [step["name"] for step in regions.run("show", f"{root}-{name}", "--json").json["steps"]]
        assert len(names) == len(set(names))
        assert len(list((regions.state / "jobs").glob(f"{root}-{name}.deploy.1*"))) == 1
    assert "R141" in regions.run("resume", root, code=1).err


@pytest.mark.rare
@pytest.mark.timeout(900)
def test_ctrl_c_stops_the_walk(regions: Project) -> None:
    """Ctrl-C cancels what goes on, which goes back, and no further wave begins."""
    where = lay_release(regions, "1.1.2")
    before, remembered = answers(regions), memories(regions)
    process = regions.start("promote", where, "--to", "regions")

    def at_work(name: str) -> bool:
        return (regions.state / "jobs" / f"{name}-eu-1.deploy.1" / "started").exists()

    waits_for(regions, "regions", "begun", 1, at_work)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 4, err
    assert answers(regions) == before
    now = memories(regions)
    assert {name for name in NAMES if now[name] != remembered[name]} == {"eu-1"}
    assert states(walk(regions, "regions")) == {"eu-1": "rolled back", "eu-2": "not started", "asia-1": "not started"}


@pytest.mark.rare
@pytest.mark.timeout(900)
def test_a_worker_does_a_walk(regions: Project) -> None:
    """What is left to workers in waves is done by one of them, and can be followed by its root."""
    where = lay_release(regions, "1.1.3")
    said = regions.run("promote", where, "--to", "at-once", "--queue", "default", "--json").json
    assert said["run"] == said["root"]
    regions.run("worker", "--once", "--concurrency", "1")
    assert regions.run("watch", said["root"]).code == 0
    assert answers(regions) == dict.fromkeys(NAMES, "1.1.3")
