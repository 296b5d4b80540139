"""Bookings as they are recorded."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import (
    Annotated,
    Any,
    NotRequired,  # that of typing has less data for pydantic before 3.12
    Self,
)

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.verdict import Booking
from orchestrator.domain.model import Model, Name
from orchestrator.domain.moments import Moment, Now, minute_text
from orchestrator.management.bookings.state import BOOKING_TABLE, HOLDING, BookingEvent, BookingState

GRACE_MINUTES = 30
LONGEST = timedelta(days=90)
Purpose = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Holder = Annotated[str, StringConstraints(pattern=r"^(user|team|release|train):[^\s:]+$")]
"""`user:NAME`, `team:NAME`, `release:ID` or `train:ID`."""


class BookingDraft(TypedDict):
    """The fields of a booking that users enter. Without *holder* it is for the actor."""

    environment: str | None
    start: datetime
    end: datetime
    purpose: str
    holder: NotRequired[str]
    grace_minutes: NotRequired[int]


@dataclass(frozen=True)
class Carried:
    """The *packages* (digests) that pass a booking of their holder, and those that it has *awaited* until its start."""

    packages: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()


NOTHING_CARRIED = Carried()


class EnvironmentBooking(Model):
    """The booking of *environment* from *start* to *end* for *purpose* by *holder*; *owner* has made it.

    It expires *grace_minutes* after its start unless it was used: *used_at* is the first promotion of the holder, by
    *run*. *ended_at* is when it ended early, *note* why. *handed_over* are the former holders.
    """

    number: int = Field(ge=1)
    environment: Name
    start: Moment
    end: Moment
    purpose: Purpose
    holder: Holder
    owner: str
    created_at: Moment
    grace_minutes: int = Field(default=GRACE_MINUTES, ge=1, le=24 * 60)
    state: BookingState = BookingState.REQUESTED
    confirmed_at: Moment | None = None
    used_at: Moment | None = None
    run: str = ""
    ended_at: Moment | None = None
    note: str = ""
    handed_over: tuple[Holder, ...] = ()

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.end <= self.start:
            raise ValueError("ends before it starts")
        if self.end - self.start > LONGEST:
            raise ValueError(f"is longer than {LONGEST.days} days")
        return self

    @property
    def id(self) -> str:
        """What users call it."""
        return f"B-{self.number}"

    @property
    def interval(self) -> Interval:
        """Its time."""
        return Interval(self.start, self.end)

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in BOOKING_TABLE.ends

    @property
    def grace_until(self) -> datetime:
        """Until when it has to be used: the grace time of one that was confirmed late starts with the confirmation."""
        return max(self.start, self.confirmed_at or self.start) + timedelta(minutes=self.grace_minutes)

    def keeps_out(self, now: Now) -> bool:
        """Whether it keeps others out of the environment, now or later. One that was not used in time does not."""
        return self.state in HOLDING and not self.is_due_to_expire(now) and not now.may_have_reached(self.end)

    def is_due_to_expire(self, now: Now) -> bool:
        """Whether it was not used within its grace time."""
        return self.state is BookingState.CONFIRMED and now.may_have_reached(min(self.grace_until, self.end))

    def after(self, event: BookingEvent, **fields: Any) -> Self:
        """The booking after *event*. Raises G101."""
        state = BOOKING_TABLE.after(self.state, event, self.id)
        return self.model_validate({**dict(self), "state": state, **fields})

    def as_closing(self, environment: str, members: tuple[str, ...], carried: Carried = NOTHING_CARRIED) -> Booking:
        """What the calendar of *environment* knows of it; *members* and what is *carried* pass."""
        where = "" if environment == self.environment else f"{self.environment}: "
        return Booking(
            id=self.id,
            environment=environment,
            start=self.start,
            end=self.end,
            holder=self.holder.removeprefix("user:"),
            purpose=f"{where}{self.purpose}",
            members=members,
            packages=carried.packages,
            awaited=carried.awaited if environment == self.environment else (),
            waits=self.state is BookingState.WAITING,
        )

    def __str__(self) -> str:
        """The booking in a phrase."""
        times = f"{minute_text(self.start)} to {minute_text(self.end)}"
        return f"{self.id} of {self.environment}, {times}, by {self.holder.removeprefix('user:')}: {self.purpose}"


class Quota(Model):
    """At most *hours* of bookings of *environment* by *team* in each week, from Monday in UTC."""

    team: Name
    environment: Name
    hours: float = Field(gt=0, le=168)

    @property
    def key(self) -> str:
        """What identifies it."""
        return f"{self.team} {self.environment}"
