"""What users see of change requests: lists in the order of their rank, one request, and what moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.management.change_requests.imports import ChangeImport, Incoming, compare_import
from orchestrator.management.change_requests.model import ChangeRequest, RankMove, moves_since
from orchestrator.management.change_requests.ports import BuiltRelease, ChangeSources
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
class ImportStart:
    """Where an import of commits into *environment* starts: after the commit *base*.

    That is the commit of *release*, if it comes from one. *packages* are those of the project.
    """

    environment: str
    base: str
    release: str
    packages: frozenset[str]


@dataclass(frozen=True)
class Ranking:
    """The open *requests* in the order of their rank, and those that *moved* since a moment."""

    since: datetime
    requests: tuple[ChangeRequest, ...]
    moved: tuple[RankMove, ...]


@forwarded
def list_changes(
    acting: Acting,
    states: Sequence[ChangeState] = OPEN_STATES,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
    *,
    lowest_first: bool = False,
) -> Page[ChangeRequest]:
    """A page of the requests in *states* (by default those that have not ended), the highest or lowest rank first."""
    parts = [state.value for state in states]

    def work(view: View) -> Page[ChangeRequest]:
        return view.records.page(CHANGE_REQUESTS, parts, newest_first=lowest_first, cursor=cursor, limit=limit)

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


@forwarded
def import_start(acting: Acting, sources: ChangeSources, environment: str, base: str = "") -> ImportStart:
    """Where an import of commits starts: after *base*, or without it after the release in *environment*.

    Raises G104 and R103.
    """
    read_register(acting, Action.VIEW, lambda _view: None)
    running = BuiltRelease("", base) if base else sources.running_release(environment)
    return ImportStart(environment, running.commit, running.release, sources.known_packages())


@forwarded
def preview_changes(acting: Acting, incoming: Sequence[Incoming]) -> ChangeImport:
    """What importing *incoming* would add, change and skip."""

    def work(view: View) -> ChangeImport:
        return compare_import(each_record(view.records, CHANGE_REQUESTS), incoming)

    return read_register(acting, Action.VIEW, work)
