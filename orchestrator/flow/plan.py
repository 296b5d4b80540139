"""Plan: what a promotion would do, made by asking everything that can be asked without changing anything."""

from dataclasses import dataclass, replace

from orchestrator.domain.configuration import decides_nothing
from orchestrator.domain.context import Outputs
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.filling import fillable
from orchestrator.domain.gate import Gate, Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import (
    Condition,
    HostState,
    Loss,
    Plan,
    PlannedArtifact,
    PlannedGate,
    PlannedSides,
    PlannedStep,
    PlannedUndo,
    SecondPass,
    SkippedStep,
    WayBack,
    differences,
    held,
    play_of,
)
from orchestrator.domain.release import Package, Release
from orchestrator.domain.sides import Side
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import counted
from orchestrator.flow import conditions, guard, observe, sides, tokens
from orchestrator.flow.configuration import configuration_of
from orchestrator.flow.course import Course, Setting, context_of, outputs_of
from orchestrator.flow.evidence import obstacle
from orchestrator.flow.kept_plans import load, save
from orchestrator.flow.plan_masking import masked_plan
from orchestrator.flow.planned_steps import (
    all_checked,
    look_at,
    own_gates,
    planned_step,
    refuse_empty,
    steps_of,
    suites_of,
    watch_of,
)
from orchestrator.flow.plays import NO_PLAYBOOK, sides_with_plays, undo_with_plays, with_plays
from orchestrator.flow.request import allow
from orchestrator.flow.second_pass import restrict, second_pass
from orchestrator.flow.skipped_steps import not_run_again, not_undone
from orchestrator.flow.survey import Survey, Wanted, make_survey
from orchestrator.flow.trail import Begun, Then, last_verified, present, trail
from orchestrator.ports import Emit


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
        if decides_nothing(note) and note not in known:
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
        return OrchestratorError("D107", f"cannot be reached: {', '.join(plan.blocking)}; nothing was changed")
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


@dataclass(frozen=True)
class _Draft:
    """What a plan is made of, as far as it is found.

    *own* are the gates of the environment, *undone* what a rollback takes back, *asked_sides* what was asked about the
    sides, *notes* what is to be said about all that.
    """

    environment: Environment
    survey: Survey
    undone: tuple[Begun, ...]
    back: WayBack
    own: tuple[PlannedGate, ...]
    blue_green: PlannedSides | None
    asked_sides: sides.Asked
    steps: tuple[PlannedStep, ...] = ()
    rehearse: bool = False
    conditions: tuple[Condition, ...] = ()
    notes: tuple[str, ...] = ()


def make(setting: Setting, wanted: Wanted, job: str, emit: Emit) -> Plan:
    """The plan for *wanted*. Changes nothing. Raises R-codes when it may not be, E- and D-codes when it cannot be."""
    environment, _ = setting.environment(wanted.environment)
    _admit(setting, wanted, environment)
    aim = sides.aim(setting, wanted.environment)
    setting = sides.aimed(setting, wanted.environment, aim)
    draft = _drafted(setting, wanted, make_survey(setting, wanted, job, emit), aim)
    draft = _with_steps(setting, wanted, draft, job, emit)
    draft = _with_notes(setting, wanted, _with_conditions(setting, wanted, draft, job, emit))
    plan = _with_survey(_plan(setting, wanted, draft), draft.survey)
    _askable(setting, wanted, plan)
    _refuse_behind(plan, draft.survey)
    if draft.survey.full is not None:
        _fillable(setting, wanted, plan, draft.survey.full)
    return masked_plan(setting, _blocked(plan))


def _refuse_behind(plan: Plan, survey: Survey) -> None:
    """Refuse a plan that is blocked by hosts whose fencing tokens are too far ahead of ours. Raises D183."""
    for host in plan.blocking:
        if (result := survey.refusing.get(host)) is not None:
            raise tokens.refusal(plan.environment, result)


def _drafted(setting: Setting, wanted: Wanted, survey: Survey, aim: Side | None) -> _Draft:
    """What follows from the *survey*: the way back, what is undone, and the sides. Raises R-codes.

    *aim* is the side whose stack was looked at.
    """
    environment, _ = setting.environment(wanted.environment)
    silent = [host for host in survey.unreachable if host not in survey.refusing]
    observe.refuse_unknown(setting, wanted.environment, silent, _restored(wanted, survey))
    undone = present(setting, wanted.environment, wanted.package) if wanted.action == "rollback" else ()
    back = _back(undone) if wanted.action == "rollback" else way_back(setting, wanted)
    own = own_gates(environment)
    asked_sides = _asked_sides(wanted, survey, own, aim)
    blue_green = sides.planned(asked_sides)
    if aim is not None and blue_green is not None and blue_green.to != aim:
        survey = replace(survey, stack=None, losses=())  # of the side that stays as it is
    return _Draft(environment, survey, undone, back, own, blue_green, asked_sides)


def _with_steps(setting: Setting, wanted: Wanted, draft: _Draft, job: str, emit: Emit) -> _Draft:
    """*draft* with its steps, and with what runs on hosts after an infrastructure that goes back."""
    survey, package = draft.survey, wanted.package
    steps = tuple(
        with_plays(setting, planned_step(step, wanted, draft.own, draft.blue_green), package, survey.inventory)
        for step in steps_of(package.manifest.release, wanted.action)
    )
    refuse_empty(setting, wanted, steps, survey)
    steps = all_checked(setting, wanted, steps, survey, f"{job}.check", emit)
    return replace(draft, steps=steps, back=_with_second_pass(setting, draft.back, survey, steps))


