"""The routes of `/api/v1` that read. Each calls use cases as the actor, and returns their document."""

import asyncio
import re
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from orchestrator.app.access import Question, allowed_environments, can_i, own_bindings
from orchestrator.app.calendar import recorded_overrides, show_calendar, states
from orchestrator.app.environment_reports import environment_reports
from orchestrator.app.requirement_reports import requirement_reports
from orchestrator.app.run_requests import RequestFilter, RequestView, list_requests, show_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Kind
from orchestrator.domain.listing import RUN_CURSOR, FeedEntry, ReleaseFilter, RunFilter
from orchestrator.domain.log_lines import LogFilter
from orchestrator.domain.moments import moment_text
from orchestrator.domain.project_addresses import client_address
from orchestrator.domain.promotion import State
from orchestrator.domain.run_reason import ending_reason
from orchestrator.web import changes
from orchestrator.web.addresses import prefix_of
from orchestrator.web.api.documents import (
    PREFIX,
    Cursor,
    KeyCursor,
    Limit,
    Who,
    checked_cursor,
    page_after,
    request_data,
    sorted_by,
    tagged_document,
)
from orchestrator.web.record_events import SHOWN
from orchestrator.web.requests import ReleaseCursor, RequestCursor, application, managed_application
from orchestrator.web.searching import search

FEED_CURSOR = re.compile(r"[0-9]{1,18}\.[0-9]{1,18}")
"""Numbers that a database compares: the largest one has 19 digits."""
Filter = Annotated[str | None, Query(max_length=200)]
Requested = Literal["requested", "-requested"]
MATRIX_COLUMNS = 50
"""How many environments a page of the matrix has without another limit."""
router = APIRouter(prefix=PREFIX)


@router.get("/me", tags=["self"])
def get_actor(request: Request, who: Who) -> Response:
    """The actor of the request, with its bindings."""
    bindings, _ = own_bindings(application(request).acting_as(who.actor))
    data = {"actor": who.actor.to_json(), "bindings": [binding.to_json() for binding in bindings]}
    return tagged_document(request, "Actor", {**data, "every_right": False})


@router.get("/can-i", tags=["self"])
def get_verdict(request: Request, who: Who, action: Action, environment: str | None = None) -> Response:
    """Whether the actor may do something, and by which rule."""
    question = Question(action=action, environment=environment)
    return tagged_document(request, "Verdict", can_i(application(request).acting_as(who.actor), question).to_json())


@router.get("/environments", tags=["environments"])
def get_environments(
    request: Request,
    who: Who,
    name: Annotated[str | None, Query(max_length=200, description="A pattern, such as `eu-*`.")] = None,
    sort: Literal["path", "name", "-name"] = "path",
    cursor: KeyCursor = None,
    limit: Limit = 50,
) -> Response:
    """The current state of each environment, in the order of the path or by name."""
    app = application(request)
    names = [each for each in app.environments if name is None or fnmatchcase(each, name)]
    ordered = names if sort == "path" else sorted(names, reverse=sort == "-name")
    page, following = page_after(ordered, lambda each: each, cursor, limit)
    facts = app.queries.facts_of_all(who.actor, tuple(page))
    data = {"environments": [item.to_json() for item in facts], "cursor": following}
    return tagged_document(request, "Environments", data)


@router.get("/environments/{environment}", tags=["environments"])
def get_environment(request: Request, who: Who, environment: str) -> Response:
    """The current state of one environment."""
    facts = application(request).queries.facts(who.actor, environment)
    return tagged_document(request, "Environment", facts.to_json())


@router.get("/environments/{environment}/reports", tags=["environments"])
def get_environment_reports(request: Request, who: Who, environment: str) -> Response:
    """The newest findings of drift and of parity of the environment, of all users; null without any.

    The use cases `inspections.drift` and `inspections.parity` check again.
    """
    app = application(request)
    app.require_environment(environment)
    found = environment_reports(app.acting_as(who.actor), environment)
    return tagged_document(request, "EnvironmentReports", found.to_json())


