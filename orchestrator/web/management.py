"""What pages and the API change in release management: each function calls one use case, and decides nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.bookings import decisions as bookings
from orchestrator.management.bookings.model import BookingDraft, EnvironmentBooking, Quota
from orchestrator.management.bookings.state import BOOKING_TABLE, BookingEvent
from orchestrator.management.change_requests import decisions as changes
from orchestrator.management.change_requests.model import ChangeDraft, ChangeRequest, RankOverride
from orchestrator.management.change_requests.state import CHANGE_REQUEST_TABLE, ChangeEvent
from orchestrator.web.changes import is_allowed
from orchestrator.web.requests import checked_model, required_reason

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication


HOLDER = re.compile(r"(user|team|release|train):[^\s:]{1,200}")
EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Decided:
    """What comes with an event: the *reason*, and *until* when a deferral lasts or a booking is extended."""

    reason: str = ""
    until: datetime | None = None
    holder: str = ""


ChangeCall = Callable[["ManagedApplication", Acting, str, Decided], ChangeRequest]
BookingCall = Callable[["ManagedApplication", Acting, str, Decided], EnvironmentBooking]


CHANGE_EVENTS: dict[str, ChangeCall] = {
    "submit": lambda app, acting, key, _: changes.submit_change(acting, key, app.change_sources),
    "revise": lambda _, acting, key, how: changes.revise_change(acting, key, how.reason),
    "accept": lambda app, acting, key, how: changes.accept_change(acting, key, app.change_sources, how.reason),
    "reject": lambda _, acting, key, how: changes.reject_change(acting, key, required_reason(how.reason, "request")),
    "defer": lambda _, acting, key, how: changes.defer_change(
        acting, key, required_reason(how.reason, "request"), how.until
    ),
    "reopen": lambda app, acting, key, how: changes.reopen_change(acting, key, app.change_sources, how.reason),
    "withdraw": lambda _, acting, key, how: changes.withdraw_change(acting, key, how.reason),
    "close": lambda _, acting, key, how: changes.close_change(acting, key, how.reason),
}
"""The events of a change request that users cause, by the words of the command line."""
OF_REPORTERS = frozenset({"submit", "revise", "withdraw"})
"""The events that the reporter of a request causes as well."""

EVENT_TEXTS = {
    "submit": "Have a draft assessed.",
    "revise": "Make a change request that is assessed a draft again, to correct it.",
    "accept": "Accept a change request. Every check of its assessment has to hold.",
    "reject": "Reject a change request, which ends it. The reason is required.",
    "defer": "Defer a change request, until a time or until it is reopened. The reason is required.",
    "reopen": "Assess a deferred change request again.",
    "withdraw": "Withdraw a change request, which ends it.",
    "close": "Close a change request after it was released.",
    "extend": "Let a booking end later, if that time is free.",
    "hand-over": "Give a booking with its time to another holder.",
    "end": "Release the environment of a booking in use before its end.",
    "cancel": "Cancel a booking that was not used or waits.",
}
"""What each event does."""


def possible_changes(acting: Acting, request: ChangeRequest) -> tuple[str, ...]:
    """The events that the actor can currently cause: the buttons of a page."""
    decides = is_allowed(acting, Action.DECIDE_REQUESTS)
    owns = request.reporter == str(acting.actor) and is_allowed(acting, Action.EDIT_REQUESTS)
    return tuple(
        name
        for name in CHANGE_EVENTS
        if CHANGE_REQUEST_TABLE.allows(request.state, ChangeEvent(name))
        and (decides or (owns and name in OF_REPORTERS))
    )


def draft_of(fields: dict[str, Any]) -> ChangeDraft:
    """The draft with these *fields*. Raises N110."""
    return checked_model(ChangeDraft, fields)


def enter_edit(
    app: "ManagedApplication", acting: Acting, key: str, fields: dict[str, Any], expected: ChangeRequest | None = None
) -> ChangeRequest:
    """Change *fields* of a draft, if it is as *expected*. Raises N110 and what the use case raises."""
    if not fields:
        raise OrchestratorError("N110", "at least one field is required")
    draft_of({"title": "any", **fields})
    return changes.edit_change(acting, key, fields, app.change_sources, expected)


def rank_change(acting: Acting, key: str, rank: float | None, reason: str) -> ChangeRequest:
    """Set the rank of a request by hand, with a reason; None lets the formula count again. Raises N110 and G102."""
    if rank is not None:
        required_reason(reason, "request")
        checked_model(RankOverride, {"rank": rank, "by": "any", "at": EPOCH, "reason": reason})
    return changes.override_rank(acting, key, rank, reason)


def _until(moment: datetime | None) -> datetime:
    if moment is None:
        raise OrchestratorError("N110", "until: it is required")
    return moment


def _holder(text: str) -> str:
    """*text*, if it has the form of a holder. Raises N110."""
    if not HOLDER.fullmatch(text):
        raise OrchestratorError("N110", "holder: user:NAME, team:NAME, release:ID or train:ID")
    return text


def enter_quota(acting: Acting, team: str, environment: str, hours: float | None) -> Quota:
    """Limit the hours that *team* books in a week; None removes the limit. Raises N110, and A110."""
    if hours is not None:
        checked_model(Quota, {"team": team, "environment": environment, "hours": hours})
    return bookings.set_quota(acting, team, environment, hours)


BOOKING_EVENTS: dict[str, BookingCall] = {
    "extend": lambda app, acting, key, how: bookings.extend_booking(
        acting, key, _until(how.until), app.booking_sources
    ),
    "hand-over": lambda app, acting, key, how: bookings.hand_over_booking(
        acting, key, _holder(how.holder), app.booking_sources, how.reason
    ),
    "end": lambda app, acting, key, how: bookings.end_booking(acting, key, app.booking_sources, how.reason),
    "cancel": lambda app, acting, key, how: bookings.cancel_booking(acting, key, app.booking_sources, how.reason),
}
"""The events of a booking that users cause, by the words of the command line."""


def possible_bookings(acting: Acting, booking: EnvironmentBooking) -> tuple[str, ...]:
    """The events that the actor can currently cause: the buttons of a page."""
    owns = str(acting.actor) == booking.owner or f"user:{acting.actor}" == booking.holder
    allowed = is_allowed(acting, Action.BOOK, booking.environment) and (
        owns or is_allowed(acting, Action.MANAGE_BOOKINGS, booking.environment)
    )
    return tuple(
        name
        for name in BOOKING_EVENTS
        if allowed and BOOKING_TABLE.allows(booking.state, BookingEvent(name.replace("-", " ")))
    )


def enter_booking(
    app: "ManagedApplication", acting: Acting, fields: dict[str, Any], *, wait: bool = False
) -> EnvironmentBooking:
    """Book an environment. Raises N110, and what the use case raises."""
    checked = {"holder": "user:any", **fields, "number": 1, "owner": "any", "created_at": fields["start"]}
    checked_model(EnvironmentBooking, checked)
    return bookings.book(acting, cast("BookingDraft", fields), app.booking_sources, wait=wait)
