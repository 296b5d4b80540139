"""What users see of train lines and trains, and the prognosis of a departure. Nothing is written."""

from datetime import datetime

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.register import ENDED, OPEN
from orchestrator.management.trains.facts import prognosis_of
from orchestrator.management.trains.lines import departures
from orchestrator.management.trains.model import Train, TrainLine
from orchestrator.management.trains.ports import TrainSources
from orchestrator.management.trains.prognosis import Prognosis
from orchestrator.management.trains.state import TrainState
from orchestrator.management.trains.store import TRAIN_LINES, TRAINS
from orchestrator.register_ports import each_record

DEPARTURES = 5  # that are shown with a line
WAITING = frozenset({TrainState.BOARDING, TrainState.CLOSED, TrainState.ON_HOLD})
"""The states of trains that have a prognosis: they have not departed."""


@forwarded
def list_lines(acting: Acting, *, archived: bool = False) -> tuple[TrainLine, ...]:
    """The train lines by name; with *archived* also those for which no train is made any more."""
    parts = [OPEN, ENDED] if archived else [OPEN]

    def work(view: View) -> tuple[TrainLine, ...]:
        found = [line for part in parts for line in view.records.all(TRAIN_LINES, part)]
        return tuple(sorted(found, key=lambda line: line.name))

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_line(acting: Acting, name: str) -> tuple[TrainLine, tuple[datetime, ...]]:
    """One line with its next departures. Raises A110."""

    def work(view: View) -> tuple[TrainLine, tuple[datetime, ...]]:
        line = view.existing(TRAIN_LINES, name)
        coming = () if line.is_archived else departures(line, view.now.earliest, DEPARTURES)
        return line, coming

    return read_register(acting, Action.VIEW, work)


@forwarded
def list_trains(
    acting: Acting,
    *,
    ended: bool = False,
    latest_first: bool = False,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Train]:
    """A page of the trains, by their departures, or against that; by default those that have not ended."""
    parts = [OPEN, ENDED] if ended else [OPEN]

    def work(view: View) -> Page[Train]:
        return view.records.page(TRAINS, parts, newest_first=latest_first, cursor=cursor, limit=limit)

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_train(acting: Acting, key: str) -> Train:
    """One train, by its id, or the next one of the line *key*. Raises A110."""
    return read_register(acting, Action.VIEW, lambda view: train_called(view, key))


@forwarded
def show_prognosis(acting: Acting, key: str, sources: TrainSources, at: datetime | None = None) -> Prognosis:
    """What would leave with a train at *at*, by default at its departure. Raises A110, and G606 after the departure."""

    def work(view: View) -> Prognosis:
        train = train_called(view, key)
        if train.state not in WAITING:
            raise OrchestratorError("G606", f"{train.id} is {train.state}", hint=f"orchestrator train show {train.id}")
        return prognosis_of(view, train, sources, at or max(train.departs_at, view.now.earliest))

    return read_register(acting, Action.VIEW, work)


def train_called(view: View, key: str) -> Train:
    """The train with the id *key*, or the next one of the line *key* that has not departed. Raises A110."""
    if view.records.get(TRAIN_LINES, key) is not None:
        trains = each_record(view.records, TRAINS, [OPEN], about=key)
        coming = next((each for each in trains if each.state in WAITING), None)
        if coming is not None:
            return coming
    return view.existing(TRAINS, key)
