"""Many promotions over several workers that are killed at random: `python -m tests.campaigns.workers --roots 1000`.

The database is a real Postgres, and the workers are real processes, each as on a machine of its own: nothing but the
claim in the database says that another one is dead. The hosts are simulated; each environment's ledger is a file to
which effects are only added. Afterwards the checker judges, from these files and the journal, that nothing was lost
and nothing was done twice.
"""

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.adapters.memory.verifier import MemoryVerifier
from orchestrator.adapters.memory.world import World
from orchestrator.app.requests import Promote
from orchestrator.cli.execution import run_worker
from orchestrator.domain.context import Context
from orchestrator.domain.environment import Environment
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import PlaySpec, StackSpec, SuiteSpec
from orchestrator.domain.release import Package, Release
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.worker import WorkerConfig
from orchestrator.ports import Emit
from orchestrator.ports.lists import each_request, queue_of
from orchestrator.processes import kill_tree, tagged
from orchestrator.wiring import App
from tests.checker.invariants import Done, Seen, Told, violations
from tests.postgres import Server, serving

ROOT = Path(__file__).resolve().parents[2]
HEAD = {"apiVersion": "orchestrator/v1"}
ENVIRONMENTS, HOSTS, CONCURRENCY = 12, 2, 3
MARK = "ORCHESTRATOR_CAMPAIGN"
LASTS = 8.0  # seconds that a claim lasts
START, PATIENCE = 120.0, 3.0  # seconds at first, and for each root, in which workers are killed
QUIET = 90.0  # seconds without a kill in which no promotion ends, after which those that are left are lost


