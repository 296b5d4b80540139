"""Templates, and what every page is given."""

from collections.abc import Iterable
from contextvars import ContextVar
from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from orchestrator.domain.access.actions import Action
from orchestrator.domain.admission.conditions import CALENDAR
from orchestrator.domain.calendar.zones import zone_of
from orchestrator.domain.errors import OrchestratorError, lookup
from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.model import Model, digest_of
from orchestrator.domain.task_inputs import input_text
from orchestrator.web.addresses import prefix_of, route_path, with_prefix
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages import matrix_cells
from orchestrator.web.pages.drawn_signs import exact_time, minute_in, moment_of, sign_svg, texts_in, time_in
from orchestrator.web.problems import status_of
from orchestrator.web.requests import UTC_NAME, SignedIn, application, reader_zone, require_actor, signed_in

Who = Annotated[SignedIn, Depends(require_actor)]
HERE = files("orchestrator.web.pages")
PartName = Annotated[str | None, Query(max_length=20)]
"""The parameter with which a page returns only what changes while it is read."""
Since = Annotated[str, Query(max_length=100)]
"""The state that a page has shown when it was loaded."""
templates = Environment(
    loader=FileSystemLoader(str(HERE / "templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PLACES = (
    (
        "Now",
        (
            ("/", "Home", "h"),
            ("/matrix", "What runs where", "m"),
            ("/runs", "Runs", "r"),
            ("/environments", "Environments", "e"),
        ),
    ),
    (
        "Plan",
        (
            ("/requests", "Promotion requests", "q"),
            ("/change-requests", "Change requests", "x"),
            ("/planned-releases", "Planned releases", "p"),
            ("/trains", "Trains", "t"),
            ("/implementation-plans", "Implementation plans", "i"),
            ("/bookings", "Bookings", "b"),
            ("/calendar", "Calendar", "c"),
        ),
    ),
    (
        "Records",
        (
            ("/reviews", "Reviews", "v"),
            ("/actions", "Actions", "a"),
            ("/measures", "Measures", "s"),
            ("/audit", "Audit", "l"),
            ("/notifications", "Notifications", "n"),
            ("/hooks", "Hooks", "o"),
            ("/definitions", "Project definitions", "d"),
            ("/users", "Users and roles", "u"),
            ("/me", "Your account", "y"),
        ),
    ),
)
"""The pages of the navigation. The key of each follows `g`."""
RESTRICTED = {"/audit": Action.READ_AUDIT}
"""The pages that need more than the right to view the project. Others do not have them in their navigation."""
SIGNS = {
    "verified": "good",
    "current": "good",
    "partly": "warn",
    "standby": "cold",
    "rolled back": "warn",
    "needs intervention": "bad",
    "absent": "none",
}
"""The meaning of each state of a release in an environment, which has one colour and one sign."""
RUN_SIGNS = {"succeeded": "good", "rolled back": "warn", "failed": "bad", "needs intervention": "bad"}
REQUEST_SIGNS = {"waiting": "wait", "ready": "run", "held": "cold", "started": "run", "finished": "good"}
CHANGE_SIGNS = {
    "assessing": "wait",
    "accepted": "good",
    "planned": "run",
    "released": "good",
    "rejected": "bad",
    "deferred": "cold",
}
RELEASE_SIGNS = {
    "scheduled": "wait",
    "in-progress": "run",
    "on-hold": "cold",
    "rolled-back": "warn",
    "released": "good",
    "closed": "good",
}
TRAIN_SIGNS = {
    "boarding": "wait",
    "closed": "wait",
    "on-hold": "cold",
    "departed": "run",
    "rolling-back": "warn",
    "arrived": "good",
    "rolled-back": "warn",
    "needs-intervention": "bad",
}
BOARDING_SIGNS = {"boarded": "wait", "stayed": "cold", "departed": "run", "arrived": "good", "rolled-back": "warn"}
TRAIN_RUN_SIGNS = {"started": "run", "succeeded": "good", "failed": "bad", "needs-help": "bad"}
WAVE_SIGNS = {
    "waiting": "wait",
    "running": "run",
    "already deployed": "good",
    "succeeded": "good",
    "failed": "bad",
    "rolling back": "warn",
    "rolled back": "warn",
    "not rolled back": "bad",
    "needs intervention": "bad",
}
PLAN_SIGNS = {"scheduled": "wait", "running": "run", "completed": "good", "aborted": "bad"}
TASK_SIGNS = {
    "ready": "wait",
    "in-progress": "run",
    "needs-help": "bad",
    "failed": "bad",
    "done": "good",
    "aborted": "bad",
}
ACTION_SIGNS = {"open": "wait", "done": "good"}
PROJECT_SIGNS = {"good": "good", "problems": "bad", "unreadable": "bad"}
CLOSE_SIGNS = {
    "successful": "good",
    "successful-with-issues": "warn",
    "rolled-back": "warn",
    "unsuccessful": "bad",
}
PHASE_SIGNS = {"pending": "none", "active": "run", "completed": "good"}
BOOKING_SIGNS = {"confirmed": "good", "active": "run", "waiting": "wait", "expired": "cold"}
TOKEN_SIGNS = {"active": "good", "rotated, still valid": "warn", "expired": "cold", "revoked": "bad"}
SENT_SIGNS = {"pending": "wait", "sent": "good", "dead": "bad"}
DELIVERY_SIGNS = {
    "waiting": "wait",
    "building": "run",
    "built": "run",
    "completed": "good",
    "failed": "bad",
    "ignored": "cold",
    "refused": "bad",
}
CONDITION_SIGNS = {"met": "good", "warning": "warn", "waiting": "wait", "refused": "bad"}


DIFF_KINDS = {"+": "add", "-": "remove", "@": "place"}
LONGEST_DIFF = 2000
"""How many lines of a difference are shown."""
ZONE = ContextVar("zone", default=UTC_NAME)
"""The time zone of the reader for whom a page is rendered."""


def minute(time: str | datetime | None) -> str:
    """A time for readers, in their time zone; the exact one is in the attributes `datetime` and `title`."""
    return minute_in(ZONE.get(), time)


def time_tag(time: str | datetime | None) -> Markup:
    """The element of a time for readers."""
    return time_in(ZONE.get(), time)


def local_times(text: str) -> Markup:
    """The text of a message with its times in the time zone of the reader."""
    return texts_in(ZONE.get(), text)


def second(time: str | datetime) -> str:
    """The time of a record in a log, on the clocks of the reader."""
    return f"{moment_of(time).astimezone(zone_of(ZONE.get())):%H:%M:%S}"


def field_time(time: str | datetime) -> str:
    """A time as a field of a form has it: on the clocks of the reader."""
    return f"{moment_of(time).astimezone(zone_of(ZONE.get())):%Y-%m-%dT%H:%M}"


def version_of(record: Model) -> str:
    """The digest of *record* as a page has shown it: see `expecting_shown`."""
    return digest_of(record.to_json())


def diff_lines(text: str) -> list[tuple[str, str]]:
    """The lines of a difference, each with what it is; at most the first ones."""
    lines = text.splitlines()
    found = [(DIFF_KINDS.get(line[:1], ""), line) for line in lines[:LONGEST_DIFF]]
    return [*found, ("place", f"… {len(lines) - LONGEST_DIFF} more lines")] if len(lines) > LONGEST_DIFF else found


def duration(seconds: float) -> str:
    """`90 s`, `2 h 5 min`: a length for readers."""
    whole = round(seconds)
    if whole < 120:
        return f"{seconds:g} s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 120:
        return f"{minutes} min"
    rest = f" {minutes - hours * 60} min" if minutes - hours * 60 else ""
    return f"{hours} h{rest}"


def short_digest(text: str) -> str:
    """The start of a digest, which identifies it for readers."""
    return text.removeprefix("sha256:")[:12]


def run_sign(run: Any) -> str:
    """The sign of a run: that of its state after its end, otherwise that of what it does."""
    if run.ended:
        return RUN_SIGNS.get(str(run.state.value), "none")
    return "bad" if getattr(run, "interrupted", False) else "run"


def matrix_columns(facts: Iterable[EnvironmentFacts], promotable: frozenset[str]) -> list[tuple[str, Markup, Markup]]:
    """For each environment its name, and the cell of a release that is absent there, before and after its digest.

    Most cells of a large matrix are such. In an environment that is *promotable* the cell leads to the promotion.
    """
    columns = []
    for item in facts:
        place = escape(item.name)
        if item.name in promotable:
            before = Markup('<a class="cell promote" data-at="{}" href="/promote?release=').format(place)
            environment = quote(item.name, safe="/")
            between = Markup('&amp;environment={}"><span class="hide">absent, </span>Promote…</a>').format(environment)
        else:
            before = Markup('<span class="cell none" data-at="{}">–<span class="hide"> absent</span></span>').format(
                place
            )
            between = Markup()
        columns.append((item.name, before, between))
    return columns


templates.filters.update(minute=minute, short=short_digest, exact=exact_time, field_time=field_time)
templates.filters.update(second=second, duration=duration, diff_lines=diff_lines, input_text=input_text)
templates.filters.update(matrix_columns=matrix_columns, version=version_of, local_times=local_times)
templates.globals.update(
    sign_svg=sign_svg,
    time_tag=time_tag,
    signs=SIGNS,
    matrix_cells=matrix_cells,
    run_sign=run_sign,
    request_signs=REQUEST_SIGNS,
    condition_signs=CONDITION_SIGNS,
    calendar_conditions=CALENDAR,
    change_signs=CHANGE_SIGNS,
    booking_signs=BOOKING_SIGNS,
    release_signs=RELEASE_SIGNS,
    train_signs=TRAIN_SIGNS,
    boarding_signs=BOARDING_SIGNS,
    train_run_signs=TRAIN_RUN_SIGNS,
    wave_signs=WAVE_SIGNS,
    plan_signs=PLAN_SIGNS,
    task_signs=TASK_SIGNS,
    action_signs=ACTION_SIGNS,
    close_signs=CLOSE_SIGNS,
    project_signs=PROJECT_SIGNS,
    phase_signs=PHASE_SIGNS,
    token_signs=TOKEN_SIGNS,
    sent_signs=SENT_SIGNS,
    delivery_signs=DELIVERY_SIGNS,
)


def places_for(request: Request, who: SignedIn | None) -> tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]:
    """The pages of the navigation that the reader may see. All of them, if the rights cannot be read."""
    if who is None or not request.app.state.of_project:
        return ()
    try:
        acting = application(request).acting_as(who.actor)
        hidden = {path for path, action in RESTRICTED.items() if not is_allowed(acting, action)}
    except OrchestratorError:
        hidden = set()
    return tuple((name, tuple(entry for entry in entries if entry[0] not in hidden)) for name, entries in PLACES)


def key_list(places: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]) -> tuple[tuple[str, str], ...]:
    """The keys of a page whose navigation has *places*: `keys.js` reads those of pages from the navigation."""
    named = ((f"g {key}", text) for _, entries in places for _, text, key in entries)
    return (("/", "Search"), *named, ("?", "This list"))


