"""Gates: what must hold while a canary is looked at, and while a release is watched."""

from dataclasses import dataclass
from typing import Any

from orchestrator.domain.gate import Flaky
from orchestrator.domain.plan import PlannedGate, PlannedLook, SuiteSpec
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import repeat, verify
from orchestrator.flow.course import Course
from orchestrator.flow.halt import Halt
from orchestrator.planning.second_pass import restrict
from orchestrator.ports import Emit


@dataclass(frozen=True)
class Look:
    """A look at *hosts* again and again: *what* makes the steps' names. *suite* is run each time, before the gates."""

    what: str
    hosts: tuple[str, ...]
    rule: PlannedLook
    suite: SuiteSpec | None = None


def look_again(course: Course, look: Look) -> None:
    """Look as often as the plan says. The first failure halts the run; *unknown* rolls nothing back, and alerts.

    Whoever cannot be asked is alerted of once, and again only when it could be asked in between.
    """
    unknown: set[str] = set()
    for number in range(1, look.rule.times + 1):
        course.pause(f"{look.what}.{number}.wait", look.rule.every)
        if look.suite is not None:
            suite = verify.limited(course, look.suite, look.hosts)
            result = verify.look(course, suite, course.settled_package(), f"{look.what}.{number}", must=False)
            _judge(course, f"{look.what}.{number}", suite.name, result, unknown)
        for gate in look.rule.gates:
            result = ask(course, gate, look.hosts, f"{look.what}.{number}", look.rule.flaky)
            _judge(course, f"gate.{gate.name}.{look.what}.{number}", f"gate {gate.name}", result, unknown)


def _judge(course: Course, step: str, who: str, result: StepResult, unknown: set[str]) -> None:
    if result.outcome in {Outcome.FAILED, Outcome.ERRORED, Outcome.ABORTED}:
        raise Halt(step, result)
    if result.good:
        unknown.discard(who)
        return
    text = f"nobody could look: {result.message}" if who == "watch" else f"{who} could not be asked: {result.message}"
    course.alert("", text, f"{step}:unknown", tell=who not in unknown)
    unknown.add(who)


def ask(course: Course, gate: PlannedGate, hosts: tuple[str, ...], what: str, rule: Flaky | None) -> StepResult:
    """Ask one gate about those of *hosts* that it is for, again where it failed and the *rule* says so."""
    package, meant = course.settled_package(), restrict(course.outline, gate.gate.hosts, hosts)
    if gate.suite is not None and meant:
        suite = verify.limited(course, gate.suite, meant).model_copy(update={"flaky": rule})
        return verify.look(course, suite, package, what, must=False)

    def work(job: str, emit: Emit) -> StepResult:
        if not meant:
            return StepResult(outcome=Outcome.SKIPPED, message="it is for none of these hosts")
        return course.setting.gates.ask(gate, meant, package, course.inventory(), course.context(), job, emit)

    name, label = f"gate.{gate.name}.{what}", f"gate {gate.name.replace('.', ' ')}"
    about: dict[str, Any] = {"verb": "verify", "gate": gate.gate.kind, "hosts": list(meant)}

    def once(time: int) -> StepResult:
        if not time:
            return course.step(name, label, work, **about)
        return course.step(f"gate.{gate.name}.again.{time}.{what}", f"{label}, once more", work, **about)

    return repeat.judged(course, rule, name, label, once)
