"""The `Deployer` port on a `World`."""

import json

from orchestrator.adapters.memory.world import World
from orchestrator.domain.configuration import Configuration
from orchestrator.domain.context import Context
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.environment import AnsibleSettings, SnapshotRule
from orchestrator.domain.host_answer import Fault, read_answer, read_reported
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import PlaySpec, StepPreview
from orchestrator.domain.plays import PlaySource
from orchestrator.domain.release import Package
from orchestrator.domain.requirements.check import CheckedHost, checked, unchecked
from orchestrator.domain.requirements.measured import read_measured
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.snapshot import FileState, HostSnapshot, Snapshot, ignored
from orchestrator.domain.step import HostResult, Outcome, StepResult, step_of, worst
from orchestrator.domain.step_payloads import with_checks
from orchestrator.ports import DEFAULTS, Emit


def _refused(host: str, context: Context, seen: int) -> HostResult:
    message = f"refused: fence {context.fence} is older than {seen}, which this host has seen"
    return HostResult(host=host, outcome=Outcome.FAILED, touched=False, message=message)


def _lacking(host: HostResult, what: str) -> HostResult:
    """*host*, failed if it lacks *what* is required of it."""
    return host.model_copy(update={"outcome": Outcome.FAILED, "message": what}) if what and host.outcome.good else host


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
        """Run it on one host, in one step: others see its changes to the host only when all are made."""
        place = context.environment, host
        running = None if host in self._world.silent else self._world.running.get(place)
        if (untouched := self._untouched(host, package, context)) is not None:
            return untouched
        self._world.fences[place] = max(context.fence, self._world.fences.get(place, 0))
        if context.sides is not None:
            return self._on_a_side(host, play, package, context, step)
        if (context.run, step, *place) in self._world.done:
            why = "already done, by the ledger of the host"
            return HostResult(host=host, outcome=Outcome.SUCCEEDED, touched=True, message=why, release=running)
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
        """The result of a host that cannot be reached or refuses; None if the play runs on it."""
        if host in self._world.gone:
            return HostResult(host=host, outcome=Outcome.UNKNOWN, touched=False, message="unreachable")
        if seen := self._refuses(host, context):  # the process may have been paused since all hosts were queried
            return _refused(host, context, seen)
        if ("refuse", host, package.ref.version) in self._world.faults:
            return HostResult(host=host, outcome=Outcome.FAILED, touched=False, message="no space is left")
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
        """One play: for the hosts of the step that has the playbook, also as its undo; otherwise for all hosts."""
        steps = package.manifest.release.playbook_steps
        step = next((step for step in steps if playbook in {step.playbook, step.undo}), None)
        name, hosts = (step.name, step.hosts) if step is not None else (playbook, "all")
        return (PlaySource(name=name, where=f"{playbook}:1", hosts=hosts),)

    def inspect(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Whether each host is reachable, its current release, and what is required of those that measure it."""
        del job, emit
        hosts = tuple(self._answer(context.environment, host) for host in inventory.hosts)
        if self._world.uninspected:
            hosts = tuple(host.model_copy(update={"outcome": Outcome.UNKNOWN, "release": None}) for host in hosts)
            data = {"code": "D151"}
            return StepResult(outcome=Outcome.UNKNOWN, message=self._world.uninspected, hosts=hosts, data=data)
        checks = self._checks(requirements, inventory, hosts)
        failed = {each.host: "; ".join(check.text for check in each.failed) for each in checks if each.failed}
        hosts = tuple(_lacking(host, failed.get(host.host, "")) for host in hosts)
        missing = [host.host for host in hosts if not host.outcome.good and host.host not in failed]
        message = f"cannot be reached: {', '.join(missing)}" if missing else "; ".join(failed.values())
        ended = worst(host.outcome for host in hosts)
        data = {"code": "D106"} if ended is Outcome.FAILED else {}
        return with_checks(StepResult(outcome=ended, message=message, hosts=hosts, data=data), checks)

    def _checks(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, hosts: tuple[HostResult, ...]
    ) -> tuple[CheckedHost, ...]:
        """The checks of the hosts that measure requirements, as real hosts would have them."""
        found = []
        for host in (each for each in hosts if each.host in self._world.measured):
            wanted = [each for each in requirements if host.host in inventory.select(each.hosts)]
            text = self._world.measured[host.host]
            measured = read_measured(read_answer(text), text)
            checks = checked(wanted, measured) if host.outcome.good else unchecked(wanted, "unreachable")
            found += [CheckedHost(host=host.host, checks=checks)] if checks else []
        return tuple(found)

    def _answer(self, environment: str, host: str) -> HostResult:
        """The report of one host. An answer of its own in the world is parsed like that of a real host."""
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
        """The settings that the world has and does not pass on."""
        del package, settings
        return self._world.unused_settings

    def missing_passwords(
        self, package: Package | None, files: tuple[str, ...], settings: AnsibleSettings
    ) -> tuple[MissingCredential, ...]:
        """What the world lacks."""
        del package, files, settings
        return tuple(each for each in self._world.missing if each.needed_for == "plan")

    def missing_keys(
        self, inventory: Inventory, settings: AnsibleSettings, hosts: tuple[str, ...]
    ) -> tuple[MissingCredential, ...]:
        """The keys that the world lacks."""
        del inventory, settings
        return tuple(each for each in self._world.missing if each.needed_for == "hosts" and hosts)

    def close(self) -> None:
        """Nothing is open."""
