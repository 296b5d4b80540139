"""Whether an environment is open, as documents show it."""

from orchestrator.domain.calendar.verdict import CalendarVerdict, Cause
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment


class CalendarReason(Model):
    """One thing that closes an environment, with its end if that is known."""

    cause: Cause
    id: str
    title: str
    held_by: str | None
    until: Moment | None
    text: str


class EnvironmentCalendar(Model):
    """Whether an environment is open to promotions now, why it is not, and when that changes."""

    open: bool
    reasons: tuple[CalendarReason, ...]
    next_open: Moment | None
    next_close: Moment | None
    next_close_reason: str | None

    @property
    def reason(self) -> str:
        """Why it is closed, in one phrase; empty if it is open."""
        return "; ".join(reason.text for reason in self.reasons)


def calendar_state(verdict: CalendarVerdict) -> EnvironmentCalendar:
    """What documents show of *verdict*."""
    return EnvironmentCalendar.from_json(verdict.to_json())
