"""What a train does next: a pure function of its record and the time, so that no process does anything twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from orchestrator.domain.text import with_reason
from orchestrator.management.trains.model import Boarding, Train, TrainRun
from orchestrator.management.trains.state import TrainEvent, TrainRunState, TrainState

RunKind = Literal["promotion", "verification", "rollback"]
BAD = frozenset({TrainRunState.FAILED, TrainRunState.NEEDS_HELP})


@dataclass(frozen=True)
class PlannedRun:
    """A run that a train is to start: its *kind* at the *stop*, in *environment*, of *package* if it is about one."""

    stop: int
    kind: RunKind
    environment: str
    package: str = ""
    turn: int = 1

    @property
    def key(self) -> tuple[int, str, str, str, int]:
        """The key of its run."""
        return (self.stop, self.kind, self.environment, self.package, self.turn)


@dataclass(frozen=True)
class TrainStep:
    """The next step of a train: an *event* with its reason *note*, a *run* to start, or an *open* run to follow."""

    event: TrainEvent | None = None
    note: str = ""
    run: PlannedRun | None = None
    open: TrainRun | None = None


def next_train_step(train: Train, now: datetime) -> TrainStep | None:
    """The next step of *train*; None if nothing is due."""
    match train.state:
        case TrainState.BOARDING if train.boarding_closes_at <= now:
            return TrainStep(TrainEvent.CLOSE)
        case TrainState.CLOSED if train.departs_at <= now:
            return TrainStep(TrainEvent.DEPART)
        case TrainState.DEPARTED:
            return _onward(train, now)
        case TrainState.ROLLING_BACK:
            return _back(train)
    return None


def _onward(train: Train, now: datetime) -> TrainStep | None:
    open_ = open_run(train)
    if open_ is not None:
        return TrainStep(open=open_)
    bad = next((run for run in train.runs if run.state in BAD), None)
    if bad is not None:
        return TrainStep(TrainEvent.FAIL, with_reason(f"stop {bad.stop}: {run_text(bad)} {bad.state}", bad.note))
    done = {run.key for run in train.runs}
    for number in range(1, len(train.stops) + 1):
        step = _at_stop(train, number, done, now)
        if step is not None:
            return step if step.run is not None or step.event is not None else None
    return TrainStep(TrainEvent.ARRIVE)


def _at_stop(train: Train, number: int, done: set[tuple[int, str, str, str, int]], now: datetime) -> TrainStep | None:
    """The next step at the stop *number*; None if it was reached. A stop whose time has not come has an empty step."""
    missing = next((each for each in planned_runs(train, number) if each.key not in done), None)
    if missing is None:
        return TrainStep(TrainEvent.REACH) if train.stops_completed < number else None
    early = train.departed_at is None or now < train.departed_at + timedelta(seconds=train.stops[number - 1].after_s)
    return TrainStep() if early else TrainStep(run=missing)


def planned_runs(train: Train, number: int) -> Iterator[PlannedRun]:
    """The runs at the stop *number*: promotions in the order of the packages, then the set is verified together.

    A rehearsal rolls the set back in reverse order at the first stop, and promotes and verifies it again.
    """
    stop = train.stops[number - 1]
    places = [
        (each.name, name) for each in departed_members(train) for name in stop.environments if name in each.environments
    ]
    used = list(dict.fromkeys(name for _, name in places))
    for turn in (1, 2) if train.rehearse and number == 1 else (1,):
        for package, name in places:
            yield PlannedRun(number, "promotion", name, package, turn)
        for name in used:
            yield PlannedRun(number, "verification", name, "", turn)
        if train.rehearse and number == 1 and turn == 1:
            for package, name in reversed(places):
                if can_return(train, name, package):
                    yield PlannedRun(number, "rollback", name, package, turn)


def departed_members(train: Train) -> tuple[Boarding, ...]:
    """The packages that have departed, in the order in which they go."""
    return tuple(member for member in train.members if member.environments)


def can_return(train: Train, environment: str, package: str) -> bool:
    """Whether there is another release of *package* in *environment* to return to."""
    previous, member = train.previous_of(environment, package), train.member(package)
    release = previous.release if previous is not None else None
    return release is not None and member is not None and release.digest != member.digest


def is_shared(train: Train, environment: str, package: str) -> bool:
    """Whether *environment* has other packages than *package*, of the train or not.

    A run that fails there restores what was verified last, which is of another package.
    """
    previous = train.previous_of(environment, package)
    others = any(environment in each.environments and each.name != package for each in departed_members(train))
    return others or previous is None or not previous.newest


def _back(train: Train) -> TrainStep | None:
    open_ = open_run(train)
    if open_ is not None:
        return TrainStep(open=open_)
    planned = list(rollbacks(train))
    done = {run.key: run for run in train.runs}
    missing = next((each for each in planned if each.key not in done), None)
    if missing is not None:
        return TrainStep(run=missing)
    bad = next((done[each.key] for each in planned if done[each.key].state in BAD), None)
    if bad is not None:
        note = with_reason(f"{train.note}; {run_text(bad)} {bad.state}", bad.note)
        return TrainStep(TrainEvent.GIVE_UP, note[:2000])
    return TrainStep(TrainEvent.COMPLETE_ROLLBACK, train.note)


LAST_TURN = 3
"""The turn of the rollbacks after a failure: a rehearsal has rollbacks of its own before."""


def rollbacks(train: Train) -> Iterator[PlannedRun]:
    """The rollbacks after a failure: what the train has changed at its newest stop, in reverse order.

    A stop that was reached before keeps its set. A package whose own run rolled back is only restored again if its
    environment is shared: that run restored what was verified last, which is of another package.
    """
    number = max((run.stop for run in train.runs), default=0)
    if not number or train.stops_completed >= number:
        return
    for run in reversed(_promoted(train, number)):
        environment, package = run.environment, run.package
        returned = run.state is TrainRunState.FAILED and not is_shared(train, environment, package)
        if can_return(train, environment, package) and not returned:
            yield PlannedRun(number, "rollback", environment, package, LAST_TURN)


def _promoted(train: Train, number: int) -> list[TrainRun]:
    """The promotions at the stop *number* that have changed something and were not rolled back, in their order."""
    current: dict[tuple[str, str], TrainRun] = {}
    for run in train.runs:
        place = (run.environment, run.package)
        if run.stop != number or run.kind == "verification" or run.turn == LAST_TURN:
            continue
        if run.kind == "promotion" and run.touched:
            current.pop(place, None)
            current[place] = run
        elif run.kind == "rollback" and run.state not in BAD:
            current.pop(place, None)
    return list(current.values())


def open_run(train: Train) -> TrainRun | None:
    """The run that has not ended; None if there is none. A train has one at a time."""
    return next((run for run in train.runs if not run.has_ended), None)


def run_text(run: TrainRun | PlannedRun) -> str:
    """What a run does, in a phrase."""
    match run.kind:
        case "promotion":
            return f"promotion of {run.package} to {run.environment}"
        case "rollback":
            return f"rollback of {run.package} in {run.environment}"
        case _:
            return f"verification of {run.environment}"
