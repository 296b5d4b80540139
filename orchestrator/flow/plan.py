"""Plan: what a promotion would do, made by asking everything that can be asked without changing anything."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.domain.configuration import is_about_controller
from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.filling import fillable
from orchestrator.domain.gate import Canary, Flaky, Gate, Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import (
    NOTHING,
    HostState,
    Loss,
    Named,
    Plan,
    PlannedArtifact,
    PlannedCanary,
    PlannedGate,
    PlannedLook,
    PlannedSides,
    PlannedStep,
    PlannedUndo,
    PlannedWatch,
    SecondPass,
    StackPreview,
    StackSpec,
    SuiteSpec,
    WayBack,
    differences,
    held,
    losses,
    play_of,
)
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Package, PackageRef, Release, Step
from orchestrator.domain.sides import BlueGreen, Side
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import counted
from orchestrator.flow import conditions, ephemeral, guard, observe, sides
from orchestrator.flow.configuration import configuration_of
from orchestrator.flow.course import Course, Setting, context_of, inventory_of, kept_of, outputs_of, stack_of
from orchestrator.flow.evidence import obstacle
from orchestrator.flow.kept_plans import load, made_by, save, saved_plan, update_plan_file
from orchestrator.flow.plays import NO_PLAYBOOK, sides_with_plays, undo_with_plays, with_plays
from orchestrator.flow.request import allow
from orchestrator.flow.second_pass import restrict, second_pass
from orchestrator.flow.trail import Begun, Then, last_verified, mark_of, present, trail
from orchestrator.ports import Emit


@dataclass(frozen=True)
class Wanted:
    """What a plan is asked for.

    *check* runs Ansible's check mode. *approved* is a plan that this one will only be compared with: Pulumi's
    preview is not asked for again, since its update plan will hold the update to what was approved. *no_return* is a
    person's word that a rollback may leave behind what cannot be undone, *named* what else was agreed to by name.
    *then* is the time to which a rollback goes back, and its definition. *rehearse* is whether it is to be rehearsed.
    *coming* are environments in which the package will have been verified by then: a walk comes to them before.
    *told* is called with what the hosts said. *all_at_once*: a rollback restores all hosts at the same time.
    """

    package: Package
    environment: str
    action: str = "promote"
    check: bool = False
    approved: Plan | None = None
    fence: int = 0
    no_return: bool = False
    all_at_once: bool = False
    named: Named = NOTHING
    then: Then | None = None
    rehearse: bool = False
    coming: frozenset[str] = frozenset()
    told: Callable[[StepResult], None] = lambda _seen: None


def settle(course: Course) -> None:
    """Make the plan of this run; when a plan was approved, see that it still holds, and take that one."""
    run, setting = course.run, course.setting
    if run.release is None:
        raise RuntimeError("a promotion without a release")
    digest = run.release.digest

    def work(job: str, emit: Emit) -> StepResult:
        held_back = guard.refuse_again(course, emit)
        if held_back is not None:
            return StepResult(outcome=Outcome.FAILED, message=held_back.message, data={"code": held_back.code})
        approved = load(setting, course.approved) if course.approved else None
        now = make(setting, _wanted(course, setting.packages.fetch(digest), approved), job, emit)
        why = refusal(now)
        if why is not None:
            return StepResult(outcome=Outcome.FAILED, message=why.message, data={"code": why.code})
        _warn_of_controller(approved, now, emit)
        if approved is None:
            save(setting, now)
            return StepResult(outcome=Outcome.SUCCEEDED, message=summary(now), data={"plan": now.digest})
        return hold(approved, now)

    result = course.must("plan", "plan", work, verb="plan")
    course.plan = load(setting, str(result.data["plan"]))
    sided = course.plan.blue_green
    course.setting = sides.aimed(setting, run.environment, (sided.to or sided.live) if sided is not None else None)
    course.ask_again()
    course.note(_planned(course.plan))


def _wanted(course: Course, package: Package, approved: Plan | None) -> Wanted:
    """What the plan of this run is asked for; what was agreed to stands in the *approved* one, where there is one."""

    def told(seen: StepResult) -> None:
        observe.reconcile(course, seen)

    return Wanted(
        package,
        course.run.environment,
        "rollback" if course.run.kind == "rollback" else "promote",
        approved=approved,
        fence=course.fence,
        no_return=approved.no_return if approved is not None else False,
        all_at_once=approved.all_at_once if approved is not None else course.run.kind == "rollback",
        named=approved.named if approved is not None else course.named,
        then=_then(approved),
        rehearse=course.run.kind == "rehearsal",
        told=told,
    )


def _warn_of_controller(approved: Plan | None, now: Plan, emit: Emit) -> None:
    """Report what is set on this controller and not passed on, where the *approved* plan does not report it."""
    known = approved.notes if approved is not None else now.notes
    for note in now.notes:
        if is_about_controller(note) and note not in known:
            emit(Entry(kind="notice", data={"level": "warning", "text": note}))


def _planned(plan: Plan) -> Entry:
    """What the journal tells of a plan."""
    sided = plan.blue_green
    data = {
        "plan": plan.digest,
        "back": plan.back.to_json(),
        "notes": list(plan.notes),
        "losses": [loss.to_json() for loss in plan.losses],
        "named": plan.named.to_json(),
        "ephemeral": plan.ephemeral is not None,
        "steps": [step.play.step for step in plan.steps],
        "verify": [suite.name for suite in plan.verify],
        "watch": plan.watch is not None,
        "rehearse": plan.rehearse,
        **({"blue_green": {"live": sided.live, "to": sided.to}} if sided is not None else {}),
    }
    return Entry(kind="planned", data=data, key="planned")


def _then(approved: Plan | None) -> Then | None:
    if approved is None or approved.at is None:
        return None
    return Then(approved.at, approved.release, approved.definition)


def hold(approved: Plan, now: Plan) -> StepResult:
    """The approved plan, when everything that it stands on is still so; else what has changed, by name."""
    changed = differences(approved, held(approved, now))
    if not changed:
        return StepResult(outcome=Outcome.SUCCEEDED, message="the approved plan holds", data={"plan": approved.digest})
    message = f"since the plan was made, this has changed: {', '.join(changed)}"
    return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R120", "changed": changed})


def refusal(plan: Plan) -> OrchestratorError | None:
    """Why *plan* may be shown and not executed: D106, D107, D151, E140, R135, R136, R181, R182, R186, R200 or R201."""
    if plan.uninspected:
        return OrchestratorError("D151", f"{plan.uninspected}; nothing was changed")
    if plan.unmet:
        return OrchestratorError("D106", "; ".join(plan.unmet))
    if plan.blocking:
        return OrchestratorError("D107", f"cannot be reached now: {', '.join(plan.blocking)}; nothing was changed")
    closed = plan.back.release is not None and not plan.back.available
    if plan.action == "promote" and plan.automatic_rollback and closed:
        message = f"the way back to {plan.back.release} is closed: {plan.back.reason}; nothing was changed"
        return OrchestratorError("R136", message)
    missing = next((condition for condition in plan.conditions if not condition.holds), None)
    if missing is not None:
        return conditions.refusal(plan, missing)
    return _unnamed(plan) or _crossed(plan) if plan.action == "promote" else _left_behind(plan)


def _left_behind(plan: Plan) -> OrchestratorError | None:
    """What a rollback would leave behind that nobody has agreed to: R135."""
    if not plan.back.impossible or plan.no_return:
        return None
    names = ", ".join(plan.back.impossible)
    hint = f"orchestrator rollback {plan.environment} --no-return rolls back, and keeps what {names} changed"
    return OrchestratorError("R135", f"{names} cannot be undone", hint=hint)


def _crossed(plan: Plan) -> OrchestratorError | None:
    """What the promotion of an older release would leave behind, as a rollback to it would: R135."""
    if not plan.unnamed_crossed:
        return None
    words = " ".join(f"--point-of-no-return {step}" for step in plan.unnamed_crossed)
    text = f"{plan.release} is older than the current release, whose {', '.join(plan.unnamed_crossed)} cannot be undone"
    return OrchestratorError("R135", f"{text} ({words} agrees to that); nothing was changed")


def _unnamed(plan: Plan) -> OrchestratorError | None:
    """What a promotion would do that nobody has agreed to by name, or that Pulumi refuses: E140, R200 or R201."""
    if plan.stack is not None and plan.stack.refused:
        return OrchestratorError("E140", f"{plan.stack.refused}; nothing was changed")
    lost, points = plan.unnamed_losses, plan.unnamed_points
    if lost:
        words = " ".join(f"--replace {loss.name}" for loss in lost)
        message = f"it would {'; '.join(map(str, lost))} ({words} agrees to that); nothing was changed"
        return OrchestratorError("R200", message)
    if points:
        words = " ".join(f"--point-of-no-return {step}" for step in points)
        message = f"{', '.join(points)} cannot be undone ({words} agrees to that); nothing was changed"
        return OrchestratorError("R201", message)
    return None


# -- making --------------------------------------------------------------------------------------------------------


def make(setting: Setting, wanted: Wanted, job: str, emit: Emit) -> Plan:
    """The plan for *wanted*. Changes nothing. Raises R-codes when it may not be, E- and D-codes when it cannot be."""
    environment, _ = setting.environment(wanted.environment)
    release = wanted.package.manifest.release
    _admit(setting, wanted, environment)
    aim = sides.aim(setting, wanted.environment)
    setting = sides.aimed(setting, wanted.environment, aim)
    survey = _survey(setting, wanted, job, emit)
    observe.refuse_unknown(setting, wanted.environment, survey.unreachable, _restored(wanted, survey))
    undone = present(setting, wanted.environment, wanted.package) if wanted.action == "rollback" else ()
    back = _back(undone) if wanted.action == "rollback" else way_back(setting, wanted)
    own = _own_gates(environment)
    asked_sides = _asked_sides(wanted, survey, own, aim)
    blue_green = sides.planned(asked_sides)
    if aim is not None and blue_green is not None and blue_green.to != aim:
        survey = replace(survey, stack=None, losses=())  # of the side that stays as it is
    steps = tuple(
        with_plays(setting, _planned_step(step, wanted, own, blue_green), wanted.package, survey.inventory)
        for step in _steps(release, wanted.action)
    )
    _refuse_empty(setting, wanted, steps, survey)
    steps = _all_checked(setting, wanted, steps, survey, f"{job}.check", emit)
    lost = survey.losses
    rehearse, unrehearsed = _rehearsed(setting, wanted, back, survey.base)
    asked = conditions.ask(setting, wanted.environment, wanted.package, job, emit) if wanted.action == "promote" else ()
    back = _with_second_pass(setting, back, survey, steps)
    plan = Plan(
        action="rollback" if wanted.action == "rollback" else "promote",
        at=wanted.then.at if wanted.then else None,
        project=setting.project.name,
        environment=wanted.environment,
        release=wanted.package.ref,
        losses=lost,
        points_of_no_return=back.impossible,
        named=wanted.named,
        definition=survey.definition,
        after=environment.after,
        stack=survey.stack,
        inventory=survey.inventory,
        inventory_digest=survey.full.digest if survey.full else None,
        requirements=release.requirements,
        undo=_undo(setting, undone, survey.inventory),
        steps=steps,
        blue_green=sides_with_plays(setting, blue_green, wanted.package, survey.inventory, survey.base),
        verify=suites_of(release),
        artifacts=_artifacts(release),
        rehearse=rehearse,
        watch=_watch(release, own) if wanted.action == "promote" else None,
        probe=environment.probe or release.probe,
        base=survey.base,
        unmet=survey.unmet,
        unreachable=survey.unreachable,
        uninspected=survey.uninspected,
        back=back,
        automatic_rollback=environment.rollback.automatic,
        ephemeral=environment.ephemeral,
        no_return=wanted.no_return,
        crossed=left_over(setting, wanted.environment, wanted.package) if wanted.action == "promote" else (),
        all_at_once=wanted.all_at_once,
        again=_second_pass(wanted, survey, blue_green),
        conditions=asked,
        configuration=configuration_of(setting, wanted.package, environment, wanted.approved),
        notes=(
            *_notes(environment, back, survey),
            *_not_previewed(environment),
            *_about_losses(wanted, lost),
            *_again(setting, wanted),
            *sides.notes(blue_green, asked_sides),
            *unrehearsed,
            *conditions.notes(asked),
            *setting.deployer.unused_settings(wanted.package, environment.ansible),
        ),
        created_at=setting.clock.now(),
    )
    _askable(setting, wanted, plan)
    if survey.full is not None:
        _fillable(setting, wanted, plan, survey.full)
    return _blocked(plan)


def _artifacts(release: Release) -> tuple[PlannedArtifact, ...]:
    """What becomes of the artifacts on hosts; nothing for a package of format 1, where each host decides it."""
    known = [item for item in release.artifacts if item.unpack is not None]
    return tuple(PlannedArtifact(name=item.file_name, unpack=bool(item.unpack)) for item in known)


def _blocked(plan: Plan) -> Plan:
    """*plan*, with a note of the hosts that keep it from being executed."""
    if not plan.blocking:
        return plan
    note = f"cannot be executed while it cannot be reached: {', '.join(plan.blocking)}"
    return plan.model_copy(update={"notes": (*plan.notes, note)})


def _admit(setting: Setting, wanted: Wanted, environment: Environment) -> None:
    """Refuse what may not be planned there at all. Raises R105, R134, R215 and what :func:`allow` does."""
    allow(environment)
    if environment.sides is not None and wanted.package.manifest.release.blue_green is None:
        message = f"{environment.name} has two stacks as its sides, and {wanted.package.ref} has no step with sides"
        raise OrchestratorError("R215", message)
    if wanted.action == "promote":
        gate(setting, wanted.package, environment, wanted.coming)
    elif environment.ephemeral is not None:
        raise OrchestratorError(
            "R134", f"{environment.name} is made for each promotion: there is nothing to go back to"
        )


def gate(setting: Setting, package: Package, environment: Environment, coming: frozenset[str] = frozenset()) -> None:
    """Refuse a package that has not been verified in the environment before, unless that is *coming*. Raises R105."""
    if environment.after is None or environment.after in coming:
        return
    if not any(item.release.digest == package.digest for item in setting.store.verified(environment.after)):
        raise OrchestratorError(
            "R105",
            f"{package.ref} has not been verified in {environment.after}, which comes before {environment.name}",
            hint=f"promote it there first: orchestrator promote … --to {environment.after}",
        )


@dataclass(frozen=True)
class Survey:
    """What was found when everything was looked at. *inventory* is an outline; *full* has the variables.

    *stays* says that the stack is left as it is: how it was defined with the release to be restored is not kept.
    """

    definition: str
    stack: StackPreview | None
    inventory: Inventory | None
    full: Inventory | None
    base: tuple[HostState, ...]
    unreachable: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    stays: bool = False
    losses: tuple[Loss, ...] = ()
    uninspected: str = ""


def _survey(setting: Setting, wanted: Wanted, job: str, emit: Emit) -> Survey:
    """Look at the stack and at the hosts, side by side: neither needs the other when the hosts exist already."""
    environment, _ = setting.environment(wanted.environment)
    spec = _wanted_stack(setting, wanted)
    outputs = outputs_of(setting, wanted.environment)
    context = context_of(setting, wanted.environment, job, outputs, wanted.fence)
    setting.deployer.prepare(context)
    try:
        known = inventory_of(setting, wanted.environment, outputs)
    except OrchestratorError:
        if spec is None or outputs.plain or outputs.secret:
            raise
        known = None  # nothing has been provisioned yet
    with ThreadPoolExecutor(max_workers=1) as pool:
        hosts = pool.submit(_look, setting, wanted, known, context, job, emit)
        preview = _stack(setting, wanted, spec, job, emit)
        seen = hosts.result()
    if seen is not None:
        wanted.told(seen)
    if environment.ephemeral is not None and spec is not None and preview is not None:
        ephemeral.refuse_foreign(setting, wanted.environment, spec, preview)
    settled = known if known is not None and _hosts_stay(wanted, preview, known) else None
    return Survey(
        definition=spec.definition if spec else digest_of(environment.to_json()),
        stack=preview,
        inventory=settled.outline() if settled else None,
        full=settled,
        base=_base(setting, wanted.environment, known, seen),
        unreachable=_unreachable(seen),
        unmet=unmet(seen) if settled and seen else (),
        stays=spec is not None and wanted.action == "rollback" and preview is None,
        losses=lost(setting, wanted.environment, spec, preview) if spec and preview else (),
        uninspected=seen.message if seen is not None and failed_as_a_whole(seen) else "",
    )


def _unreachable(seen: StepResult | None) -> tuple[str, ...]:
    """The hosts that did not answer; none where the inspection failed as a whole, since no host was asked then."""
    if seen is None or failed_as_a_whole(seen):
        return ()
    return tuple(host.host for host in seen.hosts if host.outcome is Outcome.UNKNOWN)


def failed_as_a_whole(seen: StepResult) -> bool:
    """Whether a host inspection failed before any host was asked."""
    return seen.data.get("code") == "D151"


def lost(setting: Setting, environment: str, spec: StackSpec, preview: StackPreview) -> tuple[Loss, ...]:
    """The stateful resources that *preview* would replace or delete: by the rules of now, and by those of *spec*."""
    now = setting.environment(environment)[0].pulumi.stateful
    return losses(preview.changes, dict.fromkeys((*now, *spec.settings.stateful)))


def _restored(wanted: Wanted, survey: Survey) -> tuple[str, ...]:
    """The hosts that a rollback puts back; none for a promotion."""
    if wanted.action != "rollback" or survey.inventory is None:
        return ()
    steps = _steps(wanted.package.manifest.release, wanted.action)
    return tuple(host for step in steps for host in survey.inventory.select(step.hosts))


def unmet(seen: StepResult) -> tuple[str, ...]:
    """What hosts that answered have not, in a sentence each."""
    return tuple(f"{host.host}: {host.message}" for host in seen.hosts if host.outcome is Outcome.FAILED)


def _hosts_stay(wanted: Wanted, preview: StackPreview | None, known: Inventory) -> bool:
    """Whether the hosts to be worked on are known to be those of now; a rollback begins with those that there are."""
    if wanted.action == "rollback":
        return True
    if wanted.approved is not None:
        return wanted.approved.inventory is not None
    if preview is None or not preview.changes_something:
        return True
    return preview.inventory is not None and preview.inventory.digest == known.digest


def _wanted_stack(setting: Setting, wanted: Wanted) -> StackSpec | None:
    """The stack as it is defined now; for a rollback as it was when the release that is restored was verified.

    Raises E105 when a time is to be restored, and how the stack was defined then is not kept.
    """
    spec = stack_of(setting, wanted.environment)
    if spec is not None and wanted.then is not None and wanted.then.definition:
        there = wanted.then.definition == spec.definition
        return spec if there else kept_of(setting, wanted.environment, wanted.then.definition)
    mark = mark_of(setting, wanted.environment, wanted.package.digest) if wanted.action == "rollback" else None
    if spec is None or mark is None or mark.definition in {"", spec.definition}:
        return spec
    try:
        return kept_of(setting, wanted.environment, mark.definition)
    except OrchestratorError as error:
        if error.code != "E105":
            raise
        return spec


def _stack(setting: Setting, wanted: Wanted, spec: StackSpec | None, job: str, emit: Emit) -> StackPreview | None:
    if spec is None or _forgotten(setting, wanted, spec):
        return None
    if wanted.approved is not None:
        return _derived(setting, wanted.approved, spec)
    made = made_by(setting, job)
    preview = setting.provisioner.preview(spec, f"{job}.preview", emit, save_plan=made)
    if preview.update_file is not None:
        _link(made, update_plan_file(setting, preview.update_file))
    return preview


def _derived(setting: Setting, plan: Plan, spec: StackSpec) -> StackPreview:
    """What the update would do, derived from Pulumi's saved update plan and never believed from the document.

    Where Pulumi would refuse the update, nothing was saved, and the plan is not executed either (E140). Raises E162,
    E163, and E164 when the document states other operations than the saved update plan allows.
    """
    approved = plan.stack
    if approved is None:
        return StackPreview(base=setting.provisioner.base(spec))
    if approved.refused:
        return approved.model_copy(update={"base": setting.provisioner.base(spec)})
    derived = setting.provisioner.planned(spec, saved_plan(setting, approved))
    same_start = derived.base == approved.base and spec.definition == plan.definition
    stated = StackPreview.model_fields.keys() - {"base", "versions"}  # these are compared with what is there now
    names = sorted(name for name in stated if getattr(derived, name) != getattr(approved, name))
    if same_start and names:
        message = f"the plan states other {', '.join(names)} than Pulumi's saved update plan; nothing was changed"
        raise OrchestratorError("E164", message)
    return derived


def _link(made: Path, target: Path) -> None:
    """Have *made* as *target* too. It stays where it is: a process that takes over asks its finished job once more."""
    new = target.with_name(f"{target.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.hardlink_to(made)
    new.replace(target)
    new.unlink(missing_ok=True)  # the rename of a link to the same file changes nothing


def _forgotten(setting: Setting, wanted: Wanted, spec: StackSpec) -> bool:
    """Whether a rollback cannot say how the stack was defined with the release that it restores."""
    if wanted.action != "rollback" or (wanted.then is not None and wanted.then.definition):
        return False
    mark = mark_of(setting, wanted.environment, wanted.package.digest)
    return mark is None or mark.definition != spec.definition


def _look(
    setting: Setting, wanted: Wanted, known: Inventory | None, context: Context, job: str, emit: Emit
) -> StepResult | None:
    """Ask every host whether it is there, has what is required, and what runs on it."""
    if known is None or not known.hosts:
        return None
    requirements = wanted.package.manifest.release.requirements
    return setting.deployer.require(requirements, known, context, f"{job}.require", emit)


def _base(
    setting: Setting, environment: str, known: Inventory | None, seen: StepResult | None
) -> tuple[HostState, ...]:
    """What runs on each host: what it said itself, else what the journal last knew of it."""
    remembered = {state.host: state.settled for state in setting.store.hosts(environment)}
    told = {host.host: host for host in seen.hosts} if seen else {}
    states = []
    for host in known.hosts if known else ():
        state = remembered.get(host, HostState(host=host, truth="empty"))
        result = told.get(host)
        if result is not None and result.outcome is Outcome.UNKNOWN:
            state = state.model_copy(update={"truth": "unknown"})
        elif result is not None and result.release is not None:
            state = _seen(setting, state, result.release)
        states.append(state.model_copy(update={"serves": ""}))
    return tuple(states)


def _seen(setting: Setting, state: HostState, digest: str) -> HostState:
    """*state*, corrected by the digest that the host itself reported."""
    if state.release is not None and state.release.digest == digest:
        return state.model_copy(update={"truth": "seen"})
    unknown = PackageRef(name="unknown", version="0", digest=digest)
    release = setting.packages.ref(digest) or unknown
    return HostState(host=state.host, truth="seen", release=release).on_side_of(state)


def way_back(setting: Setting, wanted: Wanted) -> WayBack:
    """Where a failure would lead, found out before anything is done."""
    if wanted.action == "rollback":
        return WayBack(reason="this is the way back")
    release = wanted.package.manifest.release
    impossible = tuple(step.name for step in release.steps if step.undo == "impossible")
    last = last_verified(setting, wanted.environment)
    if setting.environment(wanted.environment)[0].ephemeral is not None:
        return WayBack(impossible=impossible, reason="what is made for it is destroyed")
    if last is None:
        return WayBack(impossible=impossible, reason="no release has been verified here yet")
    try:
        setting.packages.fetch(last.release.digest)
    except OrchestratorError as error:
        return WayBack(release=last.release, impossible=impossible, reason=error.message)
    definition = last.definition or None
    return WayBack(release=last.release, definition=definition, available=True, impossible=impossible)


def _with_second_pass(setting: Setting, back: WayBack, survey: Survey, steps: tuple[PlannedStep, ...]) -> WayBack:
    """*back* with what a failure runs on hosts after the infrastructure went back, if this plan changes its definition.

    The hosts are those that *steps* go to; none are named while they are not known.
    """
    stays = survey.stack is None or back.definition in {None, survey.definition}
    if back.release is None or not back.available or stays:
        return back
    manifest = setting.packages.fetch(back.release.digest).manifest
    hosts = tuple(host for step in steps for batch in step.batches or () for host in batch)
    return back.model_copy(update={"again": second_pass(manifest, survey.inventory or Inventory(), hosts)})


def _second_pass(wanted: Wanted, survey: Survey, sides: PlannedSides | None) -> SecondPass | None:
    """What a rollback runs on hosts after the infrastructure was restored; None for a promotion, or if it stays."""
    if wanted.action != "rollback" or survey.stack is None or not survey.stack.changes_something:
        return None
    inventory = survey.inventory or Inventory()
    hosts = tuple(host for host in inventory.hosts if sides is None or host not in sides.left)
    return second_pass(wanted.package.manifest, inventory, hosts)


def left_over(setting: Setting, environment: str, package: Package) -> tuple[str, ...]:
    """The steps that cannot be undone of the releases which took the place of *package*; none where it is not older."""
    older = [mark.release.digest for mark in trail(setting, environment)][1:]
    if package.digest not in older:
        return ()
    begun = present(setting, environment, package)
    return tuple(dict.fromkeys(item.step.name for item in begun if item.step.undo == "impossible"))


def _back(undone: tuple[Begun, ...]) -> WayBack:
    """A rollback has no way back itself; what it cannot undo is said beforehand."""
    gone = tuple(dict.fromkeys(begun.step.name for begun in undone if begun.step.undo == "impossible"))
    return WayBack(impossible=gone, reason="this is the way back")


def _undo(setting: Setting, begun: tuple[Begun, ...], inventory: Inventory | None) -> tuple[PlannedUndo, ...]:
    """The undo playbooks of what was *begun*, on the hosts that are still there."""
    found = []
    for item in begun:
        playbook = item.step.undo
        if inventory is None or playbook in NO_PLAYBOOK:
            continue
        wanted = restrict(inventory, item.step.hosts, item.hosts or tuple(inventory.hosts))
        if wanted:
            play = play_of(item.step).model_copy(update={"playbook": playbook, "limit": wanted})
            found.append(
                undo_with_plays(setting, PlannedUndo(release=item.package.ref, play=play), item.package, inventory)
            )
    return tuple(found)


def _not_previewed(environment: Environment) -> tuple[str, ...]:
    return ("changes on hosts are not previewed (preview: none)",) if environment.preview == "none" else ()


def _notes(environment: Environment, back: WayBack, survey: Survey) -> tuple[str, ...]:
    notes = []
    if back.impossible:
        notes.append(f"point of no return: {', '.join(back.impossible)} cannot be undone")
    rule = environment.ephemeral
    if rule is not None:
        kept = ", where it is kept for a look after a failure" if rule.keep_on_failure else ""
        notes.append(f"{environment.name} is made for this promotion and destroyed after it, within {rule.ttl}{kept}")
    elif back.release is None and back.reason != "this is the way back":
        notes.append("nothing to roll back to: a failure will stop and ask for a person")
    elif back.release is not None and not back.available:
        notes.append(f"the way back to {back.release} is closed: {back.reason}")
    if not environment.rollback.automatic and rule is None:
        notes.append("automatic rollback is switched off for this environment")
    if survey.inventory is None:
        notes.append("the hosts are only known after provisioning")
    if survey.stays:
        notes.append("the infrastructure stays as it is: how it was with that release is not kept here")
    notes += [f"cannot be executed: {text}" for text in survey.unmet]
    if survey.uninspected:
        notes.append(f"cannot be executed: the hosts are unknown: {survey.uninspected}")
    if survey.unreachable:
        notes.append(f"cannot be reached now: {', '.join(survey.unreachable)}")
    return tuple(notes)


def _again(setting: Setting, wanted: Wanted) -> list[str]:
    """That the environment has gone back from this release before."""
    if wanted.action != "promote":
        return []
    before = guard.gone_back_from(setting, wanted.environment).get(wanted.package.digest)
    return [guard.refusal(wanted.environment, before, str(wanted.package.ref)).message] if before else []


def _about_losses(wanted: Wanted, lost: tuple[Loss, ...]) -> list[str]:
    what = "; ".join(map(str, lost))
    if wanted.action == "rollback":
        return [f"the infrastructure stays as it is, and a person is asked: to go back would {what}"] if lost else []
    named = {name for loss in lost for name in (loss.name, loss.urn)}
    strange = [name for name in wanted.named.replace if name not in named]
    notes = [f"no rollback brings back what it does to them: {what}"] if lost else []
    return notes + ([f"named, and neither replaced nor deleted: {', '.join(strange)}"] if strange else [])


# -- the pieces -----------------------------------------------------------------------------------------------------


def _steps(release: Release, action: str) -> tuple[Step, ...]:
    """The release's steps; when it is restored, those which stand for their own undoing."""
    return release.steps if action == "promote" else tuple(step for step in release.steps if step.undo is None)


