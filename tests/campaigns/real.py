"""Kill a real promotion and its rollback at every boundary of every step: `python -m tests.campaigns.real --points 6`.

Each point is a promotion of the shop's bad release into production on the real engines. The process is killed there as
by `kill -9`; status must tell the truth at once, and `resume` must end the run: rolled back. Then the checker looks at
journal, hosts, their ledgers and the process table.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from orchestrator.hosts import loopback
from orchestrator.processes import marked
from tests.checker.invariants import Done, Seen, Told, violations
from tests.journeys.conftest import Project, lay_small_shop

BOUNDARIES = ("before", "done", "recorded")
TRUTHFUL, ENDED = 5.0, 60.0  # seconds until status tells the truth, and until the run has ended


def main() -> int:
    """Kill at so many points, evenly spread; the exit status is 1 when one was not recovered from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000, help="at most so many, evenly spread")
    chosen = parser.parse_args()
    began, bad = time.monotonic(), list[str]()
    with tempfile.TemporaryDirectory(prefix="orchestrator-real-") as folder:
        project = Project(Path(folder) / "project")
        project.root.mkdir()
        try:
            points = _prepare(project)
            wanted = points[:: max(1, -(-len(points) // chosen.points))]
            slowest = 0.0
            for number, point in enumerate(wanted, start=1):
                wrong, took = attempt(project, point)
                slowest = max(slowest, took)
                bad += [f"{point}: {text}" for text in wrong]
                print(f"{number}/{len(wanted)} {point}: {'; '.join(wrong) or 'rolled back'}, {took:.1f} s", flush=True)
        finally:
            project.clean()
    print(f"{len(wanted)} of {len(points)} points, slowest recovery {slowest:.1f} s, {time.monotonic() - began:.0f} s")
    print(f"{len(wanted) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


def _prepare(project: Project) -> list[str]:
    """1.1.0 everywhere, and every point that the promotion of 1.2.0 into production comes by."""
    lay_small_shop(project)
    project.replace("environments/production/__main__.py", '"7.5"', '"7,5"')
    project.run("promote", "releases/1.1.0")
    project.run("promote", "releases/1.2.0", "--to", "staging")
    project.run("promote", "1.2.0", "--to", "production", code=4)
    story = project.story("production")
    run = story["run"]["id"]
    points = [f"production.{step['name']}:{where}" for step in story["steps"] for where in BOUNDARIES]
    jobs = sorted(path.name.removeprefix(f"{run}.") for path in (project.state / "jobs").glob(f"{run}.*"))
    return points + [f"job {job}:{where}" for job in jobs for where in ("laid", "spawned")]


def attempt(project: Project, point: str) -> tuple[list[str], float]:
    """Kill a promotion at *point*; what is wrong when it has been resumed, and how long that took in seconds."""
    process = subprocess.Popen(
        [*project.program, "promote", "1.2.0", "--to", "production"],
        cwd=project.root,
        env={**project.environ(), "ORCHESTRATOR_CRASH": point},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said, _ = process.communicate(timeout=180)
    if process.returncode != -signal.SIGKILL:
        return [f"it was not killed there: {said[-300:]}"], 0.0
    began = time.monotonic()
    last = project.status("production")["last_run"]
    wrong = [] if last["interrupted"] else [f"status says {last['state']}, and it was killed"]
    if time.monotonic() - began > TRUTHFUL:
        wrong.append(f"status took {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    said = project.run("resume", last["id"], code=None).err
    took = time.monotonic() - began
    story = project.run("show", last["id"], "--json").json
    if story["run"]["state"] != "rolled back":
        wrong.append(f"it ended as {story['run']['state']}: {said[-500:]}")
    if took > ENDED:
        wrong.append(f"it took {took:.0f} s to end")
    return wrong + violations(seen(project, story)), took


def seen(project: Project, story: dict[str, Any]) -> Seen:
    """What is there now, by the hosts' own files, the process table and what the journal tells."""
    run, environment = story["run"]["id"], story["run"]["environment"]
    status, stack = project.status(environment), f"{environment}-{environment}"
    hosts = [host for host in loopback.recorded(project.state) if host.folder.split("/")[-2] == stack]
    states = {host.name: _read(host.root, "state.json") for host in hosts}
    ledgers = [(host.name, line) for host in hosts for line in _lines(host.root)]
    jobs = [path for path in (project.state / "jobs").glob(f"{run}.*") if marked(f"ORCHESTRATOR_JOB={path}")]
    known = project.run("package", "list", "--json").json["packages"]
    return Seen(
        running={name: (state.get("current") or {}).get("digest") for name, state in states.items()},
        told={host["host"]: Told(host["truth"], (host["release"] or {}).get("digest")) for host in status["hosts"]},
        approved={package["digest"] for package in known},
        ended={run: story["run"]["state"]},
        ledgers=[
            Done(name, line["run"], f"{line['step']}/{line['part']}", int(line["fence"]), line["outcome"] == "done")
            for name, line in ledgers
            if line["outcome"] == "done"
        ],
        verified=status["release"]["digest"] if status["release"] else None,
        leases=[status["lease"]["holder"]] if status["lease"] else [],
        leftovers=[f"processes of {path.name}" for path in jobs],
    )


def _read(root: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(root, ".orchestrator", name).read_text(encoding="utf-8"))
    return found


def _lines(root: str) -> list[dict[str, Any]]:
    text = Path(root, ".orchestrator", "ledger.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    sys.exit(main())
