"""A promotion whose process is killed, or that a person stops, is seen as interrupted and can be finished."""

import os
import signal
import subprocess
import time

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
            time.sleep(0.02)
    finally:
        store.close()
    raise AssertionError(f"{step} never began")


def _ready(project: Project) -> None:
    """1.0.0 in production, and 1.1.0 in staging, so that it can be promoted."""
    project.put("1.0.0")
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
    assert any(check["name"] == "runs" and run in check["says"] for check in doctor["checks"])

    running.run("resume", run)
    assert set(running.releases("production").values()) == {"1.1.0"}
    story = running.run("show", run, "--json").json
    assert story["run"]["state"] == "succeeded"
    names = [step["name"] for step in story["steps"]]
    assert len(names) == len(set(names))
    started = list((running.state / "jobs").glob(f"{run}.deploy.1"))
    assert len(started) == 1
    assert running.run("resume", run, code=1).err.count("R141")


def test_ctrl_c_stops_before_the_next_step(running: Project) -> None:
    """The first Ctrl-C lets the step that goes on end, stops, and says how to go on; nothing is lost."""
    _ready(running)
    process = running.start("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"orchestrator resume {run}" in err
    steps = {step["name"]: step["outcome"] for step in running.run("show", run, "--json").json["steps"]}
    assert steps["deploy.1"] == "succeeded"
    running.run("resume", run)
    assert set(running.releases("production").values()) == {"1.1.0"}


def test_watch_and_logs_follow_a_run_of_another_process(running: Project) -> None:
    """`watch` follows a run to its end and ends as it does; `logs --follow` prints each task and test."""
    _ready(running)
    process = running.start("promote", "releases/1.1.0", "--to", "production")
    run = until(running, process, "deploy.1")
    logs = running.start("logs", run, "--follow", "--host", "web1")
    watched = running.run("watch", run)
    assert "succeeded: shop 1.1.0 runs in production" in watched.err
    process.communicate(timeout=60)
    out, _ = logs.communicate(timeout=60)
    assert "Install, configure, switch, restart and probe" in out
    assert "test_it_is_healthy" in out
    assert "web2" not in out
