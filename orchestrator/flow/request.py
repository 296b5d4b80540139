"""Request: whether the environment can take the run now, and the lease on it."""

from orchestrator.domain.error_codes import ENVIRONMENT_BUSY
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import FORWARD, STOPPING, Entry
from orchestrator.domain.promotion import Event
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import undated
from orchestrator.flow.course import Course
from orchestrator.planning.admission import allow
from orchestrator.ports import Emit

POLL = 0.5


def admit(course: Course) -> None:
    """Take the environment's lease. Nothing else of this run happens without it."""
    course.move(Event.PLAN)

    def take(_job: str, emit: Emit) -> StepResult:
        allow(course.environment)
        enter(course)
        return _wait(course, emit) if course.wait else acquire(course)

    course.must("lease", f"take {course.run.environment}", take, verb="request")


def enter(course: Course) -> None:
    """Refuse a promotion or rehearsal in a closed environment; nothing else is ever closed. Raises A220, A301, A302."""
    if course.run.kind in FORWARD:
        course.setting.entrance.admit(course.setting, course.run, overrun=course.overrun)


def acquire(course: Course) -> StepResult:
    """The environment's lease for this run. Raises S101 when somebody else holds it, or waits for it."""
    course.enter()
    return StepResult(outcome=Outcome.SUCCEEDED, data={"fence": course.fence})


def _wait(course: Course, emit: Emit) -> StepResult:
    """Take the lease when it is this run's turn, saying what it waits for. Raises S104 and S105."""
    store, clock, run = course.setting.store, course.setting.clock, course.run
    deadline, said = clock.monotonic() + course.wait, ""
    store.enqueue(run.environment, run, supersede=course.environment.queue.supersede)
    while True:
        if (wish := course.wish()) in STOPPING:  # before it is its turn: what only waited has nothing to undo
            store.dequeue(run.environment, run.id)
            data = {"code": "R150"}
            return StepResult(outcome=Outcome.ABORTED, message=f"{STOPPING[wish]} while it waited", data=data)
        try:
            enter(course)
            return acquire(course)
        except OrchestratorError as error:
            if error.code != ENVIRONMENT_BUSY:
                raise
            why = error.message
        if undated(why) != said:
            emit(Entry(kind="notice", data={"level": "info", "text": f"waiting: {why}"}))
            said = undated(why)
        _go_on_waiting(course, late=clock.monotonic() >= deadline)
        clock.sleep(POLL)


def _go_on_waiting(course: Course, *, late: bool) -> None:
    """Leave the queue when there is nothing to wait for any more. Raises S104 and S105."""
    store, run = course.setting.store, course.run
    if course.wish() == "pause":
        course.tenure.park()
    course.tenure.check()  # a process that is asked to end, or was replaced, waits no longer
    mine = next((wait for wait in store.queue(run.environment) if wait.run == run.id), None)
    if mine is not None and mine.superseded_by is None and not late:
        return
    store.dequeue(run.environment, run.id)
    if mine is not None and mine.superseded_by is not None:
        raise OrchestratorError("S104", f"{run.id} is superseded by {mine.superseded_by}")
    raise OrchestratorError("S105", f"{run.environment} did not become free in {course.wait:.0f} s (--wait)")
