"""Run requests for plans that were made before: by a command that has just made one, or by a server that found it."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.app.request_duties import Shows, shown_plan
from orchestrator.app.run_requests import request_promotion
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.journal import run_id
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.plan import Plan
from orchestrator.domain.risk.kinds import ChangeKind

if TYPE_CHECKING:
    from orchestrator.app.application import Application

DEFAULT_QUEUE = "default"


@dataclass(frozen=True)
class RequestOptions:
    """How a promotion is requested, besides its plan.

    *reason* and *incident* are of an emergency. *again* is why a release is promoted that was rolled back, *overrun*
    why it may last beyond the end of a window. With *next_window* it starts when the environment opens next.
    """

    kind: ChangeKind = ChangeKind.NORMAL
    reason: str = ""
    incident: str = ""
    start: datetime | None = None
    next_window: bool = False
    again: str = ""
    overrun: str = ""
    queue: str = DEFAULT_QUEUE


def request_planned(app: "Application", actor: Actor, plan: Plan, how: RequestOptions, shows: Shows) -> RunRequest:
    """Record the request of *actor* for *plan*, which approvers see as *shows* writes it.

    Raises the reason why the plan cannot be executed, R203, and what `request_promotion` raises.
    """
    app.plans.require_executable(actor, plan)
    app.refuse_rolled_back(plan, how.again)
    rules, shown, risk = app.request_rules(), shown_plan(shows, plan), app.plans.risk(actor, plan)
    drafted = RunRequest(
        id=run_id(secrets.token_hex(3), plan.environment),
        project=app.project.name,
        environment=plan.environment,
        package=plan.release.digest,
        name=plan.release.name,
        version=plan.release.version,
        plan=plan.digest,
        rendered=shown.digest,
        requirement=rules.approvals.requirement(plan.release.name, plan.environment, risk.level, how.kind),
        requested_by=actor,
        requested_at=parse_moment(app.services.clock.now()),
        verifier=app.verifier_of(plan),
        kind=how.kind,
        reason=how.reason,
        incident=how.incident,
        start=how.start,
        next_window=how.next_window,
        risk=risk,
        again=how.again,
        overrun=how.overrun,
        queue=how.queue or DEFAULT_QUEUE,
    )
    supersede = app.services.environment(plan.environment)[0].queue.supersede
    return request_promotion(app.acting_as(actor), drafted, shown, rules, supersede=supersede)
