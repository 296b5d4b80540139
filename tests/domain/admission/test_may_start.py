"""Whether a promotion may start: every condition by value, and what never holds a rollback."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.access.authorize import Target
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor, Method
from orchestrator.domain.admission.conditions import CODES, Admission, Condition, ConditionKind, ConditionState
from orchestrator.domain.admission.may_start import AdmissionFacts, PathFacts, may_roll_back, may_start
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.reviews import EmergencyReview
from orchestrator.domain.approval.votes import Vote
from orchestrator.domain.calendar.fit import estimate
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.verdict import Calendar, LineStop
from orchestrator.domain.moments import Now, moment_text, parse_moment

PLAN, RENDERED = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
START = parse_moment("2026-11-29T12:00:00Z")
HOUR = timedelta(hours=1)
NOW = Now.at(START)
ANN = Actor(name="ann", method=Method.TOKEN)
ACCESS = Access.from_json(
    {
        "users": [{"name": name} for name in ("ann", "bob", "cid")],
        "bindings": [
            {"role": "release-manager", "to": "user:ann"},
            {"role": "approver", "to": "user:bob"},
            {"role": "approver", "to": "user:cid"},
        ],
    }
)
FREEZE = CalendarRule.from_json({
    "id": "f", "kind": "soft-freeze", "title": "year end", "owner": "cid", "zone": "UTC",
    "start": "2026-11-29T13:00:00", "end": "2026-11-29T20:00:00",
})  # fmt: skip
STOP = LineStop(
    id="s", environment="*", stopped_at=START, stopped_by="bob", reason="incident 7", until=START + 2 * HOUR
)
VOTE = Vote.from_json(
    {"plan": PLAN, "rendered": RENDERED, "by": "bob", "decision": "approve", "at": moment_text(START)}
)
REVIEW = EmergencyReview.from_json({
    "run": "R-0", "environment": "production", "plan": PLAN, "requirement": {}, "reason": "outage", "incident": "x",
    "opened_at": moment_text(START - 9 * HOUR), "due": moment_text(START - HOUR),
})  # fmt: skip


def request(**fields: Any) -> RunRequest:
    return RunRequest.from_json({
        "id": "R-1", "project": "shop", "environment": "production", "package": PLAN, "plan": PLAN, "rendered": RENDERED,
        "requirement": {"quorums": [{"count": 1}]}, "requested_by": {"name": "ann", "method": "token"},
        "requested_at": moment_text(START), **fields,
    })  # fmt: skip


def facts(**fields: Any) -> AdmissionFacts:
    return AdmissionFacts(**{"directory": Directory(ACCESS), "votes": (VOTE,), **fields})


def missing(each: RunRequest, known: AdmissionFacts, now: Now = NOW, actor: Actor = ANN) -> list[str]:
    return [f"{c.state}: {c.reason}" for c in may_start(each, actor, known, now).missing]


def test_an_approved_promotion_in_an_open_environment_may_start() -> None:
    """Every condition is listed, and each is met."""
    found = may_start(request(), ANN, facts(), NOW)
    assert found.may_start
    assert [c.kind for c in found.conditions] == [
        kind for kind in ConditionKind if kind not in {ConditionKind.REQUEST, ConditionKind.FIT}
    ]
    assert found.to_json()["conditions"][6]["reason"] == "approved by bob, until 2026-11-29 20:00 UTC"


@pytest.mark.parametrize(
    ("fields", "known", "reason"),
    [
        ({}, {"votes": ()}, "waiting: waiting for 1 of 1 approval: can be given by bob, cid; the request expires at 2027-02-27 12:00 UTC"),
        ({"start": "2026-11-29T15:00:00Z"}, {}, "waiting: requested to start at 2026-11-29 15:00 UTC"),
        ({}, {"calendar": Calendar(line_stops=(STOP,))}, "waiting: line stopped by bob until 2026-11-29 14:00 UTC: incident 7"),
        ({}, {"reviews": (REVIEW,)}, "waiting: the review of the emergency R-0 was due at 2026-11-29 11:00 UTC: outage"),
        ({}, {"path": PathFacts("staging")}, "refused: has not been verified in staging"),
        ({}, {"path": PathFacts("staging", START - HOUR, 24 * HOUR)}, "waiting: verified in staging at 2026-11-29 11:00 UTC, to be promoted after 2026-11-30 11:00 UTC"),
        ({}, {"path": PathFacts(rolled_back="run R-7")}, "refused: held after a rollback: run R-7"),
        ({}, {"path": PathFacts(superseded_by="shop-1.5.0")}, "refused: superseded by shop-1.5.0"),
        ({}, {"path": PathFacts(needs_rehearsal="none in staging")}, "refused: rehearsal missing: none in staging"),
        ({}, {"path": PathFacts(plan_changes=("inventory",))}, "refused: the plan no longer holds: inventory"),
        ({}, {"path": PathFacts(lease="run R-9 by cid")}, "waiting: the environment is in use: run R-9 by cid"),
        ({"requirement": {"separate": ["requester", "verifier"]}, "verifier": "ann"}, {}, "refused: ann is requester and verifier"),
    ],
)  # fmt: skip
def test_each_missing_condition_has_its_reason(fields: dict[str, Any], known: dict[str, Any], reason: str) -> None:
    """Exactly that condition is missing."""
    assert missing(request(**fields), facts(**known)) == [reason]


def test_a_refusal_by_right_names_who_could() -> None:
    """The right is checked when the request starts, also where a worker starts it."""
    found = may_start(request(), Actor(name="bob", method=Method.TOKEN), facts(), NOW).missing
    assert [(c.kind, c.who, c.code) for c in found] == [(ConditionKind.RIGHT, ("ann",), "A101")]
    assert may_start(request(), SYSTEM_ACTOR, facts(), NOW).may_start
    revoked = Directory(ACCESS.model_copy(update={"bindings": ACCESS.bindings[1:]}))
    assert not may_start(request(), SYSTEM_ACTOR, facts(directory=revoked), NOW).may_start


def test_a_promotion_that_would_run_into_a_freeze_is_refused_before_it_starts() -> None:
    """The next time at which it fits is named; if an overrun is allowed, it is a warning."""
    known = {"calendar": Calendar(rules=(FREEZE,)), "estimate": estimate([7200.0] * 5, steps=1, hosts=1)}
    assert missing(request(), facts(**known)) == [
        "refused: this promotion (estimated 2 h, p90 2 h of the last 5 runs) would run into 2026-11-29 13:00 UTC (soft freeze 'year end' by cid until 2026-11-29 20:00 UTC); it would fit from 2026-11-29 20:00 UTC"
    ]
    assert may_start(request(), ANN, facts(**known), NOW).until == START + 8 * HOUR
    assert may_start(request(), ANN, facts(**known, overrun=True), NOW).may_start
    short = CalendarRule.from_json({**FREEZE.to_json(), "id": "w", "kind": "window", "start": "2026-11-29T12:00:00",
                                    "end": "2026-11-29T13:00:00", "rule": "FREQ=DAILY"})  # fmt: skip
    found = may_start(request(), ANN, facts(**{**known, "calendar": Calendar(rules=(short,))}), NOW)
    assert (found.missing[0].reason[-35:], found.until) == ("; no later open time is long enough", None)


def test_an_emergency_passes_soft_freezes_and_overdue_reviews() -> None:
    """With a reason and an incident; not a hard freeze or a stopped line."""
    emergency = request(kind="emergency", reason="outage", incident="x")
    inside = Now.at(START + 2 * HOUR)
    known = facts(calendar=Calendar(rules=(FREEZE,)), reviews=(REVIEW,))
    assert missing(emergency, known, inside) == []
    assert len(missing(request(), known, inside)) == 2
    hard = CalendarRule.from_json({**FREEZE.to_json(), "kind": "hard-freeze"})
    assert len(missing(emergency, facts(calendar=Calendar(rules=(hard,))), inside)) == 1


def test_a_freeze_after_an_approval_blocks_the_start_and_voids_nothing() -> None:
    """The approval is still counted, and an override by right is shown permanently."""
    inside = Now.at(START + 2 * HOUR)
    known = facts(calendar=Calendar(rules=(FREEZE,)))
    found = may_start(request(), ANN, known, inside)
    assert [c.kind for c in found.missing] == [ConditionKind.FREEZE]
    assert found.until == START + 8 * HOUR
    assert found.missing[0].who == ("cid",)
    passed = may_start(request(overrides=["f"]), ANN, known, inside)
    assert passed.may_start
    assert [c.reason for c in passed.conditions if c.state is ConditionState.WARNING] == [
        "passed: f (soft freeze 'year end' by cid until 2026-11-29 20:00 UTC)"
    ]


def test_missing_conditions_are_shown_with_the_refused_ones_first() -> None:
    """It starts when the last one is over, if all have a known end."""
    wait, never = (
        Condition(ConditionKind.LEASE, ConditionState.WAITING, "x", until=START),
        Condition(ConditionKind.PLAN, ConditionState.REFUSED, "y"),
    )
    admission = Admission((wait, never))
    assert admission.missing == (never, wait)
    assert admission.until is None
    assert admission.is_refused
    assert Admission((wait,)).until == START
    assert set(CODES) == set(ConditionKind)


@pytest.mark.parametrize("name", ["ann", "bob", "cid", "eve"])
def test_nothing_but_the_right_holds_a_rollback(name: str) -> None:
    """Neither approvals nor the calendar are conditions of it."""
    found = may_roll_back(Actor(name=name, method=Method.TOKEN), Target("shop", "production"), Directory(ACCESS), NOW)
    assert found.may_start is (name == "ann")
    assert [condition.kind for condition in found.conditions] == [ConditionKind.RIGHT]
    system = may_roll_back(SYSTEM_ACTOR, Target("shop", "production"), Directory(Access()), NOW)
    assert system.may_start


VARIED = st.fixed_dictionaries({
    "votes": st.sampled_from([(), (VOTE,)]),
    "reviews": st.sampled_from([(), (REVIEW,)]),
    "calendar": st.sampled_from([Calendar(), Calendar(rules=(FREEZE,)), Calendar(line_stops=(STOP,))]),
    "path": st.sampled_from([PathFacts(), PathFacts("staging"), PathFacts(lease="run R-9"), PathFacts(rolled_back="R-7")]),
})  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(VARIED, st.integers(0, 12), st.integers(0, 12))
def test_an_uncertain_clock_never_lets_more_start(known: dict[str, Any], first: int, second: int) -> None:
    """What starts with an uncertain time starts at both of its ends too."""
    low, high = sorted((START + first * HOUR, START + second * HOUR))
    if may_start(request(start=moment_text(START + HOUR)), ANN, facts(**known), Now(low, high)).may_start:
        for certain in (low, high):
            assert may_start(request(start=moment_text(START + HOUR)), ANN, facts(**known), Now.at(certain)).may_start
