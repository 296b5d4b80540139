"""Plan: the plan that a run executes, made now or approved before, as the package `planning` makes it."""

from functools import partial

from orchestrator.domain.configuration import decides_nothing
from orchestrator.domain.effects import NOTHING
from orchestrator.domain.journal import PROMOTION_KINDS, Entry
from orchestrator.domain.plan import Plan, differences, held
from orchestrator.domain.release import Package
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import PlanSettled
from orchestrator.flow import guard, observe
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect.release_history import RestorePoint
from orchestrator.planning import sides
from orchestrator.planning.make import make
from orchestrator.planning.notes import plan_summary
from orchestrator.planning.plan_store import load_plan, save
from orchestrator.planning.refusal import start_refusal
from orchestrator.planning.survey import PlanRequest
from orchestrator.ports import Emit


def resolve_plan(ctx: RunContext) -> None:
    """Make the plan of this run; when a plan was approved, check that it still holds, and take that one."""
    run, services = ctx.run, ctx.services
    if run.release is None:
        raise RuntimeError("a promotion without a release")
    digest = run.release.digest

    def work(job: str, emit: Emit) -> StepResult:
        guard.record_passed(ctx, emit)
        held_back = guard.promotion_refusal(ctx, emit)
        if held_back is not None:
            return StepResult(outcome=Outcome.FAILED, message=held_back.message, data={"code": held_back.code})
        approved = load_plan(services, ctx.approved) if ctx.approved else None
        now = make(services, _wanted(ctx, services.packages.fetch(digest), approved), job, emit)
        why = start_refusal(now)
        if why is not None:
            return StepResult(outcome=Outcome.FAILED, message=why.message, data={"code": why.code})
        _warn_of_controller(approved, now, emit)
        if approved is None:
            save(services, now)
            return StepResult(
                outcome=Outcome.SUCCEEDED, message=plan_summary(now), data=PlanSettled(plan=now.digest).to_json()
            )
        return _compared(ctx, approved, now)

    result = ctx.must("plan", "plan", work, may_change=NOTHING, verb="plan")
    ctx.plan = load_plan(services, PlanSettled.read(result).plan)
    sided = ctx.plan.blue_green
    ctx.services = sides.for_side(services, run.environment, (sided.to or sided.live) if sided is not None else None)
    ctx.forget_outputs()
    ctx.note(_planned(ctx.plan))
    ctx.recheck = partial(_recheck, ctx)


def _compared(ctx: RunContext, approved: Plan, now: Plan) -> StepResult:
    """The *approved* plan if it holds; otherwise what has changed, with the plan that is made *now*."""
    result = compare_plans(approved, now)
    if result.good or ctx.run.kind not in PROMOTION_KINDS:
        return result
    save(ctx.services, now)  # what a request for this promotion is approved by next
    return result.model_copy(update={"data": {**result.data, "now": now.digest}})


def _recheck(ctx: RunContext, job: str, emit: Emit) -> StepResult | None:
    """Make the plan again after the run was held: None if it is the same, or what has changed. Nothing is done."""
    plan = ctx.pinned_plan()
    held_back = guard.promotion_refusal(ctx, emit)
    if held_back is not None:
        data = {"code": held_back.code, "untouched": True}
        return StepResult(outcome=Outcome.FAILED, message=held_back.message, data=data)
    now = make(ctx.services, _wanted(ctx, ctx.services.packages.fetch(plan.release.digest), plan), job, emit)
    why = start_refusal(now)
    refused = why and StepResult(outcome=Outcome.FAILED, message=why.message, data={"code": why.code})
    result = refused or _compared(ctx, plan, now)
    return None if result.good else result.model_copy(update={"data": {**result.data, "untouched": True}})


def _wanted(ctx: RunContext, package: Package, approved: Plan | None) -> PlanRequest:
    """The request for the plan of this run, with what was acknowledged in the *approved* plan if there is one."""

    def on_inspected(seen: StepResult) -> None:
        observe.reconcile(ctx, seen)

    return PlanRequest(
        package,
        ctx.run.environment,
        "rollback" if ctx.run.kind == "rollback" else "promote",
        approved=approved,
        fence=ctx.fence,
        skip_irreversible=approved.skip_irreversible if approved is not None else False,
        all_at_once=approved.all_at_once if approved is not None else ctx.run.kind == "rollback",
        named=approved.acknowledgements if approved is not None else ctx.acknowledgements,
        then=_restore_point(approved),
        rehearse=ctx.run.kind == "rehearsal",
        on_inspected=on_inspected,
    )


def _warn_of_controller(approved: Plan | None, now: Plan, emit: Emit) -> None:
    """Report what is set on this controller and not passed on, where the *approved* plan does not report it."""
    known = approved.notes if approved is not None else now.notes
    for note in now.notes:
        if decides_nothing(note) and note not in known:
            emit(Entry(kind="notice", data={"level": "warning", "text": note}))


def _planned(plan: Plan) -> Entry:
    """What the journal records of a plan."""
    sided = plan.blue_green
    data = {
        "plan": plan.digest,
        "rollback_target": plan.rollback_target.to_json(),
        "notes": list(plan.notes),
        "losses": [loss.to_json() for loss in plan.losses],
        "acknowledgements": plan.acknowledgements.to_json(),
        "ephemeral": plan.ephemeral is not None,
        "steps": [step.play.step for step in plan.steps],
        "verify": [suite.name for suite in plan.verify],
        "watch": plan.watch is not None,
        "rehearse": plan.rehearse,
        **({"blue_green": {"live": sided.live, "to": sided.to}} if sided is not None else {}),
    }
    return Entry(kind="planned", data=data, key="planned")


def _restore_point(approved: Plan | None) -> RestorePoint | None:
    if approved is None or approved.at is None:
        return None
    return RestorePoint(approved.at, approved.release, approved.definition)


def compare_plans(approved: Plan, now: Plan) -> StepResult:
    """The approved plan if everything that it depends on is unchanged; otherwise what has changed, by name."""
    changed = differences(approved, held(approved, now))
    if not changed:
        data = PlanSettled(plan=approved.digest).to_json()
        return StepResult(outcome=Outcome.SUCCEEDED, message="the approved plan holds", data=data)
    message = f"since the plan was made, this has changed: {', '.join(changed)}"
    return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R120", "changed": changed})
