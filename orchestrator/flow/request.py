"""Request: whether the environment can take the run now, and the lease on it."""

from functools import partial

from orchestrator.domain.promotion import Event
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import hold
from orchestrator.flow.course import Course
from orchestrator.ports import Emit


def admit(course: Course) -> None:
    """Take the environment's lease. Nothing else of this run happens without it."""
    course.move(Event.PLAN)

    def take(_job: str, emit: Emit) -> StepResult:
        if course.wait:
            return hold.take_turn(course, emit, deadline=course.setting.clock.monotonic() + course.wait)
        hold.check_entrance(course)
        return acquire(course)

    course.must("lease", f"take {course.run.environment}", take, verb="request")
    course.before_step = partial(hold.hold_before, course)


def acquire(course: Course) -> StepResult:
    """The environment's lease for this run. Raises S101 when somebody else holds it, or waits for it."""
    course.enter()
    return StepResult(outcome=Outcome.SUCCEEDED, data={"fence": course.fence})
