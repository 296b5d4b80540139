"""The routes of `/api/v1` that change something. Each calls one use case, once for each idempotency key."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response

from orchestrator.app.calendar import resume_line, stop_line
from orchestrator.app.planned_requests import RequestOptions
from orchestrator.app.requests import RunRequest
from orchestrator.app.run_requests import RequestView
from orchestrator.app.votes import Shown
from orchestrator.domain.model import digest_of
from orchestrator.domain.project_addresses import client_address
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.web import changes
from orchestrator.web.addresses import prefix_of
from orchestrator.web.api.documents import PREFIX, encoded_document, request_data
from orchestrator.web.api.orders import (
    ControlOrder,
    LineOrder,
    LockOrder,
    Order,
    PromotionOrder,
    Reason,
    RequestOrder,
    ResumeOrder,
    RollbackOrder,
    VoteOrder,
)
from orchestrator.web.requests import SignedIn, application, require_writer

Writer = Annotated[SignedIn, Depends(require_writer)]
Key = Annotated[
    str | None, Header(alias="Idempotency-Key", description="A repetition with the same key has no effect.")
]
Result = tuple[int, str, dict[str, Any]]
"""Status, kind and contents of a document."""
router = APIRouter(prefix=PREFIX)


def reply_once(
    request: Request,
    who: SignedIn,
    key: str | None,
    order: Order,
    work: Callable[[], Result],
    encoded: Callable[[str, dict[str, Any]], bytes] = encoded_document,
) -> Response:
    """The document of *work*, which is done once for each *key* of the actor, and is written by *encoded*."""

    def reply() -> tuple[int, str]:
        status, kind, data = work()
        return status, encoded(kind, data).decode()

    if key is None:
        (status, body), again = reply(), False
    else:
        about = digest_of([request.method, request.url.path, order.model_dump(mode="json")])
        (status, body), again = application(request).idempotent_requests.reply_to(str(who.actor), key, about, reply)
    headers = {"Idempotency-Replayed": "true"} if again else {}
    return Response(body, status, headers, "application/json")


def _queued(request: Request, queued: RunRequest) -> Result:
    address = client_address(prefix_of(request.scope), f"/runs/{queued.name}")
    return 202, "Asked", {"root": queued.root, "run": queued.name, "address": address}


def _seen(status: int, seen: RequestView) -> Result:
    return status, "RunRequest", request_data(seen)


@router.post("/promotions", tags=["runs"], status_code=202)
def post_promotion(request: Request, who: Writer, order: PromotionOrder, key: Key = None) -> Response:
    """Queue a promotion into an environment without approvals."""
    app = application(request)

    def work() -> Result:
        how = {"queue": order.queue, "allow_rolled_back": order.allow_rolled_back}
        return _queued(request, changes.promote(app, who.actor, order.release, order.environment, **how))

    return reply_once(request, who, key, order, work)


@router.post("/rollbacks", tags=["runs"], status_code=202)
def post_rollback(request: Request, who: Writer, order: RollbackOrder, key: Key = None) -> Response:
    """Queue a rollback of an environment."""
    app = application(request)

    def work() -> Result:
        return _queued(request, changes.roll_back(app, who.actor, order.environment, order.version, queue=order.queue))

    return reply_once(request, who, key, order, work)


@router.post("/runs/{run}/control", tags=["runs"], status_code=202)
def post_control(request: Request, who: Writer, run: str, order: ControlOrder, key: Key = None) -> Response:
    """Request that a run pauses, is cancelled or aborted, or continues."""
    app = application(request)

    def work() -> Result:
        found = changes.control_run(app, who.actor, run, order.verb, order.reason)
        return 202, "ControlRequest", {"run": found.id, "verb": order.verb}

    return reply_once(request, who, key, order, work)


@router.post("/requests", tags=["requests"], status_code=201)
def post_request(request: Request, who: Writer, order: RequestOrder, key: Key = None) -> Response:
    """Request the promotion by a kept plan. The same promotion again gives the open request the new plan."""
    app, shows = application(request), request.app.state.shows
    how = RequestOptions(
        ChangeKind.EMERGENCY if order.emergency else ChangeKind.NORMAL,
        **order.model_dump(
            include={"reason", "incident", "start", "next_window", "allow_rolled_back", "overrun", "queue", "rehearsal"}
        ),
    )

    def work() -> Result:
        return _seen(201, changes.request_plan(app, who.actor, order.plan, how, shows))

    return reply_once(request, who, key, order, work)


@router.post("/requests/{run}/votes", tags=["requests"], status_code=201)
def post_vote(request: Request, who: Writer, run: str, order: VoteOrder, key: Key = None) -> Response:
    """Approve or reject the plan that was shown."""
    app, shown = application(request), Shown(order.plan, order.rendered)

    def work() -> Result:
        return _seen(201, changes.vote_on(app, who.actor, run, order.decision, shown, order.comment))

    return reply_once(request, who, key, order, work)


@router.post("/requests/{run}/votes/withdraw", tags=["requests"])
def post_vote_withdrawal(request: Request, who: Writer, run: str, order: Reason, key: Key = None) -> Response:
    """Withdraw the newest vote of the actor."""
    app = application(request)
    return reply_once(
        request, who, key, order, lambda: _seen(200, changes.withdraw_vote(app, who.actor, run, order.reason))
    )


@router.post("/requests/{run}/withdraw", tags=["requests"])
def post_withdrawal(request: Request, who: Writer, run: str, order: Reason, key: Key = None) -> Response:
    """Withdraw a request before its start."""
    app = application(request)
    return reply_once(request, who, key, order, lambda: _seen(200, changes.withdraw(app, who.actor, run, order.reason)))


@router.post("/environments/{environment}/lock", tags=["environments"], status_code=201)
def post_lock(request: Request, who: Writer, environment: str, order: LockOrder, key: Key = None) -> Response:
    """Lock an environment."""
    app = application(request)

    def work() -> Result:
        return 201, "Lease", app.control.lock(who.actor, environment, order.reason, order.seconds).to_json()

    return reply_once(request, who, key, order, work)


@router.post("/environments/{environment}/unlock", tags=["environments"])
def post_unlock(request: Request, who: Writer, environment: str, order: Reason, key: Key = None) -> Response:
    """Unlock an environment."""
    app = application(request)

    def work() -> Result:
        before = app.control.unlock(who.actor, environment, order.reason)
        return 200, "Unlocked", {"environment": environment, "lock": before.to_json() if before is not None else None}

    return reply_once(request, who, key, order, work)


@router.post("/line-stops", tags=["calendar"], status_code=201)
def post_line_stop(request: Request, who: Writer, order: LineOrder, key: Key = None) -> Response:
    """Stop all promotions into an environment, or into all."""
    acting = application(request).acting_as(who.actor)

    def work() -> Result:
        return 201, "LineStop", stop_line(acting, order.environment, order.reason, order.until).to_json()

    return reply_once(request, who, key, order, work)


@router.post("/line-stops/resume", tags=["calendar"])
def post_line_resume(request: Request, who: Writer, order: ResumeOrder, key: Key = None) -> Response:
    """End the stops of an environment."""
    acting = application(request).acting_as(who.actor)

    def work() -> Result:
        ended = resume_line(acting, order.environment, order.reason)
        return 200, "LineStops", {"line_stops": [stop.to_json() for stop in ended]}

    return reply_once(request, who, key, order, work)