def _asked_sides(wanted: Wanted, survey: Survey, own: tuple[PlannedGate, ...], aim: Side | None) -> sides.Asked:
    """What a plan asks about the sides of the environment."""
    rule = wanted.package.manifest.release.blue_green
    look = _look_at(rule.look, rule, own) if rule is not None and rule.look is not None else None
    promoting = wanted.action == "promote"
    return sides.Asked(wanted.package, wanted.environment, promoting, survey.inventory, survey.base, look, aim)


def _planned_step(
    step: Step, wanted: Wanted, asked: tuple[PlannedGate, ...], blue_green: PlannedSides | None
) -> PlannedStep:
    """*step* as it is promoted, before its hosts are known; a rollback keeps its batches, order and pause."""
    rollout = step.rollout
    has_sides = rollout.blue_green is not None
    plain = PlannedStep(play=play_of(step), undo=step.undo)
    if wanted.all_at_once:
        return sides.sided(plain, blue_green, of=has_sides)
    seed = digest_of([wanted.package.digest, wanted.environment, step.name]).removeprefix("sha256:")[:16]
    about: dict[str, Any] = {
        "sizes": rollout.batches,
        "pause": seconds(rollout.pause),
        "once": rollout.once,
        "order": rollout.order,
        "seed": seed if rollout.order == "shuffled" else "",
    }
    if wanted.action == "promote":
        canary = _canary(rollout.canary or Canary(), asked) if rollout.strategy == "canary" else None
        about |= {"max_failures": rollout.max_failures, "strategy": rollout.strategy, "canary": canary}
    return sides.sided(plain.model_copy(update=about), blue_green, of=has_sides)


