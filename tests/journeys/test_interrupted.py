"""A promotion whose process is killed, or that a person stops, is seen as interrupted and can be finished."""

import os
import signal
import subprocess
import time

import pytest

from orchestrator.processes import tagged
from tests.journeys.conftest import Project


def until(project: Project, process: "subprocess.Popen[str]", step: str) -> str:
    """Wait until *step* of the run that *process* does goes on; the run's id."""
    from orchestrator.wiring import open_app

    store = open_app(project.root, project.environ()).store
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            for run in store.runs("production", limit=1):
                kinds = {(record.kind, record.step) for record in store.records(run.id)}
                if not run.ended and ("step.started", step) in kinds and ("step.finished", step) not in kinds:
                    return run.id
            time.sleep(0.05)
    finally:
        store.close()
    raise AssertionError(f"{step} never began")


def _ready(project: Project) -> None:
    """1.0.0 in production, and 1.1.0 in staging, so that it can be promoted."""
    project.put_in_production("1.0.0")
    if set(project.releases("staging").values()) != {"1.1.0"}:
        project.run("promote", "releases/1.1.0", "--to", "staging")


def test_a_killed_promotion_is_resumed(running: Project) -> None:
    """After `kill -9` in the middle of a deployment the run is shown as interrupted, the environment is held, and `resume` finishes it without doing anything twice."""
    _ready(running)
    process = running.start("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    assert running.status("production")["last_run"]["interrupted"]
    assert f"orchestrator resume {run}" in running.run("status").out
    assert run in running.run("promote", "releases/1.1.0", "--to", "production", code=8).err
    doctor = running.run("doctor", "--json").json
    assert any(check["name"] == "production" and run in check["says"] for check in doctor["checks"])

    running.run("resume", run)
    assert set(running.releases("production").values()) == {"1.1.0"}
    story = running.run("show", run, "--json").json
    assert story["run"]["state"] == "succeeded"
    names = [step["name"] for step in story["steps"]]
    assert len(names) == len(set(names))
    started = list((running.state / "jobs").glob(f"{run}.deploy.1"))
    assert len(started) == 1
    assert running.run("resume", run, code=1).err.count("R141")


def test_ctrl_c_cancels(running: Project) -> None:
    """The first Ctrl-C lets the step that goes on end, begins no other, and rolls back what was changed (exit 4)."""
    _ready(running)
    process = running.start("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "deploy batch 1 of 2 is completed" in err
    assert "not started: deploy batch 2 of 2, smoke everywhere" in err
    steps = {step["name"]: step for step in running.run("show", run, "--json").json["steps"]}
    assert steps["deploy.1"]["outcome"] == "succeeded"
    assert steps["verify.smoke.deploy.1"]["outcome"] == "aborted"
    assert steps["verify.smoke.restored"]["outcome"] == "succeeded"
    assert set(running.releases("production").values()) == {"1.0.0"}


@pytest.mark.rare
def test_a_second_ctrl_c_leaves_it_to_the_background(running: Project) -> None:
    """The second Ctrl-C gives the terminal back, and the run is completed by itself."""
    _ready(running)
    process = running.start("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "continues in the background" in err
    assert running.run("resume", run, code=None).code in {1, 4}
    assert running.run("show", run, "--json").json["run"]["state"] == "rolled back"


@pytest.mark.rare
def test_sigterm_stops_before_the_next_step(running: Project) -> None:
    """SIGTERM lets the step that goes on end, stops, and says how to go on; nothing is lost."""
    _ready(running)
    process = running.start("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    deadline = time.monotonic() + 30
    while not (running.state / "jobs" / f"{run}.deploy.1").is_dir():  # it is meant, and not begun, until then
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"orchestrator resume {run}" in err
    assert "deploy batch 1 of 2 is completed" in err
    assert err.count("deploy batch 2 of 2, smoke everywhere") == 2
    steps = {step["name"]: step["outcome"] for step in running.run("show", run, "--json").json["steps"]}
    assert steps["deploy.1"] == "succeeded"
    running.run("resume", run)
    assert set(running.releases("production").values()) == {"1.1.0"}


@pytest.mark.rare
def test_an_abort_stops_what_goes_on_at_once(running: Project) -> None:
    """`abort` ends the engine that works now with all that it has started, and what it touched is rolled back."""
    _ready(running)
    process = running.launch("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    running.run("abort", run, "--yes", "-m", "wrong release", code=4)
    process.communicate(timeout=60)
    assert process.returncode == 4
    steps = {step["name"]: step for step in running.run("show", run, "--json").json["steps"]}
    assert steps["deploy.1"]["outcome"] in {"aborted", "succeeded"}
    assert "verify.smoke.deploy.1" not in steps or steps["verify.smoke.deploy.1"]["outcome"] == "aborted"
    assert not tagged(f"ORCHESTRATOR_JOB={running.state}/jobs/{run}.deploy.1")
    assert set(running.releases("production").values()) == {"1.0.0"}


def test_a_paused_run_stands_still_until_it_is_resumed(running: Project) -> None:
    """`pause` stops a run before its next step, keeps the environment held, and `resume` finishes it."""
    _ready(running)
    process = running.launch("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    assert "is paused" in running.run("pause", run).out
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert "paused by" in running.run("status", "production").out
    assert run in running.run("promote", "releases/1.0.0", "--to", "production", code=8).err
    running.run("resume", run)
    assert set(running.releases("production").values()) == {"1.1.0"}


def test_an_interrupted_run_goes_on_by_itself(running: Project) -> None:
    """After `kill -9` the next command that acts resumes the run in the background, to its end; one that reads reports it."""
    _ready(running)
    process = running.start("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    running.env["ORCHESTRATOR_RECOVERY"] = "automatic"
    try:
        assert "resumes" not in running.run("status").err
        assert "it resumes in the background" in running.run("rollback", "production", "--yes", code=None).err
        deadline = time.monotonic() + 60
        while running.run("show", run, "--json").json["run"]["ended_at"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.3)
    finally:
        del running.env["ORCHESTRATOR_RECOVERY"]
    assert set(running.releases("production").values()) == {"1.1.0"}


@pytest.mark.rare
def test_a_promotion_outlasts_its_reader(running: Project) -> None:
    """A promotion whose output nobody reads any more is completed, and ends as it would have done."""
    _ready(running)
    process = running.launch("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert running.run("show", run, "--json").json["run"]["state"] == "succeeded"


@pytest.mark.rare
def test_two_at_once(running: Project) -> None:
    """Of two promotions to one environment at the same moment one runs; the other ends with exit 8 and names it, or waits its turn."""
    _ready(running)
    first = running.launch("promote", "releases/1.1.0", "--to", "production")
    run = until(running, first, "deploy.1")
    assert run in running.run("promote", "releases/1.0.0", "--to", "production", code=8).err
    second = running.launch("promote", "releases/1.0.0", "--to", "production", "--wait", "2m")
    deadline = time.monotonic() + 20
    while not running.run("queue", "production", "--json").json["environments"][0]["waiting"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first.communicate(timeout=60)
    _, err = second.communicate(timeout=90)
    assert (first.returncode, second.returncode) == (0, 0), err
    assert f"waiting: production is held by {run}" in err
    assert set(running.releases("production").values()) == {"1.0.0"}


def test_a_lock_keeps_everybody_out(running: Project) -> None:
    """A locked environment is busy for every run until it is unlocked, and says who locked it and why."""
    running.run("lock", "production", "-m", "the database is being moved", "--for", "1h")
    said = running.run("promote", "releases/1.0.0", "--to", "production", code=8)
    assert "the database is being moved" in said.err
    assert "the database is being moved" in running.run("lock", "status").out
    assert "is open" in running.run("unlock", "production").out
    running.run("lock", "production", code=2)


def test_watch_and_logs_follow_a_run_of_another_process(running: Project) -> None:
    """`watch` follows a run to its end and ends as it does; `logs --follow` prints each task and test."""
    _ready(running)
    process = running.launch("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    logs = running.launch("logs", run, "--follow", "--host", "web1")
    watched = running.run("watch", run)
    assert "succeeded: shop 1.1.0 runs in production" in watched.err
    process.communicate(timeout=60)
    out, _ = logs.communicate(timeout=60)
    assert "Install, configure, switch, restart and probe" in out
    assert "test_it_is_healthy" in out
    assert "web2" not in out
