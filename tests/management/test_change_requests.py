"""Change requests by values: states, rank, risk, checks, commits and imports."""

from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.calendar.rules import CalendarRule, RuleKind
from orchestrator.domain.calendar.verdict import Calendar
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.domain.release import CommitMessage
from orchestrator.management.change_requests.checks import Surroundings, assessment
from orchestrator.management.change_requests.commits import Scope, changes_of
from orchestrator.management.change_requests.imports import Incoming, compare_import, of_commits
from orchestrator.management.change_requests.model import (
    RANKS_KEPT,
    ChangeDraft,
    ChangeRequest,
    RankOverride,
    Source,
    moves_since,
)
from orchestrator.management.change_requests.risk import FACTORS, ChangeFacts, PackageFacts, change_risk
from orchestrator.management.change_requests.state import CHANGE_REQUEST_TABLE, ChangeEvent, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS, rank_position

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KNOWN = Surroundings(("staging", "production"), frozenset({"shop"}), Calendar())
GOOD = PackageFacts(package="shop", promotions=20, rehearsed_s=60.0)


def change_request(number: int = 1, **fields: object) -> ChangeRequest:
    about = {"title": "Sell gift cards", "reason": "asked for", "packages": ("shop",), "environments": ("production",)}
    given = {**about, "number": number, "reporter": "ann", "created_at": NOON, **fields}
    return ChangeRequest.model_validate(given)


# -- states ------------------------------------------------------------------------------------------------------------


def test_the_states_are_those_of_the_issue() -> None:
    """A draft is assessed, accepted, planned, released and closed; what the table does not have is refused by name."""
    request = change_request()
    for event, state in (
        ("submit", "assessing"), ("defer", "deferred"), ("reopen", "assessing"), ("accept", "accepted"),
        ("plan", "planned"), ("unplan", "accepted"), ("plan", "planned"), ("release", "released"),
        ("roll back", "planned"), ("release", "released"), ("close", "closed"),
    ):  # fmt: skip
        request = request.after(ChangeEvent(event))
        assert request.state == state
    with pytest.raises(OrchestratorError, match=r"R-1 is closed, and reopen is not possible \(possible: nothing"):
        request.after(ChangeEvent.REOPEN)
    assert request.has_ended
    assert {state.value for state in CHANGE_REQUEST_TABLE.ends} == {"rejected", "closed", "withdrawn"}


@given(st.lists(st.sampled_from(list(ChangeEvent)), max_size=30))
def test_no_sequence_of_events_leaves_the_table(events: list[ChangeEvent]) -> None:
    """After any events the state is one that the table reaches from a draft, and a refused event changes nothing."""
    request = change_request()
    for event in events:
        if CHANGE_REQUEST_TABLE.allows(request.state, event):
            before, request = request, request.after(event)
            assert CHANGE_REQUEST_TABLE.moves[before.state][event] is request.state
        else:
            with pytest.raises(OrchestratorError, match="not possible"):
                request.after(event)
    assert request.state in CHANGE_REQUEST_TABLE.moves
    assert set(CHANGE_REQUEST_TABLE.moves) == set(ChangeState)


# -- rank and risk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "points"),
    [
        (ChangeFacts(packages=(GOOD,)), (1, 0, 0, 0)),
        (ChangeFacts(), (1, 1, 1, 0)),
        (ChangeFacts(packages=(GOOD.model_copy(update={"rollbacks": 2}),)), (1, 1, 0, 0)),
        (ChangeFacts(packages=(GOOD.model_copy(update={"rollbacks": 3}),)), (1, 2, 0, 0)),
        (ChangeFacts(packages=(GOOD, PackageFacts(package="bank"))), (1, 1, 1, 0)),
        (ChangeFacts(packages=(GOOD.model_copy(update={"rehearsed_s": 1801.0}),)), (1, 0, 1, 0)),
        (ChangeFacts(packages=(GOOD,), drifting=("production",)), (1, 0, 0, 1)),
    ],
)
def test_the_risk_is_the_sum_of_its_table(facts: ChangeFacts, points: tuple[int, ...]) -> None:
    """Each line of the table gives its points, at most as many as it says, and the risk is from 1 to 5."""
    found = change_risk(facts)
    assert tuple(line.points for line in found.lines) == points
    assert found.risk == sum(points)
    assert sum(factor.most for factor in FACTORS) == 5


