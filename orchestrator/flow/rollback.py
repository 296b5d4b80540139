"""Roll back: every step that was started is undone, newest first, on the hosts that were touched and on no others.

A step has its own `undo` playbook, or nothing to undo, or cannot be undone; otherwise the last verified release's
own packaged steps put its hosts back. Which steps and hosts these are is a plan with a digest, computed from what was
recorded (`planning/rollback_plan.py`) and written down before the first of them.
"""

from collections.abc import Callable
from dataclasses import replace

from orchestrator.domain.effects import NOTHING, Change
from orchestrator.domain.error_codes import PULUMI_INCOMPLETE, UPDATE_DIFFERS
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import Loss, PlannedReversal, PlannedUndo, PlaySpec, StackSpec, at_positions
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Package, PackageRef
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import HostsReplaced
from orchestrator.flow import host_states, implement, observe, probe, promote, provision, refusals, switch, verify
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect.stacks import kept_of
from orchestrator.planning import rollback_plan, second_pass
from orchestrator.planning.plan_store import made_by, saved_plan
from orchestrator.planning.restoration import Restoration, RestoringPlay, after_failure, as_planned, restoring_plays
from orchestrator.planning.steps import suites_of
from orchestrator.planning.survey import lost
from orchestrator.ports import Emit, SavedPlan

Alone = Callable[[RunContext, tuple[Loss, ...], str], StepResult]
"""Makes the result of a stack that is left alone: because of these losses, or because Pulumi would refuse it."""


def halt(ctx: RunContext) -> None:
    """Stop, and check that a rollback is possible. Raises `RunHalted` otherwise: the run needs manual intervention."""
    ctx.move(Event.HALT)
    if not ctx.effects.switching:  # otherwise the switch is settled first
        observe.after_doubt(ctx)
    plan = ctx.pinned_plan()
    why = rollback_plan.closed(plan, ctx.effects.started, ctx.effects.implemented)
    if why is not None or plan.rollback_target.release is None:
        message = why.message if why else ""
        raise RunHalted(
            "halt", StepResult(outcome=Outcome.FAILED, message=message, data={"code": why.code if why else ""})
        )
    unpacked = (
        ctx.previous_package if ctx.effects.switching else None
    )  # how big a package is must not hold up the switch
    ctx.restored_package = unpacked or ctx.services.packages.fetch(plan.rollback_target.release.digest)
    progress = rollback_plan.PromotionProgress.of(ctx.effects, ctx.hosts_only_inventory)
    computed = rollback_plan.compute(ctx.run, plan, ctx.restored_package.manifest, progress)
    own = ctx.pinned_package()
    document = rollback_plan.with_rollback_plays(
        ctx.services, computed, ctx.hosts_only_inventory, own, ctx.restored_package
    )
    ctx.note(Entry(kind="rollback plan", data=document.document(), key="way back"))
    ctx.rollback_plan = after_failure(plan, document, ctx.restored_package, stack_changed=ctx.effects.stack_changed)


def start_requested(ctx: RunContext) -> None:
    """Start the rollback that an operator requested, which its plan describes.

    It is about every host. If there is no host any more, it starts with the infrastructure.
    """
    plan = ctx.pinned_plan()
    if plan.inventory is not None:
        provision.record_hosts(ctx)
    ctx.restored_package = ctx.pinned_package()
    ctx.rollback_plan = as_planned(plan, ctx.restored_package, ctx.batches, ctx.hosts)
    ctx.move(Event.UNDO)
    probe.begin(ctx)
    switch.switch_first(ctx)