def _with_conditions(setting: Setting, wanted: Wanted, draft: _Draft, job: str, emit: Emit) -> _Draft:
    """*draft* with whether it is rehearsed, and with what the environment requires of a promotion."""
    rehearse, notes = _rehearsed(setting, wanted, draft.back, draft.survey.base)
    promoting = wanted.action == "promote"
    asked = conditions.ask(setting, wanted.environment, wanted.package, job, emit) if promoting else ()
    return replace(draft, rehearse=rehearse, conditions=asked, notes=notes)


def _with_notes(setting: Setting, wanted: Wanted, draft: _Draft) -> _Draft:
    """*draft* with all notes; so far it has those about the rehearsal."""
    notes = (
        *_notes(draft.environment, draft.back, draft.survey),
        *_not_previewed(draft.environment),
        *_about_losses(wanted, draft.survey.losses),
        *_again(setting, wanted),
        *sides.notes(draft.blue_green, draft.asked_sides),
        *draft.notes,
        *conditions.notes(draft.conditions),
        *setting.deployer.unused_settings(wanted.package, draft.environment.settings),
        *(setting.provisioner.unused_settings(draft.environment.pulumi) if draft.survey.stack is not None else ()),
    )
    return replace(draft, notes=notes)


def _plan(setting: Setting, wanted: Wanted, draft: _Draft) -> Plan:
    """The plan of *draft*, without what the survey found of stack and hosts."""
    environment, release, survey = draft.environment, wanted.package.manifest.release, draft.survey
    promoting = wanted.action == "promote"
    return Plan(
        action="promote" if promoting else "rollback",
        at=wanted.then.at if wanted.then else None,
        project=setting.project.name,
        environment=wanted.environment,
        release=wanted.package.ref,
        points_of_no_return=draft.back.impossible,
        named=wanted.named,
        definition=survey.definition,
        after=environment.after,
        requirements=release.requirements,
        undo=_undo(setting, draft.undone, survey.inventory),
        steps=draft.steps,
        blue_green=sides_with_plays(setting, draft.blue_green, wanted.package, survey.inventory, survey.base),
        verify=suites_of(release),
        artifacts=_artifacts(release),
        rehearse=draft.rehearse,
        watch=watch_of(release, draft.own) if promoting else None,
        probe=environment.probe or release.probe,
        back=draft.back,
        automatic_rollback=environment.rollback.automatic,
        ephemeral=environment.ephemeral,
        no_return=wanted.no_return,
        crossed=left_over(setting, wanted.environment, wanted.package) if promoting else (),
        all_at_once=wanted.all_at_once,
        again=_second_pass(wanted, survey, draft.blue_green),
        skipped=() if promoting else _skipped(wanted.package, draft.undone),
        conditions=draft.conditions,
        configuration=configuration_of(setting, wanted.package, environment, wanted.approved),
        notes=draft.notes,
        created_at=setting.clock.now(),
    )


def _with_survey(plan: Plan, survey: Survey) -> Plan:
    """*plan* with what the survey found of stack and hosts."""
    return plan.model_copy(
        update={
            "losses": survey.losses,
            "stack": survey.stack,
            "inventory": survey.inventory,
            "inventory_digest": survey.full.digest if survey.full else None,
            "base": survey.base,
            "unmet": survey.unmet,
            "unreachable": survey.unreachable,
            "uninspected": survey.uninspected,
        }
    )


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
        raise OrchestratorError("R134", f"{environment.name} is made for each promotion: there is no rollback target")


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


def _restored(wanted: Wanted, survey: Survey) -> tuple[str, ...]:
    """The hosts that a rollback puts back; none for a promotion."""
    if wanted.action != "rollback" or survey.inventory is None:
        return ()
    steps = steps_of(wanted.package.manifest.release, wanted.action)
    return tuple(host for step in steps for host in survey.inventory.select(step.hosts))


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
        back = setting.packages.fetch(last.release.digest)
    except OrchestratorError as error:
        return WayBack(release=last.release, impossible=impossible, reason=error.message)
    return WayBack(
        release=last.release,
        definition=last.definition or None,
        available=True,
        impossible=impossible,
        skipped=(
            *not_undone(wanted.package.ref, ((step.name, step.undo) for step in reversed(release.steps))),
            *not_run_again(last.release, back.manifest.release.steps),
        ),
    )


def _skipped(package: Package, undone: tuple[Begun, ...]) -> tuple[SkippedStep, ...]:
    """The steps that a rollback to *package* neither undoes nor runs again, of all that is *undone*."""
    left = [kept for item in undone for kept in not_undone(item.package.ref, [(item.step.name, item.step.undo)])]
    return tuple(dict.fromkeys((*left, *not_run_again(package.ref, package.manifest.release.steps))))


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
        notes.append("nothing to roll back to: if this run fails, it stops and needs manual intervention")
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
        notes.append(f"cannot be reached: {', '.join(survey.unreachable)}")
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


def _asked_sides(wanted: Wanted, survey: Survey, own: tuple[PlannedGate, ...], aim: Side | None) -> sides.Asked:
    """What a plan asks about the sides of the environment."""
    rule = wanted.package.manifest.release.blue_green
    look = look_at(rule.look, rule, own) if rule is not None and rule.look is not None else None
    promoting = wanted.action == "promote"
    return sides.Asked(wanted.package, wanted.environment, promoting, survey.inventory, survey.base, look, aim)


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


def summary(plan: Plan) -> str:
    """The plan in one line."""
    counts = plan.stack.counts if plan.stack else {}
    changes = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()) if op != "same") or "no changes"
    hosts = counted(len(plan.inventory.hosts), "host") if plan.inventory else "hosts known after provisioning"
    return f"{changes} in the stack, {counted(len(plan.steps), 'step')} on {hosts}"
