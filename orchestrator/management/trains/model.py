"""Train lines and release trains as they are recorded."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.calendar.recurrence import Rule, check_first
from orchestrator.domain.calendar.rules import WallTime
from orchestrator.domain.calendar.zones import ZoneName
from orchestrator.domain.model import Digest, Model, Name
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import PackageRef, Version
from orchestrator.management.trains.reasons import StayReason
from orchestrator.management.trains.state import (
    ABOARD,
    BOARDING_TABLE,
    TRAIN_RUN_TABLE,
    TRAIN_TABLE,
    BoardingEvent,
    BoardingState,
    TrainEvent,
    TrainRunEvent,
    TrainRunState,
    TrainState,
)

Note = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)]
LONGEST_S = 90 * 86_400


def stop_parts(text: str) -> tuple[list[str], str]:
    """The environments of a stop that users write as `ENV,ENV+2h`, and its time after the departure, maybe empty."""
    names, _, after = text.partition("+")
    return [name.strip() for name in names.split(",")], after


class TrainStop(Model):
    """A stop: its *environments*, and *after_s*, the earliest start in seconds after the departure.

    A package goes to those of the environments that its release declares.
    """

    environments: Annotated[tuple[Name, ...], Field(min_length=1, max_length=50)]
    after_s: int = Field(default=0, ge=0, le=LONGEST_S)

    def __str__(self) -> str:
        return ", ".join(self.environments)


Stops = Annotated[tuple[TrainStop, ...], Field(min_length=1, max_length=20)]


class LineDraft(Model):
    """The fields of a line that users enter: its *stops*, and when trains depart.

    The cadence is *rule* from *start* on, or *dates*; both are wall-clock times in *zone*. Boarding closes *boarding_s*
    seconds before each departure. With *rehearse* the set is rolled back and promoted again at the first stop.
    """

    name: Name
    stops: Stops
    start: WallTime | None = None
    rule: Rule | None = None
    dates: Annotated[tuple[WallTime, ...], Field(max_length=1000)] = ()
    zone: ZoneName = "UTC"
    boarding_s: int = Field(default=0, ge=0, le=LONGEST_S)
    rehearse: bool = False

    @model_validator(mode="after")
    def _has_departures(self) -> Self:
        if self.start is None and not self.dates:
            raise ValueError("has no departure: give a start with a rule, or dates")
        if self.rule is not None:
            if self.start is None:
                raise ValueError("has a rule without its first departure")
            check_first(self.rule, self.start, self.zone)
        names = [name for stop in self.stops for name in stop.environments]
        if len(set(names)) < len(names):
            raise ValueError("stops in one environment twice")
        if [stop.after_s for stop in self.stops] != sorted(stop.after_s for stop in self.stops):
            raise ValueError("has a stop that is earlier than the previous one")
        return self


class TrainLine(LineDraft):
    """A line. *conductor* has made it: promotions of its trains have the rights of this user.

    A line that trains refer to is never deleted: it is *archived_at* a time, and no train is made any more.
    """

    conductor: Actor
    created_at: Moment
    archived_at: Moment | None = None

    @property
    def is_archived(self) -> bool:
        """Whether no train is made for it any more."""
        return self.archived_at is not None


class Boarding(Model):
    """A package aboard a train, after the packages *after*. *late* is the reason of one that boarded after the cut-off.

    *environments* are those of the train that its release declares, from the departure on. *reason* is why it stayed,
    *note* the same in words.
    """

    name: Name
    version: Version
    digest: Digest
    after: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    boarded_at: Moment
    boarded_by: str
    late: Note = ""
    state: BoardingState = BoardingState.BOARDED
    environments: tuple[Name, ...] = ()
    reason: StayReason | None = None
    note: Note = ""

    @property
    def release(self) -> PackageRef:
        """The package."""
        return PackageRef(name=self.name, version=self.version, digest=self.digest)

    def after_event(self, event: BoardingEvent, train: str, **fields: Any) -> Self:
        """The package after *event*. Raises G101."""
        state = BOARDING_TABLE.after(self.state, event, f"{train}:{self.name}")
        return self.model_validate({**dict(self), "state": state, **fields})


class PreviousRelease(Model):
    """The *release* of the package *name* that was in *environment* at the departure, if there was one.

    *newest* is whether it was verified last there, of all packages: a run that fails restores that release.
    """

    environment: Name
    name: Name
    release: PackageRef | None = None
    newest: bool = True


class TrainRun(Model):
    """A run that a train follows, at the *stop* with this number from 1.

    *turn* is 2 for what a rehearsal of the set does again. *root* is its idempotency key, *followed* the run request or
    run. *touched* is whether it has changed the environment. A `verification` has no package.
    """

    stop: int = Field(ge=1)
    kind: Literal["promotion", "verification", "rollback"]
    environment: Name
    package: str = ""
    turn: int = Field(default=1, ge=1, le=3)
    root: str
    followed: str = ""
    state: TrainRunState = TrainRunState.STARTED
    touched: bool = False
    note: Note = ""
    started_at: Moment
    ended_at: Moment | None = None

    @property
    def key(self) -> tuple[int, str, str, str, int]:
        """What it does: no train has two runs that do the same."""
        return (self.stop, self.kind, self.environment, self.package, self.turn)

    @property
    def has_ended(self) -> bool:
        """Whether it is not followed any more."""
        return self.state in TRAIN_RUN_TABLE.ends

    def after_event(self, event: TrainRunEvent, train: str, **fields: Any) -> Self:
        """The run after *event*. Raises G101."""
        state = TRAIN_RUN_TABLE.after(self.state, event, f"{train}:{self.root}")
        return self.model_validate({**dict(self), "state": state, **fields})


class Train(Model):
    """A release train. *conductor* is the user with whose rights it promotes.

    *planned_at* is the departure that it was made for, also after it was moved (None: recorded by an older version).
    *set_digest* is that of the packages that departed together, *previous* are the earlier releases. *runs* are the
    runs that it follows, in their order, *stops_completed* counts the stops that it has reached. *note* is the reason
    of its state.
    """

    number: int = Field(ge=1)
    line: str = ""
    stops: Stops
    departs_at: Moment
    planned_at: Moment | None = None
    boarding_closes_at: Moment
    rehearse: bool = False
    conductor: Actor
    created_at: Moment
    created_by: str
    state: TrainState = TrainState.BOARDING
    members: Annotated[tuple[Boarding, ...], Field(max_length=100)] = ()
    set_digest: str = ""
    previous: tuple[PreviousRelease, ...] = ()
    runs: tuple[TrainRun, ...] = ()
    stops_completed: int = Field(default=0, ge=0)
    departed_at: Moment | None = None
    ended_at: Moment | None = None
    note: Note = ""

    @model_validator(mode="after")
    def _closes_before_it_departs(self) -> Self:
        if self.boarding_closes_at > self.departs_at:
            raise ValueError("boarding closes after the departure")
        return self

    @property
    def id(self) -> str:
        """What users call it."""
        return f"T-{self.number}"

    @property
    def holder(self) -> str:
        """What its bookings name as their holder."""
        return f"train:{self.id}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in TRAIN_TABLE.ends

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments of all stops, in order."""
        return tuple(name for stop in self.stops for name in stop.environments)

    @property
    def aboard(self) -> tuple[Boarding, ...]:
        """The packages that are to leave, or on their way; after the departure in the order in which they go."""
        return tuple(member for member in self.members if member.state in ABOARD)

    def member(self, name: str) -> Boarding | None:
        """The package *name*."""
        return next((member for member in self.members if member.name == name), None)

    def previous_of(self, environment: str, name: str) -> PreviousRelease | None:
        """What was in *environment* of the package *name* at the departure."""
        found = (each for each in self.previous if (each.environment, each.name) == (environment, name))
        return next(found, None)

    def after_event(self, event: TrainEvent, **fields: Any) -> Self:
        """The train after *event*. Raises G101."""
        state = TRAIN_TABLE.after(self.state, event, self.id)
        return self.model_validate({**dict(self), "state": state, **fields})

    def with_member(self, member: Boarding) -> tuple[Boarding, ...]:
        """The packages aboard with *member* in place of that of the same name, or at the end."""
        if self.member(member.name) is None:
            return (*self.members, member)
        return tuple(member if each.name == member.name else each for each in self.members)

    def with_run(self, run: TrainRun) -> tuple[TrainRun, ...]:
        """The runs with *run* in place of the one that does the same, or at the end."""
        if all(each.key != run.key for each in self.runs):
            return (*self.runs, run)
        return tuple(run if each.key == run.key else each for each in self.runs)


def closing_time(line: TrainLine, departs_at: datetime) -> datetime:
    """When boarding closes for a departure of *line* at *departs_at*."""
    return departs_at - timedelta(seconds=line.boarding_s)
