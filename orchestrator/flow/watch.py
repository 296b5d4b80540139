"""Watch: the tests again and again after the promotion, for as long as the release asks."""

from orchestrator.domain.journal import Entry
from orchestrator.domain.promotion import Event
from orchestrator.domain.step import Outcome
from orchestrator.flow import promote, verify
from orchestrator.flow.course import Course, Halt


def look_again(course: Course) -> None:
    """Repeat the watch's suite until its time is over. A failure halts the run; *unknown* only tells.

    The number of looks follows from the plan and not from a clock, so that a replay takes the same way.
    """
    watch = course.settled_plan().watch
    if watch is None:
        return
    course.move(Event.WATCH)
    suite = verify.limited(course, watch.suite, verify.worked_on(course))
    for number in range(1, max(1, round(watch.seconds / watch.every)) + 1):
        course.pause(f"watch.{number}.wait", watch.every)
        result = verify.look(course, suite, course.settled_package(), f"watch.{number}", must=False)
        if result.outcome in (Outcome.FAILED, Outcome.ERRORED):
            raise Halt(f"watch.{number}", result)
        if not result.good:
            text = f"nobody could look: {result.message}"
            course.note(Entry(kind="notice", data={"level": "warning", "text": text}, key=f"watch:{number}"))
    promote.verified(course, course.settled_package().ref)
