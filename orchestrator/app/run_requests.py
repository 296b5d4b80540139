"""Run requests: recording one, withdrawing it, and raising its risk."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, Denied, View, change, read_own, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.app.request_facts import (
    RequestRules,
    advance,
    approval_of,
    find_request,
    make_move,
    notify_approvers,
    request_of,
    start_admission,
)
from orchestrator.app.voters import directory_of, votes_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.admission.conditions import Admission
from orchestrator.domain.admission.may_start import ended_admission, subject_of
from orchestrator.domain.approval.request_state import REQUEST_TABLE, RequestEvent, RequestState
from orchestrator.domain.approval.requests import RunRequest, current_state
from orchestrator.domain.approval.reviews import EmergencyReview, overdue, overdue_text, review_verdict
from orchestrator.domain.approval.votes import ApprovalVerdict, Vote
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.model import Model
from orchestrator.domain.register import (
    BUILDERS,
    OPEN,
    OUTBOX,
    PLAN_TEXTS,
    REQUESTS,
    REVIEWS,
    Message,
    PackageBuilder,
    PlanText,
)
from orchestrator.domain.risk.assessment import raise_risk
from orchestrator.domain.risk.kinds import ChangeKind, Level
from orchestrator.domain.text import with_reason
from orchestrator.register_ports import page_of_fitting


class RequestFilter(Model):
    """Which requests are listed. A field that is None does not limit the list."""

    states: tuple[RequestState, ...] | None = None
    environment: str | None = None

    def fits_environment(self, request: RunRequest) -> bool:
        """Whether *request* is for the environment."""
        return self.environment is None or self.environment in request.environments


ALL_REQUESTS = RequestFilter()


@dataclass(frozen=True)
class RequestView:
    """A *request* with its current *state*, how far it is approved, and all conditions of its start."""

    request: RunRequest
    state: RequestState
    approval: ApprovalVerdict
    admission: Admission
    votes: tuple[Vote, ...]
    review: EmergencyReview | None = None
    reviewers: tuple[str, ...] = ()

    @property
    def could(self) -> tuple[str, ...]:
        """The users who could give an approval that is missing, now or in the review."""
        return self.reviewers or (self.approval.could if self.state in VOTABLE else ())

    @property
    def is_open(self) -> bool:
        """Whether the request has not ended, or its review is not completed."""
        return self.state not in ENDED or (self.review is not None and self.review.completed_at is None)


VOTABLE = frozenset({RequestState.WAITING, RequestState.READY, RequestState.HELD})
ENDED = frozenset(state for state, moves in REQUEST_TABLE.items() if not moves)


def request_view(view: View, request: RunRequest, rules: RequestRules) -> RequestView:
    """The current view of *request*. Of one that has ended no condition is checked: nothing starts it any more."""
    verdict = approval_of(view, request)
    if request.has_ended:
        admission = ended_admission(request)
    else:
        admission = start_admission(view, request, request.requested_by, rules)
    review = view.records.get(REVIEWS, request.id)
    state = current_state(request, verdict, view.now)
    votes = votes_of(view.records, request)
    return RequestView(request, state, verdict, admission, votes, review, _reviewers(view, request, review, votes))


def _reviewers(
    view: View, request: RunRequest, review: EmergencyReview | None, votes: tuple[Vote, ...]
) -> tuple[str, ...]:
    """The users who could give an approval that the *review* of an emergency lacks."""
    if review is None or review.completed_at is not None:
        return ()
    directory = directory_of(view, request, votes)
    return review_verdict(review, votes, subject_of(request), directory, view.now).could


def action_of(request: RunRequest) -> Action:
    """The right that *request* needs in each of its environments."""
    if request.rehearsal:
        return Action.REHEARSE
    return Action.PROMOTE_EMERGENCY if request.kind is ChangeKind.EMERGENCY else Action.PROMOTE


def require_everywhere(view: View, action: Action, request: RunRequest) -> None:
    """Return if the actor may do *action* in every environment of *request*. Raises A101."""
    for name in request.environments:
        view.require(action, name)


def request_promotion(
    acting: Acting, request: RunRequest, shown: PlanText, rules: RequestRules, *, supersede: bool = True,
    require_package: Callable[[], object] = lambda: None,
) -> RunRequest:  # fmt: skip
    """Record *request*, whose plan was shown as *shown*. The same promotion again replans the request that is open.

    With *supersede* an open request for another package of this name in the environment ends. *require_package* raises
    an error if the package is not kept any more: none is removed while the request is recorded. Raises A203 if the
    review of an emergency is overdue, A202 if the builder of the package has to be known and is not, and A206 if the
    promotion has started.
    """

    def work(task: Change) -> RunRequest:
        require_everywhere(task, action, request)
        require_package()
        reviews = task.records.all(REVIEWS, OPEN)
        late = [each for name in request.environments for each in overdue(reviews, name, task.now)]
        if late and request.kind is not ChangeKind.EMERGENCY:
            raise OrchestratorError("A203", overdue_text(tuple(late)), hint=f"orchestrator approve {late[0].run}")
        new = _with_builder(task, request)
        task.put(PLAN_TEXTS, shown)
        same = [found for found in _others(task, new) if found.package == new.package]
        for other in _others(task, new):
            if supersede and other not in same and RequestEvent.SUPERSEDE in REQUEST_TABLE[other.state]:
                make_move(task, other, RequestEvent.SUPERSEDE, f"superseded by {new.id}")
        recorded = _replanned(task, same[0], new) if same else task.put(REQUESTS, new, event="request", plan=new.plan)
        done = advance(task, recorded, rules)
        if not same or recorded.round != same[0].round:
            notify_approvers(task, done)
        return done

    action = action_of(request)
    return change(acting, action, work, environment=request.environments[0], reason=request.reason)


def _others(task: Change, new: RunRequest) -> list[RunRequest]:
    """The open requests for packages of the same name in the same environment."""
    about = (new.name, new.environment, new.rehearsal)
    return [
        found for found in task.records.all(REQUESTS, OPEN) if (found.name, found.environment, found.rehearsal) == about
    ]


def _with_builder(task: Change, request: RunRequest) -> RunRequest:
    """*request* with the builder of its package. Raises A202 if a rule is about the builder, and none is recorded."""
    built = task.records.get(BUILDERS, request.package)
    needed = request.requirement.not_builder or "builder" in request.requirement.separate
    if built is None and needed:
        text = (
            f"{request.environment} excludes the builder of a package, and who built {request.release} is not recorded"
        )
        raise OrchestratorError("A202", text, hint="build the package in this project: orchestrator build")
    return request.model_copy(update={"builder": built.by if built is not None else ""})


REQUESTED = (
    "kind", "reason", "incident", "start", "next_window", "overrides", "allow_rolled_back", "overrun", "queue",
    "requested_by", "rollout",
)  # fmt: skip
"""The fields of a request that a user sets. The newest value counts."""


def _replanned(task: Change, open_: RunRequest, new: RunRequest) -> RunRequest:
    """*open_* with the plan of *new*; unchanged if that is the same, and requested in the same way."""
    if RequestEvent.REPLAN not in REQUEST_TABLE[open_.state] or open_.state is RequestState.STARTED:
        raise OrchestratorError(
            "A206",
            f"{open_.id} is {open_.state}: it is the same promotion",
            hint=f"orchestrator watch {open_.run or open_.id}",
        )
    again = open_.model_copy(update={name: getattr(new, name) for name in REQUESTED})
    if new.kind is not open_.kind:  # each kind has a quorum of its own: the rules were not loosened
        again = again.model_copy(update={"requirement": new.requirement})
    if (open_.plan, open_.rendered) == (new.plan, new.rendered):
        return task.put(REQUESTS, again, event="request", plan=new.plan)
    changed = again.replanned(new.plan, new.rendered, new.requirement, new.risk)
    return task.put(REQUESTS, changed, event="replan", plan=new.plan)


@forwarded
def withdraw_request(acting: Acting, wanted: str, reason: str = "") -> RunRequest:
    """End a request before its start: by its requester, or with the right to control runs. Raises A110 and A206."""
    found = request_of(acting, wanted)

    def mine(view: View) -> bool:
        return find_request(view.records, wanted).requester == str(acting.actor)

    def work(task: Change) -> RunRequest:
        request = find_request(task.records, wanted)
        if not mine(task):
            require_everywhere(task, Action.CONTROL_RUN, request)
        if RequestEvent.WITHDRAW not in REQUEST_TABLE[request.state]:
            raise OrchestratorError("A206", f"{request.id} is {request.state}, and can no longer be withdrawn")
        return make_move(task, request, RequestEvent.WITHDRAW, with_reason(f"withdrawn by {acting.actor}", reason))

    place = found.environments[0]
    return change(acting, Action.CONTROL_RUN, work, environment=place, reason=reason, unless=mine)


@forwarded
def raise_request_risk(acting: Acting, wanted: str, level: Level, reason: str, rules: RequestRules) -> RunRequest:
    """Set a higher level of risk for a request. More approvals may be needed from then on. Raises A110 and A206."""
    found = request_of(acting, wanted)

    def work(task: Change) -> RunRequest:
        request = find_request(task.records, wanted)
        require_everywhere(task, Action.RAISE_RISK, request)
        if request.risk is None or RequestEvent.REPLAN not in REQUEST_TABLE[request.state]:
            raise OrchestratorError("A206", f"{request.id} is {request.state}: its risk can no longer be raised")
        try:
            risk = raise_risk(request.risk, level, str(acting.actor), reason)
        except ValueError as error:
            raise OrchestratorError("A206", f"{request.id}: {error}") from error
        raised = task.put(REQUESTS, request.model_copy(update={"risk": risk}), event="risk", level=level.value)
        return advance(task, raised, rules)

    return change(acting, Action.RAISE_RISK, work, environment=found.environments[0], reason=reason)


@forwarded
def list_requests(
    acting: Acting,
    rules: RequestRules,
    *,
    everything: bool = False,
    chosen: RequestFilter = ALL_REQUESTS,
    oldest_first: bool | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[RequestView]:
    """The requests that have not ended, or whose review is open, as one page, the oldest first.

    With *everything*, or states that are *chosen*, a page of all requests, the newest first. *oldest_first* sets the
    order. Without a filter a page has fewer rows if the actor may not view some.
    """
    pages = everything or chosen.states is not None
    forwards = not pages if oldest_first is None else oldest_first

    def work(view: View) -> Page[RequestView]:
        if pages:
            page = _page_of_all(view, chosen, forwards, cursor, limit)
            return Page[RequestView](items=_views(view, page.items, rules), cursor=page.cursor)
        reviews = (view.records.get(REQUESTS, review.run) for review in view.records.all(REVIEWS, OPEN))
        found = {each.id: each for each in (*view.records.all(REQUESTS, OPEN), *reviews) if each is not None}
        fitting = (each for each in found.values() if chosen.fits_environment(each))
        ordered = sorted(fitting, key=lambda request: (request.requested_at, request.id), reverse=not forwards)
        return Page[RequestView](items=tuple(each for each in _views(view, ordered, rules) if each.is_open))

    return read_register(acting, Action.VIEW, work)


def _page_of_all(view: View, chosen: RequestFilter, forwards: bool, cursor: str | None, limit: int) -> Page[RunRequest]:
    """A page of all requests that *chosen* accepts. A filter reads others as well, until the page is full."""
    if chosen == ALL_REQUESTS:
        return view.records.page(REQUESTS, newest_first=not forwards, cursor=cursor, limit=limit)
    wanted = chosen.states
    parts = (OPEN,) if wanted is not None and ENDED.isdisjoint(wanted) else None

    def fits(request: RunRequest) -> bool:
        if not chosen.fits_environment(request) or not _may_view(view, request):
            return False
        return wanted is None or _state_now(view, request) in wanted

    return page_of_fitting(view.records, REQUESTS, parts, fits, newest_first=not forwards, cursor=cursor, limit=limit)


def _state_now(view: View, request: RunRequest) -> RequestState:
    """The state that the view of *request* shows."""
    return current_state(request, approval_of(view, request), view.now)


def _views(view: View, requests: Iterable[RunRequest], rules: RequestRules) -> tuple[RequestView, ...]:
    """The current views of those of *requests* that the actor may view."""
    return tuple(request_view(view, request, rules) for request in requests if _may_view(view, request))


def _may_view(view: View, request: RunRequest) -> bool:
    return any(view.may(Action.VIEW, name) for name in request.environments)


@forwarded
def show_request(acting: Acting, wanted: str, rules: RequestRules) -> tuple[RequestView, PlanText | None]:
    """One request with the plan as it was shown. Raises A110."""

    def work(view: View) -> tuple[RequestView, PlanText | None]:
        request = find_request(view.records, wanted)
        if not _may_view(view, request):
            raise Denied(view.verdict(Action.VIEW, request.environments[0]))
        return request_view(view, request, rules), view.records.get(PLAN_TEXTS, request.rendered)

    return read_register(acting, Action.VIEW, work)


@forwarded
def own_messages(acting: Acting) -> tuple[Message, ...]:
    """The messages for the actor that were not sent yet."""

    def work(view: View) -> tuple[Message, ...]:
        return tuple(each for each in view.records.all(OUTBOX, "pending") if each.to == str(acting.actor))

    return read_own(acting, work)


def record_builder(acting: Acting, digest: str) -> None:
    """Record that the actor was the first to build the package with this *digest*. Without effect for a known one.

    It needs no right: it is a fact, by which votes of the builder may be excluded.
    """
    if acting.register.reading(lambda records: records.get(BUILDERS, digest)) is not None:
        return

    def work(task: Change) -> None:
        if task.records.get(BUILDERS, digest) is None:
            task.put(BUILDERS, PackageBuilder(digest=digest, by=str(acting.actor), at=task.now.earliest))

    change(acting, Action.BUILD, work, unless=lambda _view: True)
