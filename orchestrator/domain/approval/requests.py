"""Run requests: what was requested, the current state by the clock, and what the clock does next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.request_state import (
    REQUEST_ENDINGS,
    REQUEST_TABLE,
    RequestEvent,
    RequestState,
    request_move,
)
from orchestrator.domain.approval.votes import ApprovalVerdict
from orchestrator.domain.journal import run_id
from orchestrator.domain.model import Digest, Model, Name
from orchestrator.domain.moments import Moment, Now
from orchestrator.domain.release import PackageRef
from orchestrator.domain.risk.assessment import Risk
from orchestrator.domain.risk.kinds import ChangeKind, Level
from orchestrator.domain.waves import Waves

LIFETIME = timedelta(days=90)
"""How long a request waits at most."""
REMINDERS = (0.5, 0.9)
"""At which parts of a request's lifetime its missing approvers are reminded."""

NotEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Rollout(Model):
    """A promotion in *waves*: the *plans* and the *requirements* of the environments to which it goes, by their names.

    With *redeploy* these are all environments of the waves, otherwise those that do not have the release.
    """

    waves: Waves
    plans: dict[Name, Digest] = Field(min_length=1)
    requirements: dict[Name, Requirement]
    redeploy: bool = False

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments to which it goes, in the order of the waves."""
        return tuple(name for name in self.waves.names if name in self.plans)

    @property
    def first(self) -> tuple[str, ...]:
        """Those of the first wave that has any."""
        return next(found for wave in self.waves.environments if (found := tuple(n for n in wave if n in self.plans)))


class RunRequest(Model):
    """A request for a promotion of *package* into *environment* by one plan.

    *start* is the earliest start; with *next_window* the request starts when the environment opens next. An emergency
    has a *reason* and the link of an *incident*. *overrides* are the calendar entries that were passed.
    *allow_rolled_back* is the reason to promote a release that was rolled back, *overrun* the reason to exceed a
    window. *queue* names the workers that start it. *round* counts the plans, and *differences* are why the previous
    plan did not hold. *run* executes the plan, from the start on. *note* is the reason of its state.

    With a *rollout* it is for several environments: *environment* is the name of the waves, and *plan* the digest over
    all plans. With *rehearsal* the release is promoted, rolled back and promoted again. *trace* is the `traceparent` of
    what requested it, which its run continues. *definition* is the project definition of its plan, if one was pushed.
    """

    id: str
    project: str
    environment: Name
    package: Digest
    plan: Digest
    rendered: Digest
    requirement: Requirement
    requested_by: Actor
    requested_at: Moment
    builder: str = ""
    verifier: str = ""
    kind: ChangeKind = ChangeKind.NORMAL
    reason: str = ""
    incident: str = ""
    start: Moment | None = None
    next_window: bool = False
    overrides: tuple[str, ...] = ()
    state: RequestState = RequestState.WAITING
    round: int = Field(default=1, ge=1)
    name: str = ""
    version: str = ""
    risk: Risk | None = None
    allow_rolled_back: str = ""
    overrun: str = ""
    queue: str = "default"
    differences: tuple[str, ...] = ()
    run: str = ""
    note: str = ""
    rollout: Rollout | None = Field(default=None, exclude_if=lambda rollout: rollout is None)
    rehearsal: bool = Field(default=False, exclude_if=lambda rehearsal: not rehearsal)
    trace: str = Field(default="", exclude_if=lambda trace: not trace)
    definition: str = Field(default="", exclude_if=lambda digest: not digest)

    @model_validator(mode="after")
    def _is_explained(self) -> Self:
        if self.kind is ChangeKind.EMERGENCY and not (self.reason.strip() and self.incident.strip()):
            raise ValueError("is an emergency, which needs a reason and the link of an incident")
        if self.rollout is not None and (self.rehearsal or self.kind is ChangeKind.EMERGENCY):
            raise ValueError("is for several environments: it cannot be a rehearsal or an emergency")
        return self

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that it changes."""
        return (self.environment,) if self.rollout is None else self.rollout.environments

    @property
    def first(self) -> tuple[str, ...]:
        """The environments that its start changes: of a rollout those of the first wave."""
        return (self.environment,) if self.rollout is None else self.rollout.first

    @property
    def parts(self) -> tuple[Self, ...]:
        """The request for each of its environments, with the requirement of that environment."""
        return (self,) if self.rollout is None else tuple(self.part(name) for name in self.environments)

    def part(self, environment: str) -> Self:
        """The request for one of its environments. Votes are for the plan over all of them."""
        if self.rollout is None:
            return self
        needed = self.rollout.requirements[environment]
        return self.model_copy(update={"environment": environment, "requirement": needed, "rollout": None})

    def plan_in(self, environment: str) -> str | None:
        """The digest of the plan that its run in *environment* executes; None if it is not for that environment."""
        return self.plan if self.rollout is None else self.rollout.plans.get(environment)

    @property
    def root(self) -> str:
        """The root of its run; empty before the start."""
        return self.run.removesuffix(f"-{self.environment}")

    def run_named(self, root: str) -> str:
        """The name of its run with this *root*: of a rollout the root itself."""
        return run_id(root, self.environment) if self.rollout is None else root

    @property
    def requester(self) -> str:
        """The user who requested it, as votes name users; a service account with its kind."""
        return str(self.requested_by)

    @property
    def release(self) -> PackageRef:
        """The package that is promoted."""
        return PackageRef(name=self.name, version=self.version, digest=self.package)

    @property
    def level(self) -> Level:
        """The level of its risk; low if that is not known."""
        return self.risk.level if self.risk is not None else Level.LOW

    @property
    def is_startable(self) -> bool:
        """Whether the table has a start for its state."""
        return RequestEvent.START in REQUEST_TABLE[self.state]

    @property
    def expires_at(self) -> datetime:
        """When the request expires if it has not started."""
        return self.requested_at + LIFETIME

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to the request any more."""
        return self.state in REQUEST_ENDINGS

    def after(self, event: RequestEvent, note: str = "") -> Self:
        """The request after *event*, with why. Raises `IllegalRequestMove`."""
        return self.model_copy(update={"state": request_move(self.state, event), "note": note})

    def started(self, run: str) -> Self:
        """The request after its start as *run*."""
        return self.after(RequestEvent.START).model_copy(update={"run": run})

    def replanned(
        self, plan: str, rendered: str, requirement: Requirement, risk: Risk | None = None, why: tuple[str, ...] = ()
    ) -> Self:
        """The request with a new plan, because of the differences *why*: it waits for new votes, in the next round."""
        fields = {"plan": plan, "rendered": rendered, "requirement": requirement, "round": self.round + 1}
        fields |= {"risk": risk or self.risk, "differences": why}
        return self.after(RequestEvent.REPLAN).model_copy(update=fields)


def current_state(request: RunRequest, approval: ApprovalVerdict, now: Now) -> RequestState:
    """The state of *request* as it is now, by the votes and the clock, whether or not a scheduler has run."""
    for event in due_moves(request, approval, now):
        return request_move(request.state, event)
    return request.state


def due_moves(request: RunRequest, approval: ApprovalVerdict, now: Now) -> Iterator[RequestEvent]:
    """The moves that votes and the clock require of *request*, the one to make first."""
    moves = REQUEST_TABLE[request.state]
    if RequestEvent.EXPIRE in moves and now.may_have_reached(request.expires_at):
        yield RequestEvent.EXPIRE
    if RequestEvent.REJECT in moves and approval.rejected_by:
        yield RequestEvent.REJECT
    if RequestEvent.LAPSE in moves and not approval.satisfied:
        yield RequestEvent.LAPSE
    if RequestEvent.APPROVE in moves and approval.satisfied:
        yield RequestEvent.APPROVE


class TimerKind(StrEnum):
    """What the clock does to a request."""

    REMIND = "remind"
    VOTE_EXPIRES = "vote expires"
    EARLIEST_START = "earliest start"
    REQUEST_EXPIRES = "request expires"


@dataclass(frozen=True, order=True)
class Timer:
    """An event at a moment. *number* distinguishes reminders: 1 is the first."""

    at: datetime
    kind: TimerKind
    number: int = 0


def timers(request: RunRequest, approval: ApprovalVerdict) -> tuple[Timer, ...]:
    """Everything that the clock does to *request*, in order. A request that has started or ended has none."""
    if request.state not in {RequestState.WAITING, RequestState.READY, RequestState.HELD}:
        return ()
    found = [Timer(request.expires_at, TimerKind.REQUEST_EXPIRES)]
    if request.state is RequestState.WAITING:
        found += [
            Timer(request.requested_at + LIFETIME * part, TimerKind.REMIND, number)
            for number, part in enumerate(REMINDERS, 1)
        ]
    if approval.expires is not None:
        found.append(Timer(approval.expires, TimerKind.VOTE_EXPIRES))
    if request.start is not None:
        found.append(Timer(request.start, TimerKind.EARLIEST_START))
    return tuple(sorted(found))


def due(found: tuple[Timer, ...], since: datetime, now: Now) -> tuple[Timer, ...]:
    """The timers after *since* up to *now*. An expiry is due at the latest possible time, any other at the earliest."""
    expiring = {TimerKind.VOTE_EXPIRES, TimerKind.REQUEST_EXPIRES}
    return tuple(
        timer
        for timer in found
        if timer.at > since and (now.may_have_reached if timer.kind in expiring else now.has_reached)(timer.at)
    )


def next_timer(found: tuple[Timer, ...], now: Now) -> Timer | None:
    """The first timer after *now*; None if there is not any."""
    return next((timer for timer in found if timer.at > now.latest), None)
