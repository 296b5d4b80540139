"""What users see of change requests: lists in the order of their rank, one request, and what moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.management.change_requests.commits import Scope, changes_of
from orchestrator.management.change_requests.imports import (
    ChangeImport,
    Incoming,
    Skipped,
    compare_import,
    of_commits,
)
from orchestrator.management.change_requests.model import ChangeRequest, RankMove, moves_since
from orchestrator.management.change_requests.ports import ChangeSources
from orchestrator.management.change_requests.risk import ChangeRisk, change_risk
from orchestrator.management.change_requests.state import OPEN_STATES, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.register_ports import each_record

YESTERDAY = timedelta(days=1)


@dataclass(frozen=True)
class ShownRequest:
    """A *request*, with its risk by the facts of *now*: it differs until the rank is computed again."""

    request: ChangeRequest
    now: ChangeRisk

    @property
    def is_stale(self) -> bool:
        """Whether facts have changed since the rank was computed."""
        return self.now != self.request.risk


@dataclass(frozen=True)
class CommitImport:
    """The commits that are changes (*incoming*), and those that are *skipped*. *start* is the commit before them."""

    incoming: tuple[Incoming, ...]
    skipped: tuple[Skipped, ...]
    start: str


@dataclass(frozen=True)
class Ranking:
    """The open *requests* in the order of their rank, and those that *moved* since a moment."""

    since: datetime
    requests: tuple[ChangeRequest, ...]
    moved: tuple[RankMove, ...]


@forwarded
def list_changes(
    acting: Acting, states: Sequence[ChangeState] = OPEN_STATES, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[ChangeRequest]:
    """A page of the requests in *states* (by default those that have not ended), the highest rank first."""
    parts = [state.value for state in states]

    def work(view: View) -> Page[ChangeRequest]:
        return view.records.page(CHANGE_REQUESTS, parts, cursor=cursor, limit=limit)

    return read_register(acting, Action.VIEW, work)


def count_changes(acting: Acting) -> dict[ChangeState, int]:
    """How many requests are in each state."""

    def work(view: View) -> dict[ChangeState, int]:
        found = view.records.count(CHANGE_REQUESTS)
        return {state: found.get(state.value, 0) for state in ChangeState}

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_change(acting: Acting, key: str, sources: ChangeSources) -> ShownRequest:
    """One request, with its risk by the current facts. Raises A110."""
    request = read_register(acting, Action.VIEW, lambda view: view.existing(CHANGE_REQUESTS, key))
    return ShownRequest(request, change_risk(sources.change_facts(request.packages, request.environments)))


@forwarded
def show_ranking(acting: Acting, since: datetime | None = None) -> Ranking:
    """The open requests, and what moved *since* a moment (by default one day ago)."""

    def work(view: View) -> Ranking:
        start = since or view.now.earliest - YESTERDAY
        found = [r for state in OPEN_STATES for r in view.records.all(CHANGE_REQUESTS, state.value)]
        ranked = tuple(sorted(found, key=lambda request: (-request.rank, request.number)))
        return Ranking(start, ranked, moves_since(ranked, start))

    return read_register(acting, Action.VIEW, work)


def read_commits(
    acting: Acting, sources: ChangeSources, environment: str, base: str = "", packages: tuple[str, ...] = ()
) -> CommitImport:
    """The commits after *base*, or without it after the release in *environment*, as changes of *packages*.

    A commit whose scope is a package changes that one. Without *packages* the only package of a project is meant.
    Raises G104 and P119.
    """
    read_register(acting, Action.VIEW, lambda _view: None)
    found, known = sources.commits_since(environment, base), sources.known_packages()
    chosen = packages or (tuple(known) if len(known) == 1 else ())
    incoming, skipped = of_commits(changes_of(found.commits, Scope((environment,), chosen, known)))
    release = f" ({found.release} in {environment})" if found.release else ""
    return CommitImport(incoming, skipped, f"{found.base[:12]}{release}")


def preview_changes(acting: Acting, incoming: Sequence[Incoming]) -> ChangeImport:
    """What importing *incoming* would add, change and skip."""

    def work(view: View) -> ChangeImport:
        return compare_import(each_record(view.records, CHANGE_REQUESTS), incoming)

    return read_register(acting, Action.VIEW, work)
