"""What we need from outside. Each port is small enough to fake by hand; `adapters/memory.py` ships the fakes.

A port method that does something outside takes a *job* (the key under which its child process runs exactly once
and is found again after a crash) and *emit* (called for each event as it happens; it only enqueues).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

from orchestrator.domain.configuration import Configuration
from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.downtime import AvailabilityReport
from orchestrator.domain.environment import AnsibleSettings, Environment, PulumiSettings, SnapshotRule
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry, Lease, QueuedRequest, QueueEntry, Record, Run, Verified
from orchestrator.domain.parity import Definition
from orchestrator.domain.plan import (
    HostState,
    PlannedGate,
    PlaySpec,
    ResourceChange,
    StackPreview,
    StackSpec,
    StepPreview,
    SuiteSpec,
)
from orchestrator.domain.plays import PlaySource
from orchestrator.domain.release import Package, PackageRef, Release, Requirement
from orchestrator.domain.snapshot import Snapshot
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.view import View
from orchestrator.storage_ports import Lists

Emit = Callable[[Entry], None]
DEFAULTS = AnsibleSettings()


# -- child processes -----------------------------------------------------------------------------------------------


SECRETS_FOLDER = "secrets"
"""The folder of the secret files of a job, in the folder of the job."""


@dataclass(frozen=True)
class Job:
    """A child process to be run once under a key.

    Args:
        key: its folder's name and identity; derived from the run, step, batch and attempt only.
        argv: the command; it finds its folder in the environment variable `ORCHESTRATOR_JOB`.
        env: the whole environment of the process; nothing is inherited.
        cwd: where it starts.
        files: files to be put into its folder (mode 0600) before it starts, by relative name.
        secrets: files to be found in `secrets/` of its folder, by name. They end with the job: they are only in memory
            where the job is isolated, and are removed when it has ended where it is not.
        timeout: seconds after which the whole process tree is stopped; None for no limit.
        view: what it finds of the controller besides its own folder; None: it runs our own code only.
        outlived: whether processes that it starts may outlive it: loopback hosts, and an engine that ends what it has
            begun. Processes of an isolated job end with its command.
        halt: asks its processes to end what they have begun, where its supervisor was killed; the rest is killed then.
        server: a command outside of the view that serves an isolated job at a socket; empty for none.
        writes: folders in its own folder. The files that it writes there are masked when it has ended.
        unmasked: files and folders in these that stay as they are.
    """

    key: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    files: Mapping[str, bytes] = field(default_factory=dict)
    timeout: float | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    outlived: bool = False
    halt: Callable[[], None] | None = field(default=None, compare=False)
    server: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()
    view: View | None = field(kw_only=True)


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended: its exit code (None when it was stopped or lost), and its folder.

    *how* is `exited`, `timeout`, `stopped` (on request) or `lost` (it died without telling).
    """

    how: str
    code: int | None
    folder: Path
    seconds: float


class Jobs(Protocol):
    """Runs child processes that outlive us and are found again.

    The child writes one JSON object a line to where `processes.events_of` says, and leaves its answer in files in its
    folder; its standard output and error go to `output.log`. Known secrets are masked before anything is on disk.
    """

    def run(self, job: Job, on_event: Callable[[int, dict[str, Any]], None] | None = None) -> JobOutcome:
        """Start *job*, or attach to it when it is running, or return at once when it has ended.

        *on_event* is called with the line number (from 0) and the object, in order, from the first line on,
        also when the job had ended before.
        """

    def folder(self, key: str) -> Path:
        """The folder of the job *key*, whether or not it exists."""

    def stop(self, key: str) -> None:
        """Stop the job's whole process tree and wait until nothing of it is left. Safe when it has ended."""

    def mask(self, key: str) -> None:
        """Mask the files of the ended job *key* by the secrets that are known now, also those that it made."""

    def hold(self, until: Callable[[], float], bound: Path | None = None) -> None:
        """Begin no job after the time that *until* gives (seconds since 1970): this process may be replaced then.

        No job goes on after the time that stands in the file *bound*; without one, jobs outlive this process.
        """

    def active(self) -> list[str]:
        """The keys of the jobs that this process waits for now."""


