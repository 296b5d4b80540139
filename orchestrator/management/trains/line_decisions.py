"""Use cases that add, change and remove train lines. Each change has an entry in the audit stream."""

from typing import Any

from pydantic import ValidationError

from orchestrator.app.acting import Acting, Change, change, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import first_fault
from orchestrator.management.trains.model import LineDraft, TrainLine
from orchestrator.management.trains.records import usable_line
from orchestrator.management.trains.store import TRAIN_LINES, TRAINS


@forwarded
def add_line(acting: Acting, draft: LineDraft) -> TrainLine:
    """Add a line, whose conductor is the actor. Raises A110 for an unknown environment, and G601 for a known name."""

    def work(task: Change) -> TrainLine:
        _check_environments(task, draft)
        if task.records.get(TRAIN_LINES, draft.name) is not None:
            raise OrchestratorError("G601", f"the train line {draft.name} exists already")
        about = {"conductor": task.acting.actor, "created_at": task.now.earliest}
        return task.put(TRAIN_LINES, TrainLine.model_validate({**dict(draft), **about}), event="add")

    return change(acting, Action.MANAGE_TRAINS, work)


@forwarded
def edit_line(acting: Acting, name: str, fields: dict[str, Any], reason: str = "") -> TrainLine:
    """Change *fields* of a line. Trains that were made for it stay as they are. Raises A110 and G601."""

    def work(task: Change) -> TrainLine:
        line = usable_line(task, name)
        drafted = {key: value for key, value in line.to_json().items() if key in LineDraft.model_fields}
        try:
            draft = LineDraft.from_json({**drafted, **fields, "name": line.name})
        except ValidationError as error:
            raise OrchestratorError("G601", f"the line {name} {first_fault(error)[1]}") from error
        _check_environments(task, draft)
        changed = TrainLine.model_validate({**dict(line), **dict(draft)})
        return task.put(TRAIN_LINES, changed, event="edit", changed=sorted(fields))

    return change(acting, Action.MANAGE_TRAINS, work, reason=reason)


@forwarded
def remove_line(acting: Acting, name: str, reason: str = "") -> TrainLine:
    """Remove a line. One that trains refer to is archived, and its trains stay. Raises A110 and G601."""

    def work(task: Change) -> TrainLine:
        line = usable_line(task, name)
        if task.records.page(TRAINS, about=name, limit=1).items:
            archived = line.model_copy(update={"archived_at": task.now.earliest})
            return task.put(TRAIN_LINES, archived, event="archive")
        task.remove(TRAIN_LINES, line, event="remove")
        return line

    return change(acting, Action.MANAGE_TRAINS, work, reason=reason)


def _check_environments(task: Change, draft: LineDraft) -> None:
    known = list(task.acting.environments)
    for stop in draft.stops:
        for environment in stop.environments:
            if environment not in known:
                raise unknown("environment", environment, known)
