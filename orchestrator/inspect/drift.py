"""Drift: the changes of an environment since its last release. Everything is inspected, and nothing is changed.

Four questions: are the resources as the stack's state and the release's own definition describe them, are the hosts and
the files of the release as they were deployed, would its own steps change anything, and do its tests pass today?
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from orchestrator.domain.context import Context
from orchestrator.domain.drift import Drift, Finding
from orchestrator.domain.errors import JobLost, OrchestratorError
from orchestrator.domain.facts import UNTOUCHED
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Verified
from orchestrator.domain.plan import HostState, ResourceChange, StackSpec, SuiteSpec, play_of
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Package, Verification
from orchestrator.domain.release_steps import Step
from orchestrator.domain.snapshot import Snapshot, ignored_changes, tampered
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import clean_text, few
from orchestrator.inspect.reading import read_by_job
from orchestrator.inspect.release_history import last_verified
from orchestrator.inspect.stacks import context_of, inventory_of, kept_of, outputs_of, stack_of, stacks_of
from orchestrator.ports import Emit, Store
from orchestrator.services import Services

UNCHANGED = {"same", "read", "refresh"}
WORDS = {
    "create": "is missing",
    "delete": "no longer exists",
    "update": "is another",
    "import": "is not in the state",
}


@dataclass
class DriftFindings:
    """The results of one check, and what it could not check."""

    findings: list[Finding] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def and_(self, other: "DriftFindings") -> "DriftFindings":
        """Both, in this order."""
        return DriftFindings(self.findings + other.findings, self.unknown + other.unknown, self.notes + other.notes)


def find_drift(services: Services, environment: str, job: str, emit: Emit) -> Drift:
    """What has changed in *environment* since its last verified release. Raises R180 when there is none."""
    services.environment(environment)
    mark = last_verified(services, environment)
    if mark is None:
        raise OrchestratorError("R180", f"no release has been verified in {environment}")
    with ThreadPoolExecutor(max_workers=2) as pool:
        resources = pool.submit(_resources, services, mark, job, emit)
        hosts = pool.submit(_hosts, services, mark, job, emit)
        found = resources.result().and_(hosts.result())
    lease = services.store.lease(environment)
    if lease is not None and not lease.locked and not job.startswith(f"{lease.holder}."):
        found.unknown.append(f"{lease.holder} is changing it: its pending changes may be among these")
    return Drift(
        environment=environment,
        release=mark.release,
        run=mark.run,
        since=mark.at,
        findings=tuple(found.findings),
        unknown=tuple(dict.fromkeys(found.unknown)),
        notes=tuple(dict.fromkeys(found.notes)),
    )


def is_changing(store: Store, environment: str) -> bool:
    """Whether a run has *environment* and may have changed it: its changes so far would be differences."""
    lease = store.lease(environment)
    return lease is not None and not lease.locked and store.run(lease.holder).state not in UNTOUCHED


# -- the infrastructure ---------------------------------------------------------------------------------------------


def _resources(services: Services, mark: Verified, job: str, emit: Emit) -> DriftFindings:
    """What the stack's resources are that they were not, by a refresh and by the definition of the last release."""
    found = DriftFindings()
    try:
        now = stack_of(services, mark.environment)
        if now is None:
            return found
        then = _definition(services, mark, now, found)
        changes = {change.urn: change for change in _planned(services, then, now, job, emit)}
        changes |= {change.urn: change for change in _refreshed(services, now, f"{job}.refresh", emit)}
        for side, spec in stacks_of(services, mark.environment).items():
            if spec.stack != now.stack and services.provisioner.existing_resources(
                spec
            ):  # as it was left, by whatever definition
                found_there = _refreshed(services, spec, f"{job}.refresh.{side}", emit)
                changes |= {change.urn: change for change in found_there}
    except OrchestratorError as error:
        found.unknown.append(f"the stack: {error.message}")
        return found
    for change in sorted(changes.values(), key=lambda change: change.urn):
        which = f" in {', '.join(change.properties)}" if change.properties else ""
        what = f"{WORDS.get(change.op, f'would be changed ({change.op})')}{which}"
        found.findings.append(Finding(part="resource", name=f"{change.type} {change.name}", what=what))
    return found


