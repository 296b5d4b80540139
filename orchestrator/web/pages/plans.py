"""The page of a plan: everything that `orchestrator plan` prints, and the votes of the requests that wait for it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from orchestrator.app.refusal import plan_refusal
from orchestrator.app.run_requests import VOTABLE, RequestView, list_requests
from orchestrator.domain.access.actions import Action
from orchestrator.domain.plan import Plan, PlannedImplementation, PlannedReversal, at_positions, change_tree
from orchestrator.domain.risk.assessment import Risk
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.web.changes import is_allowed, plan_with_risk
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import application

router = APIRouter(include_in_schema=False)
CHANGE_SIGNS = {"create": "+", "delete": "−", "update": "~", "replace": "±", "import": "→"}
DEEPEST = 6


@router.get("/plans/{plan}")
def plan_page(request: Request, who: Who, plan: str) -> HTMLResponse:
    """A kept plan, made for reading, with the votes of the requests that wait for it."""
    app = application(request)
    found, risk = plan_with_risk(app, who.actor, plan)
    acting = app.acting_as(who.actor)
    waiting = [each for each in list_requests(acting, app.request_rules()).items if each.request.plan == found.digest]
    votable = [
        each for each in waiting if is_votable(each, is_allowed(acting, Action.APPROVE, each.request.environment))
    ]
    about: dict[str, Any] = {
        "plan": found,
        "parts": parts_of(found, risk),
        "waiting": waiting,
        "votable": votable,
        "voter": str(who.actor),
    }
    return rendered(request, "plan", who, **about)


def is_votable(seen: RequestView, allowed: bool) -> bool:
    """Whether the page has the form for a vote on a request."""
    return allowed and (seen.state in VOTABLE or bool(seen.reviewers))


def parts_of(plan: Plan | WavePlan, risk: Risk | None) -> list[dict[str, Any]]:
    """What the page shows of each environment, in the order of the waves."""
    if isinstance(plan, Plan):
        return [part_of(plan, risk)]
    found = [(number, item) for number, wave in enumerate(plan.waves, 1) for item in wave]
    return [
        {"wave": number, **(part_of(item.plan, None) if item.plan else {"plan": None, "environment": item.environment})}
        for number, item in found
    ]


def part_of(plan: Plan, risk: Risk | None) -> dict[str, Any]:
    """What the page shows of the plan of one environment."""
    return {
        "plan": plan,
        "environment": plan.environment,
        "refused": plan_refusal(plan),
        "risk": risk,
        "changes": [
            {"level": min(level, DEEPEST), "sign": CHANGE_SIGNS.get(change.op, "*"), "change": change}
            for level, change in change_tree(plan.stack.changes if plan.stack else ())
        ],
        "undo": [
            {"reversal": item, "undo": None} if isinstance(item, PlannedReversal) else {"reversal": None, "undo": item}
            for item in at_positions(plan.undo, plan.reversals)
        ],
        "steps": [
            {"implementation": item, "step": None, "batches": None}
            if isinstance(item, PlannedImplementation)
            else {
                "implementation": None,
                "step": item,
                "batches": plan.executed(item.batches) if item.batches is not None else None,
            }
            for item in at_positions(plan.steps, plan.implementations)
        ],
        "unnamed": {loss.urn for loss in plan.unnamed_losses},
    }
