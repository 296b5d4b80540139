"""A release's whole world in one process: journal, engine, hosts and stacks, with faults at every point of it.

Everything that would survive a crash (`Kept`) is apart from the process that works on it (`Process`). A process dies at
a numbered point: before or after a write of the journal, a record of the engine, an effect on a host. Whatever an engine
of ours had begun then goes on without it, or dies with it, as the scenario says.
"""

import copy
import itertools
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NoReturn

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.implementations import MemoryImplementations
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.adapters.memory.store import ManualClock, MemoryStore
from orchestrator.adapters.memory.verifier import MemoryVerifier
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.null_notifier import NullNotifier
from orchestrator.domain.context import Context
from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.errors import JobLost, OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import STORE_FAILURES, Entry, Kind, Lease, QueuedRequest, Run
from orchestrator.domain.plan import PlaySpec, StackSpec, SuiteSpec
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package, Release
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.halt import OwnershipLost
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit, ImplementationStatus, Provisioned, SavedPlan, WantedImplementation
from orchestrator.ports.lists import queue_of
from orchestrator.services import Services

HEAD = {"apiVersion": "orchestrator/v1"}
TTL = 30.0
LIMIT = 40  # processes after which a run that still has not ended never will


class Crash(BaseException):
    """The process is gone, as by `kill -9`."""


@dataclass(frozen=True)
class Effect:
    """Something that was done to a host; *complete* when it came to its end there."""

    what: str
    run: str
    step: str
    environment: str
    host: str
    digest: str
    fence: int
    complete: bool


@dataclass(frozen=True)
class Scenario:
    """What is promoted, and what goes wrong in the world itself.

    *faults* are those of `World`; *leaves* maps steps of production to hosts that go away when they begin; *mute* hosts do
    what is asked of them for the new release, and their answer is lost; *wishes* maps steps of production to what a
    person wants when they begin; *jobs* says what becomes of an engine whose orchestrator dies: it goes on, or it dies.
    *closes* maps steps of production to how many seconds its calendar is closed from when they begin. The implementation
    plans of production have not ended at first: *waits* is what happens then, either to the plan, or to the run. *ends*
    is how the run must end.
    """

    name: str
    steps: tuple[dict[str, Any], ...] = ({"rollout": {"batches": [1, "100%"]}},)
    hosts: int = 3
    grown: int = 0
    faults: tuple[tuple[str, str, str], ...] = ()
    gone: tuple[str, ...] = ()
    watch: bool = False
    automatic: bool = True
    leaves: tuple[tuple[str, str], ...] = ()
    mute: tuple[str, ...] = ()
    wishes: tuple[tuple[str, str], ...] = ()
    closes: tuple[tuple[str, float], ...] = ()
    waits: Literal["", "ends", "cancel"] = ""
    jobs: str = "go on"
    kind: Kind = "promotion"
    ends: str = ""


class Points:
    """Numbers every point that is reached, and is a crash at those that are wanted."""

    def __init__(self) -> None:
        self.count = 0
        self.at: frozenset[int] = frozenset()
        self.happens: dict[int, Callable[[], None]] = {}
        self.names: list[str] = []
        self.hook: Callable[[str], None] | None = None

    def reached(self, name: str) -> None:
        """One more point."""
        self.count += 1
        self.names.append(name)
        if self.hook is not None:
            self.hook(name)
        if self.count in self.happens:
            self.happens[self.count]()
        if self.count in self.at:
            raise Crash(name)


@dataclass
class Kept:
    """What is there whether or not a process runs."""

    store: "Journal"
    world: World
    packages: MemoryPackages
    points: Points
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    trace: list[tuple[str, ...]] = field(default_factory=list)
    until: dict[int, float] = field(default_factory=dict)
    before: dict[str, str | None] = field(default_factory=dict)
    live: tuple[str, ...] = ()
    parked: bool = False
    closed: dict[str, float] = field(default_factory=dict)

    def begin(self, job: str) -> None:
        """A job's own process begins, unless the one that wants it was paused until its claim had run out."""
        self.points.reached(f"spawn {job}")
        if self.store.clock.monotonic() > self.until[threading.get_ident()]:
            raise OrchestratorError("S103", f"{job} was not begun")


