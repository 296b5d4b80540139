"""Roll back: every step that was started is undone, newest first, on the hosts that were touched and on no others.

A step has its own `undo` playbook, or nothing to undo, or cannot be undone; otherwise the last verified release's
own packaged steps put its hosts back. Which steps and hosts these are is computed from what was recorded.
"""

from orchestrator.domain.plan import PlannedStep, PlaySpec
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import Package, Step, seconds
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import observe, promote, provision, verify
from orchestrator.flow.course import Course, Halt, Started
from orchestrator.flow.deploy import restrict, tell
from orchestrator.flow.plan import last_verified, suite_of
from orchestrator.ports import Emit


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
    """Run the undo playbooks of the steps that were started, newest first, where they touched something."""
    if course.run.kind == "rollback":
        _start_over(course)
    course.move(Event.UNDO)
    for number, started in enumerate(reversed(course.started), start=1):
        playbook, hosts = started.step.undo, started.touched()
        if playbook in (None, "nothing", "impossible") or not hosts:
            continue
        play = started.step.play.model_copy(update={"playbook": playbook, "limit": hosts})
        _play(course, play, _newer(course), f"undo.{number}.{play.step}", f"undo {play.step}", verb="undo")


def _newer(course: Course) -> Package:
    """The package whose steps are undone: this run's, or, when a person goes back, the one that runs there now."""
    return course.newer if course.newer is not None else course.settled_package()


def _start_over(course: Course) -> None:
    """A rollback that a person asked for: every host, and the steps of the release that is there now."""
    provision.settle_hosts(course)
    course.back = course.settled_package()

    def work(_job: str, _emit: Emit) -> StepResult:
        last = last_verified(course.setting, course.run.environment)
        data = {"digest": last.release.digest if last else None}
        return StepResult(outcome=Outcome.SUCCEEDED, message=str(last.release) if last else "nothing", data=data)

    digest = course.must("current", "look what is to be undone", work, verb="plan").data["digest"]
    course.effects = course.going_back = True
    course.newer = course.setting.packages.fetch(str(digest)) if digest else course.back
    for step in course.newer.manifest.release.steps:
        done = StepResult(outcome=Outcome.UNKNOWN, message="promoted earlier")
        course.started.append(Started(_planned(step), restrict(course.outline, step.hosts, course.hosts), done))


def _planned(step: Step) -> PlannedStep:
    return PlannedStep(play=_play_of(step, ()), undo=step.undo)


def _play_of(step: Step, hosts: tuple[str, ...]) -> PlaySpec:
    return PlaySpec(
        step=step.name,
        playbook=step.playbook,
        hosts=step.hosts,
        limit=hosts,
        tags=step.tags,
        skip_tags=step.skip_tags,
        vars=dict(step.vars),
        extra_vars=dict(step.extra_vars),
        timeout=seconds(step.timeout),
    )


def restore(course: Course) -> None:
    """Put the touched hosts back, then the infrastructure, then what only came back with the infrastructure."""
    course.move(Event.RESTORE)
    touched = tuple(dict.fromkeys(host for started in course.started for host in started.touched()))
    _put_back(course, touched, "restore")
    _put_back(course, _restore_stack(course), "restore.again")


def _restore_stack(course: Course) -> tuple[str, ...]:
    """The stack as it was defined when the release that is restored was verified; the hosts that came back with it.

    Nothing is done when this run has not changed the stack, or not by another definition.
    """
    plan = course.settled_plan()
    wanted = plan.back.definition
    before = set(course.hosts)
    if course.provisioned and wanted is not None and wanted != plan.definition:

        def work(job: str, emit: Emit) -> StepResult:
            spec = course.setting.provisioner.kept(wanted)
            return course.setting.provisioner.up(spec, job, emit).result

        course.must("restore.stack", f"pulumi up {course.run.environment}, as it was", work, verb="restore")
        course.ask_again()
    elif before:
        return ()
    provision.settle_restored(course)
    return tuple(host for host in course.hosts if host not in before) if before else ()


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
            result = _play(course, _play_of(step, hosts), back, name, f"restore {back.ref}", verb="restore")
            tell(course, result, back.ref, name)


def prove(course: Course) -> None:
    """The restored release's own suites, over the whole environment."""
    course.move(Event.PROVE)
    back = _back(course)
    suites = tuple(suite_of(item.name, item.tests, item.timeout, item.args) for item in back.manifest.release.verify)
    verify.prove(course, suites, back, "restored", course.hosts)
    promote.verified(course, back.ref, course.settled_plan().back.definition if course.provisioned else None)


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
