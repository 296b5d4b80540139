"""What pages and the API change: each function calls use cases as the actor, and decides nothing."""

import re
from typing import TYPE_CHECKING

from orchestrator.app.access import Question, can_i
from orchestrator.app.acting import Acting
from orchestrator.app.planned_requests import RequestOptions, request_planned
from orchestrator.app.request_duties import Shows
from orchestrator.app.requests import Promote, Rehearse, RollBack, RunRequest
from orchestrator.app.run_requests import RequestView, show_request, withdraw_request
from orchestrator.app.votes import Shown, cast_vote, take_back_vote
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.approval.votes import Decision
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import DEFAULT_QUEUE, ControlVerb, Run
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import Package
from orchestrator.domain.risk.assessment import Risk
from orchestrator.domain.wave_plan import WavePlan

if TYPE_CHECKING:
    from orchestrator.app.application import Application

DIGEST = re.compile(r"(sha256:)?[0-9a-f]{8,64}")
ACCEPTED_VERBS: dict[str, ControlVerb] = {"pause": "pause", "cancel": "cancel", "abort": "abort", "continue": ""}
"""What a run can be requested to do, with the word that the journal has for it."""


def is_allowed(acting: Acting, action: Action, environment: str | None = None) -> bool:
    """Whether the actor may do *action*, so that a page shows its button."""
    return can_i(acting, Question(action=action, environment=environment)).allowed


def vote_on(
    app: "Application", actor: Actor, run: str, decision: Decision, shown: Shown, comment: str = ""
) -> RequestView:
    """Vote on the plan that was *shown*. Returns the request after the vote. Raises what `cast_vote` raises."""
    acting, rules = app.acting_as(actor), app.request_rules()
    voted = cast_vote(acting, run, decision, shown, rules, comment=comment.strip())
    return show_request(acting, voted.request.id, rules)[0]


def withdraw_vote(app: "Application", actor: Actor, run: str, reason: str = "") -> RequestView:
    """Withdraw the newest vote of the actor. Returns the request after that."""
    acting, rules = app.acting_as(actor), app.request_rules()
    request = take_back_vote(acting, run, rules, reason.strip())
    return show_request(acting, request.id, rules)[0]


def withdraw(app: "Application", actor: Actor, run: str, reason: str = "") -> RequestView:
    """Withdraw a request before its start. Returns the request after that."""
    acting = app.acting_as(actor)
    request = withdraw_request(acting, run, reason.strip())
    return show_request(acting, request.id, app.request_rules())[0]


def control_run(app: "Application", actor: Actor, run: str, verb: str, reason: str = "") -> Run:
    """Request that a run pauses, is cancelled or aborted, or continues. Returns the run. Raises R101, R141 and A101."""
    found = app.queries.story(actor, run).run
    if found.ended:
        raise OrchestratorError("R141", f"{found.id} has ended: {found.state}")
    app.control.request(actor, found, ACCEPTED_VERBS[verb], reason.strip())
    if verb != "pause" and not app.queries.has_worker(actor, found.root):
        app.control.transfer(actor, found)  # the process of a command may have ended: workers do the rest
    return found


def _without_approvals(app: "Application", actor: Actor, release: str, environment: str, hint: str) -> Package:
    """The kept package of *release*, for which the environment requires no approvals. Raises A201 with the *hint*."""
    package = app.releases.kept_package(actor, release)
    app.require_environment(environment)
    if app.request_rules().approvals.govern(package.ref.name, environment):
        what = hint.format(name=f"{package.ref.name}-{package.ref.version}", environment=environment)
        raise OrchestratorError("A201", f"{environment} requires approvals, which are for a plan", hint=what)
    return package


def promote(
    app: "Application",
    actor: Actor,
    release: str,
    environment: str,
    *,
    queue: str = DEFAULT_QUEUE,
    allow_rolled_back: str = "",
) -> RunRequest:
    """Queue a promotion of a kept package into one environment, for workers. Returns the request.

    Raises the code of the first condition that is not met, and A201 if the environment requires approvals: then a plan
    is requested with `request_plan`.
    """
    hint = "orchestrator promote {name} --to {environment}, or request a plan that was made before"
    package = _without_approvals(app, actor, release, environment, hint)
    targets = app.plans.targets(actor, package, environment, allow_rolled_back=bool(allow_rolled_back))
    return app.submissions.submit(
        actor, Promote(package=package.ref, targets=targets, reason=allow_rolled_back), queue=queue
    )


def rehearse(
    app: "Application", actor: Actor, release: str, environment: str, *, queue: str = DEFAULT_QUEUE
) -> RunRequest:
    """Queue the rehearsal of a kept package in one environment, for workers. Returns the request.

    Raises A201 if the environment requires approvals, and the code of the first condition that is not met.
    """
    hint = "orchestrator rehearse {name} --in {environment}"
    package = _without_approvals(app, actor, release, environment, hint)
    targets = app.plans.targets(actor, package, environment, redeploy=True, rehearsal=True)
    return app.submissions.submit(actor, Rehearse(package=package.ref, targets=targets), queue=queue)


def roll_back(
    app: "Application", actor: Actor, environment: str, version: str | None, *, queue: str = DEFAULT_QUEUE
) -> RunRequest:
    """Queue a rollback of *environment*, for workers. Returns the request. Raises R134 if there is no target."""
    app.require_environment(environment)
    package = app.releases.rollback_package(actor, environment, version)
    return app.submissions.submit(actor, RollBack(package=package.ref, targets=(environment,)), queue=queue)


def plan_with_risk(app: "Application", actor: Actor, digest: str) -> tuple[Plan | WavePlan, Risk | None]:
    """A kept plan, and the risk of the promotion into one environment. Raises N111 for another text than a digest."""
    if not DIGEST.fullmatch(digest):
        raise OrchestratorError("N111", "a plan is named by its digest, or at least 8 digits of it")
    plan = app.plans.kept(actor, digest)
    promotes = isinstance(plan, Plan) and plan.action == "promote"
    return plan, app.plans.risk(actor, plan) if isinstance(plan, Plan) and promotes else None


def request_plan(app: "Application", actor: Actor, digest: str, how: RequestOptions, shows: Shows) -> RequestView:
    """Request the promotion by a plan that is kept here. Returns the request. Raises R121, R124 and A-codes."""
    plan = app.plans.find(actor, digest)
    if isinstance(plan, Plan) and plan.action != "promote":
        raise OrchestratorError("R124", f"the plan {digest} is not that of a promotion")
    recorded = request_planned(app, actor, plan, how, shows)
    return show_request(app.acting_as(actor), recorded.id, app.request_rules())[0]