class Journal(MemoryStore):
    """The store, each of whose writes has a point before and after it.

    *full* is how many further writes find no space; *unanswered* how many are made, and nobody is told so.
    """

    def __init__(self, points: Points, trace: list[tuple[str, ...]]) -> None:
        super().__init__(clock=ManualClock())
        self.points, self.trace = points, trace
        self.full = self.unanswered = 0

    def append(self, run: str, entries: Iterable[Entry], fence: int = 0) -> int:
        """Write entries; all of them, or none."""
        entries = list(entries)
        kinds = ",".join(entry.kind for entry in entries)
        self.points.reached(f"append {kinds}")
        if self.full:
            self.full -= 1
            raise OrchestratorError("S113", "the disk is full")
        last = super().append(run, entries, fence)
        self.trace += [("journal", run, entry.kind, *_traced(entry)) for entry in entries]
        if self.unanswered:
            self.unanswered -= 1
            raise OrchestratorError("S112", "the database was gone before it had answered")
        self.points.reached(f"appended {kinds}")
        return last

    def acquire(
        self, environment: str, holder: str, by: str, reason: str, *, worker: str = "", until: str | None = None
    ) -> Lease:
        """Take the lease."""
        self.points.reached("acquire")
        lease = super().acquire(environment, holder, by, reason, worker=worker, until=until)
        self.points.reached("acquired")
        return lease

    def release(self, environment: str, holder: str, worker: str | None = None) -> None:
        """Give the lease back."""
        self.points.reached("release")
        super().release(environment, holder, worker)
        self.points.reached("released")

    def release_claim(self, root: str, worker: str, *, done: bool) -> None:
        """Work on it no longer."""
        self.points.reached("leave")
        super().release_claim(root, worker, done=done)
        self.points.reached("left")


