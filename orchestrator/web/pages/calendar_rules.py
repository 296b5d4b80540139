"""The entries of the calendar on its page: the list of windows, freezes and holidays, and the forms that change it."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.app.acting import Acting
from orchestrator.app.calendar import add_rule, new_rule_id, remove_rule
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, submitted, text_of
from orchestrator.web.requests import SignedIn, checked_model

router = APIRouter(include_in_schema=False)
SHOWN = 50
"""How many entries the page lists, those with the latest start first."""
KIND_TEXTS = {
    RuleKind.WINDOW: "window (closed outside of it)",
    RuleKind.HARD_FREEZE: "hard freeze (nothing passes)",
    RuleKind.SOFT_FREEZE: "soft freeze (emergencies pass)",
    RuleKind.HOLIDAY: "holiday (emergencies pass)",
}
REPEATS = {
    "": "once",
    "FREQ=DAILY": "every day",
    "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR": "every working day",
    "FREQ=WEEKLY": "every week",
    "FREQ=MONTHLY": "every month",
    "FREQ=YEARLY": "every year",
}


def entry_list(acting: Acting, rules: Iterable[CalendarRule]) -> dict[str, Any]:
    """What the page of the calendar shows of the entries *rules*, with the choices of its form."""
    ordered = sorted(rules, key=lambda rule: (rule.start, rule.id), reverse=True)
    return {
        "entries": ordered[:SHOWN],
        "more_entries": len(ordered) - SHOWN,
        "edits": is_allowed(acting, Action.EDIT_CALENDAR),
        "kinds": {kind.value: text for kind, text in KIND_TEXTS.items()},
        "repeats": REPEATS,
    }


@router.post("/calendar/entries")
async def send_calendar_entry(request: Request) -> Response:
    """Add a window, freeze or holiday."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        names = ("kind", "title", "start", "end", "zone")
        fields: dict[str, Any] = {name: text_of(form, name, needed=True) for name in names}
        fields |= {"id": new_rule_id(), "owner": str(who.actor), "reason": text_of(form, "reason")}
        fields["environments"] = text_of(form, "environments", needed=True).replace(",", " ").split()
        fields["rule"] = text_of(form, "rule") or text_of(form, "repeat") or None
        fields["override_role"] = text_of(form, "override_role") or None
        add_rule(acting, checked_model(CalendarRule, fields))
        return "/calendar#entries"

    return await submitted(request, work)


@router.post("/calendar/entries/{entry}/remove")
async def send_calendar_entry_removal(request: Request, entry: str) -> Response:
    """Remove an entry."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        remove_rule(app.acting_as(who.actor), entry, reason=text_of(form, "reason"))
        return "/calendar#entries"

    return await submitted(request, work)
