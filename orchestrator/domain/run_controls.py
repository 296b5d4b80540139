"""What users can request of a run in its state, so that no page offers what would have no effect."""

from typing import Literal

from orchestrator.domain.journal import ControlVerb

ControlRequest = Literal["pause", "continue", "cancel", "abort"]


def possible_requests(
    control: ControlVerb, *, going_back: bool, interrupted: bool = False
) -> tuple[ControlRequest, ...]:
    """What can be requested of a run that has not ended: *control* was requested last; *going_back*: it rolls back.

    A run that is to be cancelled is not paused: that would replace the request. A rollback is not cancelled. It can be
    paused and, in a second step, aborted. One that is *interrupted* can be continued: no process works on it.
    """
    found: list[ControlRequest] = []
    if control == "pause" or (interrupted and (control == "" or going_back)):
        found.append("continue")
    elif control == "" or going_back:
        found.append("pause")
    if control in {"", "pause"} and not going_back:
        found.append("cancel")
    if control != "abort" or going_back:
        found.append("abort")
    return tuple(found)
