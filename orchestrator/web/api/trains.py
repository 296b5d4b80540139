"""The routes of `/api/v1` for train lines and release trains. Each calls one use case of release management."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from orchestrator.app.acting import Acting
from orchestrator.domain.moments import moment_text
from orchestrator.management.trains import decisions
from orchestrator.management.trains.line_decisions import add_line, edit_line, remove_line
from orchestrator.management.trains.model import LineDraft, Train, TrainLine
from orchestrator.management.trains.queries import list_lines, list_trains, show_line, show_prognosis, show_train
from orchestrator.management.trains.store import TRAIN_LINES, TRAINS
from orchestrator.web.api.changing import Key, Result, Writer, reply_once
from orchestrator.web.api.documents import (
    PREFIX,
    KeyCursor,
    Limit,
    Match,
    Who,
    expecting_tag,
    page_after,
    sorted_by,
    tagged_document,
)
from orchestrator.web.api.orders import Order, Reason, Time, Word
from orchestrator.web.requests import TrainCursor, checked_model, managed_application
from orchestrator.web.train_changes import TRAIN_EVENTS

if TYPE_CHECKING:
    pass

LINE: dict[str, Any] = {"name": "weekly", "stops": [{"environments": ["staging"]}], "start": "2026-12-01T10:00:00"}
router = APIRouter(prefix=PREFIX)


class TrainLineOrder(Order):
    """The fields of a train line, as `orchestrator train line show --json` prints them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"line": LINE}]})

    line: dict[str, Any]


class TrainOrder(Order):
    """A train of *line*, which departs at *departs_at*, by default at the next departure without a train."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"line": "weekly"}]})

    line: Word
    departs_at: Time | None = None


class BoardingOrder(Order):
    """A *package* that boards a train after others. *late* is the reason of one that boards after the cut-off."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"package": "shop-1.5.0", "after": ["database"]}]})

    package: Word
    after: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    late: Annotated[str, Field(max_length=2000)] = ""


class LeavingOrder(Reason):
    """The *package* that leaves a train before its departure, by its name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"package": "shop", "reason": "not ready"}]})

    package: Word


class TrainTimesOrder(Reason):
    """The times of a train that change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"departs_at": "2026-12-01T10:00:00Z"}]})

    departs_at: Time | None = None
    boarding_closes_at: Time | None = None