def undo(ctx: RunContext) -> None:
    """Undo the steps that were started, newest first: by playbooks where they touched something, and by plans."""
    if ctx.state is not State.UNDOING:
        ctx.move(Event.UNDO)
    own, packages, restoration = ctx.pinned_package(), ctx.services.packages, ctx.restoration()
    undos, reversals = tuple(enumerate(restoration.undo, start=1)), restoration.reversals
    numbers = {id(each): number for number, each in enumerate(reversals, start=1)}
    for item in at_positions(undos, reversals):
        release = item.release if isinstance(item, PlannedReversal) else item[1].release
        package = own if release.digest == own.digest else packages.fetch(release.digest)
        if isinstance(item, PlannedReversal):
            implement.carry_back(ctx, item, package, numbers[id(item)])
        else:
            _undo_step(ctx, item, package)


def take_back(ctx: RunContext, prefix: str) -> None:
    """Execute the current rollback plan, except for the stack, within the run. Names of steps start with *prefix*.

    The steps are not an undo of a rollback: a rollback after them undoes what was started all the same.
    """
    package = _restored_package(ctx)
    progress = replace(rollback_plan.PromotionProgress.of(ctx.effects, ctx.hosts_only_inventory), provisioned=False)
    planned = rollback_plan.compute(ctx.run, ctx.pinned_plan(), package.manifest, progress)
    if planned.switch is not None and planned.live is not None:
        name = f"{prefix}.{switch.BACK}"
        switch.switch_traffic(ctx, planned.live, ctx.pinned_package(), planned.switch, name, verb="rehearse")
    for item in enumerate(planned.undo, start=1):
        _undo_step(ctx, item, ctx.pinned_package(), f"{prefix}.", verb="rehearse")
    restore_hosts(ctx, planned.restore, prefix, verb="rehearse")


def _undo_step(
    ctx: RunContext, item: tuple[int, PlannedUndo], package: Package, prefix: str = "", *, verb: str = "undo"
) -> None:
    """Run an undo playbook of *package*, with its number among them."""
    number, play = item[0], item[1].play
    if play.limit:
        _play(ctx, play, package, f"{prefix}undo.{number}.{play.step}", f"undo {play.step}", verb=verb)


def restore(ctx: RunContext) -> None:
    """Restore the touched hosts, then the infrastructure, then the hosts that it replaced or changed.

    Hosts that the infrastructure created again get the release last. If it changed the variables of plays, the touched
    hosts get the release again: they were restored with the variables of the previous stack.
    """
    ctx.move(Event.RESTORE)
    restoration = ctx.restoration()
    _restore_hosts(ctx, restoration.restore)
    if restoration.sided and ctx.sides is not None:
        switch.switch_after_restore(ctx)
    again = _restore_stack(ctx, restoration)
    steps = restoration.second_pass or second_pass.second_pass(
        _restored_package(ctx).manifest, ctx.hosts_only_inventory, ()
    )
    restore_hosts(ctx, second_pass.on_hosts(steps, ctx.hosts_only_inventory, again), "restore.again")
    if restoration.sided:
        switch.switch_after_restore(ctx)
    stop_if_refused(ctx)


def _restore_stack(ctx: RunContext, restoration: Restoration) -> tuple[str, ...]:
    """Restore the stack as it was defined when the restored release was verified; the hosts that need that release.

    These are the hosts that it created again, and where variables have changed the *restored* ones. Nothing is done
    if the stack stays.
    """
    before = set(ctx.hosts)
    if restoration.definition is not None:
        _update_stack(ctx, restoration, restoration.definition)
    elif before:
        return ()
    changed = set(restoration.restored) if provision.settle_restored(ctx) else set()
    every = before or restoration.every  # otherwise the plan's hosts were never reached, and nothing is on them
    new = {host for host in ctx.hosts if host not in before} if every else set[str]()
    fresh = replaced_hosts(ctx, "restore.look") if restoration.definition is not None else ()
    return tuple(host for host in ctx.hosts if host in new or host in fresh or host in changed)


