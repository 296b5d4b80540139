"""How long a promotion takes: measured from the runs of earlier releases of the same name in the environment."""

from datetime import datetime

from orchestrator.domain.calendar.fit import NEWEST, UNKNOWN, Estimate, estimate
from orchestrator.domain.error_codes import PACKAGE_NOT_KEPT
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package, PackageRef
from orchestrator.services import Services

LEASED, HELD = "lease:finished", "held"
"""The key of the entry from which a run is measured, and of one that it was held: such a run is not measured."""


def estimated_by_ref(services: Services, ref: PackageRef, environment: str) -> Estimate:
    """The estimate for the package *ref* in *environment*. Its content is read only if no run was measured.

    A server lists promotions of packages that its machine does not keep.
    Raises P302 and S-codes.
    """
    durations = measured_seconds(services, ref.name, environment)
    if durations:
        return estimate(durations, steps=1, hosts=1)
    try:
        package = services.packages.fetch(ref.digest)
    except OrchestratorError as error:
        if error.code != PACKAGE_NOT_KEPT:
            raise
        return UNKNOWN
    return estimated(services, package, environment)


def estimated(services: Services, package: Package, environment: str) -> Estimate:
    """The estimate for *package* in *environment*; without a measured run, by its steps, their batches and hosts."""
    release = package.manifest.release
    batches = max((len(step.rollout.batches) for step in release.playbook_steps), default=1)
    hosts = len([state for state in services.store.hosts(environment) if state.truth != "gone"])
    durations = measured_seconds(services, release.name, environment)
    return estimate(durations, steps=max(1, len(release.steps)), hosts=max(1, hosts), batches=batches)


def measured_seconds(services: Services, name: str, environment: str) -> list[float]:
    """The seconds that the newest successful promotions of releases called *name* took there, the newest first.

    The time before a run had the environment does not count, and a run that was held is left out.
    """
    chosen = RunFilter(environment=environment, name=name, states=(State.SUCCEEDED,), kinds=("promotion",))
    runs = services.store.list_runs(chosen, limit=NEWEST).items
    found = services.store.entries_of(tuple(run.id for run in runs), (LEASED, HELD))
    held = {record.run for record in found if record.key == HELD}
    begun = {record.run: record.at for record in found if record.key == LEASED and record.run not in held}
    return [_seconds(run, begun[run.id]) for run in runs if run.id in begun and run.ended_at is not None]


def _seconds(run: Run, begun: str) -> float:
    ended = datetime.fromisoformat(run.ended_at or begun)
    return max(0.0, (ended - datetime.fromisoformat(begun)).total_seconds())
