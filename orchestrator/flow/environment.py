"""An environment by itself, without a release: its infrastructure is brought up to date, destroyed, or settled."""

from collections.abc import Callable

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import HostState, StackSpec
from orchestrator.domain.promotion import Event
from orchestrator.domain.sides import Side
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.course import Course, Halt, stacks_of
from orchestrator.flow.sides import aim
from orchestrator.ports import Emit


def update(course: Course) -> None:
    """Bring the stack up to date with its program as it is now; both of them, where each side is a stack."""
    for name, spec in _stacks(course).items():

        def work(job: str, emit: Emit, spec: StackSpec = spec) -> StepResult:
            return course.setting.provisioner.up(spec, job, emit).result

        _operate(course, f"pulumi up {spec.stack}", work, spec, name)


def destroy(course: Course) -> None:
    """Destroy every resource of the stack; nothing runs on its hosts any more."""
    for name, spec in _stacks(course).items():

        def work(job: str, emit: Emit, spec: StackSpec = spec) -> StepResult:
            return course.setting.provisioner.destroy(spec, job, emit)

        _operate(course, f"pulumi destroy {spec.stack}", work, spec, name)
    known = course.setting.store.hosts(course.run.environment)
    course.tell_hosts([HostState(host=state.host, truth="empty", run=course.run.id) for state in known], "destroy")
    if any(state.side is not None for state in known):
        nothing: dict[str, object] = {"live": None, "unsure": False, "sides": {}}
        course.note(Entry(kind="switched", data=nothing, key="switched:destroy"))


def resolve(course: Course) -> None:
    """Settle creates of which nobody knew whether they happened, as the person who asks for this has decided."""
    spec = next(iter(_stacks(course, only=aim(course.setting, course.run.environment)).values()))
    asked = course.setting.store.records(course.run.id, limit=1)[0].data["about"]
    created, absent = dict(asked["created"]), tuple(asked["absent"])

    def work(job: str, emit: Emit) -> StepResult:
        return course.setting.provisioner.resolve(spec, created, absent, job, emit)

    _operate(course, f"settle what is pending in {spec.stack}", work, spec)


def _stacks(course: Course, only: Side | None = None) -> dict[str, StackSpec]:
    """The environment's stacks by the names of their steps: one, or those of its sides, or *only* that of one."""
    spec = _stack(course)
    found = stacks_of(course.setting, course.run.environment)
    wanted = {f"provision.{side}": its for side, its in found.items() if only in {None, side}}
    return wanted or {"provision": spec}


def _stack(course: Course) -> StackSpec:
    """The environment's stack; without a program there is nothing to do, and the run is refused."""
    course.move(Event.PROVISION)
    error = OrchestratorError("E102", f"{course.run.environment} has no Pulumi program")
    try:
        spec = course.stack()
    except OrchestratorError as problem:
        spec, error = None, problem
    if spec is None:
        raise Halt("provision", StepResult(outcome=Outcome.ERRORED, message=error.message, data=error.to_json()))
    return spec


def _operate(
    course: Course, label: str, work: Callable[[str, Emit], StepResult], spec: StackSpec, name: str = "provision"
) -> None:
    about = {"stack": spec.stack, "definition": spec.definition}
    before, course.effects = course.effects, True
    result = course.step(name, label, work, verb="provision", **about)
    if not result.good:
        course.effects = before or result.data.get("untouched") is not True
        raise Halt(name, result)
