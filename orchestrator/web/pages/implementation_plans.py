"""Pages of implementation plans: the list, one plan with its live tasks, one task, and the forms."""

import json
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import parse_moment
from orchestrator.management.implementation_plans.decisions import PlanStart, abort_plan
from orchestrator.management.implementation_plans.evidence import EvidenceDraft, FileDraft, read_evidence
from orchestrator.management.implementation_plans.queries import (
    list_plans,
    list_templates,
    own_tasks,
    show_plan,
    show_task,
)
from orchestrator.management.implementation_plans.state import TaskState
from orchestrator.web import task_changes
from orchestrator.web.changes import is_allowed
from orchestrator.web.multipart import form_files
from orchestrator.web.pages.bookings import Word
from orchestrator.web.pages.change_requests import number_of
from orchestrator.web.pages.changing import Form, long_text_of, names_of, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.pages.task_inputs import given_inputs, input_fields
from orchestrator.web.pages.timelines import task_rows, timeline
from orchestrator.web.requests import SignedIn, managed_application, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
PageCursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9:.TZ-]{1,60} IP-\d{1,9}$")]
PAGE = 50
MOST_MINUTES = 366 * 24 * 60
EVENT_WORDS = {
    "begin": "Begin",
    "done": "Done",
    "decide": "Decide",
    "fail": "Failed",
    "help-needed": "Needs help",
    "retry": "Retry",
    "skip": "Skip",
    "evidence": "Add evidence",
}
DOWNLOAD = {
    "content-type": "application/octet-stream",
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private, no-store",
}
"""The headers of a file that a user has given."""
TROUBLE = frozenset({TaskState.NEEDS_HELP, TaskState.FAILED})


@router.get("/implementation-plans")
def plans_page(request: Request, who: Who, *, ended: bool = False, cursor: PageCursor = None) -> HTMLResponse:
    """The implementation plans by their start, the tasks that wait for the reader, and the form to start a plan."""
    app = managed_application(request)
    acting = app.acting_as(who.actor)
    page = list_plans(acting, ended=ended, cursor=cursor, limit=PAGE)
    starts = is_allowed(acting, Action.RUN_IMPLEMENTATIONS)
    about: dict[str, Any] = {
        "plans": page.items,
        "cursor": page.cursor,
        "ended": ended,
        "mine": own_tasks(acting),
        "starts": starts,
        "templates": list_templates(acting, app.implementation_sources) if starts else (),
        "trouble": TROUBLE,
    }
    return rendered(request, "implementation_plans", who, **about)


@router.post("/implementation-plans")
async def send_plan(request: Request) -> Response:
    """Start an implementation plan, or schedule it."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        parameters = task_changes.parameter_lines(long_text_of(form, "parameters"))
        start_at = moment_in(zone, text_of(form, "start"), "start")
        owner, release = text_of(form, "owner"), text_of(form, "release")
        how = PlanStart(parameters, start_at, owner, release, form.get("rehearsal") == "yes")
        template = text_of(form, "template", needed=True)
        return _path(task_changes.enter_plan(app, app.acting_as(who.actor), template, how).id)

    return await submitted(request, work)


@router.get("/implementation-plans/{plan}")
def implementation_plan_page(request: Request, who: Who, plan: str, part: Word = None) -> HTMLResponse:
    """One plan with its tasks, expected times and critical path; with *part* only what is updated while it is read."""
    acting = managed_application(request).acting_as(who.actor)
    shown = show_plan(acting, plan)
    now, zone = parse_moment(acting.clock.now()), reader_zone(request)
    about: dict[str, Any] = {
        "shown": shown,
        "drawn": timeline(task_rows(shown), now, zone),
        "drawn_about": f"Timeline of the tasks of {shown.plan.id}",
        "trouble": [task for task in shown.plan.tasks if task.state in TROUBLE],
        "replans": task_changes.may_replan(acting, shown.plan),
        "kinds": task_changes.KINDS,
        "environments": acting.environments,
        "timeouts": task_changes.ON_TIMEOUT,
        "now": now,
    }
    name = "implementation_plan_part" if part is not None else "implementation_plan"
    return rendered(request, name, who, **about)


@router.get("/implementation-plans/{plan}/abort")
def plan_abort_page(request: Request, who: Who, plan: str) -> HTMLResponse:
    """What the end of a plan means, and the form to abort it."""
    acting = managed_application(request).acting_as(who.actor)
    shown = show_plan(acting, plan)
    replans = task_changes.may_replan(acting, shown.plan)
    return rendered(request, "implementation_abort", who, plan=shown.plan, replans=replans)


@router.post("/implementation-plans/{plan}/abort")
async def send_abort(request: Request, plan: str) -> Response:
    """End a plan with its open tasks. The reason is required."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        return _path(abort_plan(app.acting_as(who.actor), plan, text_of(form, "reason", needed=True)).id)

    return await submitted(request, work)


