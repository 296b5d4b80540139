"""Votes on run requests, and on the reviews of emergencies."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from orchestrator.app.acting import Acting, Change, View, change, read_own
from orchestrator.app.forwarding import forwarded
from orchestrator.app.request_facts import RequestRules, advance, find_request, request_of
from orchestrator.app.voters import directory_of, votes_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target
from orchestrator.domain.access.principals import ActorKind
from orchestrator.domain.admission.may_start import subject_of
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.reviews import EmergencyReview, review_verdict
from orchestrator.domain.approval.votes import Decision, Vote, new_vote
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import REVIEWS, VOTES, CastVote

OPEN_STATES = frozenset({RequestState.WAITING, RequestState.READY, RequestState.HELD})


@dataclass(frozen=True)
class Shown:
    """What the voter has seen: the digest of the *plan*, and that of its *rendered* text."""

    plan: str
    rendered: str


@dataclass(frozen=True)
class Voted:
    """The *request* after a *vote*, or the *review* that it is for."""

    request: RunRequest
    vote: Vote
    review: EmergencyReview | None = None


@forwarded
def cast_vote(
    acting: Acting, wanted: str, decision: Decision, shown: Shown, rules: RequestRules, *, comment: str = ""
) -> Voted:
    """Record the vote of the actor on what was *shown*, in place of their earlier one. One transaction counts it.

    Raises A101 without the right (the own one, or that of an absent user), A110, A204 if the vote could not count,
    A205 if another plan waits for approval meanwhile, and A206 if the request does not take votes any more.
    """
    place = _place(acting, request_of(acting, wanted))

    def deputy(view: View) -> bool:
        return _is_deputy(view, Target(acting.project, place))

    def work(task: Change) -> Voted:
        request = find_request(task.records, wanted)
        if (request.plan, request.rendered) != (shown.plan, shown.rendered):
            text = f"{request.id} has another plan since it was shown: {request.plan}"
            raise OrchestratorError("A205", text, hint=f"orchestrator approvals {request.id}")
        review = task.records.get(REVIEWS, request.id)
        if request.state in OPEN_STATES:
            vote = _put_vote(task, request, _parts(task, request), decision, comment)
            return Voted(advance(task, request, rules), vote)
        if review is None or review.completed_at is not None:
            raise OrchestratorError("A206", f"{request.id} is {request.state}, and takes no votes")
        reviewed = request.model_copy(update={"requirement": review.requirement})
        vote = _put_vote(task, request, (reviewed,), decision, comment)
        return Voted(request, vote, _reviewed(task, request, review))

    return change(acting, Action.APPROVE, work, environment=place, reason=comment, unless=deputy)


def _place(acting: Acting, request: RunRequest) -> str:
    """The environment of *request* in which the actor votes: the first one in which that is possible."""
    return read_own(acting, lambda view: _parts(view, request)[0].environment)


def _parts(view: View, request: RunRequest) -> tuple[RunRequest, ...]:
    """The parts of *request* on which the actor may vote; the first one if there are none. All of them need votes."""
    needing = tuple(part for part in request.parts if part.requirement.needs_votes) or request.parts
    project = view.acting.project
    mine = tuple(
        part
        for part in needing
        if view.verdict(Action.APPROVE, part.environment).allowed or _is_deputy(view, Target(project, part.environment))
    )
    return mine or needing[:1]


def _is_deputy(view: View, target: Target) -> bool:
    """Whether the actor is a user with a deputy's right, and a token that covers approvals."""
    actor = view.acting.actor
    covered = actor.scopes is None or any(
        Action.APPROVE in scope.actions and scope.covers(target.environment) for scope in actor.scopes
    )
    return actor.kind is ActorKind.USER and covered and bool(view.directory.deputised_by(actor.name, view.now))


def _put_vote(
    task: Change, request: RunRequest, parts: tuple[RunRequest, ...], decision: Decision, comment: str
) -> Vote:
    """Record a vote on *request*, which could count in one of its *parts*. Raises A204."""
    votes, user = votes_of(task.records, request), str(task.acting.actor)
    directory = directory_of(task, request, votes)
    vote = _first_vote(
        [
            partial(new_vote, user, decision, comment, part.requirement, subject_of(part), directory, task.now)
            for part in parts
        ]
    )
    detail = {"decision": decision.value, "plan": vote.plan, "rendered": vote.rendered, "role": vote.role}
    cast = CastVote(request=request.id, number=len(votes) + 1, vote=vote)
    task.put(VOTES, cast, **detail, deputy_for=vote.deputy_for)
    return vote


def _first_vote(attempts: list[Callable[[], Vote]]) -> Vote:
    """The first vote that could count. Raises A204 as the first attempt does if none could."""
    refusals: list[OrchestratorError] = []
    for attempt in attempts:
        try:
            return attempt()
        except OrchestratorError as error:
            refusals.append(error)
    raise refusals[0]


def _reviewed(task: Change, request: RunRequest, review: EmergencyReview) -> EmergencyReview:
    """*review*, completed if its approval is reached."""
    votes = votes_of(task.records, request)
    verdict = review_verdict(review, votes, subject_of(request), directory_of(task, request, votes), task.now)
    if not verdict.satisfied:
        return review
    return task.put(REVIEWS, review.model_copy(update={"completed_at": task.now.earliest}))


@forwarded
def take_back_vote(acting: Acting, wanted: str, rules: RequestRules, reason: str = "") -> RunRequest:
    """Withdraw the newest vote of the actor on a request that has not started. Raises A110 and A206."""
    found = request_of(acting, wanted)
    user = str(acting.actor)

    def voted(view: View) -> bool:
        return any(vote.by == user for vote in votes_of(view.records, find_request(view.records, wanted)))

    def work(task: Change) -> RunRequest:
        request = find_request(task.records, wanted)
        mine = [cast for cast in task.records.all(VOTES, request.id) if cast.vote.by == user]
        if request.state not in OPEN_STATES or not mine or mine[-1].vote.withdrawn_at is not None:
            raise OrchestratorError("A206", f"{user} has no vote on {request.id} that can be withdrawn")
        vote = mine[-1].vote.model_copy(update={"withdrawn_at": task.now.earliest})
        task.put(VOTES, mine[-1].model_copy(update={"vote": vote}), decision="withdrawn")
        return advance(task, request, rules)

    return change(acting, Action.APPROVE, work, environment=_place(acting, found), reason=reason, unless=voted)
