"""`orchestrator promote`: a release into an environment, in waves over several, or along the whole path."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from orchestrator.app.requests import Promote
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.plan import Named, Plan
    from orchestrator.domain.release import Package
    from orchestrator.domain.wave_plan import WavePlan
    from orchestrator.wiring import App


@click.command("promote")
@click.argument("release", required=False, shell_complete=completing.releases)
@to_option("Promote into this environment only, or in these waves.")
@click.option("--plan", "plan", metavar="FILE|DIGEST", help="Execute exactly this plan.")
@named_options
@click.option("--redeploy", is_flag=True, help="Promote also to environments that already run the release, verified.")
@click.option("--again", is_flag=True, help="Promote a release that was rolled back in the environment (requires -m).")
@click.option(
    "--overrun", is_flag=True, help="Start also if it would not end before the environment closes (requires -m)."
)
@click.option("-m", "--message", default="", help="The reason for --again or --overrun, for the journal.")
@wait_option
@detach_option
@queue_option
@json_option
def command(
    release: str | None,
    environment: str | None,
    plan: str | None,
    replace: tuple[str, ...],
    no_return: tuple[str, ...],
    redeploy: bool,
    again: bool,
    overrun: bool,
    message: str,
    wait: float,
    detach: bool,
    queue: str,
    as_json: bool,
) -> int:
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

    Refused (exit 3) if the release was rolled back in the environment, unless --again is given with a reason. A newer
    release is not refused.

    Refused (exit 3) if a freeze, a window or a stopped line closes the environment, and if by earlier runs it would not
    end before the environment closes. --overrun with a reason allows that to roles with the right. A freeze that
    starts during a run holds it before its first change. `orchestrator why` shows every condition.

    Fails if the environment is busy (exit 8), unless --wait is given, which queues the run. A newer release of the
    same name that joins the queue replaces it.
    """
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.walk import do, leave_behind, leave_to_workers
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.plan import Named
    from orchestrator.wiring import open_app

    if (again or overrun) is not bool(message):
        raise click.UsageError("--again or --overrun and -m WHY belong together")
    app = open_app(Path.cwd())
    recover(app)
    named = Named(replace=replace, no_return=no_return)
    wanted = _Wanted(release, environment, plan, named, redeploy, message if again else "", message if overrun else "")
    package, approved = _chosen(app, wanted)
    try:
        request = _request(app, package, approved, wanted, wait)
    except OrchestratorError as error:
        if error.code != NOTHING_TO_PROMOTE:
            raise
        return _nothing(error, as_json=as_json)
    asked = app.submissions.submit(app.actor, request, queue=queue)
    if queue:
        return leave_to_workers(asked, queue, as_json=as_json)
    return leave_behind(app, asked, as_json=as_json) if detach else do(app, asked, as_json=as_json)


@dataclass(frozen=True)
class _Wanted:
    """What the command line says of a promotion. *named* is what it agrees to by name.

    *again* is why it may go again, *overrun* why it may last longer than the environment is open.
    """

    release: str | None
    to: str | None
    plan: str | None
    named: "Named"
    redeploy: bool
    again: str
    overrun: str


def _chosen(app: "App", wanted: _Wanted) -> "tuple[Package, Plan | WavePlan | None]":
    """The package that is promoted, and the plan that is executed, if one is named. Raises R103, R124 and others."""
    approved = _approved(app, wanted.plan, wanted.to) if wanted.plan else None
    if wanted.to is not None and app.plans.waves(app.actor, wanted.to) is None:
        app.setting.environment(wanted.to)
    package = _package(app, wanted.release, approved)
    if approved is not None and (wanted.named.replace or wanted.named.no_return):
        raise click.UsageError("what is agreed to by name is part of the plan: give it to orchestrator plan")
    return package, approved


def _package(app: "App", release: str | None, approved: "Plan | WavePlan | None") -> "Package":
    """The package of *release*, else that of the *approved* plan. Raises R124 when the plan is for another one."""
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
    app: "App", package: "Package", approved: "Plan | WavePlan | None", wanted: _Wanted, wait: float
) -> "Promote":
    """The request: to one environment, along the path, or in waves."""
    from orchestrator.app.requests import Promote, PromoteInWaves
    from orchestrator.cli.report import UsageProblem

    agreed = app.plans.agreement(app.actor, package, wanted.named.replace, wanted.named.no_return)
    again, waves = bool(wanted.again), app.plans.waves(app.actor, wanted.to)
    ref, reason, overrun, redeploy = package.ref, wanted.again, wanted.overrun, wanted.redeploy
    if approved is not None and approved.kind == "WavePlan":
        if redeploy and not approved.redeploy:
            text = "the plan leaves out environments that have the release, and --redeploy cannot add them"
            hint = f"orchestrator plan {ref.name}-{ref.version} --to {approved.walk.name} --redeploy"
            raise UsageProblem(text, hint)
        waves, redeploy = approved.walk, approved.redeploy
    if waves is not None and (approved is None or approved.kind == "WavePlan"):
        targets = app.plans.wave_targets(app.actor, package, waves, approved, again=again, redeploy=redeploy)
        return PromoteInWaves(
            package=ref,
            targets=targets,
            plan_digest=approved.digest if approved else None,
            wait=wait,
            agreement=agreed,
            reason=reason,
            overrun=overrun,
            rollout=waves,
            plans=approved.plans if approved else {},
            redeploy=redeploy,
        )
    to = approved.environment if approved is not None and approved.kind == "Plan" else wanted.to
    redeploy = redeploy or approved is not None
    targets = app.plans.targets(app.actor, package, to, redeploy=redeploy, again=again, overrun=bool(overrun))
    return Promote(
        package=ref,
        targets=targets,
        plan_digest=approved.digest if approved else None,
        wait=wait,
        agreement=agreed,
        reason=reason,
        overrun=overrun,
    )


def _nothing(why: "OrchestratorError", *, as_json: bool) -> int:
    """Print that the release runs everywhere already: what was requested is true."""
    if as_json:
        print_json("Walk", {"root": None, "exit": 0, "runs": []})
    else:
        out(f"{why.message}; --redeploy promotes it again")
    return 0


def _approved(app: "App", plan: str, to: str | None) -> "Plan | WavePlan":
    """The plan that is to be executed. Raises R124 when it is for another environment, or for no promotion."""
    from orchestrator.domain.errors import OrchestratorError

    approved = app.plans.find(app.actor, plan)
    action = "promote" if approved.kind == "WavePlan" else approved.action
    where = approved.walk.name if approved.kind == "WavePlan" else approved.environment
    if to not in {None, where} or action != "promote":
        raise OrchestratorError("R124", f"the plan {plan} is for another thing: {action} in {where}")
    return approved
