"""How much memory a process needs that follows what engines tell."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.effects import Change
from orchestrator.domain.journal import Entry
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.engine.jobs import LocalJobs
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit, Job
from tests.flow.test_promotion import Stage, release

ROOT = Path(__file__).resolve().parents[2]
FIRST, LAST = 10_000, 30_000
BOUND = 16 << 20  # bytes by which it may grow between the two: less than half of what the events between them have
TELLING = """
import json, os
with open(os.environ["ORCHESTRATOR_JOB"] + "/events.pipe", "a") as events:
    for number in range({last} + 1):
        events.write(json.dumps({{"task": f"task {{number}}", "message": "x" * 2000}}) + "\\n")
"""


def memory() -> int:
    """Bytes of memory that this process has now."""
    words = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    return int(subprocess.run(words, capture_output=True, check=True).stdout) * 1024


def follow(folder: Path) -> dict[int, int]:
    """Have a step's job tell tens of thousands of events, as a playbook on many hosts does; the memory at two."""
    stage, store = Stage(folder), DatabaseStore(f"sqlite:///{folder}/state.db", SystemClock())
    jobs, seen = LocalJobs(folder / "jobs"), dict[int, int]()
    setting = replace(stage.services(), store=store, clock=SystemClock())
    ctx = stage.ctx(stage.packages.put(release("1.0.0")), "staging")
    store.create(ctx.run)
    ctx = RunContext(services=setting, durable=ctx.durable, run=ctx.run)

    def work(job: str, emit: Emit) -> StepResult:
        def on_event(line: int, event: dict[str, object]) -> None:
            emit(Entry(kind="task", step="deploy", host=f"host{line % 50}", data=event, key=f"{job}:{line}"))
            if line in {FIRST, LAST}:
                seen[line] = memory()

        argv = (sys.executable, "-c", TELLING.format(last=LAST))
        jobs.run(Job(key=job, argv=argv, env={"PATH": os.environ["PATH"]}, cwd=folder, view=None), on_event)
        return StepResult(outcome=Outcome.SUCCEEDED)

    assert ctx.step("deploy", "deploy", work, may_change=Change("hosts")).good
    assert len([None for record in store.records(ctx.run.id) if record.kind == "task"]) == LAST + 1
    return seen


@pytest.mark.long
def test_memory_stays_flat_over_ten_thousand_events(tmp_path: Path) -> None:
    """From the ten thousandth event to the thirty thousandth a process grows by less than half of their bytes."""
    code = (
        "import json, sys; from pathlib import Path; from tests.engine.test_memory import follow; "
        "print(json.dumps(follow(Path(sys.argv[1]))))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    growth = seen[str(LAST)] - seen[str(FIRST)]
    assert growth < BOUND, f"{growth} bytes"
