"""Pages of planned releases: the list with its timeline, one release, its notes, and the forms of its events."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import parse_moment, whole_minute
from orchestrator.management.application import ManagedApplication
from orchestrator.management.change_requests.queries import list_changes
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.implementation_plans.model import ImplementationPlan
from orchestrator.management.implementation_plans.queries import list_plans
from orchestrator.management.planned_releases.decisions import Scope, add_to_scope, remove_from_scope
from orchestrator.management.planned_releases.model import Mode
from orchestrator.management.planned_releases.notes import write_notes
from orchestrator.management.planned_releases.queries import list_planned_releases, show_planned_release
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews.queries import ShownReview, overdue_actions, show_review
from orchestrator.web import release_changes
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, expecting_shown, long_text_of, names_of, submitted, text_of
from orchestrator.web.pages.rendering import PartName, Since, Who, live_state, rendered
from orchestrator.web.pages.reviews import ACTION_WORDS, with_events
from orchestrator.web.pages.timelines import phase_rows, schedule_lines, timeline
from orchestrator.web.requests import SignedIn, managed_application, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
PageCursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9:.TZ-]{1,60} REL-\d{1,9}$")]
PAGE = 50
MOST_PLANS = 200
"""Among how many implementation plans those of a release are found."""
MOST_FILES = 500
"""How many files of a package the notes show."""
NOT_FOUND = "A110"
EVENT_WORDS = {
    "confirm": "Confirm",
    "freeze": "Freeze the scope",
    "hold": "Put on hold",
    "resume": "Resume",
    "close": "Close",
    "cancel": "Cancel the release…",
}


@router.get("/planned-releases")
def releases_page(request: Request, who: Who, *, ended: bool = False, cursor: PageCursor = None) -> HTMLResponse:
    """The planned releases by their release time, as a list and on a timeline, and the form to plan one."""
    app = managed_application(request)
    acting, zone = app.acting_as(who.actor), reader_zone(request)
    page = list_planned_releases(acting, ended=ended, cursor=cursor, limit=PAGE)
    now, plans = parse_moment(acting.clock.now()), is_allowed(acting, Action.PLAN_RELEASES)
    about: dict[str, Any] = {
        "releases": page.items,
        "cursor": page.cursor,
        "ended": ended,
        "drawn": timeline(schedule_lines(page.items), now, zone),
        "drawn_about": "Timeline of the planned releases on this page",
        "plans": plans,
        "overdue": overdue_actions(acting) if plans else (),
        "environments": tuple(app.environments),
        "modes": tuple(Mode),
        "choices": choices_of(app, acting) if plans else {},
    }
    return rendered(request, "planned_releases", who, **about)


def choices_of(app: ManagedApplication, acting: Acting) -> dict[str, Any]:
    """What a form offers for a scope: change requests that were accepted, and kept packages."""
    accepted = list_changes(acting, (ChangeState.ACCEPTED,), None, PAGE).items
    return {"requests": accepted, "packages": app.queries.releases(acting.actor, limit=PAGE).items}


@router.post("/planned-releases")
async def send_release(request: Request) -> Response:
    """Plan a release as a draft with the phases build, test, deploy and close."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        start = _moment(form, "start", zone) or parse_moment(acting.clock.now())
        times = release_changes.Times(start, _needed(form, "freeze", zone), _needed(form, "release", zone))
        fields = {"title": text_of(form, "title", needed=True), "mode": release_changes.mode_of(form.get("mode", ""))}
        fields["environment"] = text_of(form, "environment", needed=True)
        if text_of(form, "owner"):
            fields["owner"] = text_of(form, "owner")
        scope = Scope(names_of(form, "requests"), names_of(form, "packages"))
        return release_path(release_changes.enter_release(app, acting, fields, times, scope).id)

    return await submitted(request, work)


def _moment(form: Form, name: str, zone: str) -> datetime | None:
    return moment_in(zone, text_of(form, name), name)


def _needed(form: Form, name: str, zone: str) -> datetime:
    """The time in the field *name*. Raises N110 without one."""
    found = _moment(form, name, zone)
    if found is None:
        raise OrchestratorError("N110", f"{name}: it is required")
    return found