# -- the four engines ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SavedPlan:
    """An update plan in *file*, to which an update is constrained while it is what its digests say.

    *update_plan* is the digest of its content, *update_file* that of its bytes; None where that was not recorded.
    *settings* are those of Pulumi that it was made with; None: those of now count.
    """

    file: Path
    update_plan: str | None = None
    update_file: str | None = None
    settings: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The beginning of its digest, for messages."""
        return (self.update_file or self.update_plan or self.file.name)[:19]


@dataclass(frozen=True)
class Provisioned:
    """What came of an update of a stack: the result, and the digest of the state after it."""

    result: StepResult
    base: str


class Provisioner(Protocol):
    """Infrastructure: Pulumi."""

    def definition(self, environment: Environment, folder: Path) -> StackSpec:
        """What defines the environment now: its program and its file in *folder*, by digest; kept under it.

        Raises E-codes when there is no program there.
        """

    def kept(self, digest: str) -> StackSpec:
        """The stack as it was defined when its definition had this digest. Raises E105 when it is not kept here."""

    def described(self, spec: StackSpec) -> Definition:
        """What defines the stack, as far as it can be compared with that of another environment. Raises E106."""

    def inventory(self, environment: Environment, outputs: Outputs) -> Inventory:
        """The hosts that *outputs* and the environment's file give. Raises E-codes when they cannot be read."""

    def preview(self, spec: StackSpec, job: str, emit: Emit, *, save_plan: Path | None = None) -> StackPreview:
        """What an update would do. Changes nothing; writes Pulumi's update plan to *save_plan*."""

    def planned(self, spec: StackSpec, plan: SavedPlan) -> StackPreview:
        """What an update constrained to *plan* would do, derived from its file and the state as it is now.

        Raises E162 when the file is not there or cannot be read, and E163 when it is not what its digests say.
        """

    def unused_settings(self, settings: PulumiSettings) -> tuple[str, ...]:
        """What the controller sets and the engine is not given, in a sentence each."""

    def drifted(self, spec: StackSpec, job: str, emit: Emit) -> tuple[ResourceChange, ...]:
        """The resources that are really other than the stack's state has them, with the properties that differ.

        *op* is `update`, or `delete` for one that is not there any more. Changes nothing, also not the state.
        """

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: SavedPlan | None = None) -> Provisioned:
        """Update the stack, constrained to *plan* when one is given.

        The file is verified immediately before, and the same bytes are used: E162 and E163 end it untouched.
        """

    def destroy(self, spec: StackSpec, job: str, emit: Emit, *, remove: bool = False) -> StepResult:
        """Destroy every resource of the stack; with *remove*, the stack itself as well."""

    def existing_resources(self, spec: StackSpec) -> tuple[ResourceChange, ...]:
        """What destroying the stack would delete, resource by resource."""

    def resolve(
        self, spec: StackSpec, created: Mapping[str, str], absent: tuple[str, ...], job: str, emit: Emit
    ) -> StepResult:
        """Settle interrupted creates as a person decided. *created* maps URNs to ids; `*` in *absent* means all."""

    def outputs(self, spec: StackSpec) -> Outputs:
        """The stack's outputs as they are now."""

    def resources(self, spec: StackSpec) -> int:
        """The number of resources that destroying the stack deletes, as the result of :meth:`destroy` counts them."""

    def state_digest(self, spec: StackSpec) -> str:
        """The digest of the stack's state as it is now."""


class Deployer(Protocol):
    """Software on hosts: Ansible."""

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the play on `play.limit`. One host result for each of these hosts, whatever happened."""

    def prepare(self, context: Context) -> None:
        """See that plays will find what earlier ones left on the controller, before anything is changed.

        Raises D170, D171 and S-codes.
        """

    def check(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepPreview:
        """What the play would change, by `--check --diff`. Changes nothing."""

    def plays(self, playbook: str, package: Package) -> tuple[PlaySource, ...]:
        """Every play of *playbook*, with what it imports, as it is written. Nothing is run."""

    def inspect(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Look whether every host can be reached and has what is required. Changes nothing."""

    def snapshot(self, rule: SnapshotRule, inventory: Inventory, context: Context, job: str, emit: Emit) -> Snapshot:
        """What is on every host: files, packages, services, ports, facts. Changes nothing, and needs a shell there.

        What *rule* ignores is left out. A host that cannot be asked is *unknown*, with the reason.
        """

    def close(self) -> None:
        """Leave nothing behind: connections that a killed play has left are closed. Safe at any time."""

    def resolve(self, inventory: Inventory, settings: AnsibleSettings = DEFAULTS) -> Inventory:
        """The inventory with the user's own *files* read into it by Ansible."""

    def is_outdated(self, inventory: Inventory) -> bool:
        """Whether the user's own *files*, or the variables beside them, have changed since they were read here."""

    def configuration(
        self, package: Package, files: tuple[str, ...], settings: AnsibleSettings
    ) -> Configuration | None:
        """The settings of plays and host inspections, as a plan records them; None if there are none.

        *files* are the environment's own inventories. Raises D150.
        """

    def unused_settings(self, package: Package, settings: AnsibleSettings) -> tuple[str, ...]:
        """What the controller or the package sets and plays are not given, in a sentence each."""


