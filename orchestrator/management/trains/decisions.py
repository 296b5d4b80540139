"""Use cases that make trains, put packages aboard, hold and cancel them. Each change is in the audit stream."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from orchestrator.app.acting import Acting, Change, change, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import find_circle
from orchestrator.domain.register import OPEN
from orchestrator.domain.release import PackageRef
from orchestrator.management.numbers import next_number
from orchestrator.management.trains.lines import departures
from orchestrator.management.trains.model import Boarding, Train, TrainLine, closing_time
from orchestrator.management.trains.ports import TrainSources
from orchestrator.management.trains.records import NOUN, put_train, require_train_reason, usable_line
from orchestrator.management.trains.state import TRAIN_TABLE, BoardingEvent, TrainEvent, TrainState
from orchestrator.management.trains.store import TRAINS
from orchestrator.register_ports import each_record


@forwarded
def create_train(acting: Acting, line: str, departs_at: datetime | None = None) -> Train:
    """Make the train of *line* that departs at *departs_at*, by default at its next departure without a train.

    Raises A110, G601 for an archived line, and G602 for a departure that has a train, is past, or does not exist.
    """

    def work(task: Change) -> Train:
        found = usable_line(task, line)
        at = departs_at or _free_departure(task, found)
        if at <= task.now.earliest:
            raise OrchestratorError("G602", f"{at:%Y-%m-%d %H:%M} UTC is past")
        if any(train.departs_at == at for train in each_record(task.records, TRAINS, [OPEN], about=line)):
            raise OrchestratorError("G602", f"{line} has a train that departs at {at:%Y-%m-%d %H:%M} UTC already")
        return put_new_train(task, found, at)

    return change(acting, Action.MANAGE_TRAINS, work)


def _free_departure(task: Change, line: TrainLine) -> datetime:
    trains = each_record(task.records, TRAINS, [OPEN], about=line.name)
    taken = {at for train in trains for at in (train.departs_at, train.planned_at)}
    free = (at for at in departures(line, task.now.earliest, len(taken) + 1) if at not in taken)
    at = next(free, None)
    if at is None:
        raise OrchestratorError("G602", f"the train line {line.name} has no further departure within 400 days")
    return at


def put_new_train(task: Change, line: TrainLine, departs_at: datetime) -> Train:
    """Write the train of *line* that departs at *departs_at*."""
    at = task.now.earliest
    made = Train(
        number=next_number(task.records, NOUN),
        line=line.name,
        stops=line.stops,
        departs_at=departs_at,
        planned_at=departs_at,
        boarding_closes_at=max(min(closing_time(line, departs_at), departs_at), min(at, departs_at)),
        rehearse=line.rehearse,
        conductor=line.conductor,
        created_at=at,
        created_by=str(task.acting.actor),
    )
    return put_train(task, made, "create", line=line.name)


BOARDABLE = frozenset({TrainState.BOARDING, TrainState.CLOSED})
"""The states in which packages board: early, or late with a reason."""


@dataclass(frozen=True)
class TrainChange:
    """The times of a train that change; None: it stays."""

    departs_at: datetime | None = None
    boarding_closes_at: datetime | None = None


@forwarded
def edit_train(acting: Acting, key: str, times: TrainChange, reason: str = "") -> Train:
    """Move the departure of a train, or the end of boarding, which then opens again. Raises A110, G101 and G602."""

    def work(task: Change, train: Train) -> Train:
        departs = times.departs_at or train.departs_at
        closes = times.boarding_closes_at
        if closes is None:
            closes = departs - (train.departs_at - train.boarding_closes_at)
        if departs <= task.now.earliest or closes > departs:
            raise OrchestratorError("G602", f"{train.id}: the departure is past, or boarding closes after it")
        fields = {"departs_at": departs, "boarding_closes_at": closes, "note": reason}
        return put_train(task, train.after_event(TrainEvent.EDIT, **fields), TrainEvent.EDIT)

    return change_train(key, acting, work, reason)


@forwarded
def board_train(
    acting: Acting, key: str, package: str, sources: TrainSources, after: tuple[str, ...] = (), late: str = ""
) -> Train:
    """Put a kept *package* (`shop-1.5.0`, or a digest) aboard a train, to go after the packages *after*.

    Another version of a package takes the place of that aboard. After the cut-off it boards only with the reason
    *late*, which is recorded. Raises A110, G101, G603 for a package that is not kept, and G604 for a wrong dependency.
    """

    def work(task: Change, train: Train) -> Train:
        ref = _kept(package, sources)
        event = TrainEvent.BOARD
        if train.state not in BOARDABLE:
            TRAIN_TABLE.after(train.state, event, train.id)  # raises G101
        if train.state is TrainState.CLOSED or train.boarding_closes_at <= task.now.latest:
            require_train_reason(late, f"boarding of {train.id} has closed: {ref} boards late")
            event = TrainEvent.BOARD_LATE
            if train.state is TrainState.BOARDING:  # its time is over, and the scheduler has not closed it yet
                train = put_train(task, train.after_event(TrainEvent.CLOSE), TrainEvent.CLOSE)
        boarded = _boarding(task, train, ref, after, late if event is TrainEvent.BOARD_LATE else "")
        changed = train.after_event(event, members=train.with_member(boarded))
        _check_order(changed)
        return put_train(task, changed, event, package=str(ref), digest=ref.digest, late=boarded.late)

    return change_train(key, acting, work, late)


def _boarding(task: Change, train: Train, ref: PackageRef, after: tuple[str, ...], late: str) -> Boarding:
    about = {"after": after, "boarded_at": task.now.earliest, "boarded_by": str(task.acting.actor), "late": late}
    fields = {**ref.model_dump(), **about, "reason": None, "note": ""}
    before = train.member(ref.name)
    if before is None:
        return Boarding.model_validate(fields)
    return before.after_event(BoardingEvent.BOARD, train.id, **fields)


def _kept(package: str, sources: TrainSources) -> PackageRef:
    refs = list(sources.built())
    plain = package.removeprefix("sha256:")
    found = [ref for ref in refs if package in {f"{ref.name}-{ref.version}", ref.digest, f"sha256:{plain}"}]
    found = found or [ref for ref in refs if len(plain) >= 8 and ref.digest.removeprefix("sha256:").startswith(plain)]
    if len(found) != 1:
        what = "is not kept here" if not found else f"names {len(found)} packages: give its digest"
        raise OrchestratorError("G603", f"{package} {what}", hint="orchestrator build RELEASE")
    return found[0]


def _check_order(train: Train) -> None:
    aboard = {member.name: member for member in train.aboard}
    for member in aboard.values():
        if member.name in member.after:
            raise OrchestratorError("G604", f"{member.name} comes after itself")
    graph = {name: [other for other in member.after if other in aboard] for name, member in aboard.items()}
    circle = find_circle(graph)
    if circle:
        raise OrchestratorError("G604", f"packages of {train.id} depend on each other: {', '.join(circle)}")


@forwarded
def leave_train(acting: Acting, key: str, name: str, reason: str = "") -> Train:
    """Take the package called *name* off a train before its departure. Raises A110 and G101."""

    def work(task: Change, train: Train) -> Train:
        plain = next((m.name for m in train.aboard if name in {m.name, f"{m.name}-{m.version}"}), name)
        member = train.member(plain)
        if member is None:
            raise unknown("package", f"{name} aboard {train.id}", [each.name for each in train.aboard])
        left = member.after_event(BoardingEvent.LEAVE, train.id, note=reason)
        changed = train.after_event(TrainEvent.LEAVE, members=train.with_member(left))
        return put_train(task, changed, TrainEvent.LEAVE, package=str(member.release))

    return change_train(key, acting, work, reason)


@forwarded
def hold_train(acting: Acting, key: str, reason: str) -> Train:
    """Keep a train from departing until it is resumed. Raises A110, G101, and G605 without a reason."""

    def work(task: Change, train: Train) -> Train:
        note = require_train_reason(reason, f"{train.id} is held")
        return put_train(task, train.after_event(TrainEvent.HOLD, note=note), TrainEvent.HOLD)

    return change_train(key, acting, work, reason)


@forwarded
def resume_train(acting: Acting, key: str, reason: str = "") -> Train:
    """Let a train that was held depart again. Raises A110 and G101."""

    def work(task: Change, train: Train) -> Train:
        return put_train(task, train.after_event(TrainEvent.RESUME, note=reason), TrainEvent.RESUME)

    return change_train(key, acting, work, reason)


@forwarded
def cancel_train(acting: Acting, key: str, reason: str) -> Train:
    """End a train. One that has departed restores the previous set. Raises A110, G101, and G605.

    After the departure, its open run ends first: cancel it, or withdraw its request.
    """

    def work(task: Change, train: Train) -> Train:
        note = require_train_reason(reason, f"{train.id} is cancelled")
        if TRAIN_TABLE.allows(train.state, TrainEvent.FAIL):
            failed = train.after_event(TrainEvent.FAIL, note=f"cancelled by {task.acting.actor}: {note}")
            return put_train(task, failed, TrainEvent.FAIL)
        ended = train.after_event(TrainEvent.CANCEL, note=note, ended_at=task.now.earliest)
        return put_train(task, ended, TrainEvent.CANCEL)

    return change_train(key, acting, work, reason)


@forwarded
def resolve_train(acting: Acting, key: str, reason: str) -> Train:
    """Record that what a train has left was restored by hand. Raises A110, G101, and G605 without a reason."""

    def work(task: Change, train: Train) -> Train:
        note = require_train_reason(reason, f"{train.id} is resolved")
        after = train.after_event(TrainEvent.RESOLVE, note=note, ended_at=task.now.earliest)
        return put_train(task, after, TrainEvent.RESOLVE)

    return change_train(key, acting, work, reason)


Work = Callable[[Change, Train], Train]


def change_train(key: str, acting: Acting, work: Work, reason: str = "") -> Train:
    """The train *key* after *work*. Raises A110."""

    def whole(task: Change) -> Train:
        return work(task, task.existing(TRAINS, key))

    return change(acting, Action.MANAGE_TRAINS, whole, reason=reason)