@router.get("/planned-releases/{release}")
def planned_release_page(
    request: Request, who: Who, release: str, part: PartName = None, since: Since = ""
) -> HTMLResponse:
    """One release: scope, phases on a timeline, what is not ready, plans, review and actions, and what can be done.

    With *part* only what changes while it is read; *since* is the state that the page has shown.
    """
    app = managed_application(request)
    acting, zone = app.acting_as(who.actor), reader_zone(request)
    shown = show_planned_release(acting, release, app.release_sources)
    found, changes = shown.release, release_changes.may_change(acting, shown.release)
    now = parse_moment(acting.clock.now())
    about: dict[str, Any] = {
        "shown": shown,
        "drawn": timeline(phase_rows(found), now, zone),
        "drawn_about": f"Timeline of the phases of {found.id}",
        "changes": changes,
        "phase_events": {each.name: release_changes.phase_event(acting, found, each) for each in found.phases},
        "now": now,
        **live_state(found.state.value, since),
    }
    if part is not None:
        return rendered(request, "planned_release_part", who, **about)
    review = review_of(acting, found.id)
    about |= {
        "events": release_changes.possible_releases(acting, found),
        "words": EVENT_WORDS,
        "choices": choices_of(app, acting) if changes else {},
        "plans": plans_of(acting, found.id),
        "review": review,
        "actions": with_events(acting, review.actions) if review is not None else [],
        "action_words": ACTION_WORDS,
        "environments": tuple(app.environments),
        "modes": tuple(Mode),
    }
    return rendered(request, "planned_release", who, **about)


def review_of(acting: Acting, key: str) -> ShownReview | None:
    """The review of a release; None before it is opened."""
    try:
        return show_review(acting, key)
    except OrchestratorError as error:
        if error.code != NOT_FOUND:
            raise
        return None


def plans_of(acting: Acting, key: str) -> list[ImplementationPlan]:
    """The implementation plans for a release."""
    return [each for each in list_plans(acting, ended=True, limit=MOST_PLANS).items if each.release == key]


@router.get("/planned-releases/{release}/notes")
def notes_page(request: Request, who: Who, release: str) -> HTMLResponse:
    """The notes of a release: its change requests, and what differs from what runs, package by package."""
    app = managed_application(request)
    notes = write_notes(app.acting_as(who.actor), release, app.release_sources)
    return rendered(request, "release_notes", who, notes=notes, most=MOST_FILES)


@router.get("/planned-releases/{release}/cancel")
def cancel_page(request: Request, who: Who, release: str) -> HTMLResponse:
    """What the cancellation of a release means, and the form for it."""
    app = managed_application(request)
    acting = app.acting_as(who.actor)
    shown = show_planned_release(acting, release, app.release_sources)
    cancels = "cancel" in release_changes.possible_releases(acting, shown.release)
    return rendered(request, "release_cancel", who, shown=shown, cancels=cancels)


@router.post("/planned-releases/{release}/edit")
async def send_release_edit(request: Request, release: str) -> Response:
    """Change fields of a plan."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        found = show_planned_release(acting, release, app.release_sources).release
        fields: dict[str, Any] = {
            name: text_of(form, name, needed=True) for name in ("title", "owner", "environment") if name in form
        }
        if "description" in form:
            fields["description"] = long_text_of(form, "description")
        if "mode" in form:
            fields["mode"] = release_changes.mode_of(form["mode"])
        if "roles" in form:
            fields["roles"] = release_changes.roles_of(names_of(form, "roles"))
        for name, field in (("freeze", "freeze_at"), ("release", "release_at")):
            moment = _moment(form, name, zone)
            if moment is not None and moment != whole_minute(getattr(found, field)):
                fields[field] = moment.isoformat()
        acting = expecting_shown(acting, PLANNED_RELEASES, found.id, form)
        return release_path(release_changes.enter_change(acting, found, fields, text_of(form, "reason")).id)

    return await submitted(request, work)


@router.post("/planned-releases/{release}/add")
async def send_addition(request: Request, release: str) -> Response:
    """Add change requests and packages to a scope; to a frozen one late, with a reason."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        scope = release_changes.scope_of(names_of(form, "requests"), names_of(form, "packages"))
        late, reason = form.get("late") == "yes", text_of(form, "reason")
        acting = app.acting_as(who.actor)
        return release_path(add_to_scope(acting, release, scope, app.release_sources, reason, late=late).id)

    return await submitted(request, work)


@router.post("/planned-releases/{release}/remove")
async def send_removal(request: Request, release: str) -> Response:
    """Remove change requests, which are accepted again, and packages from a scope."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        scope = release_changes.scope_of(names_of(form, "requests"), names_of(form, "packages"))
        return release_path(remove_from_scope(app.acting_as(who.actor), release, scope, text_of(form, "reason")).id)

    return await submitted(request, work)


def _event_route(event: str) -> None:
    """The form of one *event*."""

    async def send_release_event(request: Request, release: str) -> Response:
        def work(app: Any, who: SignedIn, form: Form) -> str:
            given = release_changes.ReleaseGiven(text_of(form, "reason"), form.get("wait") == "yes")
            return release_path(release_changes.RELEASE_EVENTS[event](app, app.acting_as(who.actor), release, given).id)

        return await submitted(request, work)

    send_release_event.__doc__ = release_changes.RELEASE_TEXTS[event]
    router.post(f"/planned-releases/{{release}}/{event}", name=f"send_release_{event}")(send_release_event)


for _event in release_changes.RELEASE_EVENTS:
    _event_route(_event)


def release_path(release: str) -> str:
    """The path of the page of a release."""
    return f"/planned-releases/{quote(release)}"
