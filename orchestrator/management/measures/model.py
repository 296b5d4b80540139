"""Deployments as the journal has them, and what is measured of them."""

from datetime import datetime
from typing import Literal

from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import PackageRef

MeasureName = Literal[
    "deployment-frequency", "lead-time", "change-failure-rate", "recovery-time", "rework-rate", "failed-before"
]


class Deployment(Model):
    """A promotion that had an effect in *environment*.

    *state* is how it ended: `succeeded`, `rolled back` or `needs intervention`. *emergency* is whether it was an
    emergency. *commit_at* is the time of the commit from which its package was built; None if it is unknown.
    *failed_at* is the time of the first failure, *restored_at* the time at which a release was verified there again.
    *undone_by* is the manual rollback that followed within the rework time.
    """

    run: str
    environment: str
    release: PackageRef
    state: Literal["succeeded", "rolled back", "needs intervention"]
    requested_at: Moment
    ended_at: Moment
    emergency: bool = False
    commit_at: Moment | None = None
    failed_at: Moment | None = None
    restored_at: Moment | None = None
    undone_by: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it counts as failed. It counts once, however many incidents it had."""
        return self.state != "succeeded" or bool(self.undone_by)


class MeasuredRun(Model):
    """A run behind a measure. *value* is its share: seconds for times, otherwise 1."""

    run: str
    environment: str
    release: PackageRef
    at: Moment
    value: float


class Measure(Model):
    """One measure: its *value* in *unit*, or None without a run to compute it from.

    *count* is the number of runs behind it, and *of* the number of deployments of which they are a part.
    """

    name: MeasureName
    title: str
    formula: str
    unit: Literal["per day", "seconds", "share", "runs"]
    value: float | None
    count: int
    of: int
    runs: tuple[MeasuredRun, ...] = ()


class WeekMeasures(Model):
    """The measures of the deployments that ended in the week from *week* on. A value without a run is empty."""

    week: Moment
    deployments: int
    failed: int
    lead_s: float | None
    failure_share: float | None
    recovery_s: float | None
    rework_share: float | None


class Measures(Model):
    """The measures from *since* until *until* of the *environments* at the end of their paths.

    *before* are the earlier environments of these paths. Failures in them are counted apart.
    """

    since: Moment
    until: Moment
    environments: tuple[str, ...]
    before: tuple[str, ...]
    measures: tuple[Measure, ...]
    weeks: tuple[WeekMeasures, ...]


class MeasureSpan(Model):
    """The time that is measured."""

    since: Moment
    until: Moment

    def has(self, moment: datetime) -> bool:
        """Whether *moment* is in it."""
        return self.since <= moment < self.until
