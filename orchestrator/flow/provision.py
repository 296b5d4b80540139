"""Provision: the infrastructure, held to what the plan said of it."""

from typing import Any

from orchestrator.domain.effects import Change
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.promotion import Event
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.text import counted
from orchestrator.flow import ephemeral, host_states
from orchestrator.flow.course import UNRECORDED, Course
from orchestrator.flow.halt import Halt
from orchestrator.inspect import tokens
from orchestrator.planning.plan_store import saved_plan
from orchestrator.planning.sides import of_plan
from orchestrator.planning.survey import failed_as_a_whole, unmet
from orchestrator.ports import Emit


def update(course: Course) -> None:
    """Update the stack by the plan, and settle which hosts there are.

    A stack that the plan found in order is left alone. When Pulumi finds that its own plan does not fit any
    more, it stops before it changes anything, and so does the run.
    """
    course.move(Event.PROVISION)
    plan, spec = course.settled_plan(), course.stack()
    if spec is not None and plan.stack is not None and plan.stack.changes_something:
        ephemeral.claim(course, spec)
        stack = plan.stack

        def work(job: str, emit: Emit) -> StepResult:
            saved = saved_plan(course.setting, stack)
            return course.setting.provisioner.up(spec, job, emit, plan=saved).result

        label = f"pulumi up {spec.stack}"
        result = course.step("provision", label, work, may_change=Change("stack"), verb="provision", stack=spec.stack)
        course.ask_again()
        if not result.good:
            if not course.effects.stack_changed:  # Pulumi refused before it changed anything
                ephemeral.unmade(course)
            raise Halt("provision", result)
    settle_hosts(course)


def settle_hosts(course: Course, name: str = "hosts", require: str = "require") -> None:
    """Record which hosts this run is about, and its batches; halt when they are not those of the plan.

    *name* and *require* are the steps' names, for a run that settles them more than once.
    """
    plan = course.settled_plan()
    course.inventory_digest = None

    def work(_job: str, _emit: Emit) -> StepResult:
        inventory = course.inventory()
        if plan.inventory_digest is not None and inventory.digest != plan.inventory_digest:
            message = "the hosts are no longer those of the plan"
            return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R120"})
        groups = [step.cut(inventory) for step in plan.steps]
        empty = [step.play for step, batches in zip(plan.steps, groups, strict=True) if not batches]
        if empty:
            message = f"no host matches {empty[0].hosts!r}, which the step {empty[0].step} wants"
            return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "D102"})
        of_plan(plan, inventory)  # do its sides fit, where it has any?
        data = {**_settled(course, inventory), "batches": groups}
        return StepResult(outcome=Outcome.SUCCEEDED, message=counted(len(inventory.hosts), "host"), data=data)

    result = course.must(name, "settle the hosts", work, verb="provision")
    course.outline = Inventory.from_json(result.data["outline"])
    course.inventory_digest = str(result.data["digest"])
    course.variables = result.data.get("variables", UNRECORDED)
    course.batches = [tuple(tuple(batch) for batch in batches) for batches in result.data["batches"]]
    course.sides = of_plan(plan, course.outline)
    course.live = plan.blue_green.live if plan.blue_green is not None else None
    course.tell_gone("gone" if name == "hosts" else name)
    if plan.inventory is None:
        look_at_new_hosts(course, require)


def _settled(course: Course, inventory: Inventory) -> dict[str, Any]:
    """What is recorded of the hosts of *inventory*, and of what plays are given there."""
    outline = inventory.outline().to_json()
    return {"outline": outline, "digest": inventory.digest, "variables": course.variables_now()}


def settle_restored(course: Course, name: str = "hosts.restored") -> bool:
    """Record which hosts there are after the infrastructure has gone back, as the step *name*.

    Returns whether plays are given other variables from now on: then what was put back before has the wrong ones.
    """
    before = course.variables
    course.inventory_digest = None

    def work(_job: str, _emit: Emit) -> StepResult:
        inventory = course.inventory()
        data = _settled(course, inventory)
        message = counted(len(inventory.hosts), "host")
        return StepResult(outcome=Outcome.SUCCEEDED, message=message, data=data)

    result = course.must(name, "settle the hosts", work, verb="restore")
    course.outline = Inventory.from_json(result.data["outline"])
    course.inventory_digest = str(result.data["digest"])
    course.tell_gone("gone again" if name == "hosts.restored" else name)
    course.variables = result.data.get("variables", UNRECORDED)
    return before != UNRECORDED and (before is None or course.variables != before)


def look_at_new_hosts(course: Course, name: str = "require") -> None:
    """Hosts that the plan could not look at yet must be there, and have what the release requires.

    As in a plan, a host that does not answer blocks, unless the steps tolerate it, and so does one that would refuse
    our fencing token because its own is too far ahead.
    """
    plan = course.settled_plan()
    requirements = plan.requirements
    steps = tuple(
        step.model_copy(update={"batches": groups}) for step, groups in zip(plan.steps, course.batches, strict=True)
    )

    def work(job: str, emit: Emit) -> StepResult:
        inventory = course.inventory()
        found = course.setting.deployer.require(requirements, inventory, course.context(), job, emit)
        found = tokens.limit_tokens(course.setting, course.run.environment, found, emit, course.fence)
        ahead = tokens.too_far(found)
        missing = tuple(host.host for host in found.hosts if host.outcome is Outcome.UNKNOWN or host.host in ahead)
        seen = plan.model_copy(update={"steps": steps, "unreachable": missing, "inventory": inventory.outline()})
        refusing = tuple(host for host in found.hosts if host.host in ahead and host.host in seen.blocking)
        if refusing:
            return _refused(course.run.environment, found, refusing)
        asked = found.outcome is Outcome.UNKNOWN and not failed_as_a_whole(found)
        if asked and missing and not seen.blocking and not unmet(found):
            return found.model_copy(update={"outcome": Outcome.SUCCEEDED, "data": {}})
        return found

    result = course.step(name, "look at the hosts", work, verb="provision")
    host_states.record_inspection(course, result, name)
    if not result.good:
        raise Halt(name, result)


def _refused(environment: str, found: StepResult, refusing: tuple[HostResult, ...]) -> StepResult:
    """The inspection *found*, failed because of hosts that would refuse our fencing token: no play is started."""
    said = "; ".join(f"{host.host}: {host.invalid}" for host in refusing)
    message = f"{said}; {tokens.remedy(environment, StepResult(outcome=Outcome.FAILED, hosts=refusing))}"
    return found.model_copy(update={"outcome": Outcome.FAILED, "message": message, "data": {"code": tokens.TOO_FAR}})