def _refuse_empty(setting: Setting, wanted: Wanted, steps: tuple[PlannedStep, ...], survey: Survey) -> None:
    """Refuse a promotion with a step for which there is no host, also when Pulumi will only make the hosts.

    Raises D101, D102, R170 and R210.
    """
    inventory = survey.inventory
    if inventory is None and survey.stack is not None and survey.stack.inventory is not None:
        inventory = setting.deployer.resolve(survey.stack.inventory)
    if wanted.action != "promote" or inventory is None:
        return
    for step in steps:
        if not step.stacked and not step.cut(inventory):
            raise OrchestratorError("D102", f"the step {step.play.step} has no host: {step.play.hosts!r} means none")


def _canary(canary: Canary, asked: tuple[PlannedGate, ...]) -> PlannedCanary:
    return PlannedCanary(hosts=canary.hosts, look=_look_at(canary.look, canary, asked))


def _look_at(span: str, rule: Canary | BlueGreen, asked: tuple[PlannedGate, ...]) -> PlannedLook:
    gates = (*_gates(rule.gates), *asked)
    return PlannedLook(seconds=seconds(span), every=seconds(rule.every), gates=gates, flaky=rule.flaky)


def _gates(gates: tuple[Gate, ...]) -> tuple[PlannedGate, ...]:
    """The gates of a release; a suite gets a name that no suite of `verify` can have."""
    return tuple(
        PlannedGate(gate=gate, suite=suite_of(f"gate.{gate.name}", gate.tests, gate.timeout) if gate.tests else None)
        for gate in gates
    )


