"""All orders of votes, time, edits, freezes and starts, against a checker of its own; planted bugs are found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.access.authorize import Target
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor, Method
from orchestrator.domain.admission.may_start import AdmissionFacts, may_roll_back, may_start, subject_of
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.request_state import REQUEST_ENDINGS, RequestEvent, RequestState
from orchestrator.domain.approval.requests import RunRequest, current_state, due_moves
from orchestrator.domain.approval.votes import Decision, Vote, satisfied
from orchestrator.domain.calendar.verdict import Calendar, LineStop
from orchestrator.domain.moments import Now, moment_text, parse_moment

START = parse_moment("2026-11-29T12:00:00Z")
RENDERED = f"sha256:{'f' * 64}"
NEED = Requirement.from_json({"quorums": [{"count": 1}]})
DIRECTORY = Directory(
    Access.from_json(
        {
            "users": [{"name": name} for name in ("ann", "bob", "cid")],
            "bindings": [
                {"role": "release-manager", "to": "user:ann"},
                *({"role": "approver", "to": f"user:{name}"} for name in ("ann", "bob", "cid")),
            ],
        }
    )
)


def plan(number: int) -> str:
    return f"sha256:{number:064x}"


@dataclass(frozen=True)
class World:
    """A request with its votes and the clock; *log* is what an independent checker reads."""

    request: RunRequest
    now: datetime = START
    votes: tuple[Vote, ...] = ()
    stopped: bool = False
    log: tuple[tuple[str, datetime, str], ...] = ()
    started: tuple[datetime, ...] = field(default=())


def first(count: int = 1) -> World:
    return World(
        RunRequest.from_json(
            {
                "id": "R-1",
                "project": "shop",
                "environment": "production",
                "package": plan(0),
                "plan": plan(1),
                "rendered": RENDERED,
                "requirement": {"quorums": [{"count": count}]},
                "requested_at": moment_text(START),
                "requested_by": {"name": "ann", "method": "token"},
            }
        )
    )


def cast(world: World, by: str, decision: Decision) -> World:
    vote = Vote(plan=world.request.plan, rendered=RENDERED, by=by, decision=decision, at=world.now)
    return replace(world, votes=(*world.votes, vote))


def withdraw(world: World) -> World:
    votes = tuple(v.model_copy(update={"withdrawn_at": world.now}) if v.by == "bob" else v for v in world.votes)
    return replace(world, votes=votes)


def edit(world: World) -> World:
    if world.request.state in REQUEST_ENDINGS:
        return world
    request = world.request
    return replace(world, request=request.replanned(plan(request.round + 1), RENDERED, request.requirement))


Bug = Callable[[World], World]


def start(world: World, bug: Bug) -> World:
    """What a worker does: the due moves, then the start if every condition is met."""
    seen = bug(world)
    now = Now.at(seen.now)
    request = seen.request
    for _ in range(2):
        approval = satisfied(request.requirement, seen.votes, subject_of(request), DIRECTORY, now)
        for event in list(due_moves(request, approval, now))[:1]:
            request = request.after(event)
    world = replace(world, request=request.model_copy(update={"requirement": world.request.requirement}))
    stop = LineStop(id="s", environment="*", stopped_at=START, stopped_by="cid", reason="incident")
    facts = AdmissionFacts(DIRECTORY, seen.votes, Calendar(line_stops=(stop,) if seen.stopped else ()))
    if request.state is RequestState.READY and may_start(request, SYSTEM_ACTOR, facts, now).may_start:
        done = world.request.after(RequestEvent.START).after(RequestEvent.FINISH)
        return replace(world, request=done, started=(*world.started, world.now))
    return world


def same(world: World) -> World:
    return world


EVENTS = ("bob", "cid", "ann", "reject", "withdraw", "expire", "edit", "stop", "start")


def after(world: World, event: str, bug: Bug = same) -> World:
    changes: dict[str, Callable[[], World]] = {
        "reject": lambda: cast(world, "cid", Decision.REJECT),
        "withdraw": lambda: withdraw(world),
        "expire": lambda: replace(world, now=world.now + timedelta(hours=9)),
        "edit": lambda: edit(world),
        "stop": lambda: replace(world, stopped=not world.stopped),
        "start": lambda: start(world, bug),
    }
    done = changes[event]() if event in changes else cast(world, event, Decision.APPROVE)
    done = replace(done, now=done.now + timedelta(minutes=1))
    return replace(done, log=(*world.log, (event, world.now, world.request.plan)))


def checked(world: World, count: int = 1) -> None:
    """What is right, by the log alone: how often it started, and that each start had a vote that counts."""
    assert len(world.started) <= 1, "started twice"
    newest: dict[str, tuple[str, datetime, str]] = {}
    stopped = False
    for event, at, voted in world.log:
        if at in world.started:
            good = {
                by for by, (what, when, what_for) in newest.items()
                if by != "ann" and what == "approve" and what_for == voted and at - when < timedelta(hours=8)
            }  # fmt: skip
            bad = {by for by, (what, _, what_for) in newest.items() if what == "reject" and what_for == voted}
            assert len(good) >= count, "started without a vote that counts"
            assert not bad, "started although it was rejected"
            assert not stopped, "started although the line is stopped"
        if event in {"ann", "bob", "cid"}:
            newest[event] = ("approve", at, voted)
        elif event == "reject":
            newest["cid"] = ("reject", at, voted)
        elif event == "withdraw":
            newest.pop("bob", None)
        elif event == "stop":
            stopped = not stopped


def walks(length: int, bug: Bug = same, count: int = 1) -> Iterator[World]:
    """Every order of events up to *length*, as a tree: a shared beginning is done once."""
    level = [first(count)]
    for _ in range(length):
        level = [after(world, event, bug) for world in level for event in EVENTS]
        yield from level


def test_every_order_of_events_has_one_outcome() -> None:
    """No start without a valid quorum, no second start, and no rollback held."""
    started = 0
    for world in walks(4):
        checked(world)
        started += len(world.started)
    for world in walks(3, count=2):
        checked(world, 2)
        started += len(world.started)
    assert started > 0
    rollback = may_roll_back(
        Actor(name="ann", method=Method.TOKEN), Target("shop", "production"), DIRECTORY, Now.at(START)
    )
    assert rollback.may_start


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(EVENTS), min_size=4, max_size=9))
def test_longer_orders_have_one_outcome(events: list[str]) -> None:
    """Drawn by chance; the computed state is one that the table allows."""
    world = first()
    for event in events:
        world = after(world, event)
        checked(world)
        now = Now.at(world.now)
        approval = satisfied(NEED, world.votes, subject_of(world.request), DIRECTORY, now)
        assert current_state(world.request, approval, now) in RequestState


def approved_by_requester(world: World) -> World:
    """A bug: the requester's own vote counts."""
    return replace(
        world,
        request=world.request.model_copy(
            update={"requirement": world.request.requirement.model_copy(update={"not_requester": False})}
        ),
    )


