"""Deploy: every step in order, batch by batch, each batch verified before the next one starts."""

from collections.abc import Mapping

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import HostState, PlannedStep
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow import verify
from orchestrator.flow.course import Course, Halt, Started
from orchestrator.ports import Emit

Batches = tuple[tuple[str, ...], ...]


def roll_out(course: Course) -> None:
    """Run the plan's steps. The first batch that is not good, beyond what the step tolerates, halts the run."""
    course.move(Event.DEPLOY)
    steps = course.settled_plan().steps
    for step, groups in zip(steps, course.batches, strict=True):
        _roll_out_step(course, step, groups, last=step is steps[-1])


def _roll_out_step(course: Course, step: PlannedStep, groups: Batches, *, last: bool) -> None:
    tolerated = step.max_failures
    for number, hosts in enumerate(groups, start=1):
        result = _batch(course, step, number, len(groups), hosts)
        bad = [host for host in result.hosts if not host.outcome.good]
        tolerated -= len(bad)
        if not result.good and (not bad or tolerated < 0):
            raise Halt(f"{step.play.step}.{number}", result)
        final = number == len(groups)
        if len(groups) > 1 and not (final and last):  # the whole environment is verified right after the last one
            _prove_batch(course, step, number, tuple(host for host in hosts if host not in {b.host for b in bad}))
        if not final and step.pause:
            course.pause(f"{step.play.step}.{number}.pause", step.pause)


def _batch(course: Course, step: PlannedStep, number: int, count: int, hosts: tuple[str, ...]) -> StepResult:
    """Deploy one batch, and write down what is now known of its hosts."""
    if course.state is State.VERIFYING:
        course.move(Event.DEPLOY)
    before, course.effects = course.effects, True
    play = step.play.model_copy(update={"limit": hosts})
    package = course.settled_package()

    def work(job: str, emit: Emit) -> StepResult:
        return course.setting.deployer.deploy(play, package, course.inventory(), course.context(), job, emit)

    name = f"{step.play.step}.{number}"
    label = step.play.step if count == 1 else f"{step.play.step} batch {number} of {count}"
    about = {"verb": "deploy", "playbook": play.playbook, "hosts": list(hosts), "batch": number, "batches": count}
    result = course.step(name, label, work, **about)
    if result.data.get("untouched") is True:
        course.effects = before
    course.started.append(Started(step, hosts, result))
    tell(course, result, package.ref, name)
    return result


def _prove_batch(course: Course, step: PlannedStep, number: int, hosts: tuple[str, ...]) -> None:
    course.move(Event.VERIFY)
    verify.prove(course, course.settled_plan().verify, course.settled_package(), f"{step.play.step}.{number}", hosts)


def tell(course: Course, result: StepResult, ref: PackageRef, why: str) -> None:
    """Write down what a step made known of the hosts that it touched."""
    before = {state.digest: state.release for state in course.settled_plan().base if state.release is not None}
    known = {**before, ref.digest: ref}
    course.tell_hosts([_state(host, ref, known, course.run.id) for host in result.hosts if host.touched], why)


def _state(host: HostResult, ref: PackageRef, known: Mapping[str | None, PackageRef], run: str) -> HostState:
    """What is known of a host now: what it said itself comes first, also when it went back by itself."""
    if host.release in known:
        return HostState(host=host.host, truth="seen", release=known[host.release], run=run)
    if host.outcome is Outcome.SUCCEEDED and host.release is None:
        return HostState(host=host.host, truth="assumed", release=ref, run=run)
    return HostState(host=host.host, truth="unknown", run=run)


def restrict(inventory: Inventory, pattern: str, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts that *pattern* means, as far as they are among *hosts*; none when it means none here."""
    try:
        return tuple(host for host in inventory.select(pattern) if host in set(hosts))
    except OrchestratorError:
        return ()
