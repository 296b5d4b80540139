"""Kill a real promotion and its rollback at boundaries of steps and inside them: `python -m tests.campaigns.real`.

Each point is a promotion of the shop's bad release into production on the real engines: its first host is proved, its
second one fails, and hosts and infrastructure go back. The process is killed at the point as by `kill -9`, once in
each job together with the engine below it, and with the whole job. Status must tell the truth at once, and `resume` must end
the run as rolled back, also where everything was killed before anything had been begun. Then the checker looks at
journal, hosts, their ledgers, the stack and the process table.
"""

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.hosts import loopback
from orchestrator.processes import kill_tree, tagged
from tests.checker.hosts import done, running
from tests.checker.invariants import Seen, Told, violations
from tests.journeys.conftest import AGAIN, Project, lay_small_shop

STEP = ("before", "done", "recorded")
JOB = ("laid", "spawned", "ended")
EFFECTS = ("provision", "deploy.1", "deploy.2", "restore.deploy", "restore.stack")
"""Steps that change something: they have every point, and the others those that tell them apart."""
INSIDE = (*EFFECTS, "verify.")
"""How jobs begin that are also killed in their midst."""
ALONE, ENGINE, WHOLE = "", " with its engine", " with its whole job"
TRUTHFUL, ENDED = 5.0, 240.0  # seconds until status tells the truth, and until the run has ended, on a busy machine


@dataclass
class Tally:
    """What came of all points. Times are in seconds."""

    wrong: list[str] = field(default_factory=list)
    failed: int = 0
    recovered: int = 0
    status: float = 0.0
    recovery: float = 0.0


def main() -> int:
    """Kill at so many points, evenly spread; the exit status is 1 when one was not recovered from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000, help="at most so many, evenly spread")
    parser.add_argument("--least", type=int, default=60, help="points that there must be at least to choose from")
    parser.add_argument("--only", default="", help="points whose name holds this")
    parser.add_argument("--at-once", type=int, default=min(2, os.cpu_count() or 1), help="projects that are used")
    chosen = parser.parse_args()
    began = time.monotonic()
    with ExitStack() as stack:
        projects = [stack.enter_context(_project()) for _ in range(chosen.at_once)]
        points = _prepared(projects)
        named = [point for point in points if chosen.only in point]
        wanted = named[:: max(1, -(-len(named) // chosen.points))]
        ready = time.monotonic() - began
        print(f"{len(points)} points; ready after {ready:.0f} s", flush=True)
        tally = _all(projects, wanted)
    print(
        f"{len(wanted)} of {len(points)} points, {tally.recovered} recovered, slowest true status {tally.status:.1f} s, "
        f"slowest recovery {tally.recovery:.1f} s, {time.monotonic() - began:.0f} s"
    )
    for line in tally.wrong:
        print(f"  {line}")
    print(f"{tally.recovered} passed, {tally.failed} failed")
    return 1 if tally.failed or len(points) < chosen.least else 0


@contextmanager
def _project() -> Iterator[Project]:
    with tempfile.TemporaryDirectory(prefix="orchestrator-real-") as folder:
        # Several projects are used at once: a command in this process would change the folder and environment of all.
        project = Project(Path(folder) / "project", inside=False)
        project.root.mkdir()
        try:
            yield project
        finally:
            project.clean()


def _prepared(projects: list[Project]) -> list[str]:
    """Prepare all of them, beside each other; the points of the first."""
    found: dict[int, list[str]] = {}
    _beside(lambda number: found.update({number: prepare(projects[number])}), len(projects))
    return found[0]


def _all(projects: list[Project], wanted: list[str]) -> Tally:
    """Every point, in whichever project is free."""
    left, tally, lock = queue.SimpleQueue[str](), Tally(), threading.Lock()
    for point in wanted:
        left.put(point)

    def work(number: int) -> None:
        while True:
            try:
                point = left.get_nowait()
            except queue.Empty:
                return
            tried = Attempt(projects[number], point)
            tried.run()
            with lock:
                tally.status, tally.recovery = max(tally.status, tried.status), max(tally.recovery, tried.took)
                tally.wrong += [f"{point}: {text}" for text in tried.wrong]
                tally.failed, tally.recovered = tally.failed + bool(tried.wrong), tally.recovered + (not tried.wrong)
                done = f"{tally.failed + tally.recovered}/{len(wanted)}"
                said = "; ".join(tried.wrong) or f"{tried.end}{tried.also}"
                print(f"{done} {point}: {said}, {tried.status:.1f} s, {tried.took:.1f} s", flush=True)

    _beside(work, len(projects))
    return tally


def _beside(work: Any, count: int) -> None:
    """Call *work* with each number in a thread of its own, and raise what one of them raised."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def prepare(project: Project) -> list[str]:
    """1.1.0 everywhere, and every point that the promotion of 1.2.0 into production comes by.

    Somebody has then written the second host's tax with a comma: a change of the stack, with which 1.2.0 cannot work.
    """
    lay_small_shop(project)
    project.replace("environments/production/__main__.py", '"web1": {"shop_tax": "7.5"}', '"web2": {"shop_tax": "7.5"}')
    project.run("promote", "releases/1.1.0")
    project.run("promote", "releases/1.2.0", "--to", "staging")
    project.replace("environments/production/__main__.py", '"web2": {"shop_tax": "7.5"}', '"web2": {"shop_tax": "7,5"}')
    project.run("promote", "1.2.0", "--to", "production", code=4)
    story = project.story("production")
    run = story["run"]["id"]
    points = [
        f"production.{step['name']}:{where}"
        for step in story["steps"]
        for where in (STEP if step["name"] in EFFECTS else STEP[:2])
    ]
    jobs = sorted((project.state / "jobs").glob(f"{run}.*"), key=lambda path: (path / "job.json").stat().st_mtime)
    counts = {path.name.removeprefix(f"{run}."): _events(path) for path in jobs}
    for job, count in counts.items():
        points += [f"job {job}:{where}" for where in (JOB if job in EFFECTS else JOB[1:])]
        points += [f"job {job}:event 1"] if count else []
        points += [f"job {job}:event {(count + 1) // 2}"] if count > 2 and job.startswith(INSIDE) else []
    early = {job: "event 1" if count else "spawned" for job, count in counts.items()}
    return points + [f"job {job}:{where}{also}" for job, where in early.items() for also in (ENGINE, WHOLE)]


