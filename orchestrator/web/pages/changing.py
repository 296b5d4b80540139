"""Forms: each sends a change to a use case, and leads to the page that shows its result."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from orchestrator.app.acting import Acting, expecting_version
from orchestrator.app.admission import why
from orchestrator.app.calendar import resume_line, stop_line
from orchestrator.app.planned_requests import RequestOptions
from orchestrator.app.run_requests import RequestView, raise_request_risk
from orchestrator.app.votes import Shown
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.approval.votes import Decision
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import RecordKind
from orchestrator.domain.release import PackageRef
from orchestrator.domain.risk.kinds import Level
from orchestrator.web import changes
from orchestrator.web.pages.rendering import Who, after_form, rendered
from orchestrator.web.requests import (
    SignedIn,
    application,
    check_form,
    field_error,
    form_of,
    managed_application,
    own_path,
    require_actor,
    required_reason,
)
from orchestrator.web.worker_call import call_view, have_done

router = APIRouter(include_in_schema=False)
T = TypeVar("T")
Form = dict[str, str]
Release = Annotated[str, Query(max_length=200)]
Short = Annotated[str, Query(max_length=64)]
MAKING = "plans.make"
LONGEST_TEXT = 2000
LONGEST_LINES = 10_000


async def submitted(request: Request, work: Callable[[Any, SignedIn, Form], str], *, files: bool = False) -> Response:
    """Do *work* with the application, the actor and the form, and lead to the page whose path it returns.

    With *files* the form can have files: see `multipart_fields`.
    """
    return after_form(await _done(request, work, files=files))


async def shown_page(request: Request, work: Callable[[Any, SignedIn, Form], Response]) -> Response:
    """Do *work* with the application, the actor and the form. Returns its page or file, which is sent once."""
    return await _done(request, work)


async def submitted_file(request: Request, work: Callable[[Any, SignedIn, Form], Response]) -> Response:
    """As `shown_page`, of a form that can have files: see `multipart_fields`."""
    return await _done(request, work, files=True)


async def _done(request: Request, work: Callable[[Any, SignedIn, Form], T], *, files: bool = False) -> T:
    form = await form_of(request, files=files)

    def checked() -> T:
        who = require_actor(request)
        check_form(who, form)
        try:
            return work(application(request), who, form)
        except ValidationError as error:  # fields that the use case itself reads
            raise field_error(error) from error

    return await run_in_threadpool(checked)


def text_of(form: Form, name: str, *, needed: bool = False) -> str:
    """The field *name*. Raises N110 if it is too long, or empty although it is *needed*."""
    found = form.get(name, "").strip()
    if len(found) > LONGEST_TEXT or (needed and not found):
        raise OrchestratorError("N110", f"{name}: between {int(needed)} and {LONGEST_TEXT} characters are possible")
    return found


def long_text_of(form: Form, name: str) -> str:
    """The field *name* of several lines. Raises N110 if it is too long."""
    found = form.get(name, "").strip().replace("\r\n", "\n")
    if len(found) > LONGEST_LINES:
        raise OrchestratorError("N110", f"{name}: at most {LONGEST_LINES} characters are possible")
    return found


def back_of(form: Form, otherwise: str, *pages: str) -> str:
    """The page in `back` if it is one of *pages*, or below one that ends with a slash. The default is *otherwise*."""
    back = own_path(form.get("back", ""))
    return back if back in pages or back.startswith(tuple(p for p in pages if p.endswith("/"))) else otherwise


def names_of(form: Form, name: str) -> tuple[str, ...]:
    """The names in the field *name*, which are separated by commas or lines. Raises N110 if it is too long."""
    parts = long_text_of(form, name).replace("\n", ",").split(",")
    return tuple(part.strip() for part in parts if part.strip())


def expecting_shown(acting: Acting, kind: RecordKind[Any], key: str, form: Form) -> Acting:
    """*acting* for a change of the record *key* as the page of *form* has shown it; of any version without that."""
    return expecting_version(acting, kind, key, form["shown"]) if "shown" in form else acting


@router.post("/requests/{run}/votes")
async def send_vote(request: Request, run: str) -> Response:
    """Vote for the plan that the page has shown."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        decision = form.get("decision", "")
        if decision not in set(Decision):
            raise OrchestratorError("N110", "decision: approve or reject")
        shown = Shown(form.get("plan", ""), form.get("rendered", ""))
        seen = changes.vote_on(app, who.actor, run, Decision(decision), shown, text_of(form, "comment"))
        return f"/requests/{quote(seen.request.id)}"

    return await submitted(request, work)


@router.post("/requests/{run}/votes/withdraw")
async def send_vote_withdrawal(request: Request, run: str) -> Response:
    """Withdraw the reader's vote."""
    return await _withdrawn(request, run, changes.withdraw_vote)


@router.post("/requests/{run}/withdraw")
async def send_withdrawal(request: Request, run: str) -> Response:
    """Withdraw a request."""
    return await _withdrawn(request, run, changes.withdraw)


async def _withdrawn(request: Request, run: str, withdraw: Callable[[Any, Actor, str, str], RequestView]) -> Response:
    """Withdraw what *withdraw* withdraws of the request *run*, for the reason of the form, and show the request."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        seen = withdraw(app, who.actor, run, text_of(form, "reason"))
        return f"/requests/{quote(seen.request.id)}"

    return await submitted(request, work)


@router.post("/requests/{run}/risk")
async def send_risk(request: Request, run: str) -> Response:
    """Set a higher level of risk for a request. It cannot be lowered."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        level = text_of(form, "level", needed=True)
        if level not in set(Level):
            raise OrchestratorError("N110", f"level: one of {', '.join(Level)}")
        reason = required_reason(text_of(form, "reason"), "risk")
        rules = app.request_rules()
        raised = raise_request_risk(app.acting_as(who.actor), run, Level(level), reason, rules)
        return f"/requests/{quote(raised.id)}"

    return await submitted(request, work)