def _refreshed(services: Services, spec: StackSpec, job: str, emit: Emit) -> tuple[ResourceChange, ...]:
    return read_by_job(lambda job: services.provisioner.drifted(spec, job, emit), job)


def _definition(services: Services, mark: Verified, now: StackSpec, found: DriftFindings) -> StackSpec | None:
    """The stack as it was defined with the last release; None when that is not kept."""
    if mark.definition == now.definition:
        return now
    try:
        then = kept_of(services, mark.environment, mark.definition)
    except OrchestratorError:
        found.notes.append("how the stack was defined with the release is not kept here: only a refresh was made")
        return None
    found.notes.append("the environment's definition has changed since; it is compared with that of the release")
    return then


def _planned(
    services: Services, then: StackSpec | None, now: StackSpec, job: str, emit: Emit
) -> tuple[ResourceChange, ...]:
    """What an update by the definition of the release would change: the stack was updated by another one."""
    if then is None:
        return ()
    preview = read_by_job(lambda job: services.provisioner.preview(then, job, emit), f"{job}.preview")
    changes = tuple(change for change in preview.changes if change.op not in UNCHANGED)
    if not changes and preview.changes_something:  # its outputs only, which are not a resource
        return (ResourceChange(op="update", type="stack", name=now.stack, urn="stack"),)
    return changes


# -- the hosts ------------------------------------------------------------------------------------------------------


def _hosts(services: Services, mark: Verified, job: str, emit: Emit) -> DriftFindings:
    """What the hosts, the release's own steps and its tests report."""
    try:
        package = services.packages.fetch(mark.release.digest)
        outputs = outputs_of(services, mark.environment)
        inventory = inventory_of(services, mark.environment, outputs)
        context = context_of(services, mark.environment, mark.run, outputs)  # templates see the run that deployed it
        rule = services.environment(mark.environment)[0].snapshot
        ask = services.deployer.snapshot
        seen = read_by_job(lambda job: ask(rule, inventory, context, job, emit), f"{job}.snapshot")
    except OrchestratorError as error:
        return DriftFindings(unknown=[f"the hosts: {error.message}"])
    found = _inventory(services, mark, inventory).and_(_releases(services, mark, seen)).and_(_files(seen, rule.ignore))
    excluded = {
        state.host for state in services.store.hosts(mark.environment) if state.is_other_standby(mark.release.digest)
    }
    if excluded:
        found.notes.append(f"on standby, only the release and its files are compared: {', '.join(sorted(excluded))}")
    asking = _Asking(services, package, inventory, frozenset(excluded), context, job, emit)
    for step in package.manifest.release.playbook_steps:
        found = found.and_(asking.tasks(step))
    for suite in package.manifest.release.verify:
        found = found.and_(asking.tests(suite))
    return found


def _inventory(services: Services, mark: Verified, inventory: Inventory) -> DriftFindings:
    """Hosts that no run has ever touched, and those that a run has touched and that are gone."""
    found = DriftFindings()
    known = [state.host for state in services.store.hosts(mark.environment) if state.truth != "gone"]
    for host in known:
        if host not in inventory.hosts:
            found.findings.append(Finding(part="host", name=host, what="no longer exists"))
    for host in inventory.hosts:
        if host not in known:
            found.findings.append(
                Finding(part="host", name=host, what="exists, and no release was ever deployed to it")
            )
    return found


def _releases(services: Services, mark: Verified, seen: Snapshot) -> DriftFindings:
    """The release that each host reports as current, against the one that was verified."""
    found = DriftFindings(unknown=list(seen.gaps))
    recorded = {state.host: state for state in services.store.hosts(mark.environment)}
    for host, there in seen.hosts.items():
        state = recorded.get(host, HostState(host=host, truth="empty"))
        if state.is_standby and state.truth == "empty":  # it was retired, or nothing was ever deployed to it
            continue
        wanted = state.release if state.is_other_standby(mark.release.digest) else mark.release
        if wanted is not None and there.release == wanted.digest:
            continue
        if there.release is not None:
            ref = services.packages.ref(there.release)
            what = f"is current, and not {wanted}"
            found.findings.append(Finding(part="release", name=str(ref or there.release[:19]), host=host, what=what))
        elif state.truth == "seen":
            what = "is not current, and no other release is"
            found.findings.append(Finding(part="release", name=str(wanted), host=host, what=what))
        else:
            found.notes.append(f"{host} does not report its current release")
    return found