def test_the_rank_shows_its_arithmetic() -> None:
    """The rank is value × (1 + urgency/5) / (1 + risk/5); a rank that was set by hand keeps who and why."""
    request = change_request(value=4, urgency=3, facts=ChangeFacts(packages=(GOOD,), drifting=("production",)))
    assert request.arithmetic == "4 × (1 + 3/5) / (1 + 2/5) = 4.57"
    by_hand = request.model_copy(
        update={"override": RankOverride(rank=9.0, by="rita", at=NOON, reason="a promise to a customer")}
    )
    assert by_hand.arithmetic.endswith("= 4.57, set to 9.00 by rita: a promise to a customer")
    assert (by_hand.rank, round(by_hand.computed_rank, 2)) == (9.0, 4.57)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.booleans()), min_size=2, max_size=20))
def test_the_order_of_the_store_is_that_of_the_rank(values: list[tuple[int, int, bool]]) -> None:
    """Requests are kept in the order of their rank, the older one first if two have the same."""
    requests = [
        change_request(
            number, value=value, urgency=urgency, facts=ChangeFacts(drifting=("production",) if drifts else ())
        )
        for number, (value, urgency, drifts) in enumerate(values, 1)
    ]
    assert CHANGE_REQUESTS.position is not None
    kept = sorted(requests, key=CHANGE_REQUESTS.position)
    assert kept == sorted(requests, key=lambda request: (-round(request.rank, 4), request.number))


def place_in(requests: list[ChangeRequest]) -> Callable[[float, int], int]:
    """The places among the ranks of *requests*, as the store finds them."""
    places = sorted(rank_position(request.rank, request.number) for request in requests)
    return lambda rank, number: bisect_left(places, rank_position(rank, number)) + 1


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), max_size=12))
def test_the_places_before_are_those_of_the_earlier_order(values: list[tuple[int, int]]) -> None:
    """The places of what moved are those of the whole order at both moments, also if only what moved is given."""
    before, now = [], []
    for number, (value, after) in enumerate(values, 1):
        old = change_request(number, value=value).ranked(NOON - 2 * DAY, "entered")
        before.append(old)
        now.append(old.ranked(NOON, "changed", value=after) if after else old)

    def places(requests: list[ChangeRequest]) -> dict[str, int]:
        ordered = sorted(requests, key=lambda each: (-each.rank, each.number))
        return {request.id: place for place, request in enumerate(ordered, 1)}

    moved = [request for request in now if len(request.ranks) > 1]
    found = moves_since(moved, NOON - DAY, place_in(now))
    was, is_ = places(before), places(now)
    expected = [(each.id, was[each.id], is_[each.id]) for each in moved]
    assert [(each.request, each.place_before, each.place) for each in found] == sorted(expected, key=lambda e: e[2])


def test_what_moved_is_named_with_its_reason() -> None:
    """A request moved if its rank did since the moment; the reason and both places are shown, and old moves are left out."""
    before = NOON - 2 * DAY
    shop = change_request(1, value=3).ranked(before, "entered", facts=ChangeFacts(packages=(GOOD,)))
    bank = change_request(2, value=3).ranked(before, "entered", facts=ChangeFacts(packages=(GOOD,)))
    assert moves_since([shop, bank], NOON - DAY, place_in([shop, bank])) == ()
    riskier = shop.ranked(
        NOON, "drift: production → 1 of 1", facts=ChangeFacts(packages=(GOOD,), drifting=("production",))
    )
    new = change_request(3, value=5).ranked(NOON, "entered", facts=ChangeFacts(packages=(GOOD,)))
    first, second = moves_since([riskier, bank, new], NOON - DAY, place_in([riskier, bank, new]))
    assert (first.request, first.before, first.place_before, first.place) == ("R-3", None, None, 1)
    assert (second.request, second.place_before, second.place) == ("R-1", 1, 3)
    assert second.why == ("drift: production → 1 of 1",)
    same = riskier.ranked(NOON + DAY, "nothing", facts=riskier.facts)
    assert same.ranks == riskier.ranks
    for number in range(2 * RANKS_KEPT):
        same = same.ranked(NOON, "changed", value=1 + number % 5)
    assert len(same.ranks) == RANKS_KEPT


# -- assessment --------------------------------------------------------------------------------------------------------


