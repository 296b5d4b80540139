"""An environment by itself, without a release: its infrastructure is brought up to date, destroyed, or settled.

What is stateful is only replaced or deleted when a person has named it, as in a promotion.
"""

from collections.abc import Callable, Iterable, Mapping

from orchestrator.domain.effects import Change
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import HostState, Loss, Named, ResourceChange, StackSpec, losses
from orchestrator.domain.promotion import Event
from orchestrator.domain.sides import Side
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.course import Course
from orchestrator.flow.halt import Halt
from orchestrator.inspect.stacks import stacks_of
from orchestrator.planning.plan_store import made_by
from orchestrator.planning.sides import aim
from orchestrator.planning.survey import lost
from orchestrator.ports import Emit, SavedPlan
from orchestrator.setting import Setting

Find = Callable[[Course, StackSpec, str, Emit], StepResult]
AGREEING = {"R230": "--replace", "R231": "--delete"}  # the option that agrees to what the code refuses


def update(course: Course) -> None:
    """Bring the stack up to date with its program as it is now; both of them, where each side is a stack.

    Where something stateful is there, the update is looked at first, and held to what was seen and agreed to.
    """
    stacks = _stacks(course)
    looked = {name: _looked(course, spec, name, _would_lose) for name, spec in stacks.items()}
    for name, spec in stacks.items():

        def work(job: str, emit: Emit, spec: StackSpec = spec, looked: SavedPlan | None = looked[name]) -> StepResult:
            if looked is not None and not looked.file.is_file():
                message = "what the update is held to lies on another machine; ask for it again"
                return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R121", "untouched": True})
            return course.setting.provisioner.up(spec, job, emit, plan=looked).result

        _operate(course, f"pulumi up {spec.stack}", work, spec, name)


def destroy(course: Course) -> None:
    """Destroy every resource of the stack; nothing runs on its hosts any more."""
    stacks = _stacks(course)
    for name, spec in stacks.items():
        _looked(course, spec, name, _would_delete)
    for name, spec in stacks.items():

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


def stateful_resources(setting: Setting, spec: StackSpec) -> tuple[Loss, ...]:
    """What destroying the stack would lose: what is stateful in it, by the rules of now and by those of *spec*."""
    return _kept(setting, spec, setting.provisioner.there(spec))


def refusal(code: str, found: Iterable[Loss], named: Named) -> OrchestratorError | None:
    """Why what would lose *found* is not done: R230 or R231; None when a person has *named* all of it."""
    unnamed = named.lacking(found)
    if not unnamed:
        return None
    words = " ".join(f"{AGREEING[code]} {loss.name}" for loss in unnamed)
    message = f"it would {'; '.join(map(str, unnamed))} ({words} agrees to that); nothing was changed"
    return OrchestratorError(code, message)


def _kept(setting: Setting, spec: StackSpec, changes: Iterable[ResourceChange]) -> tuple[Loss, ...]:
    now = setting.environment(spec.environment)[0].pulumi.stateful
    return losses(changes, dict.fromkeys((*now, *spec.settings.stateful)))


def _looked(course: Course, spec: StackSpec, name: str, find: Find) -> SavedPlan | None:
    """See what would be lost, and halt unless it was agreed to; the update plan that constrains what follows.

    *name* is that of the step which follows.
    """
    step = name.replace("provision", "look", 1)

    def work(job: str, emit: Emit) -> StepResult:
        return find(course, spec, job, emit)

    result = course.must(step, f"what {spec.stack} would lose", work, verb="provision", named=course.named.to_json())
    held, update_file = str(result.data.get("held", "")), result.data.get("update_file")
    return SavedPlan(made_by(course.setting, held), update_file=update_file) if held else None


def _would_lose(course: Course, spec: StackSpec, job: str, emit: Emit) -> StepResult:
    """By a preview, where something stateful is there at all."""
    setting = course.setting
    if not stateful_resources(setting, spec):
        return StepResult(outcome=Outcome.SUCCEEDED, message="nothing stateful is there")
    saved = made_by(course.setting, job)
    preview = setting.provisioner.preview(spec, f"{job}.preview", emit, save_plan=saved)
    if preview.refused:
        message = f"{preview.refused}; nothing was changed"
        return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "E140", "untouched": True})
    held = {"held": job, "update_file": preview.update_file} if preview.update_file else {}
    return _agreed(course, "R230", lost(setting, spec.environment, spec, preview), held)


def _would_delete(course: Course, spec: StackSpec, _job: str, _emit: Emit) -> StepResult:
    return _agreed(course, "R231", stateful_resources(course.setting, spec), {})


def _agreed(course: Course, code: str, found: tuple[Loss, ...], data: Mapping[str, str | None]) -> StepResult:
    why = refusal(code, found, course.named)
    told = {**data, "losses": [loss.to_json() for loss in found]}
    if why is not None:
        return StepResult(outcome=Outcome.FAILED, message=why.message, data={**told, "code": code, "untouched": True})
    message = f"agreed to by name: {'; '.join(map(str, found))}" if found else "nothing stateful would be lost"
    return StepResult(outcome=Outcome.SUCCEEDED, message=message, data=told)


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
    result = course.step(name, label, work, may_change=Change("stack"), verb="provision", **about)
    if not result.good:
        raise Halt(name, result)
