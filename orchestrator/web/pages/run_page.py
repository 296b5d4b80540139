"""The page of a run: its steps, batches and hosts, what was approved and planned, and what can be requested of it."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from orchestrator.app.run_requests import show_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.error_codes import RUN_NOT_FOUND
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS
from orchestrator.domain.promotion import State
from orchestrator.domain.rollback_text import rollback_lines
from orchestrator.domain.run_controls import ControlRequest, possible_requests
from orchestrator.domain.run_reason import ending_reason
from orchestrator.domain.story import RunView
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.dossier import request_behind
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.pages.retries import retry_steps
from orchestrator.web.pages.shown_run import going_on, rehearsal_of
from orchestrator.web.requests import SignedIn, application

if TYPE_CHECKING:
    from orchestrator.app.application import Application

router = APIRouter(include_in_schema=False)
Part = Annotated[str | None, Query(max_length=200)]


@router.get("/runs/{run}")
def story_page(request: Request, who: Who, run: str, part: Part = None) -> Response:
    """One run, step by step; with *part* only what changes while it is under way.

    The page of a request that has not started leads to that request.
    """
    app = application(request)
    try:
        story = app.queries.story(who.actor, run)
    except OrchestratorError as error:
        return _to_request(app, who, run, error)
    facts = app.queries.run_facts(who.actor, story.run)
    about: dict[str, Any] = {
        "story": story,
        "facts": facts,
        "reason": ending_reason(story),
        "controls": _controls(app, who, story, interrupted=facts.interrupted),
        "part": part,
        "going_on": going_on,
        "rehearsal": rehearsal_of(story),
        "rollback_texts": rollback_lines(story.rollback_plan),
    }
    if part is not None:
        return rendered(request, "run_part", who, **about)
    return rendered(request, "run", who, **about, **_around(app, who, story))


def _around(app: "Application", who: SignedIn, story: RunView) -> dict[str, Any]:
    """What does not change while a run is read: its request with the votes, and the rollback of its release."""
    acting, run = app.acting_as(who.actor), story.run
    seen, _ = request_behind(acting, run, app.request_rules())
    return {
        "seen": seen,
        "target": story.planned.get("rollback_target") if run.kind in PROMOTION_KINDS else None,
        "rolls_back": _is_current(app, who, story) and is_allowed(acting, Action.ROLL_BACK, run.environment),
        "retry_steps": retry_steps(app, who, story),
    }


def _is_current(app: "Application", who: SignedIn, story: RunView) -> bool:
    """Whether the environment has the release that this promotion has brought, so that a rollback undoes it."""
    run = story.run
    if run.kind not in PROMOTION_KINDS or run.state is not State.SUCCEEDED or run.release is None:
        return False
    if run.environment not in app.environments:
        return False
    release = app.queries.facts(who.actor, run.environment).release
    return release is not None and release.digest == run.release.digest


def _controls(
    app: "Application", who: SignedIn, story: RunView, *, interrupted: bool
) -> tuple[ControlRequest, ...] | None:
    """What the actor can request of the run; None if it has ended, or without the right."""
    place = None if story.run.kind == "waves" else story.run.environment
    if story.run.ended or not is_allowed(app.acting_as(who.actor), Action.CONTROL_RUN, place):
        return None
    return possible_requests(story.run.control, going_back=story.going_back, interrupted=interrupted)


def _to_request(app: "Application", who: SignedIn, run: str, error: OrchestratorError) -> Response:
    """The way to the request for *run*, which is not in the journal. Raises *error* if it does not exist."""
    if error.code != RUN_NOT_FOUND:
        raise error
    try:
        seen, _ = show_request(app.acting_as(who.actor), run, app.request_rules())
    except OrchestratorError:
        raise error from None
    return RedirectResponse(f"/requests/{quote(seen.request.id)}", 303)