def _asked(plan: Plan) -> list[PlannedGate]:
    """Every gate that is asked: of canaries, of a side, and of the watch."""
    asked = [gate for step in plan.steps if step.canary is not None for gate in step.canary.look.gates]
    look = plan.blue_green.look if plan.blue_green is not None else None
    asked += list(look.gates) if look is not None else []
    return asked + (list(plan.watch.gates) if plan.watch is not None else [])


def _askable(setting: Setting, wanted: Wanted, plan: Plan) -> None:
    """See that secrets and certificates that gates name are on this machine. Raises E160 and E161."""
    context = context_of(setting, wanted.environment, "plan", Outputs({}), wanted.fence)
    for gate in _asked(plan):
        setting.gates.check(gate, wanted.package, context)


def _fillable(setting: Setting, wanted: Wanted, plan: Plan, inventory: Inventory) -> None:
    """See that every variable that a gate or the probe names is there. Raises V142."""
    asked = [gate.gate for gate in _asked(plan)]
    found: list[Gate | Probe] = [*asked, *([plan.probe] if plan.probe is not None else [])]
    if found:
        outputs = outputs_of(setting, wanted.environment)
        context = context_of(setting, wanted.environment, "plan", outputs, wanted.fence)
        for item in found:
            fillable(item, wanted.package, inventory, context)