class Verifier(Protocol):
    """Proof: testinfra."""

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the suite. A host that cannot be reached is *unknown*; a suite with no test is *failed*."""


class Engines(Protocol):
    """Makes the adapters of the engines: whoever needs another one gets it here, and nowhere else.

    So that a project whose engines are simulated is simulated as a whole.
    """

    def provisioner(self) -> Provisioner:
        """A provisioner of its own, for work beside others in this process."""

    def deployer(self, own: str) -> Deployer:
        """A deployer with connections that belong to *own*: closing them does not cut off another run."""

    def verifier(self) -> Verifier:
        """A verifier."""


class Gates(Protocol):
    """What else must hold: requests, queries and commands. A gate that is a suite is asked through the `Verifier`."""

    def ask(
        self,
        gate: PlannedGate,
        hosts: tuple[str, ...],
        package: Package,
        inventory: Inventory,
        context: Context,
        job: str,
        emit: Emit,
    ) -> StepResult:
        """Ask once, about *hosts*: *succeeded*, *failed*, or *unknown* when it could not be asked. Never raises."""

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Return when all that the gate needs of this machine is here. Raises E160 and E161."""


class NullGates:
    """The `Gates` of whoever has none: nothing can be asked."""

    def ask(
        self,
        gate: PlannedGate,
        hosts: tuple[str, ...],
        package: Package,
        inventory: Inventory,
        context: Context,
        job: str,
        emit: Emit,
    ) -> StepResult:
        """Nobody knows."""
        del gate, hosts, package, inventory, context, job, emit
        return StepResult(outcome=Outcome.UNKNOWN, message="nothing is here that could ask", data={"code": "V141"})

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Nothing is needed."""


class Prober(Protocol):
    """Looks all the time whether a service answers, beside everything else and in nobody's way."""

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Begin under *job*, or go on with what was begun; returns soon. What cannot be asked, in a sentence.

        It goes on when this process dies, and when it dies itself it is begun again by whoever goes on with the run.
        """

    def end(self, probe: Probe, job: str, since: str) -> AvailabilityReport:
        """Look no longer: what was seen since the time *since* (ISO 8601), and when nobody looked."""

    def stop(self, job: str) -> None:
        """See that nobody looks any more. Safe at any time."""


class NullProber:
    """The `Prober` that looks at nothing."""

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Nothing is begun."""
        del probe, package, inventory, context, job
        return ""

    def end(self, probe: Probe, job: str, since: str) -> AvailabilityReport:
        """Nothing was seen."""
        del probe, job, since
        return AvailabilityReport()

    def stop(self, job: str) -> None:
        """Nothing goes on."""


class Packages(Protocol):
    """Release packages, by digest."""

    def build(self, project: Path, source: Path, release: Release, target: Path) -> Package:
        """Seal what *release* (read from the file *source*) names into the file *target*."""

    def read(self, path: Path) -> Package:
        """Read and verify a sealed file. Raises P-codes; writes nothing."""

    def keep(self, path: Path) -> Package:
        """Verify a sealed file and put it into the store, unpacked copy beside it."""

    def fetch(self, digest: str) -> Package:
        """The kept package, verified again file by file, with its *root*. Raises P-codes."""

    def hold(self, path: Path) -> Package:
        """As :meth:`keep`, on this machine alone: other machines do not get it."""

    def remove(self, ref: PackageRef) -> None:
        """Remove a kept package, here and where it is shared. The caller has checked that nothing uses it."""

    def refs(self) -> list[PackageRef]:
        """Every package that is kept, here or where it is shared. Raises S-codes when that cannot be asked."""

    def strange_names(self) -> list[str]:
        """Names where packages are shared that are not those of a package. Raises S-codes like :meth:`refs`."""

    def ref(self, digest: str) -> PackageRef | None:
        """What the package with this digest is called; None when nobody can say so now."""


# -- what several machines share -------------------------------------------------------------------------------------


