"""Rows 1 to 5: the orchestrator's own process dies, is stopped, or dies again while it recovers."""

import os
import random
import signal
import time

from orchestrator.adapters.database.engine import engine_url, integrity, sqlite_url
from tests.campaigns.chaos.parts import EDGE, Small, ended, kill, small, until
from tests.campaigns.chaos.table import Scene, needs, row
from tests.campaigns.real import ENDED, STEP, TRUTHFUL

STEPS = ("deploy.1", "verify.smoke.deploy.1", "deploy.2", "verify.smoke.environment", "close")
WRITES = {"fsync": 40, "fdatasync": 200, "pwrite64": 300, "unlink": 60}  # a system call, and how often it comes surely
FAST = ("strace", "-DDD", "-f", "-b", "execve", "-qq", "-o", "/dev/null")  # what we start is let go of, at full speed


def _points(rng: random.Random) -> list[str]:
    """Boundaries of steps, and moments inside them, in any order."""
    where = [f"{EDGE}.{step}:{boundary}" for step in STEPS for boundary in STEP]
    inside = [f"job deploy.{number}:{moment}" for number in (1, 2) for moment in ("laid", "spawned")]
    return rng.sample(where + inside, len(where + inside))


def recovered(project: Small, version: str) -> str:
    """Go on with the run that was killed: status is true at once, it ends in time, and nothing was done twice."""
    began = time.monotonic()
    last = project.status(EDGE)["last_run"]
    assert last["ended_at"] or last["interrupted"], f"status says {last['state']}, and it was killed"
    looked, run = time.monotonic() - began, str(last["id"])
    assert looked < TRUTHFUL, f"status took {looked:.1f} s"
    began = time.monotonic()
    said = project.resume(run)
    took = time.monotonic() - began
    assert said.code in {0, 1}, f"resume ended with {said.code}: {said.err[-1500:]}"  # 1: it had ended already
    assert took < ENDED, f"it took {took:.0f} s to end"
    project.judge(run, "succeeded")
    project.once(version)
    return f"resumed in {took:.1f} s"


@row(1, "kill -9 at a boundary of a step", quick=True)
def at_a_boundary(scene: Scene) -> str:
    """Die as by `kill -9` at a named point."""
    project, point = small(scene), _points(scene.rng)[0]
    version = project.make()
    code, said = ended(project.begin(version, ORCHESTRATOR_CRASH=point))
    assert code == -signal.SIGKILL, f"{point}: it was not killed: {said[-500:]}"
    return f"{point}, {recovered(project, version)}"


@row(2, "kill -9 at a write, sync or unlink of the orchestrator")
def at_a_system_call(scene: Scene) -> str:
    """Die inside the N-th of its own system calls of one kind, in whichever thread."""
    needs("strace")
    project = small(scene)
    call = scene.rng.choice(sorted(WRITES))
    number, version = scene.rng.randint(1, WRITES[call]), project.make()
    before, plain = project.last(), project.program
    project.program = (*FAST, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}", *plain)
    try:
        process = project.begin(version)
        code, said = ended(process)
    finally:
        project.program = plain
    assert code in {0, -signal.SIGKILL}, f"it ended with {code}: {said[-500:]}"
    journal = sqlite_url(project.state / "state.db")
    assert (integrity(journal), integrity(engine_url(journal))) == ([], [])
    if project.last() == before:
        return f"{call} {number}: died before anything was asked for"
    return f"{call} {number}: {'died' if code else 'lived'}, {recovered(project, version)}"


@row(3, "kill -9 at a random instant")
def at_random(scene: Scene) -> str:
    """Die at any moment; what it has started lives on, and is found again."""
    project = small(scene)
    version, after = project.make(), scene.rng.uniform(0.3, 7.0)
    before = project.last()
    process = project.begin(version)
    time.sleep(after)
    if process.poll() is None:
        kill(process)
    else:
        process.communicate()
    if project.last() == before:
        return f"after {after:.2f} s: nothing was asked for yet"
    return f"after {after:.2f} s, {recovered(project, version)}"


@row(4, "kill -9 again and again while it recovers")
def while_recovering(scene: Scene) -> str:
    """Die, and die twice more at later points of the recovery."""
    project = small(scene)
    version = project.make()
    points = [f"{EDGE}.{STEPS[at]}:{scene.rng.choice(STEP)}" for at in sorted(scene.rng.sample(range(len(STEPS)), 3))]
    code, said = ended(project.begin(version, ORCHESTRATOR_CRASH=points[0]))
    assert code == -signal.SIGKILL, said[-500:]
    run = project.last()
    for point in points[1:]:
        code = project.resume(run, ORCHESTRATOR_CRASH=point).code
        assert code == -signal.SIGKILL, f"{point}: it ended with {code}"
    return f"died at {', '.join(points)}, {recovered(project, version)}"


@row(5, "SIGTERM, Ctrl-C, and Ctrl-C twice")
def signals(scene: Scene) -> str:
    """Be asked to end in the middle of a deployment: bounded, nothing lost, and a way to go on."""
    project = small(scene)
    kind, version, good = scene.rng.choice(("SIGTERM", "Ctrl-C", "twice")), project.make(), project.good_release()
    process = project.begin(version)
    until(lambda: version in project.marks(0) or process.poll() is not None, "the first host is deployed to")
    run, began = project.last(), time.monotonic()
    os.kill(process.pid, signal.SIGTERM if kind == "SIGTERM" else signal.SIGINT)
    if kind == "twice":
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
    code, said = ended(process, 60)
    took = time.monotonic() - began
    assert code == {"SIGTERM": 130, "Ctrl-C": 4, "twice": 130}[kind], f"{kind}: {code}: {said[-800:]}"
    if kind != "Ctrl-C":
        project.resume(run)
    project.judge(run, "succeeded" if kind == "SIGTERM" else "rolled back")
    assert set(project.releases(EDGE).values()) == {version if kind == "SIGTERM" else good}
    return f"{kind}: ended in {took:.1f} s with {code}"
