"""The page of one train line: its departures and stops, and the forms that change and remove it."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.domain.access.actions import Action
from orchestrator.domain.quantities import duration_of
from orchestrator.management.trains.line_decisions import edit_line, remove_line
from orchestrator.management.trains.model import LineDraft, TrainLine
from orchestrator.management.trains.queries import show_line
from orchestrator.management.trains.store import TRAIN_LINES
from orchestrator.web import train_changes
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, expecting_shown, long_text_of, names_of, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, checked_model, managed_application

router = APIRouter(include_in_schema=False)


@router.get("/train-lines/{line}")
def train_line_page(request: Request, who: Who, line: str) -> HTMLResponse:
    """One line with its next departures, and the forms to change and to remove it. Raises A110."""
    acting = managed_application(request).acting_as(who.actor)
    found, coming = show_line(acting, line)
    about: dict[str, Any] = {
        "line": found,
        "coming": coming,
        "stops": "\n".join(map(stop_text, found.stops)),
        "dates": "\n".join(date.isoformat() for date in found.dates),
        "boarding": duration_of(found.boarding_s) if found.boarding_s else "",
        "manages": is_allowed(acting, Action.MANAGE_TRAINS) and not found.is_archived,
    }
    return rendered(request, "train_line", who, **about)


def stop_text(stop: Any) -> str:
    """*stop* as its field has it: `staging, qa+2h`."""
    after = f"+{duration_of(stop.after_s)}" if stop.after_s else ""
    return ", ".join(stop.environments) + after


@router.post("/train-lines/{line}/edit")
async def send_line_edit(request: Request, line: str) -> Response:
    """Change a train line, if it is the one that the page has shown. Trains that exist stay as they are."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        found, _ = show_line(acting, line)
        fields = changed_line_fields(found, form)
        edit_line(expecting_shown(acting, TRAIN_LINES, line, form), line, fields, text_of(form, "reason"))
        return line_path(line)

    return await submitted(request, work)


def changed_line_fields(line: TrainLine, form: Form) -> dict[str, Any]:
    """The fields of *line* that *form* changes, as the use case takes them. Raises N110 for a wrong one."""
    fields: dict[str, Any] = {name: text_of(form, name) or None for name in ("start", "rule")}
    fields["zone"] = text_of(form, "zone", needed=True)
    fields["dates"] = names_of(form, "dates")
    fields["stops"] = train_changes.stops_of(tuple(long_text_of(form, "stops").splitlines()))
    fields["boarding_s"] = train_changes.seconds_of(text_of(form, "boarding"), "boarding")
    fields["rehearse"] = form.get("rehearse") == "yes"
    draft = checked_model(LineDraft, {"name": line.name, **fields}).to_json()
    current = line.to_json()
    return {name: draft[name] for name in fields if draft[name] != current[name]}


@router.post("/train-lines/{line}/remove")
async def send_line_removal(request: Request, line: str) -> Response:
    """Remove a train line, or archive it if it has trains."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        remove_line(app.acting_as(who.actor), line, text_of(form, "reason"))
        return "/trains"

    return await submitted(request, work)


def line_path(line: str) -> str:
    """The path of the page of *line*."""
    return f"/train-lines/{quote(line)}"
