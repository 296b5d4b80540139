"""The form of a run that needs intervention: retry it from one of its steps."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.domain.access.actions import Action
from orchestrator.domain.journal import DEFAULT_QUEUE
from orchestrator.domain.promotion import State
from orchestrator.domain.story import RunView
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, submitted, text_of
from orchestrator.web.requests import SignedIn

if TYPE_CHECKING:
    from orchestrator.app.application import Application

router = APIRouter(include_in_schema=False)


def retry_steps(app: "Application", who: SignedIn, story: RunView) -> tuple[str, ...]:
    """The steps from which the actor can have the run retried, the newest first; none if it cannot be retried."""
    place = None if story.run.kind == "waves" else story.run.environment
    ended = [step.name for step in story.steps.values() if step.result is not None]
    bad = [step.name for step in story.steps.values() if step.result is not None and not step.result.outcome.good]
    if story.run.state is not State.NEEDS_INTERVENTION or not bad:
        return ()
    return tuple(reversed(ended)) if is_allowed(app.acting_as(who.actor), Action.CONTROL_RUN, place) else ()


@router.post("/runs/{run}/retry")
async def send_run_retry(request: Request, run: str) -> Response:
    """Queue a new run that continues one that needs intervention, from a step or the last that did not succeed."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        found = app.queries.story(who.actor, run).run
        again = app.submissions.retry(who.actor, found, text_of(form, "step") or None, queue=DEFAULT_QUEUE)
        return f"/runs/{quote(again.name)}"

    return await submitted(request, work)