class Artifacts(Protocol):
    """A place that several machines reach: content by its digest, and names that lead to content.

    Content is written once and verified whenever it is read. Digests are `sha256:` and 64 hexadecimal digits; names are
    words with slashes. Every method raises S142 (it does not answer), S143 (there is no such place), S144 (it refuses).
    """

    where: str

    def put(self, source: Path) -> str:
        """Keep the content of the file *source*; its digest. The same content again changes nothing."""

    def get(self, digest: str, target: Path) -> None:
        """Write the content with this digest to the file *target*, whole or not at all.

        Raises S145 when it is not what its digest says, and S146 when it is not there.
        """

    def name(self, name: str, digest: str) -> None:
        """Let *name* lead to *digest*. A name that leads somewhere already stays as it is."""

    def named(self, name: str) -> str | None:
        """The digest that *name* leads to; None when there is no such name. Raises S145."""

    def forget(self, name: str) -> None:
        """Remove *name*. Its content stays; nothing happens if there is no such name."""

    def remove(self, digest: str) -> None:
        """Remove the content with this digest, to which no other name leads; nothing happens if there is none."""

    def names(self, prefix: str) -> list[str]:
        """Every name that begins with *prefix*, sorted."""

    def check(self) -> None:
        """Return when something could be written, read and listed there now."""


