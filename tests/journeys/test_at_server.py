"""A journey at a server: real engines, a server and its worker as processes, and the words of the folder."""

import os
import signal
import time

import pytest

from orchestrator.domain.journal import Run
from orchestrator.ports import Store
from orchestrator.processes import command_line, family
from tests.journeys.conftest import AGAIN, Project, lay_small_shop

PATIENCE_S = 240.0
DIES = "staging.deploy.1:recorded"


def _deploys(store: Store, run: Run) -> bool:
    """Whether a deployment of *run* is under way."""
    kinds = [record.kind for record in store.records(run.id) if (record.step or "").startswith("deploy")]
    return not run.ended and kinds.count("step.started") > kinds.count("step.finished")


@pytest.mark.long
def test_a_release_goes_through_and_back_at_a_server(project: Project) -> None:
    """At a server of the folder a release is built, uploaded, planned, promoted and rolled back with the words of local mode, and a promotion whose command was killed is cancelled."""
    project.is_served = True
    lay_small_shop(project)
    said = project.run("promote", "releases/1.0.0", "--to", "staging")
    assert "staging: 1.0.0 on web1" in said.out
    plan = project.run("plan", "releases/1.1.0", "--to", "staging", "--json").json
    assert plan["action"] == "promote"
    project.run("promote", "shop-1.1.0", "--to", "staging")
    assert project.releases("staging") == {"web1": "1.1.0"}
    project.run("rollback", "staging", "--yes")
    assert project.releases("staging") == {"web1": "1.0.0"}
    story = project.story("staging")
    assert (story["run"]["kind"], story["run"]["state"]) == ("rollback", "rolled back")
    document = project.run("show", story["run"]["id"], "--json").json
    assert document["run"]["id"] == story["run"]["id"]
    died = project.start(
        "promote", *AGAIN, "shop-1.1.0", "--to", "staging", environ={**project.environ(), "ORCHESTRATOR_CRASH": DIES}
    )
    died.communicate(timeout=PATIENCE_S)
    assert died.returncode < 0
    said = project.run("cancel", project.status("staging")["last_run"]["id"], code=4)
    assert "a worker of the server ends it" in said.err
    assert project.releases("staging") == {"web1": "1.0.0"}
    project.run("environment", "destroy", "staging", "--yes")


@pytest.mark.long
def test_a_run_of_a_server_that_is_killed_is_continued_by_the_next_one(project: Project) -> None:
    """After `kill -9` of `serve` during a deployment its worker ends by itself; the worker of the next server completes the run, no step twice."""
    project.is_served = True
    lay_small_shop(project)
    project.run("promote", "releases/1.0.0", "--to", "staging")
    assert project.server is not None
    server = project.server.process
    assert server is not None
    [worker] = [each for each in family([server.pid])[1:] if " worker " in f"{command_line(each)} "]
    follower = project.start(
        "promote", "shop-1.0.0", "--to", "staging", "--redeploy", environ=project.server.environ(project.environ())
    )
    deadline = time.monotonic() + PATIENCE_S
    with project.opened() as app:
        while not (deploying := [run.id for run in app.store.runs("staging") if _deploys(app.store, run)]):
            assert time.monotonic() < deadline, "no deployment began"
            time.sleep(0.05)
    [run] = deploying
    os.kill(server.pid, signal.SIGKILL)
    server.wait(30)
    deadline = time.monotonic() + PATIENCE_S
    while command_line(worker):
        assert time.monotonic() < deadline, "the worker has outlived its server"
        time.sleep(0.1)
    follower.kill()
    follower.wait(30)
    project.server.process = None  # the next command starts another one
    story = project.run("show", run, "--json").json
    while story["run"]["ended_at"] is None:
        assert time.monotonic() < deadline + PATIENCE_S, story["run"]
        time.sleep(0.5)
        story = project.run("show", run, "--json").json
    assert story["run"]["state"] == "succeeded"
    names = [step["name"] for step in story["steps"]]
    assert len(names) == len(set(names))
    assert len(list((project.state / "jobs").glob(f"{run}.deploy*"))) == sum(
        name.startswith("deploy") for name in names
    )
    project.run("environment", "destroy", "staging", "--yes")
