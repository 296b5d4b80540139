"""Pages of release trains: lines and trains, one train with its prognosis, and the forms of its events."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import whole_minute
from orchestrator.management.application import ManagedApplication
from orchestrator.management.trains import decisions
from orchestrator.management.trains.line_decisions import add_line
from orchestrator.management.trains.model import LineDraft, Train
from orchestrator.management.trains.prognosis import Prognosis
from orchestrator.management.trains.queries import (
    WAITING,
    list_lines,
    list_trains,
    show_line,
    show_prognosis,
    show_train,
)
from orchestrator.management.trains.state import TrainState
from orchestrator.web import train_changes
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, names_of, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, TrainCursor, checked_model, managed_application, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
Word = Annotated[str | None, Query(max_length=40)]
PAGE = 50


@router.get("/trains")
def trains_page(request: Request, who: Who, *, ended: bool = False, cursor: TrainCursor = None) -> HTMLResponse:
    """The trains by their departures, the lines with their next departures, and the forms to add them."""
    acting = managed_application(request).acting_as(who.actor)
    page = list_trains(acting, ended=ended, cursor=cursor, limit=PAGE)
    lines = [show_line(acting, line.name) for line in list_lines(acting)]
    about: dict[str, Any] = {"trains": page.items, "cursor": page.cursor, "ended": ended, "lines": lines}
    return rendered(request, "trains", who, **about, manages=is_allowed(acting, Action.MANAGE_TRAINS))


@router.post("/trains")
async def send_train(request: Request) -> Response:
    """Make a train of a line."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        at = moment_in(zone, text_of(form, "departs_at"), "departs_at")
        return train_path(decisions.create_train(app.acting_as(who.actor), text_of(form, "line", needed=True), at))

    return await submitted(request, work)


@router.post("/train-lines")
async def send_line(request: Request) -> Response:
    """Add a train line."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        fields: dict[str, Any] = {name: text_of(form, name) for name in ("name", "start", "rule", "zone")}
        fields = {name: value for name, value in fields.items() if value}
        fields["stops"] = train_changes.stops_of(tuple(text_of(form, "stops", needed=True).splitlines()))
        fields["boarding_s"] = train_changes.seconds_of(text_of(form, "boarding"), "boarding")
        fields["rehearse"] = form.get("rehearse") == "yes"
        fields["dates"] = names_of(form, "dates")
        add_line(app.acting_as(who.actor), checked_model(LineDraft, fields))
        return "/trains"

    return await submitted(request, work)


@router.get("/trains/{train}")
def train_page(request: Request, who: Who, train: str, part: Word = None, at: Word = None) -> HTMLResponse:
    """One train and what can be done; with *part* only what changes. *at* is another departure of the prognosis."""
    app = managed_application(request)
    acting = app.acting_as(who.actor)
    found = show_train(acting, train)
    about: dict[str, Any] = {
        "train": found,
        "prognosis": prognosis_for(app, acting, found, moment_in(reader_zone(request), at or "", "at")),
        "at_text": at or "",
    }
    if part is not None:
        return rendered(request, "train_part", who, **about)
    events = train_changes.possible_trains(acting, found)
    packages = app.queries.releases(acting.actor, limit=PAGE).items if "board" in events else ()
    late = found.state is TrainState.CLOSED
    return rendered(request, "train", who, **about, events=events, packages=packages, late=late)


def prognosis_for(app: ManagedApplication, acting: Acting, train: Train, at: datetime | None) -> Prognosis | None:
    """What would leave with *train* at *at*, by default at its departure; None after that."""
    return show_prognosis(acting, train.id, app.train_sources, at) if train.state in WAITING else None


@router.get("/trains/{train}/cancel")
def train_cancel_page(request: Request, who: Who, train: str) -> HTMLResponse:
    """What the end of a train means, and the form for it."""
    acting = managed_application(request).acting_as(who.actor)
    found = show_train(acting, train)
    cancels = "cancel" in train_changes.possible_trains(acting, found)
    return rendered(request, "train_cancel", who, train=found, cancels=cancels)


@router.post("/trains/{train}/board")
async def send_boarding(request: Request, train: str) -> Response:
    """Put a package aboard; after the cut-off late, with a reason."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        package, after = text_of(form, "package", needed=True), names_of(form, "after")
        acting, late = app.acting_as(who.actor), text_of(form, "late")
        return train_path(decisions.board_train(acting, train, package, app.train_sources, after, late))

    return await submitted(request, work)


@router.post("/trains/{train}/leave")
async def send_leaving(request: Request, train: str) -> Response:
    """Take a package off a train before its departure."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        package, reason = text_of(form, "package", needed=True), text_of(form, "reason")
        return train_path(decisions.leave_train(app.acting_as(who.actor), train, package, reason))

    return await submitted(request, work)


@router.post("/trains/{train}/edit")
async def send_times(request: Request, train: str) -> Response:
    """Move the departure of a train, or the end of boarding."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        found = show_train(acting, train)
        changed = [
            moment if moment is not None and moment != whole_minute(current) else None
            for moment, current in (
                (moment_in(zone, text_of(form, "departs_at"), "departs_at"), found.departs_at),
                (moment_in(zone, text_of(form, "boarding"), "boarding"), found.boarding_closes_at),
            )
        ]
        times = decisions.TrainChange(*changed)
        return train_path(decisions.edit_train(acting, found.id, times, text_of(form, "reason")))

    return await submitted(request, work)


def _event_route(event: str) -> None:
    """The form of one *event*."""
    text, call = train_changes.TRAIN_EVENTS[event]

    async def send_train_event(request: Request, train: str) -> Response:
        def work(app: Any, who: SignedIn, form: Form) -> str:
            return train_path(call(app, app.acting_as(who.actor), train, text_of(form, "reason")))

        return await submitted(request, work)

    send_train_event.__doc__ = text
    router.post(f"/trains/{{train}}/{event}", name=f"send_train_{event}")(send_train_event)


for _event in train_changes.TRAIN_EVENTS:
    _event_route(_event)


def train_path(train: Train) -> str:
    """The path of the page of *train*."""
    return f"/trains/{quote(train.id)}"