def _files(seen: Snapshot, ignore: tuple[str, ...]) -> DriftFindings:
    """The files of the current release on each host, against what was recorded when they were deployed."""
    found = DriftFindings()
    for host, there in seen.hosts.items():
        if not there.installed:
            found.notes.append(f"{host}: no files are compared, because the deployment recorded none")
        if names := ignored_changes(host, there, ignore):
            text = few([f"current/{name}" for name in names])
            found.notes.append(f"{host}: not compared, because of snapshot.ignore: {text}")
        for difference in tampered(host, there, ignore):
            what = {"added": "was added", "removed": "is missing", "changed": "was edited"}[difference.change]
            name = f"current/{difference.name}"
            found.findings.append(Finding(part="file", name=name, host=host, what=what))
    if any(there.installed for there in seen.hosts.values()):
        found.notes.append("files outside the current release are not compared: shared/, older releases, other folders")
    return found


@dataclass(frozen=True)
class _Asking:
    """The release's own steps and tests, run on the current hosts except those *excluded*, which are on standby."""

    services: Services
    package: Package
    inventory: Inventory
    excluded: frozenset[str]
    context: Context
    job: str
    emit: Emit

    def tasks(self, step: Step) -> DriftFindings:
        """What the step would change, by check mode."""
        found = DriftFindings()
        try:
            hosts = tuple(host for host in self.inventory.select(step.hosts) if host not in self.excluded)
            if not hosts:
                return found
            job = f"{self.job}.check.{step.name}"
            play = play_of(step, hosts)
            check = self.services.deployer.check
            prediction = read_by_job(
                lambda job: check(play, self.package, self.inventory, self.context, job, self.emit), job
            )
        except OrchestratorError as error:
            return DriftFindings(unknown=[f"step {step.name}: {error.message}"])
        for host in prediction.hosts:
            for task in host.tasks:
                what = f"of the step {step.name} would change something"
                found.findings.append(Finding(part="task", name=repr(task), host=host.host, what=what))
        found.unknown += [
            f"step {step.name}: check mode could not inspect: {clean_text(text)}" for text in prediction.unseen
        ]
        found.unknown += [f"step {step.name}: check mode failed at {task!r}" for task in prediction.failed]
        found.notes += [f"step {step.name}: check mode cannot see {task!r}" for task in prediction.opaque]
        return found

    def _answer(self, suite: SuiteSpec, job: str) -> StepResult:
        """The result of *suite*. Raises `JobLost`."""
        result = self.services.verifier.verify(suite, self.package, self.inventory, self.context, job, self.emit)
        if result.is_lost:
            raise JobLost(result.code or "V105", result.message)
        return result

    def tests(self, item: Verification) -> DriftFindings:
        """What the suite finds today."""
        found = DriftFindings()
        limit = tuple(host for host in self.inventory.hosts if host not in self.excluded) if self.excluded else ()
        suite = SuiteSpec(name=item.name, tests=item.tests, limit=limit, args=item.args, timeout=seconds(item.timeout))
        job = f"{self.job}.verify.{item.name}"
        try:
            result = read_by_job(lambda job: self._answer(suite, job), job)
        except OrchestratorError as error:
            return DriftFindings(unknown=[f"suite {item.name}: {error.message}"])
        for test in result.tests:
            why = next(iter(clean_text(test.message).splitlines()), "")
            if test.outcome is Outcome.FAILED:
                what = f"of the suite {item.name} fails{f': {why}' if why else ''}"
                found.findings.append(Finding(part="test", name=test.name, host=test.host, what=what))
            elif not test.outcome.good:
                found.unknown.append(f"{test.host}: test {test.name} of the suite {item.name}: {why or test.outcome}")
        if not result.good and all(test.outcome.good for test in result.tests):
            found.unknown.append(f"suite {item.name}: {result.message}")
        return found
