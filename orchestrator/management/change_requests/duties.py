"""What the scheduler does for change requests: new facts move ranks, checks run again, and deferrals end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.app.acting import Acting, View, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import Now
from orchestrator.management.change_requests.decisions import is_over, recompute, recomputed
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.ports import ChangeSources
from orchestrator.management.change_requests.risk import ChangeFacts
from orchestrator.management.change_requests.state import OPEN_STATES
from orchestrator.management.change_requests.store import CHANGE_REQUESTS

EVERY_S = 60.0
"""How often facts are read again."""


@forwarded
def recompute_ranks(acting: Acting, sources: ChangeSources) -> tuple[ChangeRequest, ...]:
    """Compute the ranks and checks of every open request again. Those that have changed, with an entry each."""
    outdated = read_register(acting, Action.DECIDE_REQUESTS, lambda view: _outdated(view, sources))
    return tuple(_recompute(acting, key, facts, sources) for key, facts in outdated.items())


def _outdated(view: View, sources: ChangeSources) -> dict[str, ChangeFacts]:
    """The open requests that differ from what is true now, with their facts. Nothing is read twice."""
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], ChangeFacts] = {}
    found: dict[str, ChangeFacts] = {}
    for request in (r for state in OPEN_STATES for r in view.records.all(CHANGE_REQUESTS, state.value)):
        place = (request.packages, request.environments)
        facts = known.get(place) or known.setdefault(place, sources.change_facts(*place))
        if is_over(request, view.now) or recomputed(view, request, facts, sources) != request:
            found[request.id] = facts
    return found


def _recompute(acting: Acting, key: str, facts: ChangeFacts, sources: ChangeSources) -> ChangeRequest:
    return change(acting, Action.DECIDE_REQUESTS, lambda task: recompute(task, key, facts, sources))


@dataclass
class RankRequests:
    """The scheduler's duty: what has changed is recorded once, whatever process does it."""

    acting: Acting
    sources: ChangeSources
    name: str = "change requests"
    _next_s: float = field(default=0.0, init=False)

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
        for request in recompute_ranks(acting, self.sources):
            yield f"{request.id} is {request.state}, rank {request.rank:.2f}"
