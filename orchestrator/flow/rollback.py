"""Roll back: every step that was started is undone, newest first, on the hosts that were touched and on no others.

A step has its own `undo` playbook, or nothing to undo, or cannot be undone; otherwise the last verified release's
own packaged steps put its hosts back. Which steps and hosts these are is computed from what was recorded.
"""

from pathlib import Path

from orchestrator.domain.plan import PlaySpec, play_of
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import Package
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import observe, probe, promote, provision, verify
from orchestrator.flow.course import Course, Halt
from orchestrator.flow.deploy import tell
from orchestrator.flow.plan import restrict, suites_of, update_plan_file
from orchestrator.ports import Emit

KILLED = "E111"  # of an update that did not come to its end


def halt(course: Course) -> None:
    """Stop here, and see that there is a way back; else raise `Halt`, and a person is asked."""
    course.move(Event.HALT)
    course.going_back = True
    observe.after_doubt(course)
    plan = course.settled_plan()
    gone = [started.step.play.step for started in course.started if started.step.undo == "impossible"]
    if not plan.automatic_rollback:
        raise _no_way("automatic rollback is switched off for this environment", "R130")
    if gone:
        raise _no_way(f"{', '.join(gone)} cannot be undone", "R131")
    if plan.back.release is None:
        raise _no_way("there is no verified release to go back to", "R132")
    if not plan.back.available:
        raise _no_way(f"the package of {plan.back.release} is not here: {plan.back.reason}", "R133")
    course.back = course.setting.packages.fetch(plan.back.release.digest)


def _no_way(why: str, code: str) -> Halt:
    return Halt("halt", StepResult(outcome=Outcome.FAILED, message=why, data={"code": code}))


def undo(course: Course) -> None:
    """Run the undo playbooks of the steps that were started, newest first, where they touched something.

    A rollback that a person asked for runs those of its plan, and is about every host.
    """
    if course.run.kind == "rollback":
        provision.settle_hosts(course)
        course.back = course.settled_package()
        course.effects = course.going_back = True
    course.move(Event.UNDO)
    if course.run.kind == "rollback":
        probe.begin(course)
    for number, (package, play) in enumerate(_undos(course), start=1):
        if play.limit:
            _play(course, play, package, f"undo.{number}.{play.step}", f"undo {play.step}", verb="undo")


def _undos(course: Course) -> list[tuple[Package, PlaySpec]]:
    if course.run.kind == "rollback":
        return [(course.setting.packages.fetch(item.release.digest), item.play) for item in course.settled_plan().undo]
    return [
        (
            course.settled_package(),
            started.step.play.model_copy(update={"playbook": started.step.undo, "limit": started.touched()}),
        )
        for started in reversed(course.started)
        if started.step.undo not in (None, "nothing", "impossible")
    ]


def restore(course: Course) -> None:
    """Put the touched hosts back, then the infrastructure, then what only came back with the infrastructure."""
    course.move(Event.RESTORE)
    touched = tuple(dict.fromkeys(host for started in course.started for host in started.touched()))
    if course.run.kind == "rollback":
        touched = course.hosts
    _put_back(course, touched, "restore")
    _put_back(course, _restore_stack(course), "restore.again")


def _restore_stack(course: Course) -> tuple[str, ...]:
    """The stack as it was defined when the release that is restored was verified; the hosts that came back with it.

    Nothing is done when this run has not changed the stack, or not by another definition; a rollback that a person
    asked for does what its plan says. An update that was killed is begun a second time, and no third: there is no other
    way left, and the second looks first at what the one before has done.
    """
    before = set(course.hosts)
    wanted, held = _stack_before(course)
    if wanted is not None:

        def work(job: str, emit: Emit) -> StepResult:
            spec = course.setting.provisioner.kept(wanted)
            return course.setting.provisioner.up(spec, job, emit, plan=held).result

        label = f"pulumi up {course.run.environment}, as it was"
        result = course.step("restore.stack", label, work, verb="restore")
        if result.data.get("code") == KILLED:
            result = course.step("restore.stack~2", f"{label}, once more", work, verb="restore")
        if not result.good:
            raise Halt("restore.stack", result)
        course.provisioned = True
        course.ask_again()
    elif before:
        return ()
    provision.settle_restored(course)
    return tuple(host for host in course.hosts if host not in before) if before else ()


def _stack_before(course: Course) -> tuple[str | None, Path | None]:
    """The definition that the stack goes back to (None: it stays), and Pulumi's plan that the update is held to."""
    plan = course.settled_plan()
    if course.run.kind == "rollback":
        if plan.stack is None or not plan.stack.changes_something:
            return None, None
        saved = plan.stack.update_plan
        return plan.definition, update_plan_file(course.setting, saved) if saved else None
    changed = course.provisioned and plan.back.definition != plan.definition
    return plan.back.definition if changed else None, None


def _put_back(course: Course, touched: tuple[str, ...], prefix: str) -> None:
    """Run the last verified release's own steps on the hosts *touched*, in their own order.

    Steps of that release which declare an undo of their own are not run again: what they did was not taken back,
    or was put back by the undo of the newer release's step.
    """
    back = _back(course)
    for step in back.manifest.release.steps:
        hosts = restrict(course.outline, step.hosts, touched)
        if step.undo is None and hosts:
            name = f"{prefix}.{step.name}"
            result = _play(course, play_of(step, hosts), back, name, f"restore {back.ref}", verb="restore")
            tell(course, result, back.ref, name)


def prove(course: Course) -> None:
    """The restored release's own suites, over the whole environment."""
    course.move(Event.PROVE)
    back = _back(course)
    verify.prove(course, suites_of(back.manifest.release), back, "restored", course.hosts)
    own = course.run.kind == "rollback" or not course.provisioned  # then the plan's definition is what there is
    promote.verified(course, back.ref, None if own else course.settled_plan().back.definition)


def _back(course: Course) -> Package:
    if course.back is None:
        raise RuntimeError("there is no way back yet")
    return course.back


def _play(course: Course, play: PlaySpec, package: Package, name: str, label: str, *, verb: str) -> StepResult:
    """Run one play of the way back; halt unless it is good on every host."""

    def work(job: str, emit: Emit) -> StepResult:
        context = course.context(back=True)
        return course.setting.deployer.deploy(play, package, course.inventory(), context, job, emit)

    about = {"verb": verb, "playbook": play.playbook, "hosts": list(play.limit), "release": package.ref.to_json()}
    result = course.step(name, label, work, **about)
    if not result.good:
        tell(course, result, package.ref, name)
        raise Halt(name, result)
    return result
