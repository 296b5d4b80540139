"""What the scheduler does for change requests: new facts move ranks, checks run again, and deferrals end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.app.acting import Acting, View, change, read_register
from orchestrator.app.followed_records import FollowedRecords
from orchestrator.app.forwarding import forwarded
from orchestrator.app.scheduler import do_each
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import Now
from orchestrator.management.change_requests.decisions import is_over, recompute, recomputed
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.ports import ChangeSources, FactChanges
from orchestrator.management.change_requests.risk import ChangeFacts
from orchestrator.management.change_requests.state import OPEN_STATES, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS

EVERY_S = 60.0
"""How often facts are read again."""


@forwarded
def recompute_ranks(acting: Acting, sources: ChangeSources) -> tuple[ChangeRequest, ...]:
    """Compute the ranks and checks of every open request again. Those that have changed, with an entry each."""
    outdated = read_register(acting, Action.DECIDE_REQUESTS, lambda view: _outdated(view, sources))
    return tuple(_recompute(acting, key, facts, sources) for key, facts in outdated.items())


def _outdated(view: View, sources: ChangeSources) -> dict[str, ChangeFacts]:
    """The open requests that differ from what is true now, with their facts."""
    every = (request for state in OPEN_STATES for request in view.records.all(CHANGE_REQUESTS, state.value))
    return _outdated_of(view, sources, every)


def _outdated_of(view: View, sources: ChangeSources, requests: Iterable[ChangeRequest]) -> dict[str, ChangeFacts]:
    """Those of *requests* that differ from what is true now, with their facts. Nothing is read twice."""
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], ChangeFacts] = {}
    found: dict[str, ChangeFacts] = {}
    for request in requests:
        place = (request.packages, request.environments)
        facts = known.get(place) or known.setdefault(place, sources.change_facts(*place))
        if is_over(request, view.now) or recomputed(view, request, facts, sources) != request:
            found[request.id] = facts
    return found


def _recompute(acting: Acting, key: str, facts: ChangeFacts, sources: ChangeSources) -> ChangeRequest:
    return change(acting, Action.DECIDE_REQUESTS, lambda task: recompute(task, key, facts, sources))


@dataclass
class RankRequests:
    """The scheduler's duty: what has changed is recorded once, whatever process does it.

    The first time it reads every open request. Later it reads those that were changed, and checks those of which the
    journal has new entries, those that are assessed, and those whose deferral has ended.
    """

    acting: Acting
    sources: ChangeSources
    name: str = "change requests"
    _next_s: float = field(default=0.0, init=False)
    _cursor: str | None = field(default=None, init=False)
    _open: FollowedRecords[ChangeRequest] = field(
        default_factory=lambda: FollowedRecords(CHANGE_REQUESTS, tuple(state.value for state in OPEN_STATES)),
        init=False,
    )

    def due(self, now: Now) -> bool:
        """Whether facts were not read for a minute."""
        del now
        return self.acting.clock.monotonic() >= self._next_s

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Read them, and record what has changed."""
        del now
        self._next_s = self.acting.clock.monotonic() + EVERY_S
        return self._done(acting)

    def _done(self, acting: Acting) -> Iterator[str]:
        changes = self.sources.fact_changes(self._cursor)
        cursor = changes.cursor if changes is not None else self.sources.journal_end()

        def work(view: View) -> dict[str, ChangeFacts]:
            every = self._open.read(view.records).values()
            return _outdated_of(view, self.sources, [each for each in every if _may_move(each, changes, view.now)])

        outdated = read_register(acting, Action.DECIDE_REQUESTS, work)
        yield from do_each(outdated, lambda key: self._computed(acting, key, outdated[key]))
        self._cursor = cursor

    def _computed(self, acting: Acting, key: str, facts: ChangeFacts) -> Iterator[str]:
        request = _recompute(acting, key, facts, self.sources)
        yield f"{request.id} is {request.state}, rank {request.rank:.2f}"


def _may_move(request: ChangeRequest, changes: FactChanges | None, now: Now) -> bool:
    """Whether *request* may differ from what is true now, after *changes*."""
    return (
        changes is None
        or request.state is ChangeState.ASSESSING  # its checks depend on much else
        or is_over(request, now)
        or not changes.environments.isdisjoint(request.environments)
        or not changes.packages.isdisjoint(request.packages)
    )
