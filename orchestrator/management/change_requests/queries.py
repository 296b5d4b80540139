"""What users see of change requests: lists in the order of their rank, one request, and what moved."""

from bisect import bisect_left
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
from orchestrator.management.change_requests.store import CHANGE_REQUESTS, imported_before, rank_position

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
    """A page of the open *requests* in the order of their rank, and all that *moved* since a moment.

    The first one of the page has the place *first*, from 1. *cursor* is that of the next page.
    """

    since: datetime
    requests: tuple[ChangeRequest, ...]
    moved: tuple[RankMove, ...]
    first: int = 1
    cursor: str | None = None


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
def show_ranking(
    acting: Acting, since: datetime | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Ranking:
    """A page of the open requests, and what moved *since* a moment (by default one day ago)."""
    parts = [state.value for state in OPEN_STATES]

    def work(view: View) -> Ranking:
        start = since or view.now.earliest - YESTERDAY
        page = view.records.page(CHANGE_REQUESTS, parts, cursor=cursor, limit=limit)
        places = view.records.positions(CHANGE_REQUESTS, parts)

        def place(rank: float, number: int) -> int:
            return bisect_left(places, rank_position(rank, number)) + 1

        written = view.records.written_since(CHANGE_REQUESTS, start)
        moved = moves_since((each for each in written if each.state in OPEN_STATES), start, place)
        first = place(page.items[0].rank, page.items[0].number) if page.items else 1
        return Ranking(start, page.items, moved, first, page.cursor)

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
        return compare_import(imported_before(view.records, incoming), incoming)

    return read_register(acting, Action.VIEW, work)


@forwarded
def drift_request(acting: Acting, reference: str) -> ChangeRequest | None:
    """The open change request about the drift with this `drift_reference`; None without one."""
    parts = [state.value for state in OPEN_STATES]

    def work(view: View) -> ChangeRequest | None:
        found = view.records.page(CHANGE_REQUESTS, parts, about=reference, newest_first=True, limit=1)
        return next(iter(found.items), None)

    return read_register(acting, Action.VIEW, work)