class TrainEventOrder(Reason):
    """Why something happens to a train."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "incident"}]})


def _train_data(train: Train) -> dict[str, Any]:
    return {"id": train.id, "train": train.to_json()}


def _train(status: int, train: Train) -> Result:
    return status, "Train", _train_data(train)


def _line_data(line: TrainLine, departures: Iterable[datetime]) -> dict[str, Any]:
    return {"line": line.to_json(), "departures": [moment_text(each) for each in departures]}


def _expecting_train(acting: Acting, match: str | None, train: str) -> Acting:
    """*acting* for a change of the version of *train* with the ETag *match*. Raises N145."""
    return expecting_tag(acting, match, TRAINS, lambda: show_train(acting, train), ("Train", _train_data))


def _expecting_line(acting: Acting, match: str | None, line: str) -> Acting:
    """The same of a train line, whose document has its next departures. Raises N145."""

    def shown(found: TrainLine) -> dict[str, Any]:
        return _line_data(found, show_line(acting, line)[1])

    return expecting_tag(acting, match, TRAIN_LINES, lambda: show_line(acting, line)[0], ("TrainLine", shown))


@router.get("/trains", tags=["trains"])
def get_trains(
    request: Request,
    who: Who,
    *,
    ended: bool = False,
    sort: Literal["departure", "-departure"] = "departure",
    cursor: TrainCursor = None,
    limit: Limit = 50,
) -> Response:
    """The trains by their departures; by default those that have not ended."""
    acting = managed_application(request).acting_as(who.actor)
    page = list_trains(acting, ended=ended, latest_first=sort == "-departure", cursor=cursor, limit=limit)
    found = [_train_data(each) for each in page.items]
    return tagged_document(request, "Trains", {"trains": found, "cursor": page.cursor})


@router.get("/trains/{train}", tags=["trains"])
def get_train(request: Request, who: Who, train: str) -> Response:
    """One train, by its id, or the next one of a line."""
    found = show_train(managed_application(request).acting_as(who.actor), train)
    return tagged_document(request, "Train", _train_data(found))


@router.get("/trains/{train}/prognosis", tags=["trains"])
def get_prognosis(request: Request, who: Who, train: str, at: Time | None = None) -> Response:
    """What would leave with a train, by default at its departure. Nothing is written."""
    app = managed_application(request)
    found = show_prognosis(app.acting_as(who.actor), train, app.train_sources, at)
    return tagged_document(request, "TrainPrognosis", {"prognosis": found.to_json()})


@router.get("/train-lines", tags=["trains"])
def get_lines(
    request: Request,
    who: Who,
    *,
    archived: bool = False,
    sort: Literal["name", "-name"] = "name",
    cursor: KeyCursor = None,
    limit: Limit = 200,
) -> Response:
    """The train lines by name; by default without those that are archived."""
    found = list_lines(managed_application(request).acting_as(who.actor), archived=archived)
    ordered = sorted_by(found, sort, name=lambda each: each.name)
    page, following = page_after(ordered, lambda each: each.name, cursor, limit)
    return tagged_document(request, "TrainLines", {"lines": [each.to_json() for each in page], "cursor": following})


@router.get("/train-lines/{line}", tags=["trains"])
def get_line(request: Request, who: Who, line: str) -> Response:
    """One train line with its next departures."""
    found, coming = show_line(managed_application(request).acting_as(who.actor), line)
    return tagged_document(request, "TrainLine", _line_data(found, coming))


@router.post("/train-lines", tags=["trains"], status_code=201)
def post_line(request: Request, who: Writer, order: TrainLineOrder, key: Key = None) -> Response:
    """Add a train line."""
    acting = managed_application(request).acting_as(who.actor)

    def work() -> Result:
        made = add_line(acting, checked_model(LineDraft, order.line))
        return 201, "TrainLine", _line_data(made, ())

    return reply_once(request, who, key, order, work)


@router.post("/train-lines/{line}/edit", tags=["trains"])
def post_line_edit(
    request: Request, who: Writer, line: str, order: TrainLineOrder, key: Key = None, match: Match = None
) -> Response:
    """Change fields of a train line. Lists are replaced. With `If-Match` only the version that was read is changed."""
    acting = managed_application(request).acting_as(who.actor)

    def work() -> Result:
        edited = edit_line(_expecting_line(acting, match, line), line, order.line)
        return 200, "TrainLine", _line_data(edited, ())

    return reply_once(request, who, key, order, work)


@router.post("/train-lines/{line}/remove", tags=["trains"])
def post_line_remove(
    request: Request, who: Writer, line: str, order: TrainEventOrder, key: Key = None, match: Match = None
) -> Response:
    """Remove a train line, or archive it if it has trains."""
    acting = managed_application(request).acting_as(who.actor)

    def work() -> Result:
        removed = remove_line(_expecting_line(acting, match, line), line, order.reason.strip())
        return 200, "TrainLine", _line_data(removed, ())

    return reply_once(request, who, key, order, work)


@router.post("/trains", tags=["trains"], status_code=201)
def post_train(request: Request, who: Writer, order: TrainOrder, key: Key = None) -> Response:
    """Make a train of a line."""
    acting = managed_application(request).acting_as(who.actor)
    return reply_once(
        request, who, key, order, lambda: _train(201, decisions.create_train(acting, order.line, order.departs_at))
    )


@router.post("/trains/{train}/board", tags=["trains"])
def post_boarding(
    request: Request, who: Writer, train: str, order: BoardingOrder, key: Key = None, match: Match = None
) -> Response:
    """Put a package aboard a train."""
    app = managed_application(request)

    def work() -> Result:
        acting, late = _expecting_train(app.acting_as(who.actor), match, train), order.late.strip()
        return _train(200, decisions.board_train(acting, train, order.package, app.train_sources, order.after, late))

    return reply_once(request, who, key, order, work)


@router.post("/trains/{train}/leave", tags=["trains"])
def post_leaving(
    request: Request, who: Writer, train: str, order: LeavingOrder, key: Key = None, match: Match = None
) -> Response:
    """Take a package off a train before its departure."""
    acting = managed_application(request).acting_as(who.actor)

    def work() -> Result:
        expecting = _expecting_train(acting, match, train)
        return _train(200, decisions.leave_train(expecting, train, order.package, order.reason.strip()))

    return reply_once(request, who, key, order, work)


@router.post("/trains/{train}/edit", tags=["trains"])
def post_train_edit(
    request: Request, who: Writer, train: str, order: TrainTimesOrder, key: Key = None, match: Match = None
) -> Response:
    """Move the departure of a train, or the end of boarding. With `If-Match` only of the version that was read."""
    acting = managed_application(request).acting_as(who.actor)
    times = decisions.TrainChange(order.departs_at, order.boarding_closes_at)

    def work() -> Result:
        expecting = _expecting_train(acting, match, train)
        return _train(200, decisions.edit_train(expecting, train, times, order.reason.strip()))

    return reply_once(request, who, key, order, work)


def _train_route(event: str) -> None:
    """The route of one *event* of a train."""
    text, call = TRAIN_EVENTS[event]

    def post_train_event(
        request: Request, who: Writer, train: str, order: TrainEventOrder, key: Key = None, match: Match = None
    ) -> Response:
        app = managed_application(request)

        def work() -> Result:
            acting = _expecting_train(app.acting_as(who.actor), match, train)
            return _train(200, call(app, acting, train, order.reason.strip()))

        return reply_once(request, who, key, order, work)

    post_train_event.__doc__ = text
    router.post(f"/trains/{{train}}/{event}", tags=["trains"], name=f"{event} a train")(post_train_event)


for _event in TRAIN_EVENTS:
    _train_route(_event)
