"""`orchestrator promote`: a release into an environment, in waves over several, or along the whole path."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.output import (
    detach_option,
    json_option,
    named_options,
    out,
    print_json,
    queue_option,
    to_option,
    wait_option,
)
from orchestrator.domain.error_codes import NOTHING_TO_PROMOTE

NEXT_WINDOW = "next-window"

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.requests import Promote
    from orchestrator.cli.requesting import PromotionOptions
    from orchestrator.domain.approval.requests import RunRequest
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.plan import Acknowledgements, Plan
    from orchestrator.domain.release import Package
    from orchestrator.domain.wave_plan import WavePlan


@click.command("promote")
@click.argument("release", required=False, shell_complete=completing.releases)
@to_option("Promote into this environment only, or in these waves.")
@click.option("--plan", "plan", metavar="FILE|DIGEST", help="Execute exactly this plan.")
@named_options
@click.option("--redeploy", is_flag=True, help="Promote also to environments that already run the release, verified.")
@click.option(
    "--allow-rolled-back", is_flag=True, help="Promote a release that was rolled back in the environment (requires -m)."
)
@click.option(
    "--overrun", is_flag=True, help="Start also if it would not end before the environment closes (requires -m)."
)
@click.option("-m", "--message", default="", help="The reason for --allow-rolled-back, --overrun or --emergency.")
@click.option(
    "--at",
    "start",
    metavar="TIME|next-window",
    help="The earliest start: a time such as 2026-12-24T18:00:00Z, or the next opening of the environment.",
)
@click.option("--emergency", is_flag=True, help="Promote with the quorum of emergencies (requires -m and --incident).")
@click.option("--incident", default="", metavar="URL", help="The link of the incident of an emergency.")
@wait_option
@detach_option
@queue_option
@json_option
def command(**words: Any) -> int:
    """Promote RELEASE along its path, or into one environment.

    RELEASE is a sealed file, a kept package (NAME-VERSION, version, digest), or a release folder, which is built first.
    Each environment is provisioned, deployed to and verified. A failure after the first change is rolled back
    automatically to the last verified release (exit 4). If this is not possible, the run stops, and prints the state
    of each host and the next commands (exit 5).

    With --to WAVES, a list of waves in orchestrator.yaml, promotes to several environments. Environments of one wave
    run side by side. The next wave starts when all of them have succeeded and the soak is over. If more environments
    fail than the list allows, later waves are not started. With `on_failure: rollback` earlier ones are rolled back.

    With --plan, executes exactly that plan. If anything that it depends on has changed, stops before any change and
    lists the differences (exit 7).

    Does nothing if the environment already runs the release, verified (exit 0); --redeploy promotes it again, also in
    waves. The whole path is checked before its first environment is touched.

    Refused before any change (exit 3) if the update would replace or delete a stateful resource, or if a step cannot
    be undone. Name each with --replace and --point-of-no-return, for the promotion or when the plan is made.

    Refused (exit 3) if the release was rolled back in the environment, unless --allow-rolled-back is given with a
    reason. A newer release is not refused.

    Refused (exit 3) if a freeze, a booking, a stopped line or a missing window closes the environment. Also refused if
    the promotion, by the duration of earlier runs, would not end before the environment closes; --overrun allows this
    to users with the right. A freeze that starts during a run holds the run before its first change. `orchestrator why`
    shows every condition.

    Fails if the environment is busy (exit 8), unless --wait is given, which queues the run. A newer release of the
    same name that joins the queue replaces it.

    If the environment or the policy of the project requires approvals, makes the plan, records a run request, and ends
    with exit 0 while the request waits. A worker starts the run once it is approved. With --wait, the command follows
    the request and starts the run in this process. Stopping the command does not withdraw the request. The same command
    again replaces the plan of a request that waits.

    On a path, the environments before the first one with approvals are promoted at once. From that one on, each
    environment gets a request of its own. With --detach or --queue, all requests are recorded at once, and each also
    waits for the verification in the environment before it.

    A promotion in waves has one request, for the plan over all environments. Each environment with approvals needs its
    own quorum.

    --at sets the earliest start. --emergency needs the approvals of `by_kind: {emergency: ...}` (by default one), and
    the promotion is reviewed afterwards.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.recovery import recover
    from orchestrator.domain.errors import OrchestratorError

    _check_words(words)
    app = open_application(Path.cwd())
    recover(app)
    wanted = _wanted(words)
    requesting = _requesting(words, wanted)
    package, approved = _chosen(app, wanted)
    try:
        request = _request(app, package, approved, wanted, requesting)
    except OrchestratorError as error:
        if error.code != NOTHING_TO_PROMOTE:
            raise
        return _nothing(error, as_json=words["as_json"])
    return _promote(app, package, approved, request, requesting, as_json=words["as_json"])


