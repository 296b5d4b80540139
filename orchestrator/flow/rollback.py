"""Roll back: every step that was started is undone, newest first, on the hosts that were touched and on no others.

A step has its own `undo` playbook, or nothing to undo, or cannot be undone; otherwise the last verified release's
own packaged steps put its hosts back. Which steps and hosts these are is a plan with a digest, computed from what was
recorded (`planning/rollback_plan.py`) and written down before the first of them.
"""

from collections.abc import Callable
from dataclasses import replace

from orchestrator.domain.effects import Change
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import Loss, PlaySpec, StackSpec
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Package, PackageRef
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import host_states, observe, probe, promote, provision, refusals, switch, verify
from orchestrator.flow.course import Course
from orchestrator.flow.halt import Halt
from orchestrator.inspect.stacks import kept_of
from orchestrator.planning import rollback_plan, second_pass
from orchestrator.planning.plan_store import made_by, saved_plan
from orchestrator.planning.restoration import Restoration, RestoringPlay, after_failure, as_planned, restoring_plays
from orchestrator.planning.steps import suites_of
from orchestrator.planning.survey import lost
from orchestrator.ports import Emit, SavedPlan

Alone = Callable[[Course, tuple[Loss, ...], str], StepResult]
"""Makes the result of a stack that is left alone: because of these losses, or because Pulumi would refuse it."""

KILLED = "E111"  # of an update that did not come to its end
OTHERWISE = "E131"  # Pulumi would do something else than was planned


def halt(course: Course) -> None:
    """Stop here, and see that there is a way back; else raise `Halt`, and a person is asked."""
    course.move(Event.HALT)
    if not course.effects.switching:  # else there is something to be done first
        observe.after_doubt(course)
    plan = course.settled_plan()
    why = rollback_plan.closed(plan, course.effects.started)
    if why is not None or plan.back.release is None:
        message = why.message if why else ""
        raise Halt("halt", StepResult(outcome=Outcome.FAILED, message=message, data={"code": why.code if why else ""}))
    at_hand = course.at_hand if course.effects.switching else None  # how big a package is must not hold up the switch
    course.back = at_hand or course.setting.packages.fetch(plan.back.release.digest)
    gone = rollback_plan.Gone.of(course.effects, course.outline)
    computed = rollback_plan.compute(course.run, plan, course.back.manifest, gone)
    own = course.settled_package()
    document = rollback_plan.with_plays(course.setting, computed, course.outline, own, course.back)
    course.note(Entry(kind="way back", data=document.document(), key="way back"))
    course.returning = after_failure(plan, document, course.back, stack_changed=course.effects.stack_changed)


def start_requested(course: Course) -> None:
    """Begin the rollback that an operator requested, which its plan describes.

    It is about every host. If there is no host any more, it begins with the infrastructure.
    """
    plan = course.settled_plan()
    if plan.inventory is not None:
        provision.settle_hosts(course)
    course.back = course.settled_package()
    course.returning = as_planned(plan, course.back, course.batches, course.hosts)
    course.move(Event.UNDO)
    probe.begin(course)
    switch.first(course)


def undo(course: Course) -> None:
    """Run the undo playbooks of the steps that were started, newest first, where they touched something."""
    if course.state is not State.UNDOING:
        course.move(Event.UNDO)
    own, packages = course.settled_package(), course.setting.packages
    undone = [(item.release.digest, item.play) for item in course.restoration().undo]
    _undo(course, [(own if digest == own.digest else packages.fetch(digest), play) for digest, play in undone])


def take_back(course: Course, prefix: str) -> None:
    """Go the way back as it is now, but for the stack, and stay in the run. Names of steps begin with *prefix*.

    The steps are no undo of a rollback: whoever goes back after them undoes what was started all the same.
    """
    back = _back(course)
    gone = replace(rollback_plan.Gone.of(course.effects, course.outline), provisioned=False)
    planned = rollback_plan.compute(course.run, course.settled_plan(), back.manifest, gone)
    if planned.switch is not None and planned.live is not None:
        name = f"{prefix}.{switch.BACK}"
        switch.lead_to(course, planned.live, course.settled_package(), planned.switch, name, verb="rehearse")
    _undo(course, [(course.settled_package(), item.play) for item in planned.undo], f"{prefix}.", verb="rehearse")
    put_back(course, planned.restore, prefix, verb="rehearse")


def _undo(course: Course, plays: list[tuple[Package, PlaySpec]], prefix: str = "", *, verb: str = "undo") -> None:
    for number, (package, play) in enumerate(plays, start=1):
        if play.limit:
            _play(course, play, package, f"{prefix}undo.{number}.{play.step}", f"undo {play.step}", verb=verb)


