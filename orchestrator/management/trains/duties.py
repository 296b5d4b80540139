"""What the scheduler does for trains: it makes them, closes boarding, has them depart, and drives them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import takewhile

from orchestrator.app.acting import Acting, Change, View, change, read_own, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.app.scheduler import do_each
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import Now, moment_text
from orchestrator.domain.register import ENDED, OPEN
from orchestrator.domain.text import with_reason
from orchestrator.management.trains.decisions import put_new_train
from orchestrator.management.trains.driving import MOVING, drive, put_due
from orchestrator.management.trains.lines import AHEAD, departures
from orchestrator.management.trains.model import Train, TrainLine
from orchestrator.management.trains.ports import TrainExecutions, TrainSources
from orchestrator.management.trains.progress import next_train_step
from orchestrator.management.trains.store import TRAIN_LINES, TRAINS
from orchestrator.register_ports import each_record


@forwarded
def advance_trains(acting: Acting, sources: TrainSources) -> tuple[str, ...]:
    """Do what the time requires of trains that have not departed. A phrase for each step; nothing happens twice.

    Raises at the end what kept a train or line from it; the others were done.
    """
    due, lines = read_register(acting, Action.MANAGE_TRAINS, lambda view: (_due_trains(view), _bare_lines(view)))
    work = {line: partial(_made, acting, line) for line in lines}
    work |= {key: partial(_advanced, acting, key, sources) for key in due}
    return tuple(do_each(work, lambda name: work[name]()))


def _due_trains(view: View) -> list[str]:
    now = view.now.earliest
    trains = view.records.all(TRAINS, OPEN)
    return [each.id for each in trains if each.state not in MOVING and next_train_step(each, now) is not None]


def _bare_lines(view: View) -> list[str]:
    """The lines without a train for their next departure."""
    return [line.name for line in view.records.all(TRAIN_LINES, OPEN) if _needs_train(view, line)]


def _needs_train(view: View, line: TrainLine) -> bool:
    coming = departures(line, view.now.earliest, 2)
    return bool(coming) and not any(_is_of(train, coming) for train in _trains_of(view, line, coming[0]))


def _trains_of(view: View, line: TrainLine, coming: datetime) -> Iterator[Train]:
    """The trains of *line* that can be those of its departure *coming*: also one that was moved, departed or cancelled.

    Those whose time was before are read last: only one that was moved to an earlier time can be among them. No worker
    makes a train more than `AHEAD` before its departure, so none of those has an earlier time than that.
    """
    yield from each_record(view.records, TRAINS, [OPEN], about=line.name)
    yield from each_record(view.records, TRAINS, [ENDED], about=line.name, start=moment_text(coming))
    earlier = each_record(view.records, TRAINS, [ENDED], about=line.name, start=moment_text(coming - AHEAD))
    yield from takewhile(lambda train: train.departs_at < coming, earlier)


def _is_of(train: Train, coming: tuple[datetime, ...]) -> bool:
    """Whether *train* is that of the first of the departures *coming*, which it was made for or was moved to."""
    if train.planned_at is None:  # of an older version: it is that of the previous departure
        return coming[0] <= train.departs_at and (train.departs_at < coming[-1] or len(coming) == 1)
    return coming[0] in {train.planned_at, train.departs_at}


def _made(acting: Acting, name: str) -> tuple[str, ...]:
    def work(task: Change) -> tuple[str, ...]:
        line = task.records.get(TRAIN_LINES, name)
        if line is None or line.is_archived or not _needs_train(task, line):
            return ()
        made = put_new_train(task, line, departures(line, task.now.earliest)[0])
        return (f"{made.id} of {name} is {made.state}",)

    return change(acting, Action.MANAGE_TRAINS, work)


def _advanced(acting: Acting, key: str, sources: TrainSources) -> tuple[str, ...]:
    def work(task: Change) -> tuple[str, ...]:
        train = task.existing(TRAINS, key)
        steps = put_due(task, train, sources)
        return tuple(with_reason(f"{each.id} is {each.state}", each.note) for each in steps)

    return change(acting, Action.MANAGE_TRAINS, work)


@dataclass
class AdvanceTrains:
    """The scheduler's duty for trains that have not departed."""

    acting: Acting
    sources: TrainSources
    name: str = "release trains"

    def due(self, now: Now) -> bool:
        """Whether a line needs its next train, or a train is to close or depart."""
        del now
        return read_own(self.acting, lambda view: bool(_bare_lines(view) or _due_trains(view)))

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do it."""
        del now
        return advance_trains(acting, self.sources)


@dataclass
class DriveTrains:
    """The scheduler's duty for trains that have departed."""

    acting: Acting
    executions: TrainExecutions
    name: str = "runs of trains"

    def due(self, now: Now) -> bool:
        """Whether a train has departed and has not ended."""
        del now

        def work(view: View) -> bool:
            trains = [train for train in view.records.all(TRAINS, OPEN) if train.state in MOVING]
            return any(next_train_step(train, view.now.earliest) is not None for train in trains)

        return read_own(self.acting, work)

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Start and follow their runs."""
        del now
        return drive(self.executions, acting)
