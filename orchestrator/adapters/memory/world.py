"""A small world in memory: stacks, hosts and what runs on them, with the four engines acting on it.

For tests, dry runs and the tutorial. It keeps the contracts of the ports, and a ledger of every effect; faults are
put into it by hand: `world.faults.add(("deploy", "web2", "1.2.0"))` makes that release fail there.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.domain.configuration import Configuration
from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.downtime import Measured
from orchestrator.domain.environment import AnsibleSettings, Environment, PulumiSettings, SnapshotRule
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Probe
from orchestrator.domain.host_answer import Fault, read_answer, read_reported
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.model import digest_of
from orchestrator.domain.parity import Definition
from orchestrator.domain.plan import (
    PlannedGate,
    PlaySpec,
    ResourceChange,
    StackPreview,
    StackSpec,
    StepPreview,
    SuiteSpec,
)
from orchestrator.domain.plays import PlaySource
from orchestrator.domain.release import Manifest, Package, PackageRef, Release, Requirement
from orchestrator.domain.snapshot import FileState, HostSnapshot, Snapshot, ignored
from orchestrator.domain.step import HostResult, Outcome, StepResult, TestResult, step_of, worst
from orchestrator.ports import DEFAULTS, Emit, Provisioned, SavedPlan


@dataclass
class World:
    """What is there.

    *stacks* are the hosts that each environment's stack wants, *up* those that it has. *running* maps environment and
    host to a package digest. *faults* are triples of a verb (`up`, `deploy`, `refuse`, `verify`, `gate`, `need`), a
    host (or stack, or gate), a version; a look or gate that *passing* has as well fails for so many times. *deaf* are
    gates that cannot be asked, *probes* the keys under which somebody looks at the service.
    *gone* are hosts that cannot be reached; *silent* names hosts that do not say what runs on them; *serves* is what
    the services of others tell of their version. *killed* says how often an update to a definition dies before it
    begins. *wanted* says of hosts what their program has said against their end: `protect` or `retainOnDelete`.
    *ledger* lists every effect in order. *fences* and *done* are what each host remembers: the newest fence,
    and the steps of runs that it has come through. *files* are what lies on each host besides its release, by name;
    *leaves* names the file that a version puts beside it and that nothing takes away again. *edited* are
    hosts whose resource somebody has changed by hand. *routed* maps environments and their routers to the hosts that
    they lead to since sides were last switched; a fault of the verb `switch` names a side, one of `retire` a host.
    *sided* are stacks that are sides: each has hosts of its own. *replaced* are hosts that each update makes anew, with
    nothing on them. *given* is what the last play on each host was given as variables: the hosts of the stack.
    *answers* are what hosts answer to an inspection instead, as text, and *reports* what they report after a play.
    *uninspected* is why a host inspection fails as a whole. *configuration*
    are the settings of the plays, *unused_settings* those that they are not given.
    """

    stacks: dict[str, list[str]] = field(default_factory=dict)
    up: dict[str, list[str]] = field(default_factory=dict)
    running: dict[tuple[str, str], str] = field(default_factory=dict)
    faults: set[tuple[str, str, str]] = field(default_factory=set)
    passing: dict[tuple[str, str, str], int] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    probes: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    serves: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    reports: dict[str, object] = field(default_factory=dict)
    killed: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)
    ledger: list[str] = field(default_factory=list)
    fences: dict[tuple[str, str], int] = field(default_factory=dict)
    done: set[tuple[str, str, str, str]] = field(default_factory=set)
    serial: dict[str, int] = field(default_factory=dict)
    kept: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    files: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)
    routed: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    sided: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    uninspected: str = ""
    configuration: Configuration | None = None
    unused_settings: tuple[str, ...] = ()
    given: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def releases(self, environment: str) -> list[str | None]:
        """What runs on each host of the environment, in order."""
        return [self.running.get((environment, host)) for host in self.up.get(environment, [])]

    def fails(self, verb: str, what: str, version: str) -> bool:
        """Whether this look fails; one that passes after some times comes nearer to it."""
        fault = verb, what, version
        if fault not in self.faults:
            return False
        if fault in self.passing:
            self.passing[fault] -= 1
            return self.passing[fault] >= 0
        return True


class MemoryProvisioner:
    """The `Provisioner` port on a `World`: one stack an environment, one web host for each name that it wants."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _place(self, spec: StackSpec) -> str:
        return spec.stack if spec.stack in self._world.sided else spec.environment

    def _hosts(self, spec: StackSpec) -> list[str]:
        """The hosts that the program makes: in a stack of a side, each is called after that."""
        start = f"{spec.stack}-" if spec.stack in self._world.sided else ""
        return [f"{start}{host}" for host in self._world.kept[spec.definition][1]]

    def definition(self, environment: Environment, folder: Path) -> StackSpec:
        """What the world wants of this environment, by digest."""
        digest = digest_of(self._world.stacks[environment.name])
        self._world.kept[digest] = (environment.name, list(self._world.stacks[environment.name]))
        return StackSpec(environment=environment.name, program=str(folder), stack=environment.name, definition=digest)

    def kept(self, digest: str) -> StackSpec:
        """The stack that was defined under *digest*, as any program that was asked for here."""
        if digest not in self._world.kept:
            raise OrchestratorError("E105", f"the definition {digest[:19]} is not kept here")
        name = self._world.kept[digest][0]
        return StackSpec(environment=name, program="", stack=name, definition=digest)

    def described(self, spec: StackSpec) -> Definition:
        """Each host that is wanted is a file of the program."""
        return Definition(files={host: digest_of(host) for host in self._world.kept[spec.definition][1]})

    def inventory(self, environment: Environment, outputs: Outputs) -> Inventory:
        """A group `web` of the hosts in the output `hosts`."""
        if "hosts" not in outputs.plain:
            raise OrchestratorError("E120", f"the stack of {environment.name} has no output with hosts")
        return _web(list(outputs.plain["hosts"]))

    def preview(
        self,
        spec: StackSpec,
        job: str,
        emit: Emit,
        *,
        save_plan: Path | None = None,
    ) -> StackPreview:
        """Which hosts would be made or removed; refused when one of these is protected."""
        del job, emit
        seen = self._previewed(spec)
        if save_plan is None or seen.refused:
            return seen
        save_plan.unlink(missing_ok=True)  # it may be linked to what was kept
        save_plan.write_text(json.dumps(seen.to_json(), indent=1), encoding="utf-8")
        return self.planned(spec, SavedPlan(save_plan, update_file=_digest_of_file(save_plan)))

    def planned(self, spec: StackSpec, plan: SavedPlan) -> StackPreview:
        """What the saved preview says, from the state as it is now."""
        seen = StackPreview.from_json(json.loads(_verified(plan)))
        digests = {"update_plan": digest_of(seen.to_json()), "update_file": plan.update_file, "base": self.base(spec)}
        return seen.model_copy(update=digests)

    def _previewed(self, spec: StackSpec) -> StackPreview:
        wanted, there = set(self._hosts(spec)), set(self._world.up.get(self._place(spec), []))
        changed = {"create": wanted - there, "delete": there - wanted}
        changes = [self._change(op, host) for op, hosts in changed.items() for host in hosts]
        told = tuple(sorted(changes, key=lambda change: change.urn))
        counts = {**{op: len(hosts) for op, hosts in changed.items()}, "same": len(wanted & there)}
        protected = [change.name for change in told if change.op == "delete" and change.kept == "protect"]
        refused = f"{', '.join(protected)} is protected" if protected else ""
        counts = {op: count for op, count in counts.items() if count}
        foreseen = _web(self._hosts(spec))
        return StackPreview(base=self.base(spec), changes=told, counts=counts, refused=refused, inventory=foreseen)

    def _change(self, op: str, host: str) -> ResourceChange:
        kept = self._world.wanted.get(host, "")
        return ResourceChange(op=op, type="memory:host", name=host, urn=f"urn:memory::{host}", kept=kept)

    def unused_settings(self, settings: PulumiSettings) -> tuple[str, ...]:
        """What the world sets and does not pass on."""
        del settings
        return ()

    def drifted(self, spec: StackSpec, job: str, emit: Emit) -> tuple[ResourceChange, ...]:
        """The hosts that were edited by hand."""
        del job, emit
        hosts = [host for host in self._world.up.get(self._place(spec), []) if host in self._world.edited]
        return tuple(
            ResourceChange(op="update", type="host", name=host, urn=f"urn:{host}", properties=("size",))
            for host in hosts
        )

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: SavedPlan | None = None) -> Provisioned:  # noqa: ARG002
        """Make the hosts that are wanted, constrained to *plan*."""
        try:
            _ = plan is None or _verified(plan)
        except OrchestratorError as error:
            data = {"code": error.code, "untouched": True}
            return Provisioned(StepResult(outcome=Outcome.FAILED, message=error.message, data=data), self.base(spec))
        if self._world.killed.get(spec.definition):
            self._world.killed[spec.definition] -= 1
            data = {"code": "E111", "untouched": True, "how": "lost"}
            return Provisioned(StepResult(outcome=Outcome.ERRORED, message="killed", data=data), self.base(spec))
        if ("up", spec.stack, spec.definition) in self._world.faults:
            self._world.up[self._place(spec)] = self._hosts(spec)[:1]  # it stops half-way
            self._world.serial[self._place(spec)] = self._world.serial.get(self._place(spec), 0) + 1
            self._world.ledger.append(f"up {spec.stack} half-way")
            return Provisioned(StepResult(outcome=Outcome.FAILED, message="half-way"), self.base(spec))
        if ("up", spec.stack, "") in self._world.faults:
            return Provisioned(StepResult(outcome=Outcome.FAILED, message="the provider said no"), self.base(spec))
        self._world.up[self._place(spec)] = self._hosts(spec)
        self._world.serial[self._place(spec)] = self._world.serial.get(self._place(spec), 0) + 1
        for host in self._world.replaced:
            self._world.running.pop((spec.environment, host), None)
        self._world.ledger.append(f"up {spec.stack}")
        return Provisioned(StepResult(outcome=Outcome.SUCCEEDED), self.base(spec))

    def destroy(self, spec: StackSpec, job: str, emit: Emit, *, remove: bool = False) -> StepResult:  # noqa: ARG002 - the port's
        """Remove every host."""
        if ("destroy", spec.stack, "") in self._world.faults:
            return StepResult(outcome=Outcome.FAILED, message="the provider said no")
        deleted = len(self._world.up.pop(self._place(spec), []))
        self._world.ledger.append(f"destroy {spec.stack}")
        return StepResult(outcome=Outcome.SUCCEEDED, data={"counts": {"delete": deleted}})

    def there(self, spec: StackSpec) -> tuple[ResourceChange, ...]:
        """Its hosts."""
        return tuple(self._change("delete", host) for host in self._world.up.get(self._place(spec), []))

    def resolve(
        self, spec: StackSpec, created: Mapping[str, str], absent: tuple[str, ...], job: str, emit: Emit
    ) -> StepResult:
        """Write down what was decided: nothing is ever pending in memory."""
        del job, emit
        words = [*(f"{urn}={identity}" for urn, identity in created.items()), *absent]
        self._world.ledger.append(f"resolve {spec.stack}: {' '.join(words)}")
        return StepResult(outcome=Outcome.SUCCEEDED)

    def outputs(self, spec: StackSpec) -> Outputs:
        """The hosts that are there."""
        hosts = self._world.up.get(self._place(spec))
        return Outputs({"hosts": hosts}) if hosts else Outputs({})

    def resources(self, spec: StackSpec) -> int:
        """How many hosts are there."""
        return len(self._world.up.get(self._place(spec), []))

    def base(self, spec: StackSpec) -> str:
        """The digest of what is there."""
        return digest_of([self._world.serial.get(self._place(spec), 0), self._world.up.get(self._place(spec))])