def restore(course: Course) -> None:
    """Put the touched hosts back, then the infrastructure, then what that changed under them.

    Hosts that came back with the infrastructure get the release then. Where it changed the variables of plays, the
    touched hosts get it once more: they were put back with those of the stack that is gone.
    """
    course.move(Event.RESTORE)
    restoration = course.restoration()
    _restore_hosts(course, restoration.restore)
    if restoration.sided and course.sides is not None:
        switch.then(course)
    again = _restore_stack(course, restoration)
    steps = restoration.again or second_pass.second_pass(_back(course).manifest, course.outline, ())
    put_back(course, second_pass.on_hosts(steps, course.outline, again), "restore.again")
    if restoration.sided:
        switch.then(course)
    stop_if_refused(course)


def _restore_stack(course: Course, restoration: Restoration) -> tuple[str, ...]:
    """The stack as it was defined when the release that is restored was verified; the hosts that need the release then.

    These are the hosts that came back with it, and where variables have changed the *restored* ones. Nothing is done
    if the stack stays.
    """
    before = set(course.hosts)
    if restoration.definition is not None:
        _update_stack(course, restoration, restoration.definition)
    elif before:
        return ()
    changed = set(restoration.restored) if provision.settle_restored(course) else set()
    every = before or restoration.every  # else the plan's hosts were never reached, and nothing is on them
    new = {host for host in course.hosts if host not in before} if every else set[str]()
    fresh = made_anew(course, "restore.look") if restoration.definition is not None else ()
    return tuple(host for host in course.hosts if host in new or host in fresh or host in changed)


def _update_stack(course: Course, restoration: Restoration, definition: str) -> None:
    """Bring the stack back to its *definition*.

    Where the way back would replace or delete a stateful resource, the stack is left alone, and a person is asked. An
    update that was killed is begun again, as often as other work: there is no other way left, and each looks first at
    what the one before has done.
    """

    def work(job: str, emit: Emit) -> StepResult:
        spec, preview = kept_of(course.setting, course.run.environment, definition), restoration.preview
        if preview is None:
            return _to_be_repeated(constrained(course, spec, job, emit, _left_alone))
        if restoration.losses or preview.refused:
            return _left_alone(course, restoration.losses, preview.refused)
        held = saved_plan(course.setting, preview)
        return _to_be_repeated(course.setting.provisioner.up(spec, job, emit, plan=held).result)

    label = f"pulumi up {course.run.environment}, as it was"
    result = course.step("restore.stack", label, work, may_change=Change("stack"), verb="restore")
    if not result.good:
        raise Halt("restore.stack", result)
    course.ask_again()


def _to_be_repeated(result: StepResult) -> StepResult:
    """The *result* of an update; one that did not come to its end is repeated, like a job whose process died."""
    return result.model_copy(update={"data": {**result.data, "how": "lost"}}) if _killed(result) else result


def _killed(result: StepResult) -> bool:
    return result.data.get("code") == KILLED


def made_anew(course: Course, name: str) -> tuple[str, ...]:
    """The hosts that the infrastructure has replaced on its way back: they had the release, and say so no longer.

    Of a host that never said itself what runs on it nobody can tell.
    """
    back = _back(course).digest

    def work(job: str, emit: Emit) -> StepResult:
        states = course.setting.store.hosts(course.run.environment)
        had = {state.host for state in states if state.truth == "seen" and state.digest == back}
        seen = course.setting.deployer.require((), course.inventory(), course.context(back=True), job, emit)
        told = [host for host in seen.hosts if host.host in had and host.outcome.good and not host.invalid]
        fresh = [host.host for host in told if host.release != back]
        message = f"made anew: {', '.join(fresh)}" if fresh else "none was made anew"
        return StepResult(outcome=Outcome.SUCCEEDED, message=message, data={"fresh": fresh})

    result = course.step(name, "look for hosts that were made anew", work, verb="restore")
    return tuple(result.data.get("fresh", ()))  # where nobody could look, the proof will tell


def constrained(course: Course, spec: StackSpec, job: str, emit: Emit, alone: Alone) -> StepResult:
    """An update to *spec* that is looked at first, and held to what was seen.

    Where something stateful would go, or Pulumi would refuse it, nothing is done, and *alone* makes the result of that.
    What died before may have left the stack other than it was looked at: then it is looked at once more.
    """
    result = _held(course, spec, job, emit, alone)
    if result.data.get("code") == OTHERWISE and result.data.get("untouched") is True:
        return _held(course, spec, f"{job}.again", emit, alone)
    return result


