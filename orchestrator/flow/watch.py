"""Watch: the tests and the gates again and again after the promotion, for as long as the release asks."""

from orchestrator.domain.promotion import Event
from orchestrator.flow import gates, promote, verify
from orchestrator.flow.course import Course


def look_again(course: Course) -> None:
    """Repeat the watch's suite and gates until its time is over. A failure halts the run; *unknown* only alerts."""
    watch = course.settled_plan().watch
    if watch is None:
        return
    course.move(Event.WATCH)
    gates.look_again(course, gates.Look("watch", verify.worked_on(course), watch.look, watch.suite))
    promote.verified(course, course.settled_package().ref)