def never_expires(world: World) -> World:
    """A bug: a vote counts indefinitely."""
    return replace(
        world,
        request=world.request.model_copy(
            update={"requirement": world.request.requirement.model_copy(update={"expire": "900d"})}
        ),
    )


def stale_digest(world: World) -> World:
    """A bug: votes for an earlier plan count."""
    return replace(world, votes=tuple(v.model_copy(update={"plan": world.request.plan}) for v in world.votes))


def withdrawn_counts(world: World) -> World:
    """A bug: a withdrawn vote counts."""
    return replace(world, votes=tuple(v.model_copy(update={"withdrawn_at": None}) for v in world.votes))


def oldest_counts(world: World) -> World:
    """A bug: the oldest vote of a user counts."""
    return replace(
        world, votes=tuple(v.model_copy(update={"at": START - timedelta(minutes=n)}) for n, v in enumerate(world.votes))
    )


def unseen_stop(world: World) -> World:
    """A bug: the line counts as running."""
    return replace(world, stopped=False)


@pytest.mark.parametrize(
    "bug", [approved_by_requester, never_expires, stale_digest, withdrawn_counts, oldest_counts, unseen_stop]
)
def test_planted_bugs_are_found(bug: Bug) -> None:
    """The checker sees each of them in some order of at most three events."""
    with pytest.raises(AssertionError, match="started"):
        for world in walks(3, bug):
            checked(world)


def votes_count_twice(world: World) -> World:
    """A bug: votes are counted, not users."""
    names = iter(["bob", "cid"])
    mine = [vote.model_copy(update={"by": name}) for vote, name in zip(world.votes, names, strict=False)]
    return replace(world, votes=tuple(mine))


def test_a_vote_that_counts_twice_is_found() -> None:
    """Two votes of one user are not two approvals."""
    with pytest.raises(AssertionError, match="without a vote that counts"):
        for world in walks(3, votes_count_twice, count=2):
            checked(world, 2)