class Hosts(MemoryDeployer):
    """Plays as jobs that outlive the process which began them, with a point around what they do to each host."""

    def __init__(self, kept: Kept, jobs: str, mute: tuple[str, ...] = ()) -> None:
        super().__init__(kept.world)
        self._kept, self._fate, self._mute = kept, jobs, mute

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Attach to the job when it was begun before, else begin it."""
        if job not in self._kept.jobs:
            self._kept.begin(job)
            try:
                self._kept.jobs[job] = super().deploy(play, package, inventory, context, job, emit)
            except Crash:
                self._goes_on(play, package, inventory, context, job, emit)
                raise
        found: StepResult = self._kept.jobs[job]
        return found

    def inspect(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Inspect the hosts. An inspection that dies with its orchestrator says that it touched them all: it cannot tell."""
        if job not in self._kept.jobs:
            try:
                self._kept.points.reached(f"inspect {job}")
                self._kept.jobs[job] = super().inspect(requirements, inventory, context, job, emit)
                self._kept.points.reached(f"inspected {job}")
            except Crash:
                if self._fate != "go on":
                    hosts = tuple(
                        HostResult(host=host, outcome=Outcome.SKIPPED, touched=True) for host in inventory.hosts
                    )
                    data = {"code": "D130", "how": "lost"}
                    self._kept.jobs[job] = StepResult(outcome=Outcome.ERRORED, message="died", hosts=hosts, data=data)
                raise
        found: StepResult = self._kept.jobs[job]
        if found.data.get("how") == "lost" and ".plan" in job:
            raise JobLost("D130", found.message)
        return found

    def _goes_on(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> None:
        """What becomes of the job when the process that began it has died."""
        if self._fate == "go on":
            points, self._kept.points.at = self._kept.points.at, frozenset()
            try:
                self._kept.jobs[job] = super().deploy(play, package, inventory, context, job, emit)
            finally:
                self._kept.points.at = points
        else:
            hosts = tuple(HostResult(host=host, outcome=Outcome.UNKNOWN, touched=True) for host in play.limit)
            data = {"code": "D130", "how": "lost"}
            self._kept.jobs[job] = StepResult(outcome=Outcome.ERRORED, message="died", hosts=hosts, data=data)

    def _one(
        self, host: str, play: PlaySpec, package: Package, context: Context, step: str, given: tuple[str, ...]
    ) -> HostResult:
        """Do it to one host: the world's own ledger knows what it has done before."""
        self._kept.points.reached(f"effect on {host}")
        count = len(self._world.ledger)
        result = super()._one(host, play, package, context, step, given)
        if len(self._world.ledger) > count:
            environment, good = context.environment, result.outcome is Outcome.SUCCEEDED
            self._kept.trace.append(("effect", context.run, step, host, str(context.fence)))
            self._kept.effects.append(
                Effect(play.playbook, context.run, step, environment, host, package.digest, context.fence, good)
            )
        self._kept.points.reached(f"effected on {host}")
        if host in self._mute and package.ref.version == "1.1.0" and context.environment == "production":
            return HostResult(host=host, outcome=Outcome.UNKNOWN, touched=True, message="the connection was lost")
        return result


class Proofs(MemoryVerifier):
    """Suites, of which some only fail when they are repeated."""

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Look at each host."""
        later = {("verify", host, version) for verb, host, version in self._world.faults if verb == "watch"}
        if ".watch." not in job or not later:
            return super().verify(suite, package, inventory, context, job, emit)
        before, self._world.faults = self._world.faults, self._world.faults | later
        try:
            return super().verify(suite, package, inventory, context, job, emit)
        finally:
            self._world.faults = before


class Stacks(MemoryProvisioner):
    """Updates as jobs that outlive the process which began them."""

    def __init__(self, kept: Kept, jobs: str = "go on") -> None:
        super().__init__(kept.world)
        self._kept, self._fate = kept, jobs

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: SavedPlan | None = None) -> Provisioned:
        """Attach, or begin."""
        if job not in self._kept.jobs:
            self._may_die(spec, job)
            self._kept.begin(job)  # last: from here on the engine waits for no process of ours that is paused
            run, _, step = job.rpartition("-production.")
            self._kept.jobs[job] = super().up(spec, job, emit, plan=plan)
            self._kept.trace.append(("effect", f"{run}-production" if run else job, step, spec.stack, ""))
            self._kept.points.reached(f"spawned {job}")
        found: Provisioned = self._kept.jobs[job]
        return found

    def _may_die(self, spec: StackSpec, job: str) -> None:
        """A point before the first effect: a Pulumi that dies there with its orchestrator has touched nothing."""
        try:
            self._kept.points.reached(f"update {job}")
        except Crash:
            if self._fate != "go on":
                data = {"code": "E111", "untouched": True, "how": "lost"}
                died = StepResult(outcome=Outcome.ERRORED, message="died", data=data)
                self._kept.jobs[job] = Provisioned(died, self.state_digest(spec))
            raise


class Plans(MemoryImplementations):
    """Implementation plans, with a point before and after each of their changes."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept.world)
        self._points = kept.points

    def start(self, wanted: WantedImplementation) -> ImplementationStatus:
        self._points.reached(f"{wanted.step}:start")
        status = super().start(wanted)
        self._points.reached(f"{wanted.step}:started")
        return status

    def abort(self, plan: str, why: str) -> ImplementationStatus:
        self._points.reached(f"{plan}:abort")
        status = super().abort(plan, why)
        self._points.reached(f"{plan}:aborted")
        return status


class Calendar:
    """The `Entrance` of production, which is closed for a time from the start of a step."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def close(self, run: Run, step: str, seconds: float) -> None:
        """Close once, when *step* begins."""
        if step not in self._kept.closed:
            self._kept.closed[step] = self._kept.store.clock.monotonic() + seconds
            self._kept.trace.append(("calendar", run.id, "closed", "", ""))

    def admit(self, services: Services, run: Run, *, plan: str | None, overrun: bool) -> None:
        """It was open when the run was requested."""

    def passed(self, run: Run) -> tuple[str, ...]:
        """Nothing was passed."""
        del run
        return ()

    def closed(self, run: Run) -> str:
        """Whether it is closed now. A run that is held must have let go of the environment."""
        if run.environment != "production" or not self._kept.closed:
            return ""
        if self._kept.store.clock.monotonic() < max(self._kept.closed.values()):
            lease = self._kept.store.lease("production")
            if queue_of(self._kept.store, "production") and lease is not None and lease.holder == run.id:
                self._kept.trace.append(("calendar", run.id, "kept", "", ""))
            return "hard freeze"
        if self._kept.trace and ("calendar", run.id, "open", "", "") not in self._kept.trace:
            self._kept.trace.append(("calendar", run.id, "open", "", ""))
        return ""


class Acting:
    """The `RunOwnership` of a process of the simulation."""

    def __init__(self, kept: Kept, root: str, worker: str) -> None:
        self.worker, self._kept, self._root = worker, kept, root

    def check(self) -> None:
        """Whether the claim is still this process's."""
        self._kept.until[threading.get_ident()] = self._kept.store.clock.monotonic() + TTL
        if self._root not in self._kept.store.renew(self.worker, TTL):
            self.taken_over()

    def acting(self, run: str | None, known: str = "") -> None:
        """Nobody watches."""

    def park(self) -> NoReturn:
        """Stop until somebody resumes the run."""
        self._kept.parked = True
        raise OwnershipLost("parked")

    def taken_over(self) -> NoReturn:
        """Another process has taken over."""
        raise OwnershipLost("taken over")


class Simulation:
    """One scenario, from an environment where 1.0.0 is verified to the end of the promotion of 1.1.0."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario, self.folder = scenario, folder
        points, trace = Points(), list[tuple[str, ...]]()
        names = [f"p{number}" for number in range(1, scenario.hosts + 1)]
        world = World(stacks={"staging": ["s1"], "production": names})
        self.kept = Kept(Journal(points, trace), world, MemoryPackages(), points, trace=trace)
        self.services = self._setting()
        self._workers = itertools.count(1)
        self._roots = itertools.count(1)
        self.old, self.new = (self.kept.packages.put(self._release(version)) for version in ("1.0.0", "1.1.0"))

    # -- the story -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """1.0.0 in both environments; then the faults of the scenario come into the world."""
        for package, target in ((self.old, "staging"), (self.old, "production"), (self.new, "staging")):
            self.finish(self.ask("promotion", package, target))
        world, scenario = self.kept.world, self.scenario
        world.faults |= set(scenario.faults)
        world.gone |= set(scenario.gone)
        world.waiting |= {"switch.yaml", "switch-back.yaml"} if scenario.waits else set()
        more = [f"p{number}" for number in range(scenario.hosts + 1, scenario.hosts + scenario.grown + 1)]
        world.stacks["production"] = [*world.stacks["production"], *more]
        self.kept.before = {host: world.running.get(("production", host)) for host in world.up["production"]}
        self.kept.live = next((to for (where, _), to in world.routed.items() if where == "production"), ())
        self.kept.points.count, self.kept.points.names = 0, []
        self.kept.effects.clear()
        self.kept.trace.clear()

    def clone(self) -> "Simulation":
        """The same world once more, apart from this one: what is in it are values, only what holds them is copied."""
        other = Simulation.__new__(Simulation)
        other.scenario, other.folder, other.old, other.new = self.scenario, self.folder, self.old, self.new
        mine, points, trace = self.kept, Points(), list[tuple[str, ...]]()
        store = Journal(points, trace)
        for name, value in vars(mine.store).items():
            if name not in {"points", "trace", "clock"}:
                setattr(store, name, _copied(value))
        store.clock = copy.copy(mine.store.clock)
        world = World(**{name: _copied(value) for name, value in vars(mine.world).items()})
        answers = {root: dict(found) for root, found in mine.answers.items()}
        other.kept = Kept(
            store,
            world,
            mine.packages,
            points,
            answers,
            dict(mine.jobs),
            trace=trace,
            before=mine.before,
            live=mine.live,
        )
        other._workers, other._roots = itertools.count(100), itertools.count(100)
        other.services = other._setting()
        return other

    def play(self, at: Iterable[int] = ()) -> str:
        """Ask for what the scenario is about and see it to its end, dying at the points *at*. Returns the root."""
        self.kept.points.at = frozenset(at)
        root = self.ask(self.scenario.kind, self.old if self.scenario.kind == "rollback" else self.new, "production")
        self.finish(root)
        self.kept.points.at = frozenset()
        return root

    def ask(self, kind: Kind, package: Package, target: str) -> str:
        """Write down what is asked for; retried by whoever asks when the process dies."""
        root = f"r{next(self._roots)}"
        run = Run(id=f"{root}-{target}", root=root, kind=kind, environment=target, release=package.ref, by="ann")
        while True:
            try:
                self.kept.store.submit(QueuedRequest(root=root, request={"kind": kind, "target": target}), run)
                return root
            except Crash:
                continue
            except OrchestratorError as error:
                if error.code not in STORE_FAILURES:
                    raise

    def finish(self, root: str) -> int:
        """One process after another, until it is done. Returns how many it took."""
        for number in range(1, LIMIT + 1):
            if self.process(root) == "done" and self.kept.store.work(root).done:
                return number
        raise AssertionError(f"{root} does not come to its end")

    def outlast(self, root: str, pause_at: int) -> bool:
        """One process is paused at a point, for longer than its claim lasts; others end the run; then it wakes up.

        Returns whether the point was reached.
        """
        points, moved, woken = self.kept.points, threading.Event(), threading.Event()
        paused = list[bool]()

        def stop(_name: str) -> None:
            if (
                points.count == pause_at and not paused
            ):  # in the sleeper, or in a thread of its own: nobody else runs yet
                paused.append(True)
                moved.set()
                woken.wait()

        def run() -> None:
            self.process(root, "sleeper")
            moved.set()

        sleeper = threading.Thread(target=run)
        points.hook = stop
        sleeper.start()
        moved.wait()
        if paused:
            self.kept.store.clock.sleep(TTL + 1)
            self.finish(root)
        woken.set()
        sleeper.join()
        points.hook = None
        return bool(paused)

    def process(self, root: str, worker: str | None = None) -> str:
        """One process that works on *root* until it is done, dies, or stands still."""
        store, name = self.kept.store, worker or f"w{next(self._workers)}"
        try:
            if store.work(root).done:
                return "done"
            if self.kept.parked:
                self._go_on(f"{root}-production")
                self.kept.parked = False
            store.claim(root, name, "here", TTL, dead=True)
            if self.scenario.closes:
                self.kept.trace.append(("process", f"{root}-production", name, "", ""))
            self._walk(root, name)
            store.release_claim(root, name, done=True)
            return "done"
        except Crash:
            return "crashed"
        except OwnershipLost:
            return "still"
        except OrchestratorError as error:
            if error.code not in STORE_FAILURES:
                raise
            return "still"

    def _go_on(self, run: str) -> None:
        """A person continues the run, or what it waits for has ended; or it is cancelled while it waits."""
        waits, control = self.kept.store.run(run).waits_for, ""
        if waits and self.scenario.waits == "cancel" and not self.kept.store.has_entry(run, "wish:waits"):
            control = "cancel"
        elif waits:
            self.kept.world.waiting.clear()
        entry = Entry(kind="control", data={"control": control, "by": "ann"}, key="wish:waits" if control else None)
        self.kept.store.append(run, [entry])

    def _walk(self, root: str, worker: str) -> None:
        run = next(run for run in self.kept.store.runs() if run.root == root)
        durable = MemoryDurable(self.kept.answers.setdefault(root, {}), self._crash(run))
        ctx = RunContext(self.services, durable, run, ownership=Acting(self.kept, root, worker))
        WORKFLOWS[run.kind](ctx)

    def _crash(self, run: Run) -> Callable[[str, str], None]:
        wishes = dict(self.scenario.wishes) if run.environment == "production" and run.release == self.new.ref else {}

        leaves = dict(self.scenario.leaves) if run.environment == "production" and run.release == self.new.ref else {}
        closes = dict(self.scenario.closes) if run.environment == "production" and run.release == self.new.ref else {}

        def reached(name: str, when: str) -> None:
            if when == "before" and name in leaves:
                self.kept.world.gone.add(leaves[name])
            if when == "before" and name in closes:
                self.calendar.close(run, name, closes[name])
            if when == "before" and name in wishes and not self.kept.store.has_entry(run.id, f"wish:{name}"):
                data = {"control": wishes[name], "by": "ann"}
                MemoryStore.append(self.kept.store, run.id, [Entry(kind="control", data=data, key=f"wish:{name}")])
            self.kept.points.reached(f"{name}:{when}")

        return reached

    # -- its parts -------------------------------------------------------------------------------------------------

    def _setting(self) -> Services:
        return Services(
            project=Project.from_json({**HEAD, "kind": "Project", "name": "demo"}),
            root=self.folder,
            state=self.folder,
            environments={
                "staging": self._environment("staging", None),
                "production": self._environment("production", "staging"),
            },
            provisioner=Stacks(self.kept, self.scenario.jobs),
            deployer=Hosts(self.kept, self.scenario.jobs, self.scenario.mute),
            verifier=Proofs(self.kept.world),
            packages=self.kept.packages,
            store=self.kept.store,
            clock=self.kept.store.clock,
            notifier=NullNotifier(),
            keys=MemoryKeys(),
            implementations=Plans(self.kept),
            entrance=self.calendar,
        )

    @property
    def calendar(self) -> Calendar:
        """The calendar of production."""
        return Calendar(self.kept)

    def _environment(self, name: str, after: str | None) -> tuple[Environment, Path]:
        rollback = {"automatic": self.scenario.automatic}
        data = {**HEAD, "kind": "Environment", "name": name, "after": after, "rollback": rollback}
        return Environment.from_json(data), self.folder

    def _release(self, version: str) -> Release:
        play = {"playbook": "deploy.yml", "hosts": "web"}
        steps = [
            {"name": f"step{number}" if number else "deploy", **({} if "implementation" in step else play), **step}
            for number, step in enumerate(self.scenario.steps)
        ]
        watch = {"watch": {"for": "2s", "every": "1s", "tests": "tests"}} if self.scenario.watch else {}
        data = {
            **HEAD,
            "kind": "Release",
            "name": "shop",
            "version": version,
            "environments": ["staging", "production"],
            "steps": steps,
            "verify": [{"name": "smoke", "tests": "tests"}],
            **(watch if version == "1.1.0" else {}),
        }
        return Release.from_json(data)


def _traced(entry: Entry) -> tuple[str, str]:
    """What the checker is told of an entry: of a host its truth, else the step and its outcome."""
    if entry.kind == "host":
        return entry.host, str(entry.data["truth"])
    return entry.step, str(entry.data.get("outcome", "held" if "held" in entry.data else ""))


def _copied(value: Any) -> Any:
    """A container with the same values in it; lists and sets inside a dictionary are copied too."""
    if isinstance(value, dict):
        return {key: copy.copy(item) if isinstance(item, (list, set)) else item for key, item in value.items()}
    return copy.copy(value) if isinstance(value, (list, set)) else value


def prepared(scenario: Scenario, folder: Path) -> Simulation:
    """A simulation of *scenario* in which 1.1.0 is about to be promoted; made once for each scenario, then copied."""
    key = scenario.name, folder
    if key not in _PREPARED:
        _PREPARED[key] = Simulation(scenario, folder)
        _PREPARED[key].prepare()
    return _PREPARED[key].clone()


_PREPARED: dict[tuple[str, Path], Simulation] = {}


def forget(folder: Path) -> None:
    """Keep no longer what was prepared in *folder*: so a campaign of any length needs the same memory."""
    for key in [key for key in _PREPARED if key[1] == folder]:
        del _PREPARED[key]


PLAN = {"implementation": "switch.yaml", "undo": "switch-back.yaml"}
SIDES = {"blue": "p1:p2", "green": "p3:p4", "switch": "switch.yml"}
SIDED = ({"rollout": {"strategy": "blue_green", "batches": [1, "100%"], "blue_green": SIDES}},)

SCENARIOS = (
    Scenario("a good release", ends="succeeded"),
    Scenario(
        "a good release, three batches and two steps", ({"rollout": {"batches": [1, 1, "100%"]}}, {}), ends="succeeded"
    ),
    Scenario("the second batch fails", faults=(("deploy", "p2", "1.1.0"),), ends="rolled back"),
    Scenario("the second batch does not serve", faults=(("verify", "p2", "1.1.0"),), ends="rolled back"),
    Scenario("the first host does not serve", faults=(("verify", "p1", "1.1.0"),), ends="rolled back"),
    Scenario("engines die with their orchestrator", jobs="die", ends="succeeded"),
    Scenario(
        "engines die, and the second batch fails", faults=(("deploy", "p2", "1.1.0"),), jobs="die", ends="rolled back"
    ),
    Scenario("two hosts more", grown=2, ends="succeeded"),
    Scenario("two hosts more, and one of them fails", grown=2, faults=(("deploy", "p4", "1.1.0"),), ends="rolled back"),
    Scenario(
        "two hosts more, and the first host does not serve",
        grown=2,
        faults=(("verify", "p1", "1.1.0"),),
        ends="rolled back",
    ),
    Scenario("engines die, and two hosts more", grown=2, jobs="die", ends="succeeded"),
    Scenario(
        "engines die, two hosts more, and one of them fails",
        grown=2,
        faults=(("deploy", "p4", "1.1.0"),),
        jobs="die",
        ends="rolled back",
    ),
    Scenario("steps with an undo", ({"undo": "undo.yml"}, {}), faults=(("verify", "p3", "1.1.0"),), ends="rolled back"),
    Scenario("it fails while it is watched", watch=True, faults=(("watch", "p2", "1.1.0"),), ends="rolled back"),
    Scenario("it is watched", watch=True, ends="succeeded"),
    Scenario("a host refuses the release", faults=(("refuse", "p2", "1.1.0"),), ends="rolled back"),
    Scenario("a host is gone", gone=("p3",), ends="failed"),
    Scenario("a host's answer is lost", mute=("p2",), ends="rolled back"),
    Scenario("a host goes away", leaves=(("deploy.2", "p3"),), ends="needs intervention"),
    Scenario(
        "rollback is switched off", automatic=False, faults=(("verify", "p1", "1.1.0"),), ends="needs intervention"
    ),
    Scenario("it is cancelled before the second batch", wishes=(("deploy.2", "cancel"),), ends="rolled back"),
    Scenario("cancelled after an engine died", wishes=(("deploy.2~2", "cancel"),), jobs="die", ends="succeeded"),
    Scenario("it is cancelled before anything is done", wishes=(("build", "cancel"),), ends="failed"),
    Scenario("a freeze before the first change", closes=(("deploy.1", 60.0),), ends="succeeded"),
    Scenario("a freeze while it is unpacked", closes=(("build", 60.0),), ends="succeeded"),
    Scenario("a freeze after the first change", closes=(("deploy.2", 60.0),), ends="succeeded"),
    Scenario(
        "a freeze and a batch that fails",
        closes=(("deploy.2", 60.0),),
        faults=(("deploy", "p2", "1.1.0"),),
        ends="rolled back",
    ),
    Scenario("it is paused, and resumed", wishes=(("verify.smoke.deploy.1", "pause"),), ends="succeeded"),
    Scenario("a step waits for an implementation plan", ({}, PLAN, {}), waits="ends", ends="succeeded"),
    Scenario(
        "an implementation plan is aborted",
        ({}, PLAN, {}),
        faults=(("implement", "switch.yaml", "1.1.0"),),
        waits="ends",
        ends="rolled back",
    ),
    Scenario(
        "an implementation plan is undone",
        ({}, PLAN, {"undo": "undo.yml"}),
        faults=(("verify", "p3", "1.1.0"),),
        waits="ends",
        ends="rolled back",
    ),
    Scenario("it is cancelled while it waits for a plan", ({}, PLAN, {}), waits="cancel", ends="rolled back"),
    Scenario("a person goes back", kind="rollback", ends="rolled back"),
    Scenario("it is switched to the other side", SIDED, hosts=4, ends="succeeded"),
    Scenario("engines die in a switch", SIDED, hosts=4, jobs="die", ends="succeeded"),
    Scenario("a switch fails", SIDED, hosts=4, faults=(("switch", "green", "1.1.0"),), ends="rolled back"),
    Scenario("it is switched back", SIDED, hosts=4, watch=True, faults=(("watch", "p3", "1.1.0"),), ends="rolled back"),
    Scenario(
        "engines die, and it is switched back",
        SIDED,
        hosts=4,
        watch=True,
        faults=(("watch", "p3", "1.1.0"),),
        jobs="die",
        ends="rolled back",
    ),
    Scenario(
        "a switch fails both ways",
        SIDED,
        hosts=4,
        faults=(("switch", "green", "1.1.0"), ("switch", "blue", "1.1.0")),
        ends="needs intervention",
    ),
    Scenario("it is cancelled before the switch", SIDED, hosts=4, wishes=(("switch", "cancel"),), ends="rolled back"),
)


def ending(simulation: Simulation, root: str) -> State:
    """How the run of *root* in production ended."""
    return simulation.kept.store.run(f"{root}-production").state


def scenario_of(rng: random.Random, name: str) -> Scenario:
    """A scenario by chance, under this *name*."""
    hosts = rng.randint(1, 5)
    names = [f"p{number}" for number in range(1, hosts + 1)]
    batches = rng.choice(([1, "100%"], ["100%"], [1, 1, "100%"], ["50%", "100%"]))
    faults = tuple(
        (rng.choice(("deploy", "verify")), rng.choice(names), "1.1.0") for _ in range(rng.choice((0, 0, 1, 2)))
    )
    wishes: tuple[tuple[str, str], ...] = ()
    if rng.random() < 0.2:
        wishes = (
            (
                rng.choice(("build", "deploy.1", "deploy.2", "verify.smoke.environment")),
                rng.choice(("cancel", "pause", "abort")),
            ),
        )
    plans = [PLAN] if rng.random() < 0.2 else []
    found = Scenario(
        name,
        steps=({"rollout": {"batches": batches}}, *([{}] if rng.random() < 0.3 else []), *plans),
        hosts=hosts,
        grown=rng.choice((0, 0, 0, 1)),
        faults=faults,
        gone=(rng.choice(names),) if rng.random() < 0.1 else (),
        watch=rng.random() < 0.2,
        mute=(rng.choice(names),) if rng.random() < 0.1 else (),
        automatic=rng.random() > 0.1,
        wishes=wishes,
        jobs=rng.choice(("go on", "die")),
    )
    if hosts == 4 and rng.random() <= 0.5:
        found = replace(found, steps=SIDED, grown=0)
    if rng.random() > 0.2:
        return found
    return replace(found, closes=((rng.choice(("plan", "build", "deploy.1", "deploy.2")), 60.0),))