def failing(request: ChangeRequest, found: Surroundings = KNOWN) -> dict[str, str]:
    checks = assessment(request, found, Now.at(NOON))
    return {check.name: check.text for check in checks if not check.holds}


def test_an_assessment_names_what_does_not_hold() -> None:
    """A reason, known environments and known packages are needed, and a date that is neither past nor closed."""
    assert failing(change_request()) == {}
    assert failing(change_request(reason="", packages=(), environments=("moon",))) == {
        "reason": "the reason is missing",
        "environments": "not in the project: moon",
        "packages": "no packages are named",
    }
    assert failing(change_request(due=date(2026, 11, 28))) == {"date": "2026-11-28 is past"}
    assert failing(change_request(due=date(2026, 11, 29))) == {}
    start = datetime(2026, 12, 1)  # noqa: DTZ001 - wall-clock time
    freeze = CalendarRule(id="c1", kind=RuleKind.HARD_FREEZE, title="eve", start=start, end=start + DAY, zone="UTC")
    frozen = Surroundings(KNOWN.environments, KNOWN.packages, Calendar(rules=(freeze,)))
    assert failing(change_request(due=date(2026, 12, 1)), frozen) == {"date": "production closed on 2026-12-01"}
    assert failing(change_request(due=date(2026, 12, 2)), frozen) == {}


# -- imports -----------------------------------------------------------------------------------------------------------

SCOPE = Scope(("production",), ("shop",), frozenset({"shop", "bank"}))


def commit(message: str, number: int = 1) -> CommitMessage:
    return CommitMessage(commit=f"{number:040x}", at="2026-11-29T12:00:00+00:00", author="Ann", message=message)


@pytest.mark.parametrize(
    ("message", "title", "value", "urgency", "packages"),
    [
        ("feat: sell gift cards", "sell gift cards", 3, 2, ("shop",)),
        ("fix(bank): round up", "round up", 3, 4, ("bank",)),
        ("Fix(moon): land\n\nSlowly.\n\nCloses #12", "land", 3, 4, ("shop",)),
        ("chore!: drop python 3.9", "drop python 3.9", 3, 3, ("shop",)),
        ("refactor: names\n\nBREAKING CHANGE: the API has other names", "names", 3, 3, ("shop",)),
    ],
)
def test_a_conventional_commit_becomes_a_draft(
    message: str, title: str, value: int, urgency: int, packages: tuple[str, ...]
) -> None:
    """Type, scope, breaking mark and footers of a commit give the fields of the draft."""
    [found] = changes_of([commit(message)], SCOPE)
    assert found.draft is not None
    assert (found.draft.title, found.draft.value, found.draft.urgency) == (title, value, urgency)
    assert found.draft.packages == packages
    assert found.draft.links == (("12",) if "#12" in message else ())
    assert ("a breaking change" in found.draft.reason) == ("BREAKING" in message or "!" in message)


@given(st.text(max_size=300))
def test_any_commit_message_is_a_draft_or_skipped(message: str) -> None:
    """No message of a commit breaks the import."""
    [found] = changes_of([commit(message)], SCOPE)
    assert (found.draft is None) == bool(found.skipped)


def test_the_same_import_again_changes_nothing() -> None:
    """A commit that is imported already is skipped, a draft of a file changes, and a decided one does not."""
    incoming, skipped = of_commits(changes_of([commit("docs: typo", 2), commit("feat: sell", 1)], SCOPE))
    assert [each.why for each in skipped] == ["docs changes nothing for users"]
    [one] = incoming
    fields = {name: getattr(one.draft, name) for name in ChangeDraft.model_fields}
    there = change_request(7, **fields, source=Source.GIT, source_ref=one.source_ref)
    found = compare_import([there], incoming)
    assert (found.added, found.changed, [each.why for each in found.skipped]) == ((), (), ["R-7 is the same"])
    other = Incoming(source=Source.GIT, source_ref=one.source_ref, draft=one.draft.model_copy(update={"value": 5}))
    assert [request.id for request, _ in compare_import([there], [other]).changed] == ["R-7"]
    decided = there.after(ChangeEvent.SUBMIT)
    [why] = compare_import([decided], [other]).skipped
    assert why.why == "R-7 is assessing: only drafts change"
    twice = compare_import([], [one, one])
    assert (len(twice.added), [each.why for each in twice.skipped]) == (1, ["its reference appears twice"])
