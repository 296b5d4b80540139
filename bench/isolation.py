"""Print what isolation costs a job: python -m bench.isolation [--repeats 30]."""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.adapters.views import Views
from orchestrator.domain.view import View
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.find import problem_of
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.isolation.mounts import mounts
from orchestrator.ports import Job
from tools.bubblewrap import cached

GOAL = 0.030  # seconds that a job may take longer


def main() -> int:
    """Measure each isolator of this machine beside none, in turns; the exit status is 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.isolation", description=__doc__)
    parser.add_argument("--repeats", type=int, default=30, help="the median of so many jobs")
    repeats = parser.parse_args().repeats
    known = (Isolator("bubblewrap", str(cached())), Isolator("namespaces"))
    isolators = [NONE, *(item for item in known if not problem_of(item))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        views = Views(folder, folder / ".orchestrator", os.environ)
        view = views.of(write=[folder / "copy"])
        took: dict[str, list[float]] = {item.kind: [] for item in isolators}
        for number in range(repeats):
            for item in isolators:
                took[item.kind].append(_job(folder, item, view, number))
        made = [_timed(lambda: mounts(view)) for _ in range(repeats)]
    return _print(took, len(mounts(view)), statistics.median(made))


def _job(folder: Path, item: Isolator, view: View, number: int) -> float:
    """Seconds of one job that does nothing, with its supervisor."""
    jobs = LocalJobs(folder / "jobs", sleep=lambda _seconds: time.sleep(0.0005), isolator=lambda: item)
    job = Job(key=f"{item.kind}-{number}", argv=("/bin/true",), env={"PATH": os.defpath}, cwd=Path("/"), view=view)
    return _timed(lambda: jobs.run(job))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _print(took: dict[str, list[float]], count: int, made: float) -> int:
    """Print the medians. What a job takes more is the median over all turns, each of which has one load."""
    missed = 0
    print(f"{os.cpu_count()} processors, {count} mounts (made in {made * 1000:.1f} ms)\n")
    print("| isolated by | a job | more than without | goal | |\n| --- | --- | --- | --- | --- |")
    for kind, seconds in took.items():
        more = statistics.median(own - other for own, other in zip(seconds, took["none"], strict=True))
        held = more <= GOAL
        missed += not held
        print(
            f"| {kind} | {statistics.median(seconds) * 1000:.1f} ms | {more * 1000:.1f} ms | ≤ {GOAL * 1000:.0f} ms | "
            f"{'met' if held else 'missed'} |"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