def _held(course: Course, spec: StackSpec, job: str, emit: Emit, alone: Alone) -> StepResult:
    saved = made_by(course.setting, job)
    preview = course.setting.provisioner.preview(spec, f"{job}.preview", emit, save_plan=saved)
    losses = lost(course.setting, course.run.environment, spec, preview)
    if losses or preview.refused:
        return alone(course, losses, preview.refused)
    held = SavedPlan(saved, preview.update_plan, preview.update_file)
    return course.setting.provisioner.up(spec, job, emit, plan=held).result


def _left_alone(course: Course, losses: tuple[Loss, ...], refused: str) -> StepResult:
    what = f"to go back would {'; '.join(map(str, losses))}" if losses else refused
    message = f"the infrastructure of {course.run.environment} is left as it is: {what}; the hosts went back"
    data = {"code": "R202", "untouched": True, "losses": [loss.to_json() for loss in losses]}
    return StepResult(outcome=Outcome.FAILED, message=message, data=data)


def put_back(course: Course, plays: tuple[PlaySpec, ...], prefix: str, verb: str = "restore") -> None:
    """Run the last verified release's own steps, as they were planned."""
    _restore_hosts(course, restoring_plays(plays, prefix, _back(course)), verb)


def _restore_hosts(course: Course, plays: tuple[RestoringPlay, ...], verb: str = "restore") -> None:
    """Run *plays* in their order, with the proofs and pauses between them."""
    back = _back(course)
    for item in plays:
        _play(course, item.play, back, item.name, item.label, verb=verb, release=back.ref, later=item.later)
        if item.proved:
            verify.prove(course, course.settled_plan().verify, back, item.name, item.play.limit)
        if item.pause:
            course.pause(f"{item.name}.pause", item.pause)


def level(course: Course, hosts: tuple[str, ...], prefix: str) -> None:
    """Put the release that a rehearsal begins with on *hosts*, which stand by."""
    put_back(course, rollback_plan.restoring(_back(course).manifest, course.outline, hosts), prefix, verb="rehearse")


def prove(course: Course) -> None:
    """The restored release's own suites, over the whole environment."""
    course.move(Event.PROVE)
    back = _back(course)
    idle = course.standing_by
    hosts = tuple(host for host in course.hosts if host not in idle)
    verify.prove(course, suites_of(back.manifest.release), back, "restored", hosts)
    host_states.record_restored(course, back.ref, hosts, "restored")
    promote.verified(course, back.ref, course.restoration().verified)


def _back(course: Course) -> Package:
    if course.back is None:
        raise RuntimeError("there is no way back yet")
    return course.back


def _play(
    course: Course,
    play: PlaySpec,
    package: Package,
    name: str,
    label: str,
    *,
    verb: str,
    release: PackageRef | None = None,
    later: frozenset[str] = frozenset(),
) -> None:
    """Run one play of the way back, which leaves *release* (None: it undoes a step); halt unless it is good.

    *later* are the hosts on which another play for the same release follows.
    """
    limit = tuple(host for host in play.limit if host not in course.refusing)
    if not limit:
        return
    play = play.model_copy(update={"limit": limit})

    def work(job: str, emit: Emit) -> StepResult:
        inventory, context = course.inventory(), course.context(back=True)
        host_states.begin_change(course, name, play.limit)
        result = course.setting.deployer.deploy(play, package, inventory, context, job, emit)
        others = refusals.blocked_hosts(result)
        if not others or not course.going_back:
            return result
        course.enter()  # raises S103 if another process has taken over, and the hosts are right
        left, key = play.model_copy(update={"limit": others}), refusals.key(job)
        return refusals.merged(result, course.setting.deployer.deploy(left, package, inventory, context, key, emit))

    about = {"verb": verb, "playbook": play.playbook, "hosts": list(play.limit), "release": package.ref.to_json()}
    change = Change("hosts", play.limit, always=verb == "rehearse")
    result = course.step(name, label, work, may_change=change, **about)
    host_states.record_result(course, result, release, name, play.limit, later)
    if result.good:
        return
    halt = Halt(name, result)
    if not course.going_back or not refusals.only(result):
        raise halt
    course.refusing.update(dict.fromkeys(result.data["refused"], halt))


def stop_if_refused(course: Course) -> None:
    """Halt the way back at its end if hosts have refused our token: it went on without them."""
    for halt in course.refusing.values():
        raise halt