def _rehearsed(
    setting: Setting, wanted: Wanted, back: WayBack, base: tuple[HostState, ...]
) -> tuple[bool, tuple[str, ...]]:
    """Whether the way back is walked before the release stays; when the files want it and it cannot be, a note why.

    Raises R183 when it was asked for by name and cannot be.
    """
    environment, release = setting.environment(wanted.environment)[0], wanted.package.manifest.release
    first = next((name for name in setting.environments if name in release.environments), "")
    asked = environment.rehearse or (release.rehearse and first == environment.name)
    if wanted.action != "promote" or not (asked or wanted.rehearse):
        return False, ()
    why = obstacle(wanted.package.ref, back, base)
    if why is None:
        return True, ()
    if wanted.rehearse:
        raise OrchestratorError("R183", f"{wanted.package.ref} cannot be rehearsed in {environment.name}: {why}")
    again = back.release is not None and back.release.digest == wanted.package.digest
    return False, () if again else (f"not rehearsed: {why}",)


def _own_gates(environment: Environment) -> tuple[PlannedGate, ...]:
    """The gates of the environment itself, which every release has to pass."""
    return tuple(PlannedGate(gate=gate, own=True) for gate in environment.gates)


def suite_of(name: str, tests: str, timeout: str, args: tuple[str, ...] = (), flaky: Flaky | None = None) -> SuiteSpec:
    """A suite as a value, with its time limit in seconds."""
    return SuiteSpec(name=name, tests=tests, args=args, timeout=seconds(timeout), flaky=flaky)