class Keys(Protocol):
    """The keys of the project, with which it recognizes its own documents. Every method raises S150 and S151."""

    def authenticate(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """*document* with an authentication code made with the current key."""

    def verify(self, document: Mapping[str, Any]) -> None:
        """Return if a key of this project made the code of *document*. Raises R240, R241 and R242."""

    def keyed(self, digest: str, key: str | None = None) -> str:
        """*digest* of a value as a keyed digest, made with the key of that identifier (None: the current one).

        Raises R241 if the key is not known here, or has expired.
        """

    def current(self) -> str:
        """The identifier of the current key."""

    def encrypt(self, data: bytes, about: str) -> bytes:
        """*data* encrypted with a key derived from the current one; *about* is what it belongs to."""

    def decrypt(self, blob: bytes, about: str) -> bytes:
        """What :meth:`encrypt` was given, also after the key was rotated. Raises D170 and D171."""


class NullArtifacts:
    """The `Artifacts` of a project on one machine: what is kept stays where it is, and nothing is anywhere else."""

    where = "nowhere else"

    def put(self, source: Path) -> str:
        """Nothing is put anywhere."""
        del source
        return ""

    def get(self, digest: str, target: Path) -> None:
        """There is nothing."""
        del target
        raise OrchestratorError("S146", f"{digest} is not here, and nothing is shared")

    def name(self, name: str, digest: str) -> None:
        """Nothing has a name."""

    def named(self, name: str) -> str | None:
        """Nothing has a name."""
        del name
        return None

    def forget(self, name: str) -> None:
        """Nothing has a name."""

    def remove(self, digest: str) -> None:
        """There is nothing."""

    def names(self, prefix: str) -> list[str]:
        """Nothing has a name."""
        del prefix
        return []

    def check(self) -> None:
        """There is nothing that could be wrong."""


class Logs(Protocol):
    """What jobs have printed, kept where every machine finds it."""

    def keep(self, job: str) -> list[Entry]:
        """Keep what *job*, and the jobs that it has begun, have printed; an entry for each. Never raises."""


class NullLogs:
    """The `Logs` of a project on one machine: what jobs have printed stays in their folders."""

    def keep(self, job: str) -> list[Entry]:
        """Nothing is kept anywhere else."""
        del job
        return []


# -- what remembers ------------------------------------------------------------------------------------------------


class Store(Lists, Protocol):
    """The journal and what is folded from it. Every method is one transaction."""

    def create(self, run: Run) -> None:
        """Write a run's first record. The same run again changes nothing."""

    def append(self, run: str, entries: Iterable[Entry], fence: int = 0) -> int:
        """Write entries, durably, in order; those whose key is there already are left out. Returns the last seq.

        With a *fence*, nothing is written when the run's environment has seen a higher one: raises S103.
        """

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records with a higher seq than *after*, in order."""

    def has_entry(self, run: str, key: str) -> bool:
        """Whether an entry with this key has been written."""

    def entry(self, run: str, key: str) -> Record | None:
        """The entry of *run* with this key; None when there is none."""

    def run(self, run: str) -> Run:
        """The run with this id, or the only one that begins with it. Raises R-codes."""

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""

    def hosts(self, environment: str) -> list[HostState]:
        """What is known of each host that a run ever touched."""

    def verified(self, environment: str) -> list[Verified]:
        """Releases whose tests passed there, newest first."""

    # who may act on an environment

    def acquire(
        self, environment: str, holder: str, by: str, reason: str, *, worker: str = "", until: str | None = None
    ) -> Lease:
        """Take the environment's lease with a new fence, or the one that *holder* has.

        The same holder with another *worker* gets a new fence: whoever acted for it until now is refused from here
        on; so it does when a host has seen a newer one than its own (:meth:`raise_fence`). A lock whose *until* is past
        counts as none. Raises S101 when somebody else holds it, or waits for it, and S103 when *worker* is not the one
        who works on what the run *holder* belongs to.
        """

    def release(self, environment: str, holder: str, worker: str | None = None) -> None:
        """Give the lease back. Without effect when *holder* has it no longer, or another process than *worker* acts."""

    def lease(self, environment: str) -> Lease | None:
        """Who holds the environment."""

    def newest_fence(self, environment: str) -> int:
        """The newest fencing token that was given out for the environment; 0 if none was."""

    def raise_fence(self, environment: str, fence: int) -> None:
        """See that every later lease has a higher fence than *fence*, which a host has seen.

        None is raised above `fencing.HIGHEST`: the tokens that follow must have as many digits as hosts read.
        """

    def enqueue(self, environment: str, run: Run, *, supersede: bool, worker: str = "") -> QueueEntry:
        """Wait for the environment behind those who wait already; the same run keeps its place.

        With *supersede*, older runs with another release of that name wait no longer. Raises S103 as :meth:`acquire`.
        """

    def dequeue(self, environment: str, run: str) -> None:
        """Wait no longer."""

    def queue(self, environment: str) -> list[QueueEntry]:
        """Who waits, in order; those that were superseded as well, until they have noticed."""

    # who works on what was asked for

    def submit(self, work: QueuedRequest, run: Run) -> bool:
        """Write down what is asked for with its first run, in one. The same again changes nothing.

        Returns False, with nothing written, when the root stands for something else already.
        """

    def work(self, root: str) -> QueuedRequest:
        """What was asked for under *root*. Raises R101."""

    def pending(self) -> list[QueuedRequest]:
        """What was asked for and is not done, oldest first."""

    def takeable(self, queue: str, unread: Callable[[str, str], None]) -> list[QueuedRequest]:
        """What was left to the workers of *queue*, is not done, and waits for no environment, oldest first.

        It costs as much whether one request waits for an environment or a thousand do. *unread* is called with the root
        of each that this program cannot read, and why: a newer one wrote it.
        """

    def news(self) -> bool:
        """Whether anything may have been written since this was asked last. It reads no table."""

    def claim(self, root: str, worker: str, host: str, ttl: float, *, dead: bool = False) -> QueuedRequest:
        """Work on it as *worker* for *ttl* seconds; *dead* says that the one before is proved to be no more.

        Raises S120 when another worker may still be working on it.
        """

    def renew(self, worker: str, ttl: float) -> list[str]:
        """Go on for *ttl* seconds from now. Returns the roots that *worker* still has."""

    def release_claim(self, root: str, worker: str, *, done: bool) -> None:
        """Work on it no longer. Without effect when another worker has it."""

    def close(self) -> None:
        """Give connections back."""


class Clock(Protocol):
    """Time: passed in, never read by the domain."""

    def now(self) -> str:
        """Wall-clock time, UTC, ISO 8601 with milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Notifier(Protocol):
    """Tells people."""

    def notify(self, run: Run, what: str) -> None:
        """Send one sentence about *run*. Never raises: a deaf receiver stops no release."""


class Durable(Protocol):
    """What a flow is given to survive: replay, else run, then record."""

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """The recorded answer of the step *name*, or *work()*'s, recorded before it is returned. JSON data only."""

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """Wait, across restarts; no longer once *awake* says so."""


class Parallel(Durable, Protocol):
    """A `Durable` whose walk can do several things side by side, each of which survives by itself."""

    def together(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Do all *parts* at once, and return their answers once all have ended.

        Each is a walk of its own, named by the run that it does, and is given its data (JSON). What was recorded of it
        is not done again, whatever became of the others.
        """


class RunOwnership(Protocol):
    """The process that acts for a run: who it is, and whether it still may."""

    worker: str

    def check(self) -> None:
        """Return when this process may act, and never when another one has taken over."""

    def acting(self, run: str | None, known: str = "") -> None:
        """Work for *run* begins (None: it has ended): a person's wish to abort stops the jobs that go on.

        *known* is when the wish was made that this work is done in spite of, or because of: a rollback after an abort.
        """

    def park(self) -> None:
        """Stand still, so that the process can end and the run be taken up again from here.

        It returns only where other runs go on beside this one, and a person has let this one go on as well.
        """

    def taken_over(self) -> NoReturn:
        """Another process has taken over: stand still, and touch nothing more."""