def _web(hosts: list[str]) -> Inventory:
    return Inventory(hosts={host: {} for host in hosts}, groups={"web": Group(hosts=tuple(hosts))})


def _digest_of_file(file: Path) -> str:
    return "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()


def _verified(plan: SavedPlan) -> bytes:
    """The bytes of the saved preview. Raises E162 and E163."""
    if not plan.file.is_file():
        raise OrchestratorError("E162", f"the saved update plan {plan.name} is not kept on this machine")
    if plan.update_file is not None and _digest_of_file(plan.file) != plan.update_file:
        raise OrchestratorError("E163", f"the saved update plan {plan.name} was changed after the preview")
    return plan.file.read_bytes()


def _refused(host: str, context: Context, seen: int) -> HostResult:
    message = f"refused: fence {context.fence} is older than {seen}, which this host has seen"
    return HostResult(host=host, outcome=Outcome.FAILED, touched=False, message=message)


def _skipped(host: str) -> HostResult:
    return HostResult(host=host, outcome=Outcome.SKIPPED, touched=False)


class MemoryDeployer:
    """The `Deployer` port on a `World`: a play puts its package's digest on the hosts of its limit.

    Each host refuses an older fence, and does nothing again that it has done for the same step of the same run.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the play on each host of its limit."""
        del emit
        version = package.ref.version
        step, _ = step_of(job, context.run)
        given = tuple(inventory.hosts)
        refused = {host: seen for host in play.limit if (seen := self._refuses(host, context))}
        if refused:  # a claim that one host refuses stops all before anything is done
            hosts = tuple(
                _refused(host, context, refused[host]) if host in refused else _skipped(host) for host in play.limit
            )
            message = next(host.message for host in hosts if host.message)
            data = {"code": "D140", "refused": sorted(refused)}
            return StepResult(outcome=Outcome.FAILED, message=message, hosts=hosts, data=data)
        hosts = tuple(self._one(host, play, package, context, step, given) for host in play.limit)
        outcome = worst(host.outcome for host in hosts)
        bad = [host.host for host in hosts if not host.outcome.good]
        message = f"{version}: {', '.join(bad)} {outcome}" if bad else ""
        return StepResult(outcome=outcome, message=message, hosts=hosts)

    def _one(
        self, host: str, play: PlaySpec, package: Package, context: Context, step: str, given: tuple[str, ...]
    ) -> HostResult:
        """Run it on one host: all that it does there is done before anybody can see it."""
        place = context.environment, host
        said = None if host in self._world.silent else self._world.running.get(place)
        if (untouched := self._untouched(host, package, context)) is not None:
            return untouched
        self._world.fences[place] = max(context.fence, self._world.fences.get(place, 0))
        if context.sides is not None:
            return self._on_a_side(host, play, package, context, step)
        if (context.run, step, *place) in self._world.done:
            why = "done before, says its ledger"
            return HostResult(host=host, outcome=Outcome.SUCCEEDED, touched=True, message=why, release=said)
        self._world.ledger.append(f"{play.playbook} {package.ref} {context.environment}/{host}")
        self._world.running[context.environment, host] = package.digest
        self._world.given[context.environment, host] = given
        if package.ref.version in self._world.leaves:
            self._world.files.setdefault(place, {})[self._world.leaves[package.ref.version]] = package.digest
        if ("deploy", host, package.ref.version) in self._world.faults:
            return HostResult(host=host, outcome=Outcome.FAILED, touched=True, message="the task failed", task="deploy")
        self._world.done.add((context.run, step, *place))
        reported = read_reported({"digest": None if host in self._world.silent else package.digest})
        if host in self._world.reports:
            reported = read_reported(self._world.reports[host])
        done = HostResult(host=host, outcome=Outcome.SUCCEEDED, touched=True, changed=1)
        about = {"invalid": str(reported)} if isinstance(reported, Fault) else {"release": reported}
        return done.model_copy(update=about)

    def _refuses(self, host: str, context: Context) -> int:
        """The newer token that the host has seen, for which it refuses that of *context*; 0 if it does not refuse."""
        seen = self._world.fences.get((context.environment, host), 0)
        return seen if host not in self._world.gone and 0 < context.fence < seen else 0

    def _untouched(self, host: str, package: Package, context: Context) -> HostResult | None:
        """The result of a host that cannot be reached or refuses; None if the play runs there."""
        if host in self._world.gone:
            return HostResult(host=host, outcome=Outcome.UNKNOWN, touched=False, message="unreachable")
        if seen := self._refuses(host, context):  # the process may have been paused since all hosts were queried
            return _refused(host, context, seen)
        if ("refuse", host, package.ref.version) in self._world.faults:
            return HostResult(host=host, outcome=Outcome.FAILED, touched=False, message="there is no room")
        return None

    def _on_a_side(self, host: str, play: PlaySpec, package: Package, context: Context, step: str) -> HostResult:
        """A router leads to the live side from now on, or a host of the other side is retired."""
        place, sides = (context.environment, host), context.sides
        if sides is None or (context.run, step, *place) in self._world.done:
            return HostResult(host=host, outcome=Outcome.SUCCEEDED, touched=True, message="done before")
        verb, what = ("retire", host) if play.step == "retire" else ("switch", sides.live)
        self._world.ledger.append(f"{play.playbook} {what} {context.environment}/{host}")
        if verb == "retire":
            self._world.running.pop(place, None)
        else:
            self._world.routed[place] = sides.live_hosts
        if (verb, what, package.ref.version) in self._world.faults:
            return HostResult(host=host, outcome=Outcome.FAILED, touched=True, message="the task failed", task=verb)
        self._world.done.add((context.run, step, *place))
        return HostResult(host=host, outcome=Outcome.SUCCEEDED, touched=True, changed=1)

    def check(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepPreview:
        """Nothing is opaque in memory."""
        del play, package, inventory, context, job, emit
        return StepPreview()

    def plays(self, playbook: str, package: Package) -> tuple[PlaySource, ...]:
        """One play: for the hosts of the step that has the playbook, also as its undo; else for all hosts."""
        steps = package.manifest.release.steps
        step = next((step for step in steps if playbook in {step.playbook, step.undo}), None)
        name, hosts = (step.name, step.hosts) if step is not None else (playbook, "all")
        return (PlaySource(name=name, where=f"{playbook}:1", hosts=hosts),)

    def require(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Who is there, and what runs there."""
        del requirements, job, emit
        hosts = tuple(self._answer(context.environment, host) for host in inventory.hosts)
        if self._world.uninspected:
            hosts = tuple(host.model_copy(update={"outcome": Outcome.UNKNOWN, "release": None}) for host in hosts)
            data = {"code": "D151"}
            return StepResult(outcome=Outcome.UNKNOWN, message=self._world.uninspected, hosts=hosts, data=data)
        missing = [host.host for host in hosts if not host.outcome.good]
        message = f"cannot be reached: {', '.join(missing)}" if missing else ""
        return StepResult(outcome=worst(host.outcome for host in hosts), message=message, hosts=hosts)

    def _answer(self, environment: str, host: str) -> HostResult:
        """What one host reports; one with an answer of its own is read as the real ones are."""
        if host in self._world.gone:
            return HostResult(host=host, outcome=Outcome.UNKNOWN, touched=False)
        running = self._world.running.get((environment, host))
        state = json.dumps({"digest": running}) if running else ""
        given = f"@linked {state}\n@fence {self._world.fences.get((environment, host), 0)}"
        answer = read_answer(self._world.answers.get(host, given))
        return HostResult(
            host=host,
            outcome=Outcome.SUCCEEDED,
            touched=False,
            release=answer.release,
            fence=answer.fence,
            serves=self._world.serves.get(host, ""),
            invalid=answer.invalid,
        )

    def snapshot(self, rule: SnapshotRule, inventory: Inventory, context: Context, job: str, emit: Emit) -> Snapshot:
        """The release on each host as one file, and what lies beside it."""
        del job, emit
        asked = [host for host in inventory.hosts if host not in self._world.gone]
        unknown = {host: "unreachable" for host in inventory.hosts if host in self._world.gone}
        return Snapshot(hosts={host: self._host(context.environment, host, rule) for host in asked}, unknown=unknown)

    def _host(self, environment: str, host: str, rule: SnapshotRule) -> HostSnapshot:
        digest, files = self._world.running.get((environment, host)), self._world.files.get((environment, host), {})
        current = digest.removeprefix("sha256:")[:12] if digest else ""
        own = {f"releases/{current}/release": digest_of(digest)} if digest else {}
        states = {
            name: FileState(type="file", mode="0644", owner="app:app", content=digest_of(text).removeprefix("sha256:"))
            for name, text in sorted({**own, **files}.items())
            if not ignored(rule.ignore, "file", name)
        }
        wrote = {"release": digest_of(own[f"releases/{current}/release"]).removeprefix("sha256:")} if digest else {}
        return HostSnapshot(current=current, release=digest, files=states, installed=wrote)

    def resolve(self, inventory: Inventory, settings: AnsibleSettings = DEFAULTS) -> Inventory:
        """There are no files in memory."""
        del settings
        return inventory

    def is_outdated(self, inventory: Inventory) -> bool:
        """There are no files in memory."""
        del inventory
        return False

    def configuration(
        self, package: Package, files: tuple[str, ...], settings: AnsibleSettings
    ) -> Configuration | None:
        """The settings of the world."""
        del package, files, settings
        return self._world.configuration

    def prepare(self, context: Context) -> None:
        """Plays of the world find nothing on the controller."""

    def unused_settings(self, package: Package, settings: AnsibleSettings) -> tuple[str, ...]:
        """What the world sets and does not pass on."""
        del package, settings
        return self._world.unused_settings

    def close(self) -> None:
        """Nothing is open."""


class MemoryVerifier:
    """The `Verifier` port on a `World`: one test a host, which passes where the package runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Look at each host."""
        del job, emit
        tests = tuple(self._one(host, package, context) for host in suite.limit or tuple(inventory.hosts))
        bad = [test.host for test in tests if not test.outcome.good]
        message = f"{package.ref} does not serve on {', '.join(bad)}" if bad else ""
        return StepResult(outcome=worst(test.outcome for test in tests), message=message, tests=tests)

    def _one(self, host: str, package: Package, context: Context) -> TestResult:
        if host in self._world.gone:
            return TestResult(name="serves", host=host, outcome=Outcome.UNKNOWN)
        runs = self._world.running.get((context.environment, host)) == package.digest
        broken = self._world.fails("verify", host, package.ref.version)
        return TestResult(
            name="serves", host=host, outcome=Outcome.SUCCEEDED if runs and not broken else Outcome.FAILED
        )


class MemoryGates:
    """The `Gates` port on a `World`: every gate is open but those that a fault names."""

    def __init__(self, world: World) -> None:
        self._world = world

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
        """Good, failed, or unknown where it is deaf."""
        del inventory, job, emit
        name = gate.gate.name
        self._world.ledger.append(f"gate {name} of {package.ref} {context.environment}/{','.join(hosts)}")
        if name in self._world.deaf:
            return StepResult(outcome=Outcome.UNKNOWN, message="nobody answers", data={"code": "V141"})
        if self._world.fails("gate", name, package.ref.version):
            return StepResult(outcome=Outcome.FAILED, message=f"{name} is shut", data={"code": "V140"})
        return StepResult(outcome=Outcome.SUCCEEDED)

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Nothing is needed, unless a fault says that it is not here."""
        del context
        if self._world.fails("need", gate.gate.name, package.ref.version):
            raise OrchestratorError("E160", f"what the gate {gate.name} needs is not here")


class MemoryProber:
    """The `Prober` port on a `World`: nothing is ever away, and no time passes."""

    def __init__(self, world: World) -> None:
        self._world = world

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Somebody looks from now on."""
        del probe, package, inventory, context
        self._world.probes.add(job)
        return ""

    def end(self, probe: Probe, job: str, since: str) -> Measured:
        """Nobody looks any more."""
        del probe, since
        self._world.probes.discard(job)
        return Measured()

    def stop(self, job: str) -> None:
        """Nobody looks any more."""
        self._world.probes.discard(job)


class MemoryPackages:
    """The `Packages` port, for releases that are values and have no files."""

    def __init__(self) -> None:
        self._kept: dict[str, Package] = {}
        self.spoiled: set[str] = set()

    def put(self, release: Release) -> Package:
        """Keep a package of *release* with nothing in it."""
        manifest = Manifest(apiVersion="orchestrator/v1", kind="Package", release=release, files=())
        package = Package(manifest=manifest, digest=manifest.digest, path="", root="")
        self._kept[package.digest] = package
        return package

    def build(self, project: Path, source: Path, release: Release, target: Path) -> Package:
        """Keep it; there is no file."""
        del project, source, target
        return self.put(release)

    def read(self, path: Path) -> Package:
        """The package whose digest the file's name is."""
        return self.fetch(path.name)

    def keep(self, path: Path) -> Package:
        """The same."""
        return self.fetch(path.name)

    def fetch(self, digest: str) -> Package:
        """The kept package; one that is *spoiled* is refused like a file that was changed."""
        if digest not in self._kept or digest in self.spoiled:
            raise OrchestratorError("P301", f"the package {digest} is not here, or not what it was")
        return self._kept[digest]

    def remove(self, ref: PackageRef) -> None:
        """Forget a package, as on a machine that never had it."""
        del self._kept[ref.digest]

    def refs(self) -> list[PackageRef]:
        """Every package."""
        return [package.ref for package in self._kept.values()]

    def strange_names(self) -> list[str]:
        """None: there is no shared store."""
        return []

    def ref(self, digest: str) -> PackageRef | None:
        """The package's name and version."""
        return self._kept[digest].ref if digest in self._kept else None


class MemoryDurable:
    """The `Durable` port: remembers answers in a dictionary that outlives it, and can crash where it is told to.

    *crash* is called with the name of a step and `before` or `after` its work is recorded; what it raises is the
    crash. A second instance on the same *answers* is the recovery. *part* does one part of a walk that does several.
    """

    def __init__(
        self,
        answers: dict[str, Any],
        crash: Callable[[str, str], None] = lambda _name, _when: None,
        part: Callable[["MemoryDurable", Any], Any] = lambda _durable, _part: None,
    ) -> None:
        self._answers, self._crash, self._part = answers, crash, part

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Replay, else run, then record."""
        if name not in self._answers:
            self._crash(name, "before")
            answer = work()
            self._crash(name, "done")
            self._answers[name] = answer
            self._crash(name, "after")
        return self._answers[name]

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """Time passes at once."""
        del seconds, awake
        self._answers.setdefault(name, None)

    def together(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """One after the other."""
        return {name: self.step(name, partial(self._part, self, part)) for name, part in parts.items()}
