"""All orders in short form, and the bugs that are planted in the rules of votes: the checker finds each of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.approval import votes
from orchestrator.domain.approval.matching import Ballot
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from tests.campaigns import approvals, request_sweep
from tests.postgres import Server


@pytest.mark.parametrize("count", [1, 2])
def test_every_order_has_one_outcome(count: int) -> None:
    """No start without a valid quorum, no second start, and no rollback held, in every order of four events in memory."""
    assert list(approvals.merged(4, count))[-1] > 300


def test_every_order_has_one_outcome_on_sqlite() -> None:
    """The same in a database: every order of three events, one of each kind, as a tree of savepoints."""
    assert approvals.tree(3, 1) == 9 + 9**2 + 9**3


@pytest.mark.long
def test_every_longer_order_has_one_outcome_on_sqlite() -> None:
    """The same for every order of four events."""
    assert approvals.tree(4, 1) == 9 + 9**2 + 9**3 + 9**4


def test_orders_drawn_by_a_seed_have_one_outcome_on_postgres(postgres: Server) -> None:
    """Some orders of seven events, on Postgres from the beginning."""
    approvals.drawn(postgres.fresh(), approvals.draw(7, 1, 1, 10), 1)


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
    monkeypatch.setattr(approvals.Scene, "_start", _start_twice)
    with pytest.raises(AssertionError, match=r"started twice|ready"):
        request_sweep.sweep()


def _start_twice(scene: approvals.Scene) -> None:
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


def test_a_rollout_that_checks_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request in waves that checks no condition of its first wave is found in the short campaign."""
    monkeypatch.setattr(RunRequest, "first", property(lambda _request: ()))
    with pytest.raises(AssertionError, match="the line is stopped"):
        request_sweep.follow(("request", "bob", "freeze", "start"), iter(()), waves=True)