@router.post("/runs/{run}/control")
async def send_control(request: Request, run: str) -> Response:
    """Request that a run pauses, is cancelled or aborted, or continues."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        verb = form.get("verb", "")
        if verb not in changes.ACCEPTED_VERBS:
            raise OrchestratorError("N110", f"verb: one of {', '.join(changes.ACCEPTED_VERBS)}")
        found = changes.control_run(app, who.actor, run, verb, text_of(form, "reason"))
        return f"/runs/{quote(found.id)}"

    return await submitted(request, work)


@router.get("/promote")
def promote_page(
    request: Request, who: Who, release: Release, environment: Release, call: Short = "", part: Short = ""
) -> HTMLResponse:
    """Every condition of a promotion, and the form to queue it; with a *call* the plan that a worker makes for it."""
    app = managed_application(request)
    package = app.releases.kept_package(who.actor, release)
    app.require_environment(environment)
    acting = app.acting_as(who.actor)
    about: dict[str, Any] = {
        "package": package,
        "environment": environment,
        "admission": why(acting, app.promotion(package, environment)),
        "governed": app.request_rules().approvals.govern(package.ref.name, environment),
        "allowed": changes.is_allowed(acting, Action.PROMOTE, environment),
        "plans": changes.is_allowed(acting, Action.PLAN, environment),
        "rehearses": changes.is_allowed(acting, Action.REHEARSE, environment),
        "making": call_view(app, who.actor, call, MAKING, plan_arguments(package.ref, environment)) if call else None,
        "worker": app.scheduler_runs(),
    }
    return rendered(request, "promote_part" if part else "promote", who, **about)


def plan_arguments(package: PackageRef, environment: str) -> dict[str, Any]:
    """The arguments of the call that makes a plan."""
    return {"package": package.to_json(), "environment": environment}


@router.post("/promote/plan")
async def send_planning(request: Request) -> Response:
    """Have a worker make the plan of a promotion."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        release, environment = text_of(form, "release", needed=True), text_of(form, "environment", needed=True)
        app.require_environment(environment)
        package = app.releases.kept_package(who.actor, release).ref
        call = have_done(app, who.actor, MAKING, plan_arguments(package, environment))
        return "/promote?" + urlencode({"release": package.digest, "environment": environment, "call": call})

    return await submitted(request, work)


@router.post("/promote")
async def send_promotion(request: Request) -> Response:
    """Queue a promotion; where approvals are required, request the one by a kept plan."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        plan = text_of(form, "plan")
        if plan:
            seen = changes.request_plan(app, who.actor, plan, RequestOptions(), request.app.state.shows)
            return f"/requests/{quote(seen.request.id)}"
        release, environment = text_of(form, "release", needed=True), text_of(form, "environment", needed=True)
        queued = changes.promote(app, who.actor, release, environment)
        return f"/runs/{quote(queued.name)}"

    return await submitted(request, work)


@router.post("/rehearse")
async def send_rehearsal(request: Request) -> Response:
    """Queue a rehearsal: promote a release, roll it back, and promote it again."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        release, environment = text_of(form, "release", needed=True), text_of(form, "environment", needed=True)
        return f"/runs/{quote(changes.rehearse(app, who.actor, release, environment).name)}"

    return await submitted(request, work)


@router.get("/environments/{environment}/rollback")
def rollback_page(request: Request, who: Who, environment: str, version: Release | None = None) -> HTMLResponse:
    """What a rollback would restore, and the form to queue it."""
    app = application(request)
    item = app.queries.facts(who.actor, environment)
    package = app.releases.rollback_package(who.actor, environment, version or None)
    allowed = changes.is_allowed(app.acting_as(who.actor), Action.ROLL_BACK, environment)
    return rendered(request, "rollback", who, item=item, package=package, version=version or "", allowed=allowed)


@router.post("/environments/{environment}/rollback")
async def send_rollback(request: Request, environment: str) -> Response:
    """Queue a rollback."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        queued = changes.roll_back(app, who.actor, environment, text_of(form, "version") or None)
        return f"/runs/{quote(queued.name)}"

    return await submitted(request, work)


@router.post("/environments/{environment}/lock")
async def send_lock(request: Request, environment: str) -> Response:
    """Lock an environment until it is unlocked."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        app.control.lock(who.actor, environment, text_of(form, "reason", needed=True))
        return f"/environments/{quote(environment)}"

    return await submitted(request, work)


@router.post("/environments/{environment}/unlock")
async def send_unlock(request: Request, environment: str) -> Response:
    """Unlock an environment."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        app.control.unlock(who.actor, environment, text_of(form, "reason"))
        return f"/environments/{quote(environment)}"

    return await submitted(request, work)


@router.post("/calendar/stop")
async def send_line_stop(request: Request) -> Response:
    """Stop all promotions into an environment, or into all."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        place, reason = text_of(form, "environment", needed=True), text_of(form, "reason", needed=True)
        stop_line(app.acting_as(who.actor), place, reason)
        return "/calendar"

    return await submitted(request, work)


@router.post("/calendar/resume")
async def send_line_resume(request: Request) -> Response:
    """End the stops of an environment."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        place = text_of(form, "environment", needed=True)
        resume_line(app.acting_as(who.actor), place, text_of(form, "reason"))
        return "/calendar"

    return await submitted(request, work)


@router.post("/me/sessions/end")
async def send_sign_out_elsewhere(request: Request) -> Response:
    """End every other session of the reader."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        if who.session is not None:
            app.authentication.sign_out_elsewhere(who.session)
        return "/me"

    return await submitted(request, work)
