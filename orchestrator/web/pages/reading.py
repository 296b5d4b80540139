"""Pages that show what use cases return."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from orchestrator.app.access import allowed_environments, own_bindings
from orchestrator.app.audit import list_entries
from orchestrator.app.calendar import show_calendar
from orchestrator.app.calendar_addresses import calendar_address
from orchestrator.app.people import show_access
from orchestrator.app.run_requests import VOTABLE, list_requests, show_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.approval.request_state import REQUEST_TABLE, RequestEvent
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.audit.export import AuditFilter
from orchestrator.domain.calendar.zones import zone_names
from orchestrator.domain.listing import ReleaseFilter, RunFilter
from orchestrator.domain.model import DIGEST
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.risk.kinds import Level
from orchestrator.web.changes import is_allowed
from orchestrator.web.needed import needed_of
from orchestrator.web.pages.calendar_entries import next_entries
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.pages.shown_environments import (
    COLUMNS,
    FEW,
    EnvironmentCursor,
    NameText,
    shown_environments,
)
from orchestrator.web.pages.tokens import creation_fields, token_rows
from orchestrator.web.requests import ReleaseCursor, RequestCursor, application, managed_application
from orchestrator.web.searching import search

OPEN_RUNS = RunFilter(is_open=True)
AUDIT_PAGE = 100
AUDIT_DAYS = 366
EXPORTED_DAYS = 30
"""The period that the form of an export has before it is changed."""
router = APIRouter(include_in_schema=False)
Word = Annotated[str | None, Query(max_length=200)]
RequestPart = Literal["all", "facts"]
REQUEST_PARTS: dict[RequestPart, str] = {"all": "request_part", "facts": "request_facts"}
"""What of a request changes while it is read, each with its template."""


@router.get("/")
def home_page(request: Request, who: Who, part: Word = None) -> HTMLResponse:
    """What needs the reader, is under way, is stopped or closed, and comes next; with *part* without its frame."""
    app = application(request)
    acting = app.acting_as(who.actor)
    now, calendar_rules = parse_moment(acting.clock.now()), show_calendar(acting, app.declared_rules())
    waiting = list_requests(acting, app.request_rules()).items
    facts = app.queries.facts_of_all(who.actor, tuple(app.environments))
    problems = [problem for item in facts for problem in item.problems]
    calendar = {item.name: item.calendar for item in facts if item.calendar is not None}
    closed_first = sorted(calendar, key=lambda name: calendar[name].open) if len(calendar) > FEW else calendar
    return rendered(
        request,
        "home_part" if part is not None else "home",
        who,
        mine=[each for each in waiting if str(who.actor) in each.could],
        problems=problems[:FEW],
        problem_count=len(problems),
        needed=needed_of(acting),
        now=now,
        stops=[stop for stop in calendar_rules.line_stops if stop.resumed_at is None],
        coming=next_entries(acting, calendar_rules.rules, now),
        under_way=app.queries.run_page(who.actor, OPEN_RUNS, None, 20).items,
        calendar={name: calendar[name] for name in list(closed_first)[:FEW]},
        closed_count=sum(not each.open for each in calendar.values()),
        facts=facts[:FEW],
        environment_count=len(facts),
    )


@router.get("/matrix")
def matrix_page(
    request: Request,
    who: Who,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    release: Word = None,
    cursor: ReleaseCursor = None,
    name: NameText = None,
    after: EnvironmentCursor = None,
    part: Word = None,
) -> HTMLResponse:
    """Every release in every environment; with *part* without its frame. The first page is updated while it is read."""
    app = application(request)
    shown = shown_environments(app.environments, name, after, COLUMNS)
    facts = app.queries.facts_of_all(who.actor, shown.names)
    page = app.queries.releases(who.actor, _of_release(release), cursor, limit)
    rows = app.queries.release_rows(who.actor, list(page.items), facts)
    promotable = allowed_environments(app.acting_as(who.actor), Action.PROMOTE, shown.names)
    about = {"rows": rows, "chosen": release, "cursor": page.cursor, "first": cursor is None, "limit": limit}
    template = "matrix_part" if part is not None else "matrix"
    return rendered(
        request, template, who, facts=facts, promotable=frozenset(promotable), shown=shown, after=after, **about
    )


def _of_release(release: str | None) -> ReleaseFilter:
    """The releases that a name or a digest chooses; all without one."""
    if release is not None and DIGEST.fullmatch(release):
        return ReleaseFilter(digests=(release,))
    return ReleaseFilter(name=release)


@router.get("/runs")
def runs_page(
    request: Request,
    who: Who,
    environment: Word = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
) -> HTMLResponse:
    """The runs, newest first."""
    app = application(request)
    chosen = RunFilter(environment=environment or None)
    found = app.queries.run_page(who.actor, chosen, cursor, 50)
    about = {"environments": tuple(app.environments), "environment": environment or ""}
    return rendered(request, "runs", who, runs=found.items, cursor=found.cursor, **about)


@router.get("/requests")
def requests_page(
    request: Request, who: Who, *, everything: bool = False, cursor: RequestCursor = None
) -> HTMLResponse:
    """The promotions that wait, the oldest first; with *everything* a page of all requests, the newest first."""
    app = application(request)
    found = list_requests(app.acting_as(who.actor), app.request_rules(), everything=everything, cursor=cursor)
    return rendered(request, "requests", who, requests=found.items, everything=everything, cursor=found.cursor)


@router.get("/requests/{run}")
def request_page(request: Request, who: Who, run: str, part: RequestPart | None = None) -> HTMLResponse:
    """One promotion with its plan as approvers see it, its votes, and what its start waits for; or a *part* of it."""
    app = application(request)
    acting = app.acting_as(who.actor)
    seen, text = show_request(acting, run, app.request_rules())
    place, mine = seen.request.environment, seen.request.requester == str(who.actor)
    may_withdraw = RequestEvent.WITHDRAW in REQUEST_TABLE[seen.request.state]
    return rendered(
        request,
        REQUEST_PARTS[part] if part is not None else "request",
        who,
        seen=seen,
        text=text.text if text is not None else "",
        votable=(seen.state in VOTABLE or bool(seen.reviewers)) and is_allowed(acting, Action.APPROVE, place),
        voted=any(vote.by == str(who.actor) and vote.withdrawn_at is None for vote in seen.votes),
        may_withdraw=may_withdraw and (mine or is_allowed(acting, Action.CONTROL_RUN, place)),
        levels=higher_levels(seen.request) if is_allowed(acting, Action.RAISE_RISK, place) else (),
        worker=app.scheduler_runs(),
    )


def higher_levels(request: RunRequest) -> tuple[Level, ...]:
    """The levels to which the risk of *request* can be raised; none after its start."""
    if request.risk is None or RequestEvent.REPLAN not in REQUEST_TABLE[request.state]:
        return ()
    order = tuple(Level)
    return order[order.index(request.risk.level) + 1 :]


@router.get("/environments")
def environments_page(
    request: Request,
    who: Who,
    name: NameText = None,
    only: Literal["", "problems"] = "",
    cursor: EnvironmentCursor = None,
) -> HTMLResponse:
    """What is true of each environment, or of those with problems."""
    app = application(request)
    names: Sequence[str] = tuple(app.environments)
    if only:
        names = [item.name for item in app.queries.facts_of_all(who.actor, tuple(names)) if item.problems]
    shown = shown_environments(names, name, cursor)
    facts = app.queries.facts_of_all(who.actor, shown.names)
    return rendered(request, "environments", who, facts=facts, shown=shown, only=only)


@router.get("/search")
def search_page(request: Request, who: Who, q: Word = None) -> HTMLResponse:
    """What a text finds."""
    text = q or ""
    return rendered(
        request,
        "search",
        who,
        text=text,
        hits=search(managed_application(request), request.app.state.search_index, who.actor, text),
    )


@router.get("/audit")
def audit_page(
    request: Request,
    who: Who,
    before: Annotated[int | None, Query(ge=1)] = None,
    actor: Word = None,
    action: Word = None,
    environment: Word = None,
) -> HTMLResponse:
    """The audit stream, newest first."""
    app = application(request)
    acting = app.acting_as(who.actor)
    now = parse_moment(acting.clock.now())
    period = (now - timedelta(days=AUDIT_DAYS), now + timedelta(days=1))
    fields = {"actor": actor or None, "action": action or None, "environment": environment or None}
    found = list_entries(acting, AuditFilter(start=period[0], end=period[1], **fields), AUDIT_PAGE + 1, before)[::-1]
    shown = found[:AUDIT_PAGE]
    more = shown[-1].index if len(found) > len(shown) else None
    chosen = {name: value or "" for name, value in fields.items()}
    about: dict[str, Any] = {
        "entries": shown,
        "more": more,
        "chosen": chosen,
        "days": AUDIT_DAYS,
        "exports": is_allowed(acting, Action.EXPORT_AUDIT),
        "period": (now - timedelta(days=EXPORTED_DAYS), now + timedelta(minutes=1)),
        "environments": tuple(app.environments),
    }
    return rendered(request, "audit", who, **about)


@router.get("/me")
def account_page(request: Request, who: Who) -> HTMLResponse:
    """The reader's account: roles, tokens, absences and sessions."""
    app = application(request)
    acting = app.acting_as(who.actor)
    views, mine = is_allowed(acting, Action.VIEW), who.actor.name
    about: dict[str, Any] = {
        "bindings": own_bindings(acting)[0],
        "sessions": app.authentication.sessions_with(who.session) if who.session is not None else (),
        "zones": sorted(zone_names()),
        "views": views,
        "tokens": token_rows(acting, mine) if views else (),
        **(creation_fields(acting) | {"every": False}),
        "absences": [each for each in show_access(acting).absences if each.user == mine] if views else (),
        "manages": False,
        "calendar": calendar_address(acting) if views else None,  # a user without a role has tasks, and no calendar
        "subscribes": views,
        "now": parse_moment(acting.clock.now()),
    }
    return rendered(request, "account", who, **about)