class Ledgers:
    """The hosts of each environment, as a file of their effects that survives every process."""

    def __init__(self, folder: Path, world: World) -> None:
        self._folder, self._world = folder, world

    def read(self, environment: str) -> list[dict[str, Any]]:
        """Every effect there was, in order."""
        file = self._folder / environment
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @contextmanager
    def opened(self, environment: str) -> "Iterator[None]":
        """The world as it is now in *environment*, which nobody else changes meanwhile."""
        with (self._folder / f"{environment}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for done in self.read(environment):
                place = environment, done["host"]
                self._world.running[place] = done["digest"]
                self._world.fences[place] = max(done["fence"], self._world.fences.get(place, 0))
                self._world.done.add((done["run"], done["step"], *place))
            yield

    def add(self, environment: str, **done: Any) -> None:
        """Something was done to a host."""
        with (self._folder / environment).open("a") as file:
            file.write(json.dumps(done) + "\n")


class Hosts(MemoryDeployer):
    """Plays that act on the files."""

    def __init__(self, world: World, ledgers: Ledgers) -> None:
        super().__init__(world)
        self._ledgers = ledgers

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the play."""
        with self._ledgers.opened(context.environment):
            return super().deploy(play, package, inventory, context, job, emit)

    def inspect(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Look at the hosts."""
        with self._ledgers.opened(context.environment):
            return super().inspect(requirements, inventory, context, job, emit)

    def _one(
        self, host: str, play: PlaySpec, package: Package, context: Context, step: str, given: tuple[str, ...]
    ) -> HostResult:
        before = len(self._world.ledger)
        result = super()._one(host, play, package, context, step, given)
        if len(self._world.ledger) > before and result.outcome is Outcome.SUCCEEDED:
            done = {"host": host, "run": context.run, "step": step, "fence": context.fence, "digest": package.digest}
            self._ledgers.add(context.environment, **done)
        return result


class Proofs(MemoryVerifier):
    """Suites that look at the files."""

    def __init__(self, world: World, ledgers: Ledgers) -> None:
        super().__init__(world)
        self._ledgers = ledgers

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Look at each host."""
        with self._ledgers.opened(context.environment):
            return super().verify(suite, package, inventory, context, job, emit)


class Stacks(MemoryProvisioner):
    """Stacks that are up, and stay as they are."""

    def state_digest(self, spec: StackSpec) -> str:
        """The digest of what is there: the same for every process."""
        return digest_of(self._world.up[spec.environment])


@dataclass(frozen=True)
class SimulatedEngines:
    """Hosts, stacks and suites on the files."""

    app: "Simulated"

    def provisioner(self) -> MemoryProvisioner:
        """Stacks."""
        found = Stacks(self.app.world)
        for environment, folder in self.app.environments.values():
            found.definition(environment, folder)
        return found

    def deployer(self, own: str) -> MemoryDeployer:
        """Hosts, which need no connections of their *own*."""
        del own
        return Hosts(self.app.world, self.app.ledgers)

    def verifier(self) -> MemoryVerifier:
        """Proofs."""
        return Proofs(self.app.world, self.app.ledgers)


class Simulated(App):
    """A project whose hosts, stacks and packages are simulated; its database and its workers are real."""

    def __init__(self, folder: Path, machine: str, count: int) -> None:
        environ = {**os.environ, "ORCHESTRATOR_RECOVERY": "manual", "ORCHESTRATOR_CLAIM": str(LASTS)}
        self.machine, self.count = machine, count
        names = [f"e{number}" for number in range(ENVIRONMENTS)]
        hosts = {name: [f"{name}-{number}" for number in range(HOSTS)] for name in names}
        self.world = World(stacks=hosts, up={name: list(found) for name, found in hosts.items()})
        self.ledgers = Ledgers(folder / "ledgers", self.world)
        super().__init__(folder, environ, SimulatedEngines(self))

    @cached_property
    def environments(self) -> Any:
        """All of them alike, none after another."""
        data = {**HEAD, "kind": "Environment", "queue": {"supersede": False}}
        return {
            name: (Environment.from_json({**data, "name": name}), self.root / "environments" / name)
            for name in self.world.stacks
        }

    @cached_property
    def packages(self) -> Any:
        """The same releases in every process."""
        kept = MemoryPackages()
        self.released = [kept.put(self._release(number)) for number in range(self.count)]
        return kept

    @cached_property
    def engine(self) -> Any:
        """Durable execution, with locks that no other machine sees."""
        from orchestrator.engine.durable import Engine, EngineConfig

        place = EngineConfig(self.store_url, self.state / f"executors-{self.machine}", LASTS, bound=True)
        return Engine(place, self.store, self.jobs, self._workflow)

    def _release(self, number: int) -> Release:
        data = {
            "kind": "Release",
            "name": "shop",
            "version": f"1.0.{number}",
            "environments": list(self.world.stacks),
            "steps": [
                {"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "rollout": {"batches": [1, "100%"]}}
            ],
            "verify": [{"name": "smoke", "tests": "tests"}],
        }
        return Release.from_json({**HEAD, **data})


@dataclass
class Workers:
    """Workers as processes, some of which are killed."""

    folder: Path
    count: int
    environ: dict[str, str]
    rng: random.Random
    killed: Counter[str]

    def __post_init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def see_to_it(self) -> None:
        """Start the one that is not there."""
        for number in range(self.count):
            machine = f"m{number}"
            if machine not in self.processes or self.processes[machine].poll() is not None:
                words = [sys.executable, "-m", "tests.campaigns.workers", "--serve", str(self.folder)]
                with (self.folder / f"{machine}.log").open("ab") as log:
                    self.processes[machine] = subprocess.Popen(
                        [*words, "--machine", machine], cwd=ROOT, env=self.environ, stdout=log, stderr=log
                    )

    def kill_one(self) -> None:
        """`kill -9` of a worker, or of a process that does a root."""
        ours = {process.pid for process in self.processes.values()}
        children = [process for process in tagged(f"{MARK}={self.folder}") if process not in ours]
        what = self.rng.choice(("worker", "root", "root"))
        chosen = self.rng.choice(sorted(ours) if what == "worker" else children or sorted(ours))
        self.killed["worker" if chosen in ours else "root"] += 1
        with suppress(ProcessLookupError):
            os.kill(chosen, signal.SIGKILL)

    def stop(self) -> list[str]:
        """SIGTERM to all of them; what is left of them afterwards."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        time.sleep(0.2)
        left = [f"process {process}" for process in tagged(f"{MARK}={self.folder}")]
        kill_tree(f"{MARK}={self.folder}")
        return left


def main() -> int:
    """Run the campaign; the exit status is 1 when anything was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roots", type=int, default=1000)
    parser.add_argument("--workers", default="1,2,4", help="how many workers, one run each")
    parser.add_argument("--kill-every", type=float, default=6.0, help="seconds between two kills; 0 for none")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--machine", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        return _serve(chosen.serve, chosen.machine)
    bad = 0
    with serving() as server:
        for count in [int(word) for word in chosen.workers.split(",")]:
            bad += campaign(server, chosen.roots, count, chosen.kill_every, random.Random(f"{chosen.seed}:{count}"))
    print(f"seed {chosen.seed}: {bad} lost, done twice, or otherwise wrong")
    return 1 if bad else 0


def _serve(folder: Path, machine: str) -> int:
    count = int((folder / "count").read_text())
    app = Simulated(folder, machine, count)
    rules = WorkerConfig("campaign", CONCURRENCY)
    run_worker(
        app,
        app.actor,
        rules,
        lambda news: print(round(time.time(), 2), news.what, news.root, news.process, news.why, flush=True),
    )
    return 0


def campaign(server: Server, roots: int, count: int, every: float, rng: random.Random) -> int:
    """Do so many *roots* over *count* workers, killed *every* so many seconds; how much was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="orc-workers-"))
    try:
        return run(server, folder, roots, count, every, rng)
    finally:
        kill_tree(f"{MARK}={folder}")
        shutil.rmtree(folder, ignore_errors=True)