def suites_of(release: Release) -> tuple[SuiteSpec, ...]:
    """The release's own suites."""
    return tuple(suite_of(item.name, item.tests, item.timeout, item.args, item.flaky) for item in release.verify)


def _watch(release: Release, asked: tuple[PlannedGate, ...]) -> PlannedWatch | None:
    watch = release.watch
    if watch is None:
        return None
    return PlannedWatch(
        seconds=seconds(watch.duration),
        every=seconds(watch.every),
        suite=suite_of("watch", watch.tests, "10m", flaky=watch.flaky) if watch.tests is not None else None,
        gates=(*_gates(watch.gates), *asked),
        flaky=watch.flaky,
    )


def _all_checked(
    setting: Setting, wanted: Wanted, steps: tuple[PlannedStep, ...], survey: Survey, job: str, emit: Emit
) -> tuple[PlannedStep, ...]:
    """*steps* with what Ansible's check mode says of each, where that is wanted and the hosts are known."""
    preview = setting.environment(wanted.environment)[0].preview
    if not wanted.check or preview == "none" or survey.inventory is None or survey.full is None:
        return steps
    return tuple(_checked(setting, wanted, step, survey.full, job, emit) for step in steps)


def _checked(
    setting: Setting, wanted: Wanted, step: PlannedStep, inventory: Inventory, job: str, emit: Emit
) -> PlannedStep:
    hosts = tuple(host for batch in step.batches or () for host in batch)
    outputs = outputs_of(setting, wanted.environment)
    context = context_of(setting, wanted.environment, job, outputs, wanted.fence)
    play = step.play.model_copy(update={"limit": hosts})
    preview = setting.deployer.check(play, wanted.package, inventory, context, f"{job}.{step.play.step}", emit)
    return step.model_copy(update={"preview": preview})


def summary(plan: Plan) -> str:
    """The plan in one line."""
    counts = plan.stack.counts if plan.stack else {}
    changes = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()) if op != "same") or "no changes"
    hosts = counted(len(plan.inventory.hosts), "host") if plan.inventory else "hosts known after provisioning"
    return f"{changes} in the stack, {counted(len(plan.steps), 'step')} on {hosts}"