def _check_words(words: dict[str, Any]) -> None:
    """Refuse options that do not belong together."""
    if (words["allow_rolled_back"] or words["overrun"] or words["emergency"]) is not bool(words["message"].strip()):
        raise click.UsageError("--allow-rolled-back, --overrun and --emergency need -m WHY, and -m needs one of them")
    if words["emergency"] is not bool(words["incident"].strip()):
        raise click.UsageError("--emergency and --incident URL belong together")


def _wanted(words: dict[str, Any]) -> "_PromoteOptions":
    from orchestrator.domain.plan import Acknowledgements

    why = words["message"].strip()
    return _PromoteOptions(
        words["release"],
        words["environment"],
        words["plan"],
        Acknowledgements(replace=words["replace"], no_return=words["points_of_no_return"]),
        words["redeploy"],
        why if words["allow_rolled_back"] else "",
        why if words["overrun"] else "",
    )


def _requesting(words: dict[str, Any], promotion: "_PromoteOptions") -> "PromotionOptions":
    """How the promotion is requested, where it needs a request."""
    from orchestrator.cli.register_options import MOMENT
    from orchestrator.cli.requesting import PromotionOptions

    start = words["start"]
    return PromotionOptions(
        promotion.named,
        promotion.allow_rolled_back,
        promotion.overrun,
        words["emergency"],
        words["message"].strip() if words["emergency"] else "",
        words["incident"].strip(),
        None if start in {None, NEXT_WINDOW} else MOMENT.convert(start, None, None),
        start == NEXT_WINDOW,
        words["queue"],
        words["wait"],
        bool(words["queue"]) or words["detach"],
        promotion.redeploy,
    )


def _promote(
    app: "Application",
    package: "Package",
    approved: "Plan | WavePlan | None",
    wanted: "Promote",
    requesting: "PromotionOptions",
    *,
    as_json: bool,
) -> int:
    """Promote as far as that needs no run request, and request the environments after that."""
    from orchestrator.cli.follow_run import execute_and_report
    from orchestrator.cli.requesting import after_path, request, request_rollout

    free, held = _divided(app, package, wanted, requesting)
    if wanted.waves is not None and held:
        whole = approved if approved is not None and approved.kind == "WavePlan" else None
        return request_rollout(app, package, wanted.waves, whole, requesting, as_json=as_json)
    if not free and held:
        single = approved if approved is not None and approved.kind == "Plan" else None
        return request(app, package, held, single, requesting, as_json=as_json)
    if requesting.is_queued:
        return _enqueue(app, package, replace(wanted, targets=free), held, requesting, as_json=as_json)
    code = execute_and_report(app, app.submissions.submit(app.actor, replace(wanted, targets=free)), as_json=as_json)
    return after_path(app, package, held, code, requesting, as_json=as_json) if held else code


def _enqueue(
    app: "Application",
    package: "Package",
    wanted: "Promote",
    held: tuple[str, ...],
    requesting: "PromotionOptions",
    *,
    as_json: bool,
) -> int:
    """Leave the promotion to workers or to a process in the background, and record the requests after it.

    Their plans are made first: nothing is promoted if one of them cannot be executed.
    """
    from orchestrator.cli.follow_run import report_enqueued, start_in_background
    from orchestrator.cli.requesting import plan_path, print_requests, record_path, reported

    plans = plan_path(app, package, held, requesting, coming=wanted.targets)
    submitted = app.submissions.submit(app.actor, wanted, queue=requesting.queue)

    def start(recorded: "tuple[RunRequest, ...]" = ()) -> int:
        names = tuple(each.id for each in recorded)
        if requesting.queue:
            return report_enqueued(submitted, requesting.queue, names, as_json=as_json)
        return start_in_background(app, submitted, names, as_json=as_json)

    try:
        with reported(held):
            recorded = record_path(app, plans, requesting, as_json=as_json)
    except BaseException:
        start()
        raise
    code = start(recorded)
    if not as_json:
        print_requests(app, recorded)
    return code


