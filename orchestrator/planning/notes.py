"""The notes of a plan, and its summary in one line."""

from dataclasses import replace

from orchestrator.domain.environment import Environment
from orchestrator.domain.plan import Loss, Plan, RollbackTarget
from orchestrator.domain.text import counted
from orchestrator.planning import conditions, guard, sides
from orchestrator.planning.draft import Draft
from orchestrator.planning.survey import PlanRequest, Survey
from orchestrator.services import Services


def with_notes(services: Services, wanted: PlanRequest, draft: Draft) -> Draft:
    """*draft* with all notes; so far it has those about the rehearsal."""
    notes = (
        *_notes(draft.environment, draft.rollback_target, draft.survey),
        *_not_previewed(draft.environment),
        *_about_losses(wanted, draft.survey.losses),
        *_rolled_back_note(services, wanted),
        *sides.side_notes(draft.blue_green, draft.side_query),
        *draft.notes,
        *conditions.condition_notes(draft.conditions),
        *services.deployer.unused_settings(wanted.package, draft.environment.settings),
        *(services.provisioner.unused_settings(draft.environment.pulumi) if draft.survey.stack is not None else ()),
    )
    return replace(draft, notes=notes)


def _not_previewed(environment: Environment) -> tuple[str, ...]:
    return ("changes on hosts are not previewed (preview: none)",) if environment.preview == "none" else ()


def _notes(environment: Environment, target: RollbackTarget, survey: Survey) -> tuple[str, ...]:
    notes = []
    if target.impossible:
        notes.append(f"point of no return: {', '.join(target.impossible)} cannot be undone")
    rule = environment.ephemeral
    if rule is not None:
        kept = ", and kept for inspection after a failure" if rule.keep_on_failure else ""
        notes.append(f"{environment.name} is made for this promotion and destroyed after it, within {rule.ttl}{kept}")
    elif target.release is None and target.reason != "this is a rollback":
        notes.append("nothing to roll back to: if this run fails, it stops and needs manual intervention")
    elif target.release is not None and not target.available:
        notes.append(f"{target.release} is not available as rollback target: {target.reason}")
    if not environment.rollback.automatic and rule is None:
        notes.append("automatic rollback is switched off for this environment")
    notes += _not_known(survey)
    if survey.stays:
        notes.append("the infrastructure stays as it is: its definition of that release is not kept here")
    notes += [f"cannot be executed: {text}" for text in survey.unmet]
    if survey.uninspected:
        notes.append(f"cannot be executed: the hosts are unknown: {survey.uninspected}")
    if survey.unreachable:
        notes.append(f"cannot be reached: {', '.join(survey.unreachable)}")
    return tuple(notes)


def _not_known(survey: Survey) -> list[str]:
    if survey.is_missing:
        return ["stack, hosts, conditions and configuration are unknown: credentials are missing"]
    return ["the hosts are only known after provisioning"] if survey.inventory is None else []


def _rolled_back_note(services: Services, wanted: PlanRequest) -> list[str]:
    """The note that this release was rolled back in the environment before."""
    if wanted.action != "promote":
        return []
    digest = wanted.package.digest
    before = guard.rolled_back_by(services, wanted.environment, digest)
    return [guard.rolled_back_refusal(wanted.environment, before, str(wanted.package.ref)).message] if before else []


def _about_losses(wanted: PlanRequest, lost: tuple[Loss, ...]) -> list[str]:
    what = "; ".join(map(str, lost))
    if wanted.action == "rollback":
        return (
            [f"the infrastructure stays as it is, and the run needs manual intervention: a rollback would {what}"]
            if lost
            else []
        )
    named = {name for loss in lost for name in (loss.name, loss.urn)}
    strange = [name for name in wanted.named.replace if name not in named]
    notes = [f"no rollback restores what it changes on them: {what}"] if lost else []
    return notes + ([f"named, and neither replaced nor deleted: {', '.join(strange)}"] if strange else [])


def plan_summary(plan: Plan) -> str:
    """The plan in one line."""
    counts = plan.stack.counts if plan.stack else {}
    changes = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()) if op != "same") or "no changes"
    hosts = counted(len(plan.inventory.hosts), "host") if plan.inventory else "hosts known after provisioning"
    return f"{changes} in the stack, {counted(len(plan.steps), 'step')} on {hosts}"
