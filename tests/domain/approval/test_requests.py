"""The states of a run request, and what the clock does to it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.admission.conditions import CODES, TOO_EARLY
from orchestrator.domain.admission.may_start import subject_of
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.request_state import (
    REQUEST_ENDINGS,
    REQUEST_TABLE,
    IllegalRequestMove,
    RequestEvent,
    RequestState,
    request_move,
)
from orchestrator.domain.approval.requests import (
    LIFETIME,
    RunRequest,
    TimerKind,
    current_state,
    due,
    next_timer,
    timers,
)
from orchestrator.domain.approval.reviews import EmergencyReview, overdue, passed_over, review_verdict
from orchestrator.domain.approval.run_end import RunEnd, event_after
from orchestrator.domain.approval.votes import ApprovalVerdict, Vote, satisfied
from orchestrator.domain.moments import ClockReading, Now, current_time, moment_text, parse_moment
from orchestrator.domain.promotion import State

PLAN, RENDERED = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
START = parse_moment("2026-11-29T12:00:00Z")
DIRECTORY = Directory(
    Access.from_json(
        {
            "users": [{"name": "ann"}, {"name": "bob"}, {"name": "cid"}],
            "bindings": [{"role": "approver", "to": f"user:{name}"} for name in ("ann", "bob", "cid")],
        }
    )
)


def request(**fields: Any) -> RunRequest:
    return RunRequest.from_json({
        "id": "R-1", "project": "shop", "environment": "production", "package": PLAN, "plan": PLAN, "rendered": RENDERED,
        "requirement": {"quorums": [{"count": 1}]}, "requested_by": {"name": "ann"}, "requested_at": moment_text(START), **fields,
    })  # fmt: skip


def votes(*names: str, decision: str = "approve") -> list[Vote]:
    fields = {"plan": PLAN, "rendered": RENDERED, "at": moment_text(START), "decision": decision}
    return [Vote.from_json({**fields, "by": name}) for name in names]


def approval(each: RunRequest, cast: list[Vote], now: Now) -> ApprovalVerdict:
    return satisfied(each.requirement, cast, subject_of(each), DIRECTORY, now)


def state(each: RunRequest, cast: list[Vote], hours: float) -> RequestState:
    now = Now.at(START + timedelta(hours=hours))
    return current_state(each, approval(each, cast, now), now)


@given(st.sampled_from(RequestState), st.lists(st.sampled_from(RequestEvent), max_size=8))
def test_an_event_outside_of_the_table_is_refused(start: RequestState, events: list[RequestEvent]) -> None:
    """Every sequence either follows the table or is refused; an ended request never changes."""
    current = start
    for event in events:
        if event in REQUEST_TABLE[current]:
            current = request_move(current, event)
        else:
            with pytest.raises(IllegalRequestMove, match=f"{current.value} cannot {event.value}"):
                request_move(current, event)
    if start in REQUEST_ENDINGS:
        assert current is start


def test_only_a_ready_or_held_request_starts() -> None:
    """No state without a quorum has the event."""
    assert [s for s, moves in REQUEST_TABLE.items() if RequestEvent.START in moves] == [
        RequestState.READY,
        RequestState.HELD,
    ]
    assert set(REQUEST_TABLE) == set(RequestState)


def test_the_current_state_follows_votes_and_clock_without_a_scheduler() -> None:
    """Approved, lapsed, rejected and expired are computed whenever they are read."""
    waiting = request()
    assert state(waiting, [], 1) is RequestState.WAITING
    assert state(waiting, votes("bob"), 1) is RequestState.READY
    assert state(waiting, votes("ann"), 1) is RequestState.WAITING
    assert state(waiting, votes("bob", decision="reject"), 1) is RequestState.REJECTED
    assert state(waiting, votes("bob"), 24 * 90) is RequestState.EXPIRED
    ready = waiting.after(RequestEvent.APPROVE)
    assert state(ready, votes("bob"), 9) is RequestState.WAITING
    started = ready.after(RequestEvent.START)
    assert state(started, [], 24 * 99) is RequestState.STARTED
    assert state(started.after(RequestEvent.HOLD), votes("bob"), 9) is RequestState.WAITING


def test_a_new_plan_needs_new_votes() -> None:
    """The request waits again, in the next round; the old votes are for another plan."""
    ready = request().after(RequestEvent.APPROVE)
    other = f"sha256:{'3' * 64}"
    again = ready.replanned(other, RENDERED, ready.requirement)
    assert (again.state, again.round, again.plan) == (RequestState.WAITING, 2, other)
    assert state(again, votes("bob"), 1) is RequestState.WAITING


@pytest.mark.parametrize("code", sorted({*CODES.values(), TOO_EARLY} - {"A206"}))
def test_a_condition_that_did_not_hold_at_the_start_of_a_run_holds_its_request(code: str) -> None:
    """A run that ended at its entrance by any condition leaves a request that starts later, or gets a new plan."""
    expected = RequestEvent.FINISH if code == "A224" else RequestEvent.HOLD
    assert event_after(RunEnd(State.FAILED, code)) is expected


def test_an_emergency_needs_a_reason_and_an_incident() -> None:
    """Blank text is not a reason."""
    with pytest.raises(ValidationError, match="reason and the link of an incident"):
        request(kind="emergency", reason="  ", incident="https://incidents.example/7")
    assert request(kind="emergency", reason="outage", incident="https://incidents.example/7")


def test_timers_are_functions_of_the_request() -> None:
    """Reminders, the expiry of a vote, the earliest start and the expiry of the request, in order."""
    each = request(start=moment_text(START + timedelta(hours=2)))
    found = timers(each, approval(each, votes("bob"), Now.at(START)))
    assert [(timer.kind, timer.number) for timer in found] == [
        (TimerKind.EARLIEST_START, 0),
        (TimerKind.VOTE_EXPIRES, 0),
        (TimerKind.REMIND, 1),
        (TimerKind.REMIND, 2),
        (TimerKind.REQUEST_EXPIRES, 0),
    ]
    assert found[-1].at == START + LIFETIME == each.expires_at
    ended = each.after(RequestEvent.WITHDRAW)
    assert timers(ended, approval(each, [], Now.at(START))) == ()
    following = next_timer(found, Now.at(START + timedelta(hours=3)))
    assert following == found[1]


def test_timers_are_due_once_and_expiry_first_in_doubt() -> None:
    """With an uncertain clock an expiry is due at the latest time, a start at the earliest."""
    each = request(start=moment_text(START + timedelta(hours=8)))
    found = timers(each, approval(each, votes("bob"), Now.at(START)))
    doubt = Now(START, START + timedelta(hours=8))
    assert [timer.kind for timer in due(found, START, doubt)] == [TimerKind.VOTE_EXPIRES]
    sure = Now.at(START + timedelta(hours=8))
    assert len(due(found, START, sure)) == 2
    assert due(found, START + timedelta(hours=8), sure) == ()


def test_a_clock_that_jumps_gives_an_uncertain_time() -> None:
    """Forward, backward, and behind what was recorded; a clock that runs well gives a certain time."""
    before = ClockReading(START, 100.0)
    hour = timedelta(hours=1)
    assert current_time(ClockReading(START + hour, 3700.0), before).is_certain
    assert current_time(ClockReading(START + 5 * hour, 3700.0), before) == Now(START + hour, START + 5 * hour)
    assert current_time(ClockReading(START - hour, 3700.0), before) == Now(START - hour, START + hour)
    assert current_time(ClockReading(START, 1.0), recorded=START + hour) == Now(START, START + hour)


def review(**fields: Any) -> EmergencyReview:
    return EmergencyReview.from_json({
        "run": "R-1", "environment": "production", "plan": PLAN, "requirement": {"quorums": [{"count": 2}]},
        "reason": "outage", "incident": "https://incidents.example/7", "opened_at": moment_text(START),
        "due": moment_text(START + timedelta(days=3)), **fields,
    })  # fmt: skip


def test_an_overdue_review_is_found_at_its_due_time() -> None:
    """It is overdue in doubt, in its own environment, until it is completed."""
    due_at = START + timedelta(days=3)
    assert overdue([review()], "production", Now.at(due_at - timedelta(seconds=1))) == ()
    assert overdue([review()], "production", Now.at(due_at)) == (review(),)
    assert overdue([review()], "production", Now(START, due_at)) == (review(),)
    assert overdue([review()], "staging", Now.at(due_at)) == ()
    assert overdue([review(completed_at=moment_text(due_at))], "production", Now.at(due_at)) == ()


def test_the_approvers_who_were_passed_over_are_named() -> None:
    """Those whose vote an ordinary change would have needed and who did not give it; their later votes complete it."""
    subject = subject_of(request())
    ordinary = Requirement.from_json({"quorums": [{"count": 2}]})
    assert passed_over(ordinary, votes("bob"), subject, DIRECTORY, Now.at(START)) == ("cid",)
    late = Now.at(START + timedelta(days=30))
    assert review_verdict(review(), votes("bob", "cid"), subject, DIRECTORY, late).satisfied
    assert not review_verdict(review(), votes("bob"), subject, DIRECTORY, late).satisfied
