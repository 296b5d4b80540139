"""Switch: from the side that is live to the one that was proved, and back again before anything else goes back."""

from dataclasses import replace
from typing import Any

from orchestrator.domain.context import Switched
from orchestrator.domain.effects import Change
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import HostState, PlaySpec
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Package
from orchestrator.domain.sides import Side, Sides, other
from orchestrator.domain.started import touched
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow import gates, host_states, observe, verify
from orchestrator.flow.course import Course
from orchestrator.flow.halt import Halt
from orchestrator.planning.rollback_plan import SWITCHED_BACK
from orchestrator.planning.sides import RETIRE, SWITCH, of_plan
from orchestrator.ports import Emit

BACK = SWITCHED_BACK


def over(course: Course, prefix: str = "") -> None:
    """Prove the side that the release went to, look at it, and let the service lead there. Nothing without sides.

    *prefix* is what the steps' names begin with, when it is done once more; then nobody looks again.
    """
    planned, sides = course.settled_plan().blue_green, course.sides
    if planned is None or sides is None or planned.to is None:
        return
    hosts = _good(course, planned.to)
    if course.state is not State.VERIFYING:
        course.move(Event.VERIFY)
    verify.prove(course, course.settled_plan().verify, course.settled_package(), f"{prefix}side", hosts)
    if planned.look is not None and not prefix:
        gates.look_again(course, gates.Look("switch.look", hosts, planned.look))
    course.move(Event.DEPLOY)
    lead_to(course, planned.to, course.settled_package(), planned.switched(sides, course.outline), f"{prefix}{SWITCH}")


def lead_to(course: Course, side: Side, package: Package, play: PlaySpec, name: str, verb: str = SWITCH) -> None:
    """Let the service lead to *side* by *package*'s *play*, and write down that it does; halt unless it went well."""

    def work(job: str, emit: Emit) -> StepResult:
        context = replace(course.context(back=course.going_back), sides=_told(course, side))
        return course.setting.deployer.deploy(play, package, course.inventory(), context, job, emit)

    about: dict[str, Any] = {
        "playbook": play.playbook,
        "hosts": list(play.limit),
        "release": package.ref.to_json(),
        "live": side,
    }
    label = f"switch back to {side}" if name.endswith(BACK) else f"switch to {side}"
    change = Change("side", play.limit, back=name.endswith(BACK))
    result = course.step(name, label, work, may_change=change, verb=verb, **about)
    if not result.good:
        if touched(result, play.limit):  # nobody knows where it leads now
            _note(course, course.live, name, unsure=True)
        raise Halt(name, result)
    course.live = side
    _note(course, side, name, unsure=False)


def back(course: Course) -> None:
    """Let the service lead to where it led before, when a switch was begun: first of all that goes back."""
    returning, begun = course.returning, course.effects.switching
    release = course.settled_plan().back.release
    if returning is None or release is None or not begun:
        return
    if returning.switch is not None and returning.live is not None:
        lead_to(course, returning.live, course.settled_package(), returning.switch, BACK)
    course.back = course.setting.packages.fetch(release.digest)  # there was no time for that before
    observe.after_doubt(course)


def first(course: Course) -> None:
    """Where a rollback finds its release on the whole other side: let the service lead there before all else."""
    planned, sides = course.settled_plan().blue_green, course.sides
    if planned is not None and sides is not None and planned.first and planned.to is not None:
        lead_to(course, planned.to, course.settled_package(), planned.switched(sides, course.outline), SWITCH)


def then(course: Course) -> None:
    """Where a rollback had to put its release on the other side: prove it there, and let the service lead there."""
    plan = course.settled_plan()
    planned, package = plan.blue_green, course.settled_package()
    if planned is None or planned.to is None or course.effects.switching:
        return
    course.sides = course.sides or of_plan(plan, course.outline)
    if course.sides is not None:
        verify.prove(course, plan.verify, package, "side", course.sides.of(planned.to))
        lead_to(course, planned.to, package, planned.switched(course.sides, course.outline), SWITCH)


def retire(course: Course) -> StepResult | None:
    """Run the playbook for the side that stands by now, where it has anything; its result when that is not good."""
    plan, sides, live = course.settled_plan(), course.sides, course.live
    planned, package = plan.blue_green, course.settled_package()
    if planned is None or planned.retire is None or sides is None or live is None:
        return None
    hosts = planned.retired(plan.base, sides, live)
    if not hosts:
        return None
    play = planned.retire.model_copy(update={"limit": hosts})

    def work(job: str, emit: Emit) -> StepResult:
        inventory, context = course.inventory(), replace(course.context(), sides=_told(course, live))
        host_states.begin_change(course, RETIRE, hosts)
        return course.setting.deployer.deploy(play, package, inventory, context, job, emit)

    about: dict[str, Any] = {"playbook": play.playbook, "hosts": list(hosts), "release": package.ref.to_json()}
    result = course.step(RETIRE, f"retire {other(live)}", work, verb="close", **about)
    known = course.setting.store.hosts(course.run.environment)
    there = {state.digest: state.release for state in known}
    changed, reported = set(touched(result, hosts)), {host.host: host for host in result.hosts}
    states = []
    for host in hosts:
        if host in changed:
            said = reported.get(host, HostResult(host=host, outcome=Outcome.UNKNOWN, touched=True))
            release = there.get(said.release) if said.release is not None else None
            truth = "seen" if release else "empty" if said.outcome is Outcome.SUCCEEDED else "unknown"
            states.append(HostState(host=host, truth=truth, release=release, run=course.run.id))  # type: ignore[arg-type]
    spared = tuple(host for host in hosts if host not in changed)
    course.tell_hosts([*states, *host_states.as_before(course, RETIRE, spared)], RETIRE)
    return None if result.good else result


def _good(course: Course, side: Side) -> tuple[str, ...]:
    """The hosts of *side* without those whose failure was tolerated."""
    return tuple(host for host in _sides(course).of(side) if host not in course.left_out)


def _told(course: Course, live: Side) -> Switched:
    """What a playbook is told when *live* is to be the live side."""
    return Switched(live, other(live), _good(course, live), _good(course, other(live)))


def _note(course: Course, live: Side | None, name: str, *, unsure: bool) -> None:
    data = {"live": live, "unsure": unsure, "sides": _sides(course).to_json()}
    course.note(Entry(kind="switched", step=name, data=data, key=f"switched:{name}"))


def _sides(course: Course) -> Sides:
    if course.sides is None:
        raise RuntimeError("a switch without sides")
    return course.sides