def rendered(
    request: Request, name: str, who: SignedIn | None, status: int = 200, zone: str = "", /, **values: Any
) -> HTMLResponse:
    """The page of the template *name*; with times in *zone*, otherwise in the zone of the reader."""
    zone = zone or reader_zone(request)
    prefix, state = prefix_of(request.scope), request.app.state
    own = {"who": who, "project": state.title, "here": route_path(request.scope), "zone": zone, "prefix": prefix}
    places = places_for(request, who)
    own |= {"places": places, "key_list": key_list(places)}
    before = ZONE.set(zone)
    try:
        page = templates.get_template(f"{name}.html").render(**own, of_project=state.of_project, **values)
    finally:
        ZONE.reset(before)
    return HTMLResponse(with_prefix(prefix, page), status)


def live_state(state: str, since: str) -> dict[str, str]:
    """What a part that is updated shows of its *state*, and of the state *since* which its page is shown."""
    return {"state": state, "since": since or state}


def error_page(request: Request, error: OrchestratorError) -> HTMLResponse:
    """The page for *error*, with its code and remedy."""
    try:
        who = signed_in(request)
    except OrchestratorError:
        who = None
    about = {"error": error, "entry": lookup(error.code), "request_id": request.state.request_id}
    return rendered(request, "error", who, int(status_of(error)), **about)


def after_form(path: str) -> RedirectResponse:
    """What follows a form: the page at *path*, which a reload does not send again."""
    return RedirectResponse(path, 303)
