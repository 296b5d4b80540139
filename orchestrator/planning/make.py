"""Make a plan: survey, rollback target, steps, conditions and notes, in this order. Nothing is changed."""

from dataclasses import replace

from orchestrator.domain.plan import Plan, PlannedArtifact, PlannedGate
from orchestrator.domain.release import Release
from orchestrator.domain.sides import Side
from orchestrator.inspect import observed, tokens
from orchestrator.inspect.release_history import steps_to_undo
from orchestrator.planning import conditions, sides
from orchestrator.planning.admission import check_admissible
from orchestrator.planning.configuration import configuration_of
from orchestrator.planning.credentials import missing_after, missing_before
from orchestrator.planning.draft import Draft
from orchestrator.planning.gates import check_gates, check_variables
from orchestrator.planning.masking import masked_plan
from orchestrator.planning.notes import with_notes
from orchestrator.planning.plays import sides_with_plays, with_plays
from orchestrator.planning.rehearsal import rehearsed
from orchestrator.planning.rollback_target import (
    find_rollback_target,
    irreversible,
    left_alone,
    left_over,
    planned_reversals,
    planned_undos,
    rollback_second_pass,
    with_second_pass,
)
from orchestrator.planning.steps import (
    all_checked,
    observation_of,
    own_gates,
    planned_implementations,
    planned_step,
    refuse_empty,
    steps_of,
    suites_of,
    watch_of,
)
from orchestrator.planning.survey import PlanRequest, Survey, make_survey, no_survey
from orchestrator.ports import Emit
from orchestrator.services import Services


def make(services: Services, wanted: PlanRequest, job: str, emit: Emit) -> Plan:
    """The plan for *wanted*. Changes nothing. Raises R-codes when it may not be, E- and D-codes when it cannot be."""
    environment, _ = services.environment(wanted.environment)
    check_admissible(services, wanted, environment)
    target_side = sides.target_side(services, wanted.environment)
    services = sides.for_side(services, wanted.environment, target_side)
    missing = missing_before(services, wanted)
    survey = no_survey(services, wanted) if missing else make_survey(services, wanted, job, emit)
    draft = _drafted(services, wanted, survey, target_side)
    draft = _with_steps(services, wanted, draft, job, emit)
    draft = with_notes(services, wanted, _with_conditions(services, wanted, draft, job, emit))
    plan = _with_survey(_plan(services, wanted, draft), draft.survey)
    check_gates(services, wanted, plan)
    _refuse_behind(plan, draft.survey)
    missing += missing_after(services, wanted, plan, draft.survey)
    plan = plan.model_copy(update={"missing_credentials": missing})
    if draft.survey.full is not None:
        check_variables(services, wanted, plan, draft.survey.full)
    return masked_plan(services, _blocked(plan))


def _refuse_behind(plan: Plan, survey: Survey) -> None:
    """Refuse a plan that is blocked by hosts whose fencing tokens are too far ahead of ours. Raises D183."""
    for host in plan.blocking:
        if (result := survey.refusing.get(host)) is not None:
            raise tokens.token_refusal(plan.environment, result)


def _drafted(services: Services, wanted: PlanRequest, survey: Survey, target_side: Side | None) -> Draft:
    """What follows from the *survey*: the rollback target, what is undone, and the sides. Raises R-codes.

    *target_side* is the side whose stack was inspected.
    """
    environment, _ = services.environment(wanted.environment)
    silent = [host for host in survey.unreachable if host not in survey.refusing]
    observed.refuse_unknown(services, wanted.environment, silent, _restored(wanted, survey))
    undone = steps_to_undo(services, wanted.environment, wanted.package) if wanted.action == "rollback" else ()
    rollback_target = irreversible(undone) if wanted.action == "rollback" else find_rollback_target(services, wanted)
    own = own_gates(environment)
    side_query = _side_query(wanted, survey, own, target_side)
    blue_green = sides.planned(side_query)
    if target_side is not None and blue_green is not None and blue_green.to != target_side:
        survey = replace(survey, stack=None, losses=())  # of the side that stays as it is
    return Draft(environment, survey, undone, rollback_target, own, blue_green, side_query)


