"""All orders in short form, and the bugs that are planted in the rules of votes: the checker finds each of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.database.engine import sqlite_url
from orchestrator.domain.approval import votes
from orchestrator.domain.approval.matching import Ballot
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from tests.campaigns import approvals, orders_in_database, request_sweep, waiting_promotion
from tests.postgres import Server


@pytest.mark.parametrize("count", [1, 2])
def test_every_order_has_one_outcome(count: int) -> None:
    """No start without a valid quorum, no second start, and no rollback held, in every order of four events in memory."""
    assert list(approvals.merged(4, count))[-1] > 300


def test_every_order_has_one_outcome_on_sqlite(tmp_path: Path) -> None:
    """The same in a database: every order of up to four events, one of each kind, as a tree of savepoints."""
    assert orders_in_database.tree(sqlite_url(tmp_path / "state.db"), 4, 1) == 9 + 9**2 + 9**3 + 9**4


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_orders_drawn_by_a_seed_have_one_outcome(kind: str, tmp_path: Path, postgres: Server) -> None:
    """Some of the orders of seven events that a seed draws, with one vote and with two, on SQLite and on Postgres."""
    url = postgres.fresh() if kind == "postgres" else sqlite_url(tmp_path / "state.db")
    orders, events = orders_in_database.walk(url, 7, 0.0008, 1)
    assert orders == 2 * 12 * 12
    assert events > orders


def test_a_seed_draws_the_share_of_the_orders() -> None:
    """One percent of the orders of seven events are 29,860 beginnings of six events, each of them once."""
    one, two = orders_in_database.beginnings(7, 1, 1)
    assert len(set(one + two)) == len(one + two) == round(12**6 / 100)
    assert {len(order) for order in one + two} == {6}
    assert orders_in_database.beginnings(7, 1, 1) == (one, two) != orders_in_database.beginnings(7, 1, 2)
    assert {order[0] for order in one} == {order[0] for order in two} == set(waiting_promotion.EVENTS)


def test_a_death_at_any_write_loses_and_repeats_nothing() -> None:
    """A process that dies before or after any write of the register or the journal, twice, leaves one effect of what was approved; random orders with deaths too."""
    done, died = request_sweep.sweep(second=3)
    assert done > 100
    assert died > done
    assert request_sweep.chance(50, 1) > 30


def test_a_recovery_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep notices a scheduler that starts what was started before as another run: it has two effects."""
    right = RunRequest.started

    def again(request: Any, run: str) -> Any:
        return right(request, run).model_copy(update={"state": RequestState.READY})

    monkeypatch.setattr(RunRequest, "started", again)
    monkeypatch.setattr(waiting_promotion.Scene, "_start", _start_twice)
    with pytest.raises(AssertionError, match=r"started twice|ready"):
        request_sweep.sweep()


def _start_twice(scene: waiting_promotion.Scene) -> None:
    """A scheduler that takes a request which can start for one that has started."""
    scene._crash()
    request = scene.current()
    if request is not None and request.run:
        scene.log = scene.log.check(request.id, request.run, request.plan)


def twice(patch: pytest.MonkeyPatch) -> None:
    """Each vote of a user counts."""

    def newest(cast: Any) -> dict[str, Any]:
        return {f"{vote.by} {number}": vote for number, vote in enumerate(cast)}

    def every(ballots: Any) -> tuple[Ballot, ...]:
        return tuple(ballots)

    patch.setattr(votes, "newest_votes", newest)
    patch.setattr(votes, "matched", every)


def expired(patch: pytest.MonkeyPatch) -> None:
    """A vote counts indefinitely."""
    patch.setattr(votes, "span", lambda _text: timedelta(days=9000))


def own(patch: pytest.MonkeyPatch) -> None:
    """The vote of the requester counts."""
    patch.setattr(votes._Count, "excluded", lambda _self, _user: None)


def stale(patch: pytest.MonkeyPatch) -> None:
    """Votes for an earlier plan count."""
    right = votes._Count.void

    def wrong(self: Any, vote: Any) -> Any:
        subject = replace(self.subject, plan=vote.plan, rendered=vote.rendered)
        return right(replace(self, subject=subject), vote)

    patch.setattr(votes._Count, "void", wrong)


@pytest.mark.parametrize(("bug", "count", "length"), [(twice, 2, 4), (expired, 1, 4), (own, 1, 3), (stale, 1, 5)])
def test_planted_bugs_are_found(
    bug: Callable[[pytest.MonkeyPatch], None], count: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vote counted twice, an expired vote, the requester's own vote and a vote for a stale plan start a promotion that the checker refuses."""
    bug(monkeypatch)
    with pytest.raises(AssertionError, match=r"started with \d of \d votes"):
        list(approvals.merged(length, count))


@pytest.mark.parametrize("bug", [twice, expired, own, stale])
def test_planted_bugs_are_found_on_databases(
    bug: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orders of seven events that a seed draws on a database find each of the planted bugs."""
    bug(monkeypatch)
    with pytest.raises(AssertionError, match=r"started with \d of \d votes"):
        orders_in_database.walk(sqlite_url(tmp_path / "state.db"), 7, 0.1, 1)


def test_a_rollout_that_checks_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request in waves that checks no condition of its first wave is found in the short campaign."""
    monkeypatch.setattr(RunRequest, "first", property(lambda _request: ()))
    with pytest.raises(AssertionError, match="the line is stopped"):
        request_sweep.follow(("request", "bob", "freeze", "start"), iter(()), waves=True)
