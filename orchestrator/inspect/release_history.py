"""The release history of an environment: its rollback targets, and the steps that a rollback undoes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS, Kind, Run, Verified, is_past, verified_key
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import moment_text
from orchestrator.domain.plan import HostState, PlannedStep, play_of
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package, PackageRef
from orchestrator.domain.release_history import verified_history
from orchestrator.domain.release_steps import AnyStep, Step
from orchestrator.domain.started import StartedStep
from orchestrator.domain.step import StepResult
from orchestrator.ports.lists import RunLists, each_run, each_verified
from orchestrator.ports.store import RunJournal
from orchestrator.services import Services

PAGE = 200
VERIFYING_KINDS: tuple[Kind, ...] = (*sorted(PROMOTION_KINDS), "rollback")
"""The kinds of runs that end with a verified release."""
NO_HOST = ""
"""In place of a host, of what is undone once and not on hosts: an implementation plan."""
STEPS = frozenset({"deploy", "restore"})  # the verbs of what puts a release on hosts


def last_verified(services: Services, environment: str) -> Verified | None:
    """The newest release whose tests passed in *environment*."""
    return next(iter(services.store.verified(environment, limit=1)), None)


def mark_of(services: Services, environment: str, digest: str) -> Verified | None:
    """When the package *digest* was last verified in *environment*; None: never."""
    return next(iter(services.store.verified(environment, digest, limit=1)), None)


def release_history(services: Services, environment: str) -> tuple[Verified, ...]:
    """The releases that a rollback of *environment* goes through, the current one first, each once."""
    return history_of_marks(services.store, list(each_verified(services.store, environment)))


def history_of_marks(store: RunLists, marks: Sequence[Verified]) -> tuple[Verified, ...]:
    """The history of *marks*, which are all of an environment. See `verified_history`.

    Runs are read only of releases that were verified more than once: the others have one place.
    """
    counts = Counter(mark.release.digest for mark in marks)
    ids = list(dict.fromkeys(mark.run for mark in marks if counts[mark.release.digest] > 1))
    pages = (tuple(ids[at : at + PAGE]) for at in range(0, len(ids), PAGE))
    return verified_history(marks, {run.id: run for page in pages for run in store.runs_named(page)})


def rollback_target(services: Services, environment: str, version: str | None = None) -> PackageRef:
    """The rollback target of *environment*: *version*, otherwise by the :func:`release_history`. Raises R134.

    That is the last verified release if any host runs another one or is unknown, or if the last run needs intervention.
    If every host runs it, it is the release that it replaced.
    """
    services.environment(environment)
    if version is not None:
        marks = [mark for mark in each_verified(services.store, environment) if mark.release.version == version]
        wanted = f"version {version} was never"
    else:
        history = release_history(services, environment)
        there = bool(history) and on_all_hosts(services, environment, history[0].release.digest)
        there = there and not unsettled_runs(services, environment)
        marks, wanted = list(history[1:] if there else history), "no other release was ever"
    if not marks:
        raise OrchestratorError("R134", f"{wanted} verified in {environment}")
    return marks[0].release


@dataclass(frozen=True)
class RestorePoint:
    """What an environment was at the time *at* (ISO 8601): a release, and the *definition* of its infrastructure."""

    at: str
    release: PackageRef
    definition: str


def as_of(services: Services, environment: str, when: str) -> RestorePoint:
    """What *environment* was at *when*: a time (without an offset: of this machine), or at the end of a run by its id.

    That is the release that was verified last by then, on the definition that was applied last, with it or alone.
    Raises R101, R204 if nothing was verified by then, and R205 if the release was rolled back since.
    """
    services.environment(environment)
    at = _time(services, environment, when)
    mark = next((mark for mark in each_verified(services.store, environment) if is_past(mark.at, at)), None)
    if mark is None:
        raise OrchestratorError("R204", f"no release had been verified in {environment} by {at}")
    if mark.release.digest not in {other.release.digest for other in release_history(services, environment)}:
        release = f"{mark.release.name}-{mark.release.version}"
        hint = f"orchestrator promote {release} --to {environment} --allow-rolled-back -m WHY"
        message = f"{mark.release} was rolled back in {environment} since {at}"
        raise OrchestratorError("R205", message, hint=hint)
    return RestorePoint(at, mark.release, _definition(services, environment, mark, at))


def _time(services: Services, environment: str, when: str) -> str:
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        run = _run(services, environment, when)
        if run.environment != environment or run.ended_at is None:
            why = "has not ended" if run.environment == environment else f"is of {run.environment}"
            raise OrchestratorError("R204", f"{run.id} {why}") from None
        return run.ended_at
    return moment_text(moment.astimezone(UTC))


def _run(services: Services, environment: str, wanted: str) -> Run:
    try:
        return services.store.run(f"{wanted}-{environment}")
    except OrchestratorError:
        return services.store.run(wanted)


def _definition(services: Services, environment: str, mark: Verified, at: str) -> str:
    """The definition that was applied last by the time *at*: with the release of *mark*, or after it alone."""
    for run in each_run(services.store, RunFilter(environment=environment)):
        if run.id == mark.run:
            break
        if run.ended_at is None or not is_past(run.ended_at, at) or run.state is not State.SUCCEEDED:
            continue
        if run.kind == "destroy":
            raise OrchestratorError("R204", f"{environment} had been destroyed by {at} ({run.id})")
        if run.kind == "provision":
            records = services.store.records(run.id)
            definitions = [record.data.get("definition") for record in records if record.kind == "step.started"]
            return next((str(digest) for digest in definitions if digest), mark.definition)
    return mark.definition


def has_verified(store: RunJournal, run: Run) -> bool:
    """Whether *run* verified its release in its environment, however it ended."""
    return run.release is not None and store.has_entry(run.id, verified_key(run.release))


def on_all_hosts(services: Services, environment: str, digest: str, hosts: Sequence[HostState] | None = None) -> bool:
    """Whether the package *digest* runs, seen or assumed, on every known host that it is for: see `hosts_without`."""
    return not hosts_without(services, environment, digest, hosts)


def hosts_without(
    services: Services, environment: str, digest: str, hosts: Sequence[HostState] | None = None
) -> tuple[str, ...]:
    """The hosts that the package *digest* is for, and on which it does not run, or is not known to run.

    A standby host may run another, and so may one for which no step of the package was ever started: a router, or a
    database that an older release has deployed. *hosts* are all hosts of the environment, where they are known better
    than by what is recorded of each.
    """
    states = services.store.hosts(environment) if hosts is None else hosts
    others = [state for state in states if not state.runs(digest) and not state.is_standby]
    if not others:
        return ()
    meant = _meant(services, environment, digest)
    return tuple(state.host for state in others if state.settled.truth == "unknown" or state.host in meant)


def _meant(services: Services, environment: str, digest: str) -> set[str]:
    """The hosts of *environment* on which a step of the package was ever started; none of a run that was not kept."""
    return services.store.hosts_of_release(environment, digest, STEPS)


def unsettled_runs(services: Services, environment: str) -> list[Run]:
    """The runs that needed intervention since the last one that ended with a verified release, newest first."""
    found = []
    for run in each_run(services.store, RunFilter(environment=environment, kinds=VERIFYING_KINDS, is_open=False)):
        if run.state is State.FAILED:
            continue
        if run.state is not State.NEEDS_INTERVENTION or has_verified(services.store, run):
            break
        found.append(run)
    return found


@dataclass(frozen=True)
class Begun:
    """A step that was started on *hosts* (None: wherever it is for), of the release *package*.

    A step with an implementation plan has no hosts.
    """

    package: Package
    step: AnyStep
    hosts: tuple[str, ...] | None


def steps_to_undo(services: Services, environment: str, target: Package) -> tuple[Begun, ...]:
    """The steps that a rollback to *target* undoes, newest first: those of the current releases.

    First the steps that runs which needed intervention started and that were not undone, on the hosts that they
    touched; then all steps of the last verified release, and of each further one down to the release that is restored.
    """
    begun = _stuck(services, environment)
    for release in _between(services, environment, target):
        package = services.packages.fetch(release.digest)
        begun += [Begun(package, step, None) for step in reversed(package.manifest.release.steps)]
    return tuple(begun)


def _between(services: Services, environment: str, target: Package) -> list[PackageRef]:
    """The releases that were put on top of *target*, newest first; the last verified one if it is not one of them."""
    history = [mark.release for mark in release_history(services, environment)]
    digests = [release.digest for release in history]
    if target.digest in digests:
        return history[: digests.index(target.digest)]
    return history[:1]


def _stuck(services: Services, environment: str) -> list[Begun]:
    """What was started, and not undone, by the runs since the last one that ended with a verified release."""
    undone: set[tuple[str, str, str]] = set()
    begun: list[Begun] = []
    for run in unsettled_runs(services, environment):
        steps = _steps_of(services, run)
        for about, _ in steps:
            if about.get("verb") == "undo":
                digest = about["release"]["digest"]
                undone |= {(digest, str(about["playbook"]), host) for host in about["hosts"] or [NO_HOST]}
        if run.kind in PROMOTION_KINDS and run.release is not None:
            begun += _started(services.packages.fetch(run.release.digest), steps, undone)
    return begun


def _steps_of(services: Services, run: Run) -> list[tuple[dict[str, Any], StepResult | None]]:
    """The steps of *run*, newest first: what was written when each was started (its `step` among it), and its result.

    Undos that did not succeed are left out: they are to be done again.
    """
    records = services.store.records(run.id)
    results = {record.step: StepResult.from_json(record.data) for record in records if record.kind == "step.finished"}
    found = [
        ({**record.data, "step": record.step}, results.get(record.step))
        for record in reversed(records)
        if record.kind == "step.started"
    ]
    return [
        (about, result)
        for about, result in found
        if about.get("verb") != "undo" or (result is not None and result.good)
    ]


def _started(
    package: Package, steps: list[tuple[dict[str, Any], StepResult | None]], undone: set[tuple[str, str, str]]
) -> list[Begun]:
    """The deployed ones among *steps* of a run with *package*, without what was *undone*, to which they are added."""
    own = {step.name: step for step in package.manifest.release.steps}
    begun = []
    for about, result in steps:
        declared = own.get(about.get("may_change", {}).get("name", ""))
        if declared is not None and (result is None or not result.is_untouched):
            key = (package.digest, str(declared.undo), NO_HOST)
            begun += [Begun(package, declared, ())] if key not in undone else []
            undone.add(key)
        step = own.get(str(about["step"]).rpartition(".")[0])
        if about.get("verb") != "deploy" or not isinstance(step, Step):
            continue
        hosts = tuple(about["hosts"])
        planned = PlannedStep(play=play_of(step), undo=step.undo)
        touched = StartedStep(planned, hosts, result).touched() if result is not None else hosts
        left = tuple(host for host in touched if (package.digest, str(step.undo), host) not in undone)
        if left:
            begun.append(Begun(package, step, left))
            undone.update((package.digest, str(step.undo), host) for host in left)  # once is enough
    return begun
