"""Guard: what was rolled back is not promoted again as if nothing had been.

There is no rollback of a rollback: one that fails asks for a person. And a release that an environment has gone back
from does not go there again by itself, nor by a person who does not say why.
"""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.flow.course import Course
from orchestrator.planning.guard import gone_back_from, refusal
from orchestrator.ports import Emit


def record_passed(course: Course, emit: Emit) -> None:
    """Record what of the calendar was passed for this run, so that the journal shows it permanently."""
    for number, text in enumerate(course.setting.entrance.passed(course.run), 1):
        emit(Entry(kind="notice", data={"level": "warning", "text": text, "passed": True}, key=f"passed:{number}"))


def refuse_again(course: Course, emit: Emit) -> OrchestratorError | None:
    """Why this run's release may not go to its environment again; None when it may, with a person's reason told."""
    run = course.run
    if run.kind != "promotion" or run.release is None:
        return None
    before = gone_back_from(course.setting, run.environment).get(run.release.digest)
    if before is None:
        return None
    if not course.again:
        return refusal(run.environment, before, str(run.release))
    text = f"{run.release} goes to {run.environment} again, though {before.id} went back from it: {course.again}"
    data = {"level": "warning", "text": text, "again": course.again, "of": before.id}
    emit(Entry(kind="notice", data=data, key="again"))
    return None
