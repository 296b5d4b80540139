"""Drives trains: what is due is applied one step after the other, until nothing is, whenever a process dies.

The start of a run is recorded with an idempotency key before anything is requested. A process that dies in between
leaves a run that the next one continues under the same key.
"""

import secrets
from collections.abc import Iterator
from datetime import datetime

from orchestrator.app.acting import Acting, Change, change
from orchestrator.app.scheduler import do_each
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES
from orchestrator.domain.register import OPEN
from orchestrator.domain.text import with_reason
from orchestrator.management.trains.departure import put_departed
from orchestrator.management.trains.model import Boarding, Train, TrainRun
from orchestrator.management.trains.ports import RunReport, TrainExecutions, TrainSources
from orchestrator.management.trains.progress import PlannedRun, next_train_step, open_run, run_text
from orchestrator.management.trains.records import put_train
from orchestrator.management.trains.state import (
    BOARDING_TABLE,
    BoardingEvent,
    TrainEvent,
    TrainRunEvent,
    TrainState,
)
from orchestrator.management.trains.store import TRAINS

EVENTS = {
    "succeeded": TrainRunEvent.SUCCEED,
    "failed": TrainRunEvent.FAIL,
    "needs-help": TrainRunEvent.REQUEST_HELP,
}
MEMBERS = {TrainEvent.ARRIVE: BoardingEvent.ARRIVE, TrainEvent.COMPLETE_ROLLBACK: BoardingEvent.ROLL_BACK}


def drive(executions: TrainExecutions, acting: Acting) -> Iterator[str]:
    """Start and follow the runs of trains that have departed. A phrase for each change."""
    moving = acting.register.reading(lambda records: [train.id for train in records.all(TRAINS, OPEN)])
    yield from do_each(moving, lambda key: _drive(executions, acting, key))


def _drive(executions: TrainExecutions, acting: Acting, key: str) -> Iterator[str]:
    while (train := _stepped(acting, key)) is not None:
        run = open_run(train)
        if run is None:
            yield with_reason(f"{train.id} is {train.state}", train.note)
            continue
        report = executions.current(run) if run.followed else _begun(executions, train, run)
        if report.followed == run.followed and report.ended is None:
            return
        after = _record(acting, key, run, report)
        if after.has_ended or not run.followed:
            yield with_reason(f"{train.id}: {run_text(after)} {after.state}", after.note)


def _begun(executions: TrainExecutions, train: Train, run: TrainRun) -> RunReport:
    """What *run* has requested. What is refused fails it; a database that is away is waited for."""
    try:
        return executions.begin(train, run)
    except OrchestratorError as error:
        if error.code in STORE_FAILURES:
            raise
        return RunReport(run.followed, "failed", note=f"{error.message} ({error.code})")


MOVING = frozenset({TrainState.DEPARTED, TrainState.ROLLING_BACK})
"""The states in which runs of a train are started and followed."""


def _stepped(acting: Acting, key: str) -> Train | None:
    """The train *key* after its next step; one with an open run stays as it is. None if nothing is due."""

    def work(task: Change) -> Train | None:
        train = task.existing(TRAINS, key)
        step = next_train_step(train, task.now.earliest) if train.state in MOVING else None
        if step is None:
            return None
        if step.open is not None:
            return train
        if step.run is not None:
            return _started(task, train, step.run)
        assert step.event is not None
        return put_moved(task, train, step.event, step.note)

    train = acting.register.reading(lambda records: records.get(TRAINS, key))
    if train is None or train.state not in MOVING:
        return None
    if open_run(train) is not None:
        return train
    return change(acting, Action.MANAGE_TRAINS, work)


def put_moved(task: Change, train: Train, event: TrainEvent, note: str) -> Train:
    """Write *train* after *event*, with what it means for its packages."""
    fields: dict[str, object] = {"note": note}
    if event is TrainEvent.REACH:
        fields["stops_completed"] = train.stops_completed + 1
    after = train.after_event(event, **fields)
    if after.has_ended or event in MEMBERS:
        members = tuple(_member(train, member, MEMBERS.get(event)) for member in after.members)
        after = Train.model_validate({**dict(after), "members": members, "ended_at": task.now.earliest})
    return put_train(task, after, event, **({"note": note} if note else {}))


def _member(train: Train, member: Boarding, event: BoardingEvent | None) -> Boarding:
    if event is None or not BOARDING_TABLE.allows(member.state, event):
        return member
    return member.after_event(event, train.id)


def _started(task: Change, train: Train, planned: PlannedRun) -> Train:
    """Write the start of a run, before anything is requested."""
    run = TrainRun(
        stop=planned.stop,
        kind=planned.kind,
        environment=planned.environment,
        package=planned.package,
        turn=planned.turn,
        root=secrets.token_hex(3),
        started_at=task.now.earliest,
    )
    after = train.after_event(TrainEvent.FOLLOW, runs=train.with_run(run))
    return put_train(task, after, TrainEvent.FOLLOW, run=run_text(run), root=run.root)


def _record(acting: Acting, key: str, run: TrainRun, report: RunReport) -> TrainRun:
    """Write what became of *run*, unless that was written meanwhile."""

    def work(task: Change) -> TrainRun:
        train = task.existing(TRAINS, key)
        current = open_run(train)
        if current is None or current.key != run.key:
            return next(each for each in train.runs if each.key == run.key)
        event = EVENTS[report.ended] if report.ended is not None else TrainRunEvent.FOLLOW
        fields = {"followed": report.followed, "note": report.note[:2000], "touched": report.touched}
        ended = {"ended_at": _end_of(task, current, report)} if report.ended is not None else {}
        after = current.after_event(event, train.id, **fields, **ended)
        changed = train.after_event(TrainEvent.FOLLOW, runs=train.with_run(after))
        put_train(
            task, changed, TrainEvent.FOLLOW, run=run_text(after), followed=after.followed, result=after.state.value
        )
        return after

    return change(acting, Action.MANAGE_TRAINS, work)


def _end_of(task: Change, run: TrainRun, report: RunReport) -> datetime:
    """When *run* has ended, by its journal, which a worker may read much later. Never before its start."""
    now = task.now.earliest
    return max(run.started_at, min(report.ended_at or now, now))


def put_due(task: Change, train: Train, sources: TrainSources) -> Iterator[Train]:
    """Write what the time requires of a train that has not departed: the end of boarding, and the departure."""
    while (step := next_train_step(train, task.now.earliest)) is not None and train.state not in MOVING:
        if step.event is TrainEvent.DEPART:
            train = put_departed(task, train, sources)
        elif step.event is not None:
            train = put_moved(task, train, step.event, step.note)
        yield train
