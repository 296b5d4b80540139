"""Planned releases as they are recorded."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, Name
from orchestrator.domain.moments import Moment, minute_text
from orchestrator.domain.release import PackageRef, Version
from orchestrator.management.planned_releases.state import AWAITING, PLANNED_RELEASE_TABLE, ReleaseEvent, ReleaseState

Title = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
User = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
PhaseKey = Annotated[str, StringConstraints(pattern=r"^(REL-[0-9]+:)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""The name of a phase of the same release, or `REL-2:deploy` for one of another release."""
DEPLOY = "deploy"
"""The phase that the release time is about."""


class Mode(StrEnum):
    """Whether the dates bind (*timeline*), or the completion of what comes before (*completion*)."""

    TIMELINE = "timeline"
    COMPLETION = "completion"


class Span(Model):
    """The time from *start* to *end*."""

    start: Moment
    end: Moment

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.end <= self.start:
            raise ValueError("ends before it starts")
        return self

    @property
    def interval(self) -> Interval:
        """The time as an interval."""
        return Interval(self.start, self.end)

    def __str__(self) -> str:
        """The time in a phrase."""
        return f"{minute_text(self.start)} to {minute_text(self.end)}"


class Phase(Model):
    """A phase: *planned* by the draft, *replanned* later, and its actual times.

    It uses *environment*, if any, which *booking* keeps for it. *responsible* carries it out. It starts when the phases
    *after* which it comes have ended.
    """

    name: Name
    planned: Span
    environment: Name | None = None
    responsible: str = ""
    after: tuple[PhaseKey, ...] = ()
    replanned: Span | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    booking: str = ""

    @property
    def span(self) -> Span:
        """The time that currently counts as planned."""
        return self.replanned or self.planned

    @property
    def start(self) -> Moment:
        """When it started, or is to start."""
        return self.started_at or self.span.start

    @property
    def end(self) -> Moment:
        """When it was completed, or is to end."""
        return self.completed_at or self.span.end

    @property
    def progress(self) -> str:
        """`pending`, `active` or `completed`."""
        if self.completed_at is not None:
            return "completed"
        return "active" if self.started_at is not None else "pending"


class RoleHolder(Model):
    """A *user* with a *role* in a release, such as the tester."""

    role: Name
    user: User


class ScopePackage(Model):
    """A package in the scope. *digest* is empty until it is built.

    *run* is the last run that moved the release by it. *replaces* is the package that ran before, once it is released.
    """

    name: Name
    version: Version
    digest: str = ""
    run: str = ""
    replaces: PackageRef | None = None

    def __str__(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.version}"


class Deferral(Model):
    """What left the scope because it was not ready: a request or a package (*item*), and why."""

    item: str
    at: Moment
    reason: str


class ReleaseDraft(Model):
    """What a user enters. *freeze_at* ends changes of the scope; *release_at* is the promotion to *environment*."""

    title: Title
    description: Annotated[str, StringConstraints(max_length=10_000)] = ""
    environment: Name
    mode: Mode = Mode.TIMELINE
    owner: User
    roles: tuple[RoleHolder, ...] = ()
    freeze_at: Moment
    release_at: Moment
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.freeze_at > self.release_at:
            raise ValueError("the freeze time is after the release time")
        names = [phase.name for phase in self.phases]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the phase {twice} is named twice")
        return self


class PlannedRelease(ReleaseDraft):
    """A planned release with its scope: *requests* (ids of change requests) and *packages*.

    *frozen_at* is when the scope was frozen, *deferred* what left it as not ready. *note* is the reason of its state.
    """

    number: int = Field(ge=1)
    created_at: Moment
    created_by: str
    state: ReleaseState = ReleaseState.DRAFT
    requests: tuple[str, ...] = ()
    packages: tuple[ScopePackage, ...] = ()
    deferred: tuple[Deferral, ...] = ()
    frozen_at: Moment | None = None
    started_at: Moment | None = None
    released_at: Moment | None = None
    ended_at: Moment | None = None
    note: str = ""

    @property
    def id(self) -> str:
        """What users call it."""
        return f"REL-{self.number}"

    @property
    def holder(self) -> str:
        """What its bookings name as their holder."""
        return f"release:{self.id}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in PLANNED_RELEASE_TABLE.ends

    @property
    def users(self) -> tuple[str, ...]:
        """The owner, and those with a role or a phase."""
        phases = (phase.responsible for phase in self.phases if phase.responsible)
        return tuple(dict.fromkeys((self.owner, *(each.user for each in self.roles), *phases)))

    def phase(self, name: str) -> Phase | None:
        """The phase with this name."""
        return next((phase for phase in self.phases if phase.name == name), None)

    def package(self, name: str) -> ScopePackage | None:
        """The package with this name in the scope."""
        return next((package for package in self.packages if package.name == name), None)

    def after(self, event: ReleaseEvent, **fields: Any) -> Self:
        """The release after *event*. Raises G101."""
        state = PLANNED_RELEASE_TABLE.after(self.state, event, self.id)
        return self.model_validate({**dict(self), "state": state, **fields})

    def with_phases(self, phases: Iterable[Phase]) -> Self:
        """The release with other *phases*. A completion-driven one gets its release time from them."""
        changed = {phase.name: phase for phase in phases}
        new = [phase for name, phase in changed.items() if self.phase(name) is None]
        found = (*(changed.get(phase.name, phase) for phase in self.phases), *new)
        deploy = next((phase for phase in found if phase.name == DEPLOY), None)
        at = max(deploy.start, self.freeze_at) if self.mode is Mode.COMPLETION and deploy else self.release_at
        return self.model_validate({**dict(self), "phases": found, "release_at": at})

    def awaits(self, booking: str) -> bool:
        """Whether its packages are not promoted before *booking*, that of its phase deploy.

        A completion-driven release does not wait for that time once its scope is frozen.
        """
        deploy = self.phase(DEPLOY)
        is_due = self.mode is Mode.COMPLETION and self.frozen_at is not None
        return self.state in AWAITING and deploy is not None and deploy.booking == booking and not is_due

    def check_dates(self) -> None:
        """Raise G206 if the phase deploy starts after the release time of a timeline-driven release."""
        deploy = self.phase(DEPLOY)
        if self.mode is Mode.TIMELINE and deploy is not None and deploy.start > self.release_at:
            late, bound = minute_text(deploy.start), minute_text(self.release_at)
            raise OrchestratorError("G206", f"{self.id} would deploy at {late}, after its release time {bound}")

    def with_packages(self, packages: Iterable[ScopePackage]) -> Self:
        """The release with *packages* in place of those of the same names."""
        changed = {package.name: package for package in packages}
        return self.model_copy(update={"packages": tuple(changed.get(p.name, p) for p in self.packages)})
