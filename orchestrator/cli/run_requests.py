"""Run requests as users read them: in words, and as data for documents."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import out_folded, print_json
from orchestrator.domain.admission.conditions import ConditionKind
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.moments import minute_text, moment_text
from orchestrator.domain.text import short

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.run_requests import RequestView
    from orchestrator.domain.register import PlanText

WAITS = frozenset({RequestState.WAITING, RequestState.READY, RequestState.HELD})


def title(seen: "RequestView") -> str:
    """The request in one line."""
    request = seen.request
    what = "rehearsal" if request.rehearsal else f"{request.kind} change"
    places = f" ({', '.join(request.environments)})" if request.rollout is not None else ""
    return f"{request.id} {seen.state}: {request.release} → {request.environment}{places}, {what}"


def wait_reason(seen: "RequestView") -> str:
    """Why the request is in its state, in one phrase: what a start waits for, or how the request ended."""
    request = seen.request
    if seen.state not in WAITS:
        return request.note
    missing = seen.admission.missing
    if seen.state is RequestState.EXPIRED or not missing:
        return "every condition of the start is met"
    return "; ".join(condition.reason for condition in missing)


def lines(seen: "RequestView") -> Iterator[str]:
    """The request with its risk, its votes, and what its start waits for."""
    request = seen.request
    yield title(seen)
    yield f"  by       {request.requester}, at {minute_text(request.requested_at)}" + (
        f"; {request.reason}" if request.reason else ""
    )
    if request.incident:
        yield f"  incident {request.incident}"
    yield f"  plan     {request.plan}"
    if request.differences:
        yield f"  changed  since the plan before: {', '.join(request.differences)}"
    yield from _risk_lines(seen)
    for vote in seen.votes:
        yield f"  vote     {_vote(vote)}"
    if seen.state in WAITS:
        for condition in seen.admission.missing:
            yield f"  {condition.kind:<8} {condition.reason}"
        if all(condition.kind is not ConditionKind.APPROVAL for condition in seen.admission.missing):
            yield f"  approval {_approval(seen)}; the request expires at {minute_text(request.expires_at)}"
    elif request.note:
        yield f"  note     {request.note}"
    if seen.review is not None:
        done = seen.review.completed_at
        state = f"completed at {minute_text(done)}" if done else f"due at {minute_text(seen.review.due)}"
        yield f"  review   of the emergency: {state}"


def _risk_lines(seen: "RequestView") -> Iterator[str]:
    risk = seen.request.risk
    if risk is None:
        return
    for line in risk.lines:
        if line.points:
            yield f"  risk     {line}"
    yield f"  risk     {risk.arithmetic}"


def _vote(vote: Any) -> str:
    deputy = f" as deputy of {vote.deputy_for}" if vote.deputy_for else ""
    taken = ", withdrawn" if vote.withdrawn_at else ""
    comment = f": {vote.comment}" if vote.comment else ""
    plan = short(vote.plan)
    return f"{vote.decision} by {vote.by}{deputy} ({vote.role}) at {minute_text(vote.at)} for {plan}{taken}{comment}"


def _approval(seen: "RequestView") -> str:
    verdict = seen.approval
    by = f"given by {', '.join(verdict.counted)}" if verdict.counted else "none needed"
    return by + (f", until {minute_text(verdict.expires)}" if verdict.expires else "")


def item(seen: "RequestView") -> dict[str, Any]:
    """The request as data for documents."""
    request = seen.request
    return {
        "request": request.to_json(),
        "state": seen.state.value,
        "level": request.level.value,
        "arithmetic": request.risk.arithmetic if request.risk is not None else "",
        "expires_at": moment_text(request.expires_at),
        "approval": seen.approval.to_json(),
        "admission": seen.admission.to_json(),
        "votes": [vote.to_json() for vote in seen.votes],
        "review": seen.review.to_json() if seen.review is not None else None,
    }


def print_request(app: "Application", seen: "RequestView", *, as_json: bool, text: "PlanText | None" = None) -> None:
    """Print one request; with *text* also the plan as approvers see it."""
    if as_json:
        shown = text.text if text is not None else None
        print_json("RunRequest", {**item(seen), "text": shown, "worker": app.scheduler_runs()})
        return
    if text is not None:
        out_folded(text.text.rstrip())
    for line in lines(seen):
        out_folded(line)


def hint_worker(app: "Application", seen: "RequestView") -> str:
    """The command that starts the promotion if no worker runs; empty if one does, or if there is nothing to start."""
    if seen.state not in WAITS or app.scheduler_runs():
        return ""
    queue = "" if seen.request.queue == "default" else f" --queue {seen.request.queue}"
    return f"no worker is running, which would start it: orchestrator worker{queue}"