def _update_stack(ctx: RunContext, restoration: Restoration, definition: str) -> None:
    """Bring the stack back to its *definition*.

    If the rollback would replace or delete a stateful resource, the stack stays and the run needs intervention. An
    update that was killed is started again, as often as other work: there is no other way left, and each first checks
    what the previous one has done.
    """

    def work(job: str, emit: Emit) -> StepResult:
        spec, preview = kept_of(ctx.services, ctx.run.environment, definition), restoration.preview
        if preview is None:
            return _to_be_repeated(constrained(ctx, spec, job, emit, _left_alone))
        if restoration.losses or preview.refused:
            return _left_alone(ctx, restoration.losses, preview.refused)
        held = saved_plan(ctx.services, preview)
        return _to_be_repeated(ctx.services.provisioner.up(spec, job, emit, plan=held).result)

    label = f"pulumi up {ctx.run.environment}, as it was"
    result = ctx.step("restore.stack", label, work, may_change=Change("stack"), verb="restore")
    if not result.good:
        raise RunHalted("restore.stack", result)
    ctx.forget_outputs()


def _to_be_repeated(result: StepResult) -> StepResult:
    """The *result* of an update; one that did not complete is repeated, like a job whose process died."""
    return result.model_copy(update={"data": {**result.data, "how": "lost"}}) if _killed(result) else result


def _killed(result: StepResult) -> bool:
    return result.code == PULUMI_INCOMPLETE


def replaced_hosts(ctx: RunContext, name: str) -> tuple[str, ...]:
    """The hosts that the rollback of the infrastructure has replaced: they reported the release, and do not any more.

    For a host that never reported its release this is not known.
    """
    digest = _restored_package(ctx).digest

    def work(job: str, emit: Emit) -> StepResult:
        states = ctx.services.store.hosts(ctx.run.environment)
        had = {state.host for state in states if state.truth == "seen" and state.digest == digest}
        seen = ctx.services.deployer.inspect((), ctx.inventory(), ctx.context(rolling_back=True), job, emit)
        responding = [host for host in seen.hosts if host.host in had and host.outcome.good and not host.invalid]
        fresh = [host.host for host in responding if host.release != digest]
        message = f"replaced: {', '.join(fresh)}" if fresh else "no host was replaced"
        return StepResult(outcome=Outcome.SUCCEEDED, message=message, data=HostsReplaced(fresh=tuple(fresh)).to_json())

    result = ctx.step(name, "find hosts that were replaced", work, may_change=NOTHING, verb="restore")
    return HostsReplaced.read(result).fresh  # without an inspection, the verification will show it


def constrained(ctx: RunContext, spec: StackSpec, job: str, emit: Emit, alone: Alone) -> StepResult:
    """An update to *spec* that is previewed first, and constrained to the preview.

    If a stateful resource would be lost, or Pulumi would refuse the update, nothing is done, and *alone* makes the
    result. An attempt that died may have changed the stack: then it is previewed again.
    """
    result = _held(ctx, spec, job, emit, alone)
    if result.code == UPDATE_DIFFERS and result.is_untouched:
        return _held(ctx, spec, f"{job}.again", emit, alone)
    return result


def _held(ctx: RunContext, spec: StackSpec, job: str, emit: Emit, alone: Alone) -> StepResult:
    saved = made_by(ctx.services, job)
    preview = ctx.services.provisioner.preview(spec, f"{job}.preview", emit, save_plan=saved)
    losses = lost(ctx.services, ctx.run.environment, spec, preview)
    if losses or preview.refused:
        return alone(ctx, losses, preview.refused)
    held = SavedPlan(saved, preview.update_plan, preview.update_file)
    return ctx.services.provisioner.up(spec, job, emit, plan=held).result


def _left_alone(ctx: RunContext, losses: tuple[Loss, ...], refused: str) -> StepResult:
    what = f"a rollback would {'; '.join(map(str, losses))}" if losses else refused
    message = f"the infrastructure of {ctx.run.environment} is left as it is: {what}; the hosts were restored"
    data = {"code": "R202", "untouched": True, "losses": [loss.to_json() for loss in losses]}
    return StepResult(outcome=Outcome.FAILED, message=message, data=data)


