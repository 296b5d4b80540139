"""Verify: the release's own testinfra suites, over a batch or the whole environment."""

from typing import Any

from orchestrator.domain.plan import SuiteSpec
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.flow import repeat
from orchestrator.flow.course import Course
from orchestrator.flow.halt import Halt
from orchestrator.ports import Emit


def prove_environment(course: Course, what: str = "environment") -> None:
    """Every suite over every host of the environment, but those whose failure was tolerated."""
    if course.state is not State.VERIFYING:
        course.move(Event.VERIFY)
    prove(course, course.settled_plan().verify, course.settled_package(), what, worked_on(course))


def worked_on(course: Course) -> tuple[str, ...]:
    """The hosts of the environment without those whose failure was tolerated, and those that stand by."""
    idle = course.standing_by
    return tuple(host for host in course.hosts if host not in course.left_out and host not in idle)


def limited(course: Course, suite: SuiteSpec, hosts: tuple[str, ...]) -> SuiteSpec:
    """*suite* over *hosts*; a suite without a limit looks at every host."""
    return suite if set(hosts) == set(course.hosts) else suite.model_copy(update={"limit": hosts})


def prove(course: Course, suites: tuple[SuiteSpec, ...], package: Package, what: str, hosts: tuple[str, ...]) -> None:
    """Run *suites* on *hosts*; halt at the first that is not good. *what* makes the steps' names."""
    for suite in suites:
        look(course, limited(course, suite, hosts), package, what, must=True)


def look(course: Course, suite: SuiteSpec, package: Package, what: str, *, must: bool) -> StepResult:
    """Run one suite, again where it failed and its rule says so. With *must*, halt unless it is good."""

    def work(job: str, emit: Emit) -> StepResult:
        context = course.context(back=package.digest != course.settled_package().digest)
        return course.setting.verifier.verify(suite, package, course.inventory(), context, job, emit)

    where = "everywhere" if not suite.limit else ", ".join(suite.limit)
    label = f"{suite.name.replace('.', ' ')} {where}"
    about: dict[str, Any] = {
        "verb": "verify",
        "tests": suite.tests,
        "hosts": list(suite.limit),
        "digest": package.digest,
    }

    def once(time: int) -> StepResult:
        name = f"verify.{suite.name}.{what}" if not time else f"verify.{suite.name}.again.{time}.{what}"
        return course.step(name, label if not time else f"{label}, once more", work, **about)

    result = repeat.judged(course, suite.flaky, f"verify.{suite.name}.{what}", label, once)
    if must and not result.good:
        raise Halt(f"verify.{suite.name}.{what}", result)
    return result
