"""Probe: whether the service answers, looked at all the time while a release goes out, and while it goes back."""

import traceback

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import UNWRITTEN, Entry
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.course import Course
from orchestrator.ports import Emit
from orchestrator.room import spent


def begin(course: Course) -> None:
    """Begin to look, or go on with it, also after a crash. What goes wrong with it is told, and stops no release."""
    probe = course.settled_plan().probe
    if probe is None or course.probed:
        return
    course.probed = str(course.durable.step("probe.since", course.setting.clock.now))
    if course.setting.store.knows(course.run.id, "probe:finished"):
        return
    try:
        missing = course.setting.prober.begin(
            probe, course.settled_package(), course.inventory(), course.context(), _job(course)
        )
    except OrchestratorError as error:
        if error.code in UNWRITTEN:
            raise
        missing = error.message
    except Exception as error:
        if spent(error):
            raise
        course.note(Entry(kind="notice", data={"level": "error", "text": traceback.format_exc()}))
        missing = f"{type(error).__name__}: {error}"
    if missing:
        course.alert("", f"the probe cannot look at everything: {missing}", "probe:missing")


def end(course: Course) -> None:
    """Look no longer, and write down what was seen. Without effect where nothing was begun, or it has ended."""
    probe, since = course.settled_plan().probe if course.plan is not None else None, course.probed
    if probe is None or not since:
        return
    course.probed = ""

    def work(_key: str, _emit: Emit) -> StepResult:
        try:
            found = course.setting.prober.end(probe, _job(course), since)
        except (OrchestratorError, OSError, ValueError) as error:
            return StepResult(outcome=Outcome.SKIPPED, message=f"nothing was measured: {error}")
        return StepResult(outcome=Outcome.SUCCEEDED, message=found.text, data={"probe": found.to_json()})

    course.step("probe", "availability", work, verb="probe")
    course.setting.prober.stop(_job(course))


def _job(course: Course) -> str:
    return f"{course.run.id}.probe"