def _divided(
    app: "Application", package: "Package", wanted: "Promote", requesting: "PromotionOptions"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The environments of a path before the first one that needs a request, and the others; empty if none does.

    A promotion in waves needs one request for all of its environments.
    """
    from orchestrator.cli.requesting import governed

    if wanted.waves is not None and requesting.emergency:
        raise click.UsageError("--emergency is for one environment, not for waves")
    for number, name in enumerate(wanted.targets):
        if governed(app, package, name, requesting):
            return (wanted.targets[:number], wanted.targets[number:]) if wanted.waves is None else ((), wanted.targets)
    return wanted.targets, ()


@dataclass(frozen=True)
class _PromoteOptions:
    """The options of the command line for a promotion. *named* is what it agrees to by name.

    *allow_rolled_back* is the reason to promote a release that was rolled back, *overrun* the reason to exceed a
    window.
    """

    release: str | None
    to: str | None
    plan: str | None
    named: "Acknowledgements"
    redeploy: bool
    allow_rolled_back: str
    overrun: str


def _chosen(app: "Application", wanted: _PromoteOptions) -> "tuple[Package, Plan | WavePlan | None]":
    """The package that is promoted, and the plan that is executed, if one is named. Raises R103, R124 and others."""
    approved = _approved(app, wanted.plan, wanted.to) if wanted.plan else None
    if wanted.to is not None and app.plans.waves(app.actor, wanted.to) is None:
        app.require_environment(wanted.to)
    package = _package(app, wanted.release, approved)
    if approved is not None and (wanted.named.replace or wanted.named.no_return):
        raise click.UsageError("acknowledgements are part of the plan: give these options to orchestrator plan")
    return package, approved


def _package(app: "Application", release: str | None, approved: "Plan | WavePlan | None") -> "Package":
    """The package of *release*, otherwise that of the *approved* plan. Raises R124 when the plan is for another one."""
    from orchestrator.cli.report import building, warn
    from orchestrator.domain.errors import OrchestratorError

    if release is None:
        if approved is None:
            raise click.UsageError("name a RELEASE, or a plan with --plan")
        return app.releases.planned_package(app.actor, approved)
    package = app.releases.package(app.actor, release, warn, building)
    if approved is not None and approved.release.digest != package.digest:
        message = f"the plan {approved.digest} is for {approved.release} and not for this {package.ref}"
        raise OrchestratorError("R124", message)
    return package


def _request(
    app: "Application",
    package: "Package",
    approved: "Plan | WavePlan | None",
    wanted: _PromoteOptions,
    requesting: "PromotionOptions",
) -> "Promote":
    """The request: to one environment, along the path, or in waves."""
    from orchestrator.app.requests import Promote, PromoteInWaves
    from orchestrator.cli.report import UsageProblem

    agreed = app.plans.agreement(app.actor, package, wanted.named.replace, wanted.named.no_return)
    waves, ref, redeploy = app.plans.waves(app.actor, wanted.to), package.ref, wanted.redeploy
    how = {"allow_rolled_back": bool(wanted.allow_rolled_back), "overrun": bool(wanted.overrun)}
    how["requested"] = requesting.needs_request
    why: dict[str, Any] = {"agreement": agreed, "reason": wanted.allow_rolled_back, "overrun": wanted.overrun}
    why["wait"] = requesting.wait
    if approved is not None and approved.kind == "WavePlan":
        if redeploy and not approved.redeploy:
            text = "the plan leaves out environments that have the release, and --redeploy cannot add them"
            hint = f"orchestrator plan {ref.name}-{ref.version} --to {approved.rollout.name} --redeploy"
            raise UsageProblem(text, hint)
        waves, redeploy = approved.rollout, approved.redeploy
    if waves is not None and (approved is None or approved.kind == "WavePlan"):
        targets = app.plans.wave_targets(app.actor, package, waves, approved, redeploy=redeploy, **how)
        return PromoteInWaves(
            package=ref,
            targets=targets,
            plan_digest=approved.digest if approved else None,
            **why,
            rollout=waves,
            plans=approved.plans if approved else {},
            redeploy=redeploy,
        )
    to = approved.environment if approved is not None and approved.kind == "Plan" else wanted.to
    redeploy = redeploy or approved is not None
    targets = app.plans.targets(app.actor, package, to, redeploy=redeploy, **how)
    return Promote(package=ref, targets=targets, plan_digest=approved.digest if approved else None, **why)


def _nothing(why: "OrchestratorError", *, as_json: bool) -> int:
    """Print that the release runs everywhere already: what was requested is true."""
    if as_json:
        print_json("Walk", {"root": None, "exit": 0, "runs": []})
    else:
        out(f"{why.message}; --redeploy promotes it again")
    return 0


def _approved(app: "Application", plan: str, to: str | None) -> "Plan | WavePlan":
    """The plan that is to be executed. Raises R124 when it is for another environment, or for no promotion."""
    from orchestrator.domain.errors import OrchestratorError

    approved = app.plans.find(app.actor, plan)
    action = "promote" if approved.kind == "WavePlan" else approved.action
    where = approved.rollout.name if approved.kind == "WavePlan" else approved.environment
    if to not in {None, where} or action != "promote":
        raise OrchestratorError("R124", f"the plan {plan} is for another request: {action} in {where}")
    return approved
