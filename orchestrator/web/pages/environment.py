"""The page of an environment: hosts, queue, bookings, drift and parity, and the forms that have a worker check them."""

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Acting
from orchestrator.app.environment_reports import environment_reports
from orchestrator.app.requests import Observe
from orchestrator.domain.access.actions import Action
from orchestrator.domain.journal import DEFAULT_QUEUE
from orchestrator.domain.listing import RunFilter
from orchestrator.management.application import ManagedApplication
from orchestrator.management.bookings.queries import BookingFilter, find_slots, list_bookings
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.bookings import demand_weeks
from orchestrator.web.pages.changing import Form, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, managed_application
from orchestrator.web.worker_call import call_view, have_done

router = APIRouter(include_in_schema=False)
Short = Annotated[str, Query(max_length=64)]
DRIFT, PARITY = "inspections.drift", "inspections.parity"
ACTIONS = {
    "lock": Action.LOCK,
    "roll_back": Action.ROLL_BACK,
    "promote": Action.PROMOTE,
    "observe": Action.OBSERVE,
    "book": Action.BOOK,
}
NEXT_BOOKINGS = 6
SLOT, SEARCHED = timedelta(hours=1), timedelta(days=14)


@router.get("/environments/{environment}")
def environment_page(
    request: Request, who: Who, environment: str, drift: Short = "", parity: Short = "", part: Short = ""
) -> HTMLResponse:
    """One environment: hosts, queue, bookings, next release, and the newest findings of drift and parity.

    *drift* and *parity* are the calls of a worker that checks them.
    """
    app = managed_application(request)
    item = app.queries.facts(who.actor, environment)
    acting = app.acting_as(who.actor)
    drifts = call_view(app, who.actor, drift, DRIFT, {"environment": environment}) if drift else None
    compared = call_view(app, who.actor, parity, PARITY, {"left": environment}) if parity else None
    about: dict[str, Any] = {
        "item": item,
        "actions": {name: is_allowed(acting, action, environment) for name, action in ACTIONS.items()},
        "drift": drifts,
        "parity": compared,
        "checking": any(each is not None and not each.has_ended for each in (drifts, compared)),
        "others": comparable(app, acting, environment),
        "worker": app.scheduler_runs(),
        "kept": environment_reports(acting, environment),
    }
    if part:
        return rendered(request, "environment_findings", who, **about)
    recent = app.queries.run_page(who.actor, RunFilter(environment=environment), None, 10).items
    slots = find_slots(acting, environment, SLOT, SEARCHED, app.booking_sources)
    bookings = list_bookings(acting, BookingFilter(environment), None, NEXT_BOOKINGS).items
    about |= {"recent": recent, "slots": slots, "bookings": bookings, "weeks": demand_weeks(app, acting, environment)}
    return rendered(request, "environment", who, **about)


def comparable(app: ManagedApplication, acting: Acting, environment: str) -> list[str]:
    """The other environments that the actor may compare *environment* with."""
    if not is_allowed(acting, Action.OBSERVE, environment):
        return []
    names = [name for name in app.environments if name != environment]
    return [name for name in names if is_allowed(acting, Action.OBSERVE, name)]


@router.post("/environments/{environment}/observe")
async def send_observation(request: Request, environment: str) -> Response:
    """Queue a run that inspects which release every host runs."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        app.require_environment(environment)
        queued = app.submissions.submit(who.actor, Observe(targets=(environment,)), queue=DEFAULT_QUEUE)
        return f"/runs/{quote(queued.name)}"

    return await submitted(request, work)


@router.post("/environments/{environment}/drift")
async def send_drift_check(request: Request, environment: str) -> Response:
    """Have a worker find what has changed since the last release."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        app.require_environment(environment)
        call = have_done(app, who.actor, DRIFT, {"environment": environment})
        return f"/environments/{quote(environment)}?drift={call}#findings"

    return await submitted(request, work)


@router.post("/environments/{environment}/parity")
async def send_parity_check(request: Request, environment: str) -> Response:
    """Have a worker find how two environments differ."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        other = text_of(form, "with", needed=True)
        for name in (environment, other):
            app.require_environment(name)
        arguments = {"left": environment, "right": other}
        call = have_done(app, who.actor, PARITY, arguments)
        return f"/environments/{quote(environment)}?parity={call}#findings"

    return await submitted(request, work)
