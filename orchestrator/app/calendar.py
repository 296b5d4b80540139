"""The calendar of environments: windows, freezes, holidays, and stops of the line."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from orchestrator.app.acting import Acting, Change, View, change, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.admission.overrides import Override
from orchestrator.domain.calendar.calendar_import import ImportDifference, import_difference
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.state import EnvironmentCalendar, calendar_state
from orchestrator.domain.calendar.verdict import (
    Booking,
    Calendar,
    CalendarQuestion,
    CalendarVerdict,
    LineStop,
    applicable,
    calendar_verdict,
)
from orchestrator.domain.listing import Page
from orchestrator.domain.register import CALENDAR_RULES, LINE_STOPS, OPEN, OVERRIDES

EVERYWHERE = "*"
MOST_OVERRIDES = 200  # that documents show, the newest first


def rules_of(view: View, declared: Iterable[CalendarRule] = ()) -> Calendar:
    """The calendar without its bookings: what the register has, and the rules that the environments' files declare."""
    rules, stops = (*declared, *view.records.all(CALENDAR_RULES)), view.records.all(LINE_STOPS, OPEN)
    return Calendar(rules=rules, line_stops=stops)


def calendar_of(
    view: View, declared: Iterable[CalendarRule] = (), environments: Sequence[str] | None = None
) -> Calendar:
    """The calendar with the bookings of all environments, or with those that close one of *environments*."""
    bookings = view.acting.bookings.booked(view.records, view.now, environments)
    return rules_of(view, declared).model_copy(update={"bookings": bookings})


@forwarded
def show_calendar(acting: Acting, declared: Iterable[CalendarRule] = ()) -> Calendar:
    """Everything that opens and closes environments."""
    return read_register(acting, Action.VIEW, lambda view: calendar_of(view, declared))


@forwarded
def verdicts(
    acting: Acting, declared: Iterable[CalendarRule] = (), names: tuple[str, ...] | None = None
) -> dict[str, CalendarVerdict]:
    """Whether each environment (by default all) is open now for an ordinary promotion, and when that changes."""

    def work(view: View) -> dict[str, CalendarVerdict]:
        calendar, actor = calendar_of(view, declared, names), str(acting.actor)
        booked = defaultdict[str, list[Booking]](list)
        for each in calendar.bookings:
            booked[each.environment].append(each)
        rules = calendar.model_copy(update={"bookings": ()})
        found: dict[tuple[object, ...], CalendarVerdict] = {}  # what is equal for several environments is found once
        shown = {}
        for name in acting.environments if names is None else names:
            here = tuple(booked[name])
            about = (*applicable(rules, name), *((each.id, each.purpose) for each in here))
            if about not in found:
                known = rules.model_copy(update={"bookings": here})
                found[about] = calendar_verdict(known, CalendarQuestion(name, actor=actor), view.now)
            shown[name] = found[about]
        return shown

    return read_register(acting, Action.VIEW, work)


@forwarded
def states(
    acting: Acting, declared: Iterable[CalendarRule] = (), names: tuple[str, ...] | None = None
) -> dict[str, EnvironmentCalendar]:
    """What documents show of each environment, or of those called *names*."""
    found = verdicts(acting, declared, names)
    shown = {id(verdict): calendar_state(verdict) for verdict in {id(each): each for each in found.values()}.values()}
    return {name: shown[id(verdict)] for name, verdict in found.items()}


@forwarded
def recorded_overrides(acting: Acting, *, cursor: str | None = None, limit: int = MOST_OVERRIDES) -> Page[Override]:
    """A page of the overrides, the newest first, also those that no longer count."""
    return read_register(
        acting,
        Action.VIEW,
        lambda view: view.records.page(OVERRIDES, newest_first=True, cursor=cursor, limit=limit),
    )


@forwarded
def add_rule(acting: Acting, rule: CalendarRule) -> CalendarRule:
    """Enter a window, freeze or holiday, whose owner is the actor. Raises A110 for an unknown environment."""

    def work(task: Change) -> CalendarRule:
        _check_environments(acting, rule)
        return task.put(CALENDAR_RULES, rule.model_copy(update={"owner": str(acting.actor)}))

    return change(acting, Action.EDIT_CALENDAR, work, reason=rule.reason)


def new_rule_id() -> str:
    """The id of a new entry."""
    return f"c-{secrets.token_hex(4)}"


@forwarded
def remove_rule(acting: Acting, key: str, *, reason: str = "") -> CalendarRule:
    """Remove an entry. Raises A110."""

    def work(task: Change) -> CalendarRule:
        rule = task.existing(CALENDAR_RULES, key)
        task.remove(CALENDAR_RULES, rule)
        return rule

    return change(acting, Action.EDIT_CALENDAR, work, reason=reason)


@forwarded
def preview_import(acting: Acting, incoming: Iterable[CalendarRule]) -> ImportDifference:
    """What importing *incoming* would add, change and skip."""
    return read_register(
        acting, Action.VIEW, lambda view: import_difference(view.records.all(CALENDAR_RULES), incoming)
    )


@forwarded
def import_rules(acting: Acting, incoming: Iterable[CalendarRule]) -> ImportDifference:
    """Add and change the entries of a calendar file. The same file again changes nothing. Raises A110."""

    def work(task: Change) -> ImportDifference:
        found = import_difference(task.records.all(CALENDAR_RULES), incoming)
        for rule in (*found.added, *found.changed):
            _check_environments(acting, rule)
            task.put(CALENDAR_RULES, rule)
        if not (found.added or found.changed):
            task.record(f"project:{acting.project}", detail={"imported": 0})
        return found

    return change(acting, Action.EDIT_CALENDAR, work)


def _check_environments(acting: Acting, rule: CalendarRule) -> None:
    for pattern in rule.environments:
        if not any(rule.applies_to(name) for name in acting.environments):
            raise unknown("environment", pattern, list(acting.environments))


@forwarded
def stop_line(acting: Acting, environment: str, reason: str, until: datetime | None = None) -> LineStop:
    """Stop all promotions to *environment* (`*`: to all). Raises A110."""

    def work(task: Change) -> LineStop:
        _known(acting, environment)
        stop = LineStop(
            id=f"l-{secrets.token_hex(4)}",
            environment=environment,
            stopped_at=task.now.earliest,
            stopped_by=str(acting.actor),
            reason=reason,
            until=until,
        )
        return task.put(LINE_STOPS, stop)

    place = None if environment == EVERYWHERE else environment
    return change(acting, Action.STOP_LINE, work, environment=place, reason=reason)


@forwarded
def resume_line(acting: Acting, environment: str, reason: str = "") -> tuple[LineStop, ...]:
    """End every stop of *environment*, or every stop of all environments with `*`. Raises A110 if there is none."""

    def work(task: Change) -> tuple[LineStop, ...]:
        _known(acting, environment)
        found = [s for s in task.records.all(LINE_STOPS, OPEN) if s.environment == environment]
        if not found:
            raise unknown("stop of", "all environments" if environment == EVERYWHERE else environment, [])
        by, at = str(acting.actor), task.now.earliest
        return tuple(
            task.put(LINE_STOPS, stop.model_copy(update={"resumed_at": at, "resumed_by": by})) for stop in found
        )

    place = None if environment == EVERYWHERE else environment
    return change(acting, Action.RESUME_LINE, work, environment=place, reason=reason)


def _known(acting: Acting, environment: str) -> None:
    if environment != EVERYWHERE and environment not in acting.environments:
        raise unknown("environment", environment, list(acting.environments))
