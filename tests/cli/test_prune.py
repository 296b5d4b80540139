"""`orchestrator prune` in a folder, killed as by `kill -9` in the middle."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.journal import Entry, QueuedRequest, Run
from tests.cli.memory_project import ENVIRONMENT, PROJECT, MemoryProject, project

__all__ = ["project"]

RULE = "retention: {runs: 1ms, keep_per_environment: 1}\n"
JOBS = ("000001-staging.deploy.1", "000001-staging.verify.1", "000002-staging.deploy.1")


def laid(folder: Path) -> Path:
    """A project with two runs that have ended, and the folders of their jobs."""
    (folder / "orchestrator.yaml").write_text(PROJECT + RULE)
    (folder / "environments" / "staging").mkdir(parents=True)
    (folder / "environments" / "staging" / "environment.yaml").write_text(ENVIRONMENT.format(name="staging"))
    state = folder / ".orchestrator"
    store = DatabaseStore(f"sqlite:///{state}/state.db", SystemClock())
    for root in ("000001", "000002"):
        run = Run(
            id=f"{root}-staging", root=root, kind="observe", environment="staging", requested_at=SystemClock().now()
        )
        store.submit(QueuedRequest(root=root, request={}), run)
        store.append(run.id, [Entry(kind="ended", data={"state": "succeeded", "exit": 0, "message": "ended"})])
        store.release_claim(root, "", done=True)
    store.close()
    for name in JOBS:
        (state / "jobs" / name).mkdir(parents=True)
        (state / "jobs" / name / "output.log").write_text("printed")
    return state / "jobs"


def run_prune(folder: Path, *words: str, crash: str = "") -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "prune", "--json", *words],
        cwd=folder,
        env={**os.environ, "ORCHESTRATOR_CRASH": crash},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_a_killed_prune_is_ended_by_the_next_one(tmp_path: Path) -> None:
    """A prune that is killed after a folder lost its name leaves the others whole; the next prune removes the rest."""
    jobs = laid(tmp_path)
    code, dry = run_prune(tmp_path, "--dry-run")
    assert (code, dry["dry_run"], dry["jobs"]) == (0, True, list(JOBS[:2]))
    assert run_prune(tmp_path, crash=f"prune {JOBS[0]}:renamed")[0] == -9
    assert (jobs / JOBS[1] / "output.log").read_text() == "printed"
    assert [path.name for path in jobs.glob(".removing-*")]
    code, found = run_prune(tmp_path)
    assert (code, found["jobs"]) == (0, [JOBS[1]])
    assert [path.name for path in jobs.iterdir()] == [JOBS[2]]


def test_prune_prints_what_goes(project: MemoryProject) -> None:
    """`prune` prints what is removed by kind, and says when there is nothing."""
    assert "nothing is old enough" in project.say("prune", "--dry-run")
    run = project.go("staging", "1.0.0")
    project.go("staging", "1.1.0")
    rule = "retention: {runs: 1ms, keep_per_environment: 1}\n"
    (project.folder / "orchestrator.yaml").write_text(PROJECT + rule)
    job = project.folder / ".orchestrator" / "jobs" / f"{run.id}.deploy.1"
    job.mkdir(parents=True)
    (job / "output.log").write_text("printed")
    assert "1 folder of a job" in project.say("prune", "--dry-run")
    assert job.is_dir()
    assert "1 folder of a job" in project.say("prune")
    assert not job.exists()