@router.post("/implementation-plans/{plan}/replan")
async def send_plan_change(request: Request, plan: str) -> Response:
    """Change a plan that has not ended: its title, owner and release, and its start before it has started."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        fields: dict[str, Any] = {name: text_of(form, name) for name in ("title", "owner", "release") if name in form}
        fields["start"] = moment_in(zone, text_of(form, "start"), "start")
        task_changes.enter_plan_change(acting, show_plan(acting, plan).plan, fields, text_of(form, "reason"))
        return _path(plan)

    return await submitted(request, work)


@router.post("/implementation-plans/{plan}/tasks")
async def send_task(request: Request, plan: str) -> Response:
    """Add a task to a plan, also while it runs."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        given = {name: value for name, value in task_fields(form, zone).items() if value not in (None, "", (), {})}
        name, kind = text_of(form, "name", needed=True), form.get("kind", "manual")
        about = {each: text_of(form, each) for each in ("package", "to", "environment", "version", "source")}
        about["parameters"] = long_text_of(form, "parameters")
        new = task_changes.new_task_of(kind, about, names_of(form, "before"))
        acting = app.acting_as(who.actor)
        task_changes.enter_task(app, acting, plan, name, given, text_of(form, "reason"), new)
        return _path(plan)

    return await submitted(request, work)


@router.get("/implementation-plans/{plan}/tasks/{task}")
def task_page(request: Request, who: Who, plan: str, task: str) -> HTMLResponse:
    """One task: how it is done, its times, its evidence, and what can be done."""
    acting = managed_application(request).acting_as(who.actor)
    shown, found = show_task(acting, plan, task)
    events = task_changes.possible_task_events(acting, shown, found)
    about: dict[str, Any] = {
        "shown": shown,
        "task": found,
        "events": events,
        "words": EVENT_WORDS,
        "inputs": input_fields(found),
        "schema": json.dumps(found.inputs, indent=1) if found.inputs else "",
        "required": {name for name in events if task_changes.needs_reason(shown, found, name)},
        "replans": task_changes.may_replan(acting, shown.plan) and not found.has_ended,
        "timeouts": task_changes.ON_TIMEOUT,
        "later": [each for each in shown.plan.tasks if found.name in each.after],
    }
    return rendered(request, "implementation_task", who, **about)


@router.get("/implementation-plans/{plan}/tasks/{task}/files/{digest}")
def evidence_file(request: Request, who: Who, plan: str, task: str, digest: str) -> Response:
    """A file that is evidence of a task, as a download: no browser shows or executes it."""
    acting = managed_application(request).acting_as(who.actor)
    found = read_evidence(acting, plan, task, digest)
    return Response(found.data, headers={**DOWNLOAD, "content-disposition": attachment(found.name)})


@router.post("/implementation-plans/{plan}/tasks/{task}/replan")
async def send_replan(request: Request, plan: str, task: str) -> Response:
    """Change a task that has not ended. Later tasks move with it."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        _, found = show_task(acting, plan, task)
        changed = task_changes.changed_fields(found, task_fields(form, zone))
        task_changes.enter_replan(acting, plan, task, changed, text_of(form, "reason"))
        return _task_path(plan, task)

    return await submitted(request, work)


def task_fields(form: Form, zone: str) -> dict[str, Any]:
    """The fields of a task that *form* has; lengths are in minutes. Raises N110."""
    fields: dict[str, Any] = {
        name: text_of(form, name) for name in ("title", "owner", "group", "on_timeout") if name in form
    }
    if "instructions" in form:
        fields["instructions"] = long_text_of(form, "instructions")
    if "after" in form:
        fields["after"] = names_of(form, "after")
    if "inputs" in form:
        fields["inputs"] = _schema(long_text_of(form, "inputs"))
    if form.get("start", "").strip():
        fields["start"] = moment_in(zone, text_of(form, "start"), "start")
    for name in ("duration", "timeout"):
        if form.get(name, "").strip() or (name in form and name == "timeout"):
            fields[f"{name}_s"] = _seconds(text_of(form, name) or "0", name)
    return fields


def _schema(text: str) -> dict[str, Any]:
    """*text*, a JSON Schema; without one there are no inputs. Raises N110."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise OrchestratorError("N110", f"inputs: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise OrchestratorError("N110", "inputs: a JSON object is required")
    return found


def _seconds(text: str, name: str) -> int:
    """*text*, a number of minutes, in seconds. Raises N110."""
    minutes = number_of(text, name)
    if not 0 <= minutes <= MOST_MINUTES:
        raise OrchestratorError("N110", f"{name}: from 0 to {MOST_MINUTES} minutes are possible")
    return round(60 * minutes)


def _event_route(event: str) -> None:
    """The form of one *event* of a task."""

    async def send_task_event(request: Request, plan: str, task: str) -> Response:
        def work(app: Any, who: SignedIn, form: Form) -> str:
            text, links = long_text_of(form, "evidence"), names_of(form, "links")
            files = tuple(FileDraft(name, content) for name, content in form_files(form, "files"))
            evidence = EvidenceDraft((text,) if text else (), links, files)
            reason, decision = text_of(form, "reason"), form.get("decision", "")
            given = task_changes.TaskGiven(reason, evidence, decision, given_inputs(form))
            task_changes.TASK_EVENTS[event](app.acting_as(who.actor), plan, task, given)
            return _task_path(plan, task)

        return await submitted(request, work, files=True)

    send_task_event.__doc__ = task_changes.TASK_TEXTS[event]
    path = f"/implementation-plans/{{plan}}/tasks/{{task}}/{event}"
    router.post(path, name=f"send_task_{event}")(send_task_event)


for _event in task_changes.TASK_EVENTS:
    _event_route(_event)


def attachment(name: str) -> str:
    """The header of a download called *name* (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _path(plan: str) -> str:
    """The path of the page of a plan."""
    return f"/implementation-plans/{quote(plan)}"


def _task_path(plan: str, task: str) -> str:
    """The path of the page of a task."""
    return f"{_path(plan)}/tasks/{quote(task)}"