def _events(job: Path) -> int:
    try:
        return (job / "events.jsonl").read_text(encoding="utf-8").count("\n")
    except FileNotFoundError:
        return 0


class Attempt:
    """One promotion that is killed at *point*, and resumed.

    Afterwards *wrong* says what does not hold, *end* how the run ended, *status* how long it took until the status was
    true, and *took* until it had ended, both in seconds.
    """

    def __init__(self, project: Project, point: str) -> None:
        self._project, self._point = project, point
        self.wrong: list[str] = []
        self.end, self.also, self.status, self.took = "", "", 0.0, 0.0

    def run(self) -> None:
        """Kill it, look, resume it, look again."""
        before = _stack(self._project)
        try:
            if self._killed():
                self._truth()
                self._recovery(before)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self.wrong.append(str(error)[-500:])

    def _killed(self) -> bool:
        point = self._point.removesuffix(ENGINE).removesuffix(WHOLE)
        process = subprocess.Popen(
            [*self._project.program, "promote", "1.2.0", "--to", "production", *AGAIN],
            cwd=self._project.root,
            env={**self._project.environ(), "ORCHESTRATOR_CRASH": point},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said, _ = process.communicate(timeout=180)
        if process.returncode != -signal.SIGKILL:
            self.wrong.append(f"it was not killed there: {said[-300:]}")
            return False
        job, whole = point.removeprefix("job ").partition(":")[0], self._point.endswith(WHOLE)
        if point != self._point and end_job(self._project, job, whole=whole):
            self.also = ", its engine had ended by itself"
        return True

    def _truth(self) -> None:
        began = time.monotonic()
        self._last = self._project.run("status", "production", "--json").json["environments"][0]["last_run"]
        self.status = time.monotonic() - began
        if not self._last["interrupted"]:
            self.wrong.append(f"status says {self._last['state']}, and it was killed")
        if self.status > TRUTHFUL:
            self.wrong.append(f"status took {self.status:.1f} s")

    def _recovery(self, before: dict[str, Any]) -> None:
        began = time.monotonic()
        said = self._project.run("resume", self._last["id"], code=None).err
        self.took = time.monotonic() - began
        status = self._project.status("production")
        self.end = status["last_run"]["state"]
        if self.end != "rolled back":
            self.wrong.append(f"it ended as {self.end}: {said[-500:]}")
        if self.took > ENDED:
            self.wrong.append(f"it took {self.took:.0f} s to end")
        if _stack(self._project) != before:
            self.wrong.append(f"the stack was {before}, and is {_stack(self._project)}")
        hosts = [host for host in loopback.recorded(self._project.state) if "/production-production/" in host.folder]
        self.wrong += violations(seen(self._project, status, status["last_run"], hosts))


def end_job(project: Project, *steps: str, whole: bool) -> bool:
    """Kill what carries the mark of the newest job of *steps*, its supervisor with it or not; whether nothing was left."""
    jobs = [path for step in steps for path in (project.state / "jobs").glob(f"*.{step}")]
    found = max(jobs, key=lambda path: path.stat().st_mtime)
    deadline = time.monotonic() + 30
    while not (found / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # its supervisor was only just begun
    spare = [] if whole else [int((found / "started").read_text(encoding="ascii"))]
    over = not set(tagged(f"ORCHESTRATOR_JOB={found}")) - set(spare)
    kill_tree(f"ORCHESTRATOR_JOB={found}", spare=spare)
    return over


def _stack(project: Project) -> dict[str, Any]:
    """The resources of production by the backend's own file, and the variables of its hosts."""
    file = project.state / "pulumi/backend/.pulumi/stacks/production/production.json"
    found = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"]
    return {entry["urn"].rpartition("::")[2]: entry.get("inputs", {}).get("variables") for entry in found["resources"]}


def seen(project: Project, status: dict[str, Any], ended: dict[str, Any], hosts: list[loopback.Host]) -> Seen:
    """What is there now, by the files of the *hosts*, the process table and what the journal tells of the run *ended*."""
    run = str(ended["id"])
    roots = {host.name: Path(host.root) for host in hosts}
    jobs = [path for path in (project.state / "jobs").glob(f"{run}.*") if tagged(f"ORCHESTRATOR_JOB={path}")]
    return Seen(
        running={name: running(root) for name, root in roots.items()},
        told={host["host"]: Told(host["truth"], (host["release"] or {}).get("digest")) for host in status["hosts"]},
        approved={f"sha256:{path.stem}" for path in (project.state / "packages").glob("*.release")},
        ended={run: str(ended["state"])},
        ledgers=[effect for name, root in roots.items() for effect in done(name, root)],
        verified=status["release"]["digest"],
        leases=[status["lease"]["holder"]] if status["lease"] else [],
        leftovers=[f"processes of {path.name}" for path in jobs],
    )


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    sys.exit(main())
