"""Change requests, bookings and hooks as data for documents: the same for every front end."""

from typing import TYPE_CHECKING, Any

from orchestrator.domain.moments import moment_text
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.hooks.model import Hook, HookDraft

if TYPE_CHECKING:
    from orchestrator.management.change_requests.queries import Ranking


def change_item(request: ChangeRequest) -> dict[str, Any]:
    """The request with its rank and its risk, and the arithmetic of both."""
    risk = request.risk
    computed = {
        "id": request.id,
        "rank": round(request.rank, 4),
        "arithmetic": request.arithmetic,
        "risk": risk.risk,
        "risk_arithmetic": risk.arithmetic,
        "risk_lines": [line.to_json() for line in risk.lines],
    }
    return {"request": request.to_json(), **computed}


def ranking_data(found: "Ranking") -> dict[str, Any]:
    """The page of the ranking with all moves."""
    return {
        "since": found.since.isoformat(),
        "requests": [change_item(each) for each in found.requests],
        "moved": [move.to_json() for move in found.moved],
        "cursor": found.cursor,
    }


def booking_item(booking: EnvironmentBooking) -> dict[str, Any]:
    """The booking with its id."""
    return {"id": booking.id, "booking": booking.to_json()}


def hook_item(hook: Hook) -> dict[str, Any]:
    """The hook without its secret, with its address."""
    drafted = {name: value for name, value in hook.to_json().items() if name in HookDraft.model_fields}
    about = {"created_at": moment_text(hook.created_at), "created_by": hook.created_by}
    return {"hook": drafted, "address": hook.address, **about}
