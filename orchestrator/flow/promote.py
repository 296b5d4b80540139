"""Promote: this release is now the environment's own, and, once nothing more is looked at, its last verified one."""

from orchestrator.domain.journal import Entry, Verified
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import PackageRef
from orchestrator.flow.course import Course


def record(course: Course) -> None:
    """Write down that the release's tests passed here: it may go on along the path, and others may return to it.

    A release that is to be watched counts as verified only when the watch is over.
    """
    course.move(Event.PROMOTE)
    if course.settled_plan().watch is None:
        verified(course, course.settled_package().ref)


def verified(course: Course, ref: PackageRef, definition: str | None = None) -> None:
    """Write down that *ref*'s tests passed in the environment, and on which *definition* (by default the plan's)."""
    mark = Verified(
        environment=course.run.environment,
        release=ref,
        run=course.run.id,
        at=course.setting.clock.now(),
        definition=definition or course.settled_plan().definition,
    )
    course.note(Entry(kind="verified", data=mark.to_json(), key=f"verified:{ref.digest}"))