@router.get("/environments/{environment}/requirements", tags=["environments"])
def get_requirements(
    request: Request,
    who: Who,
    environment: str,
    met: Annotated[bool | None, Query(description="Only reports that are met, or only those that are not.")] = None,
    sort: Literal["measured", "-measured"] = "-measured",
    cursor: KeyCursor = None,
    limit: Limit = 50,
) -> Response:
    """The newest report of the requirements of each release that was checked in the environment, newest first.

    The use case `inspections.requirements` measures the hosts again.
    """
    app = application(request)
    app.require_environment(environment)
    found = [each for each in requirement_reports(app.acting_as(who.actor), environment) if met in {None, each.is_met}]
    ordered = sorted_by(found, sort, measured=lambda each: each.at)
    page, following = page_after(ordered, lambda each: each.digest, cursor, limit)
    reports = [{**each.to_json(), "met": each.is_met} for each in page]
    data = {"environment": environment, "reports": reports, "cursor": following}
    return tagged_document(request, "Requirements", data)


@router.get("/matrix", tags=["environments"])
def get_matrix(
    request: Request,
    who: Who,
    name: Filter = None,
    cursor: ReleaseCursor = None,
    limit: Limit = 50,
    environment: Annotated[str | None, Query(max_length=200, description="A pattern, such as `eu-*`.")] = None,
    environment_cursor: KeyCursor = None,
    environment_limit: Limit = MATRIX_COLUMNS,
) -> Response:
    """Every release in every environment, newest first. Both are read page by page."""
    app = application(request)
    places = [each for each in app.environments if environment is None or fnmatchcase(each, environment)]
    shown, following = page_after(places, lambda each: each, environment_cursor, environment_limit)
    facts = app.queries.facts_of_all(who.actor, tuple(shown))
    page = app.queries.releases(who.actor, ReleaseFilter(name=name), cursor, limit)
    data = {
        "project": app.project.name,
        "environments": [item.name for item in facts],
        "environment_cursor": following,
        "destroyed": [item.name for item in facts if item.destroyed is not None],
        "calendar": {item.name: item.calendar.to_json() for item in facts if item.calendar is not None},
        "problems": [problem.to_json() for item in facts for problem in item.problems],
        "releases": app.queries.release_rows(who.actor, list(page.items), facts),
        "cursor": page.cursor,
    }
    return tagged_document(request, "Matrix", data)