def restore_hosts(ctx: RunContext, plays: tuple[PlaySpec, ...], prefix: str, verb: str = "restore") -> None:
    """Run the last verified release's own steps, as they were planned."""
    _restore_hosts(ctx, restoring_plays(plays, prefix, _restored_package(ctx)), verb)


def _restore_hosts(ctx: RunContext, plays: tuple[RestoringPlay, ...], verb: str = "restore") -> None:
    """Run *plays* in their order, with the proofs and pauses between them."""
    package = _restored_package(ctx)
    for item in plays:
        _play(ctx, item.play, package, item.name, item.label, verb=verb, release=package.ref, remaining=item.remaining)
        if item.proved:
            verify.verify_suites(ctx, ctx.pinned_plan().verify, package, item.name, item.play.limit)
        if item.pause:
            ctx.pause(f"{item.name}.pause", item.pause)


def restore_standby(ctx: RunContext, hosts: tuple[str, ...], prefix: str) -> None:
    """Put the release that a rehearsal starts with on *hosts*, which are on standby."""
    restore_hosts(
        ctx,
        rollback_plan.restoring(_restored_package(ctx).manifest, ctx.hosts_only_inventory, hosts),
        prefix,
        verb="rehearse",
    )


def verify_restored(ctx: RunContext) -> None:
    """The restored release's own suites, over the whole environment."""
    ctx.move(Event.VERIFY_ROLLBACK)
    package = _restored_package(ctx)
    idle = ctx.standby_hosts
    hosts = tuple(host for host in ctx.hosts if host not in idle)
    verify.verify_suites(ctx, suites_of(package.manifest.release), package, "restored", hosts)
    host_states.record_restored(ctx, package.ref, hosts, "restored")
    promote.record_verified(ctx, package.ref, ctx.restoration().verified)


def _restored_package(ctx: RunContext) -> Package:
    if ctx.restored_package is None:
        raise RuntimeError("the rollback target is not known yet")
    return ctx.restored_package


def _play(
    ctx: RunContext,
    play: PlaySpec,
    package: Package,
    name: str,
    label: str,
    *,
    verb: str,
    release: PackageRef | None = None,
    remaining: frozenset[str] = frozenset(),
) -> None:
    """Run one play of the rollback, which leaves *release* (None: it undoes a step); halt if it fails.

    *remaining* are the hosts on which another play for the same release follows.
    """
    limit = tuple(host for host in play.limit if host not in ctx.refusing_hosts)
    if not limit:
        return
    play = play.model_copy(update={"limit": limit})

    def work(job: str, emit: Emit) -> StepResult:
        inventory, context = ctx.inventory(), ctx.context(rolling_back=True)
        host_states.begin_change(ctx, name, play.limit)
        result = ctx.services.deployer.deploy(play, package, inventory, context, job, emit)
        others = refusals.blocked_hosts(result)
        if not others or not ctx.going_back:
            return result
        ctx.enter()  # raises S103 if another process has taken over, and the hosts are right
        left, key = play.model_copy(update={"limit": others}), refusals.key(job)
        return refusals.merged(result, ctx.services.deployer.deploy(left, package, inventory, context, key, emit))

    about = {"verb": verb, "playbook": play.playbook, "hosts": list(play.limit), "release": package.ref.to_json()}
    change = Change("hosts", play.limit, always=verb == "rehearse")
    result = ctx.step(name, label, work, may_change=change, **about)
    host_states.record_result(ctx, result, release, name, play.limit, remaining)
    if result.good:
        return
    halt = RunHalted(name, result)
    if not ctx.going_back or not refusals.only(result):
        raise halt
    ctx.refusing_hosts.update(dict.fromkeys(result.refused, halt))


def stop_if_refused(ctx: RunContext) -> None:
    """Halt the rollback at its end if hosts have refused our token: it continued without them."""
    for halt in ctx.refusing_hosts.values():
        raise halt
