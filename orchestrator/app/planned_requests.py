"""Run requests for plans that were made before: by a command that has just made one, or by a server that found it."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import partial, reduce
from typing import TYPE_CHECKING, TypedDict

from orchestrator import tracing
from orchestrator.app.request_duties import Shows, shown_plan
from orchestrator.app.run_requests import request_promotion
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.approval.policy import Requirement, stricter
from orchestrator.domain.approval.requests import Rollout, RunRequest
from orchestrator.domain.journal import DEFAULT_QUEUE, run_id
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.plan import Plan
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.domain.wave_plan import WavePlan

if TYPE_CHECKING:
    from orchestrator.app.application import Application


@dataclass(frozen=True)
class RequestOptions:
    """How a promotion is requested, besides its plan.

    *reason* and *incident* are of an emergency. *allow_rolled_back* is the reason to promote a release that was rolled
    back, *overrun* the reason to exceed a window. With *next_window* it starts when the environment opens next.
    *root* is that of its run, for a caller who checks whether it was recorded; empty: a new one.
    """

    kind: ChangeKind = ChangeKind.NORMAL
    reason: str = ""
    incident: str = ""
    start: datetime | None = None
    next_window: bool = False
    allow_rolled_back: str = ""
    overrun: str = ""
    queue: str = DEFAULT_QUEUE
    rehearsal: bool = False
    root: str = ""


def request_planned(
    app: "Application", actor: Actor, plan: Plan | WavePlan, how: RequestOptions, shows: Shows
) -> RunRequest:
    """Record the request of *actor* for *plan*, which approvers see as *shows* writes it.

    Of a promotion in waves the request is for the plan over all of its environments. Raises the reason why a plan
    cannot be executed, R203, P301 if its package was removed meanwhile, and what `request_promotion` raises.
    """
    for part in _parts(plan):
        app.plans.require_executable(actor, part)
        if not how.rehearsal:
            app.refuse_rolled_back(part, how.allow_rolled_back)
    shown = shown_plan(shows, plan)
    drafted = _draft(app, actor, plan, shown.digest, how)
    supersede = app.require_environment(drafted.first[0])[0].queue.supersede
    kept, rules = partial(app.require_package, plan.release), app.request_rules()
    return request_promotion(app.acting_as(actor), drafted, shown, rules, supersede=supersede, require_package=kept)


def _parts(plan: Plan | WavePlan) -> list[Plan]:
    """The plans of the environments that *plan* changes."""
    return [plan] if isinstance(plan, Plan) else [item.plan for item in plan.planned if item.plan is not None]


def _draft(app: "Application", actor: Actor, plan: Plan | WavePlan, rendered: str, how: RequestOptions) -> RunRequest:
    """The request for *plan* with its risk; of several environments the highest one, and the requirement of each."""
    plans, name, rules = _parts(plan), plan.release.name, app.request_rules()
    risk = max((app.plans.risk(actor, part) for part in plans), key=lambda found: found.score)
    needed = {p.environment: rules.approvals.requirement(name, p.environment, risk.level, how.kind) for p in plans}
    return RunRequest(
        **_place(plan, needed, how.root or secrets.token_hex(3)),
        project=app.project.name,
        package=plan.release.digest,
        name=name,
        version=plan.release.version,
        plan=plan.digest,
        rendered=rendered,
        requirement=reduce(stricter, needed.values()),
        requested_by=actor,
        requested_at=parse_moment(app.acting_as(actor).clock.now()),
        verifier=next((user for part in plans if (user := _verifier(app, actor, part, plans))), ""),
        kind=how.kind,
        reason=how.reason,
        incident=how.incident,
        start=how.start,
        next_window=how.next_window,
        risk=risk,
        allow_rolled_back=how.allow_rolled_back,
        overrun=how.overrun,
        queue=how.queue or DEFAULT_QUEUE,
        rehearsal=how.rehearsal,
        trace=tracing.current(),
        definition=plan.project_definition or "",
    )


def _verifier(app: "Application", actor: Actor, part: Plan, plans: list[Plan]) -> str:
    """Who verified, or will by then, the release of *part* in the environment before; empty if that is not known yet.

    In a rollout that is *actor*, if one of its own *plans* is for that environment.
    """
    return str(actor) if part.after in {other.environment for other in plans} else app.verifier_of(part)


class _Place(TypedDict, total=False):
    id: str
    environment: str
    rollout: Rollout


def _place(plan: Plan | WavePlan, needed: dict[str, Requirement], root: str) -> _Place:
    """The id of a new request, and where it promotes to."""
    if isinstance(plan, Plan):
        return {"id": run_id(root, plan.environment), "environment": plan.environment}
    rollout = Rollout(waves=plan.rollout, plans=plan.plans, requirements=needed, redeploy=plan.redeploy)
    return {"id": root, "environment": plan.rollout.name, "rollout": rollout}