def run(
    server: Server,
    folder: Path,
    roots: int,
    count: int,
    every: float,
    rng: random.Random,
    kind: type[Workers] = Workers,
) -> int:
    """Do so many *roots* over *count* workers of a *kind*, troubled *every* so many seconds; how much was wrong."""
    (folder / "ledgers").mkdir()
    (folder / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: campaign\n")
    (folder / "count").write_text(str(roots))
    os.environ["ORCHESTRATOR_STORE"] = server.fresh()
    environ = {**os.environ, MARK: str(folder), "PYTHONPATH": str(ROOT)}
    app = Simulated(folder, "driver", roots)
    asked = []
    for number, package in enumerate(app.packages and app.released):
        request = Promote(package=package.ref, targets=(f"e{number % ENVIRONMENTS}",))
        asked.append(app.submissions.submit(app.actor, request, queue="campaign").root)
    workers = kind(folder, count, environ, rng, Counter())
    began = time.monotonic()
    try:
        _work_off(app, workers, every, began + START + PATIENCE * roots)
        took = time.monotonic() - began
    finally:
        leftovers = workers.stop()
    lost, twice, wrong = _judged(app, asked, leftovers)
    kills = ", ".join(f"{number} of a {what}" for what, number in sorted(workers.killed.items())) or "none"
    print(f"{count} workers: {roots} promotions in {took:.0f} s, {60 * roots / took:.0f} a minute; kills: {kills}")
    print(f"  {len(lost)} lost, {len(twice)} twice, {len(wrong)} otherwise wrong", flush=True)
    for line in (lost + twice + wrong)[:10]:
        print(f"  {line}")
    if lost or wrong:
        for log in sorted(folder.glob("m*.log")):
            print(f"  {log.name}: {log.read_text()[-600:]}")
    app.close()
    return len(lost) + len(twice) + len(wrong)


def _work_off(app: Simulated, workers: Workers, every: float, peace: float) -> None:
    """Keep the workers at work until nothing is left to do, or nothing has ended for `QUIET` seconds.

    Until the time *peace* one is killed *every* so many seconds. After it none is: on a slow machine a promotion may be
    killed each time before it ends, which loses nothing. What is not ended in peace is lost.
    """
    now = time.monotonic()
    kill_at, left, ended_at = now + every, -1, now
    while works := list(each_request(app.store)):
        now = time.monotonic()
        if len(works) != left:
            left, ended_at = len(works), now
        if now > max(peace, ended_at) + QUIET:
            return
        workers.see_to_it()
        if every and kill_at < now < peace:
            workers.kill_one()
            kill_at = now + workers.rng.uniform(0.5, 1.5) * every
        time.sleep(0.2)


def _judged(app: Simulated, asked: list[str], leftovers: list[str]) -> tuple[list[str], list[str], list[str]]:
    """What was lost, what was done twice, and what else does not hold."""
    runs = {run.root: run for run in app.store.runs()}
    ledgers = {name: app.ledgers.read(name) for name in app.environments}
    effects = Counter((done["run"], done["host"], done["step"]) for found in ledgers.values() for done in found)
    hosts = Counter(run for run, _, _ in effects)
    lost = [f"lost: {root}" for root in asked if root not in runs or not runs[root].ended]
    lost += [
        f"lost: {run.id} succeeded with {hosts[run.id]} effects"
        for run in runs.values()
        if run.state.value == "succeeded" and hosts[run.id] != HOSTS
    ]
    twice = [f"twice: {key}" for key, number in effects.items() if number > 1]
    wrong = [
        f"{run.id} ended: {run.state.value}: {run.message}"
        for run in runs.values()
        if run.ended and run.state.value != "succeeded"
    ]
    for name, found in ledgers.items():
        lease, verified = app.store.lease(name), app.store.verified(name)
        running = {done["host"]: done["digest"] for done in found}
        seen = Seen(
            running=running,
            told={state.host: Told(state.truth, state.digest) for state in app.store.hosts(name)},
            approved={package.digest for package in app.released},
            ended={
                run.id: run.state.value if run.ended else "goes on" for run in runs.values() if run.environment == name
            },
            ledgers=[Done(done["host"], done["run"], done["step"], done["fence"]) for done in found],
            verified=verified[0].release.digest if verified else None,
            leases=[lease.holder] if lease else [],
            waiting=[wait.run for wait in queue_of(app.store, name)],
            leftovers=leftovers,
        )
        wrong += violations(seen)
    return lost, twice, wrong


if __name__ == "__main__":
    sys.exit(main())