@router.get("/runs", tags=["runs"])
def get_runs(
    request: Request,
    who: Who,
    environment: str | None = None,
    state: Annotated[tuple[State, ...] | None, Query()] = None,
    kind: Annotated[tuple[Kind, ...] | None, Query()] = None,
    sort: Requested = "-requested",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The runs, newest first."""
    chosen = RunFilter(environment=environment, states=state, kinds=kind)
    after, oldest_first = checked_cursor(cursor, RUN_CURSOR), sort == "requested"
    page = application(request).queries.run_page(who.actor, chosen, after, limit, oldest_first=oldest_first)
    return tagged_document(request, "History", {"runs": [run.to_json() for run in page.items], "cursor": page.cursor})


@router.get("/runs/{run}", tags=["runs"])
def get_run(request: Request, who: Who, run: str) -> Response:
    """One run, step by step."""
    app = application(request)
    story = app.queries.story(who.actor, run)
    facts = app.queries.run_facts(who.actor, story.run)
    now = {"interrupted": facts.interrupted, "activity": facts.activity, "reason": ending_reason(story)}
    return tagged_document(request, "Run", {**story.to_json(), **now})


@router.get("/runs/{run}/log", tags=["runs"])
def get_log(
    request: Request,
    who: Who,
    run: str,
    step: Filter = None,
    host: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> Response:
    """The records of a run: each task on each host, each test, each resource and each message."""
    after = int(checked_cursor(cursor, RUN_CURSOR) or 0)
    page = application(request).queries.log_page(who.actor, run, LogFilter(step=step, host=host), after, limit)
    data = {"records": [record.to_json() for record in page.items], "cursor": page.cursor}
    return tagged_document(request, "Log", data)


@router.get("/runs/{run}/outputs", tags=["runs"])
def get_outputs(
    request: Request,
    who: Who,
    run: str,
    job: Annotated[str | None, Query(max_length=200, description="A pattern, such as `deploy*`.")] = None,
    sort: Literal["job", "-job"] = "job",
    cursor: KeyCursor = None,
    limit: Limit = 200,
) -> Response:
    """The jobs of a run that have printed something, by name."""
    found = [
        each for each in application(request).queries.outputs(who.actor, run) if job is None or fnmatchcase(each, job)
    ]
    page, following = page_after(sorted_by(found, sort, job=str), lambda job: job, cursor, limit)
    return tagged_document(request, "Outputs", {"jobs": page, "cursor": following})


@router.get("/runs/{run}/outputs/{job}", tags=["runs"])
def get_output(
    request: Request, who: Who, run: str, job: str, line: Annotated[int, Query(ge=1, lt=10**9)] = 1, limit: Limit = 200
) -> Response:
    """What one job of a run has printed, from a line on."""
    part = application(request).queries.output_part(who.actor, run, job, line, limit)
    return tagged_document(request, "OutputPart", part.to_json())


@router.get("/search", tags=["self"])
def get_hits(request: Request, who: Who, q: Annotated[str, Query(max_length=200)]) -> Response:
    """What a text finds: releases, runs, environments, users, and objects of release management; a few of each kind."""
    index, prefix = request.app.state.search_index, prefix_of(request.scope)
    hits = search(managed_application(request), index, who.actor, q)
    found = [{**hit.to_json(), "path": client_address(prefix, hit.path)} for hit in hits]
    return tagged_document(request, "SearchResult", {"hits": found})


@router.get("/calendar", tags=["calendar"])
def get_calendar(
    request: Request,
    who: Who,
    environment: Filter = None,
    sort: Literal["entered", "start", "-start"] = "entered",
    cursor: KeyCursor = None,
    limit: Limit = 200,
) -> Response:
    """A page of the rules that open and close environments, or one, and their current state.

    Each page has the line stops, the newest overrides, and the state of the environments too.
    """
    app = application(request)
    acting, declared = app.acting_as(who.actor), app.declared_rules()
    shown = show_calendar(acting, declared)
    rules = [each for each in shown.rules if environment is None or each.applies_to(environment)]
    if sort != "entered":
        rules.sort(key=lambda rule: (rule.start, rule.id), reverse=sort == "-start")
    page, following = page_after(rules, lambda rule: rule.id, cursor, limit)
    data = {
        "environments": {
            name: each.to_json() for name, each in states(acting, declared).items() if environment in {None, name}
        },
        "rules": [rule.to_json() for rule in page],
        "cursor": following,
        "line_stops": [stop.to_json() for stop in shown.line_stops],
        "overrides": [override.to_json() for override in recorded_overrides(acting).items],
    }
    return tagged_document(request, "Calendar", data)


@router.get("/requests", tags=["requests"])
def get_requests(
    request: Request,
    who: Who,
    *,
    everything: bool = False,
    environment: Filter = None,
    state: Annotated[tuple[RequestState, ...] | None, Query()] = None,
    sort: Requested | None = None,
    cursor: RequestCursor = None,
    limit: Limit = 50,
) -> Response:
    """A page of the promotions that wait, the oldest first.

    With *everything* or *state* it is a page of all requests, the newest first.
    """
    app = application(request)
    acting, rules = app.acting_as(who.actor), app.request_rules()
    chosen = RequestFilter(states=state, environment=environment)
    oldest_first = None if sort is None else sort == "requested"
    found = list_requests(
        acting, rules, everything=everything, chosen=chosen, oldest_first=oldest_first, cursor=cursor, limit=limit
    )
    page, following = list(found.items), found.cursor
    if not everything and state is None:  # those that wait are read whole
        page, following = page_after(found.items, _request_place, cursor, limit)
    data = {"requests": [request_data(each) for each in page], "cursor": following}
    return tagged_document(request, "RunRequests", data)


def _request_place(seen: RequestView) -> str:
    """The cursor after a request: its time and its id."""
    return f"{moment_text(seen.request.requested_at)} {seen.request.id}"


@router.get("/requests/{run}", tags=["requests"])
def get_request(request: Request, who: Who, run: str) -> Response:
    """One promotion with its plan as approvers see it."""
    app = application(request)
    seen, text = show_request(app.acting_as(who.actor), run, app.request_rules())
    return tagged_document(
        request, "RunRequest", {**request_data(seen), "text": text.text if text is not None else None}
    )


@router.get("/plans/{plan}", tags=["plans"])
def get_plan(request: Request, who: Who, plan: str) -> Response:
    """A kept plan, with the risk of its promotion."""
    found, risk = changes.plan_with_risk(application(request), who.actor, plan)
    about = {"risk": risk.to_json(), "arithmetic": risk.arithmetic} if risk is not None else {}
    document = {name: value for name, value in found.document().items() if name not in {"apiVersion", "kind"}}
    return tagged_document(request, found.kind, {**document, **about})


@router.get("/events", tags=["live"])
async def get_events(request: Request, who: Who, run: Filter = None, environment: Filter = None) -> StreamingResponse:
    """Server-sent events about all runs, one run or one environment. They follow `Last-Event-ID` if it is given.

    If that is after the newest event, an earlier state of the database was restored. The first event is then `restart`,
    and the listener reads again what it shows.
    """
    app, broadcast = application(request), request.app.state.broadcast
    given = checked_cursor(request.headers.get("last-event-id"), FEED_CURSOR)
    cursor = given if given is not None else await broadcast.end()
    acting = app.acting_as(who.actor)
    seen = frozenset(await asyncio.to_thread(allowed_environments, acting, Action.VIEW, tuple(app.environments)))
    if not seen:
        raise OrchestratorError("A101", "the actor may view no environment")
    headers = {"X-Accel-Buffering": "no"}

    def shown(entry: FeedEntry) -> bool:
        return entry.environment in seen and environment in {None, entry.environment} and run in {None, entry.run}

    listener = broadcast.listen(cursor, shown)
    return StreamingResponse(listener, headers=headers, media_type="text/event-stream")


@router.get("/record-events", tags=["live"])
async def get_record_events(request: Request, who: Who, plan: Filter = None) -> StreamingResponse:
    """Server-sent events about all implementation plans, or one *plan*. They follow `Last-Event-ID` if it is given.

    If that is after the newest event, an earlier state of the database was restored. The first event is then `restart`,
    and the listener reads again what it shows.
    """
    app, broadcast = application(request), request.app.state.record_broadcast
    given = checked_cursor(request.headers.get("last-event-id"), FEED_CURSOR)
    cursor = given if given is not None else await broadcast.end()
    acting = app.acting_as(who.actor)
    if not await asyncio.to_thread(allowed_environments, acting, Action.VIEW, tuple(app.environments)):
        raise OrchestratorError("A101", "the actor may view no environment")
    wanted = None if plan is None else f"implementation-plan:{plan}"

    def shown(entry: FeedEntry) -> bool:
        return entry.run.startswith(SHOWN) and wanted in {None, entry.run}

    listener = broadcast.listen(cursor, shown)
    return StreamingResponse(listener, headers={"X-Accel-Buffering": "no"}, media_type="text/event-stream")