def _with_steps(services: Services, wanted: PlanRequest, draft: Draft, job: str, emit: Emit) -> Draft:
    """*draft* with its steps, and with what runs on hosts after the infrastructure is restored."""
    survey, package = draft.survey, wanted.package
    steps = tuple(
        with_plays(services, planned_step(step, wanted, draft.own, draft.blue_green), package, survey.inventory)
        for step in steps_of(package.manifest.release, wanted.action)
    )
    refuse_empty(services, wanted, steps, survey)
    steps = all_checked(services, wanted, steps, survey, f"{job}.check", emit)
    return replace(draft, steps=steps, rollback_target=with_second_pass(services, draft.rollback_target, survey, steps))


def _with_conditions(services: Services, wanted: PlanRequest, draft: Draft, job: str, emit: Emit) -> Draft:
    """*draft* with whether it is rehearsed, and with what the environment requires of a promotion."""
    rehearse, notes = rehearsed(services, wanted, draft.rollback_target, draft.survey.current_hosts)
    promoting = wanted.action == "promote"
    looks = promoting and not draft.survey.is_missing
    found = conditions.check_conditions(services, wanted.environment, wanted.package, job, emit) if looks else ()
    return replace(draft, rehearse=rehearse, conditions=found, notes=notes)


def _plan(services: Services, wanted: PlanRequest, draft: Draft) -> Plan:
    """The plan of *draft*, without what the survey found of stack and hosts."""
    environment, release, survey = draft.environment, wanted.package.manifest.release, draft.survey
    promoting = wanted.action == "promote"
    return Plan(
        action="promote" if promoting else "rollback",
        at=wanted.then.at if wanted.then else None,
        project=services.project.name,
        environment=wanted.environment,
        release=wanted.package.ref,
        points_of_no_return=draft.rollback_target.impossible,
        acknowledgements=wanted.named,
        definition=survey.definition,
        project_definition=services.definition or None,
        after=environment.after,
        requirements=release.requirements,
        undo=planned_undos(services, draft.undone, survey.inventory),
        reversals=planned_reversals(draft.undone, survey.inventory),
        steps=draft.steps,
        implementations=planned_implementations(release) if promoting else (),
        blue_green=sides_with_plays(services, draft.blue_green, wanted.package, survey.inventory, survey.current_hosts),
        verify=suites_of(release),
        artifacts=_artifacts(release),
        rehearse=draft.rehearse,
        watch=watch_of(release, draft.own) if promoting else None,
        probe=environment.probe or release.probe,
        rollback_target=draft.rollback_target,
        automatic_rollback=environment.rollback.automatic,
        ephemeral=environment.ephemeral,
        skip_irreversible=wanted.skip_irreversible,
        crossed=left_over(services, wanted.environment, wanted.package) if promoting else (),
        all_at_once=wanted.all_at_once,
        second_pass=rollback_second_pass(wanted, survey, draft.blue_green),
        skipped=() if promoting else left_alone(wanted.package, draft.undone),
        conditions=draft.conditions,
        configuration=None
        if survey.is_missing
        else configuration_of(services, wanted.package, environment, wanted.approved),
        notes=draft.notes,
        created_at=services.clock.now(),
    )


def _with_survey(plan: Plan, survey: Survey) -> Plan:
    """*plan* with what the survey found of stack and hosts."""
    return plan.model_copy(
        update={
            "losses": survey.losses,
            "stack": survey.stack,
            "inventory": survey.inventory,
            "inventory_digest": survey.full.digest if survey.full else None,
            "current_hosts": survey.current_hosts,
            "unmet": survey.unmet,
            "checked": survey.checked,
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


def _restored(wanted: PlanRequest, survey: Survey) -> tuple[str, ...]:
    """The hosts that a rollback restores; none for a promotion."""
    if wanted.action != "rollback" or survey.inventory is None:
        return ()
    steps = steps_of(wanted.package.manifest.release, wanted.action)
    return tuple(host for step in steps for host in survey.inventory.select(step.hosts))


def _side_query(
    wanted: PlanRequest, survey: Survey, own: tuple[PlannedGate, ...], target_side: Side | None
) -> sides.BlueGreenQuery:
    """The query of a plan about the sides of the environment."""
    rule = wanted.package.manifest.release.blue_green
    observation = observation_of(rule.observe, rule, own) if rule is not None and rule.observe is not None else None
    promoting = wanted.action == "promote"
    return sides.BlueGreenQuery(
        wanted.package, wanted.environment, promoting, survey.inventory, survey.current_hosts, observation, target_side
    )
