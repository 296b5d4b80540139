"""`orchestrator rollback`: roll an environment back to a release that was verified in it."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import (
    confirm,
    ignore_broken_pipe,
    json_option,
    note,
    queue_option,
    wait_option,
    yes_option,
)


@click.command("rollback")
@click.argument("environment", shell_complete=completing.environments)
@click.option(
    "--to", "version", metavar="VERSION", help="Version to roll back to (default: the last verified release)."
)
@click.option(
    "--skip-irreversible", is_flag=True, help="Roll back although steps of the current release cannot be undone."
)
@click.option(
    "--all-at-once", is_flag=True, help="Restore all hosts at the same time (default: in the steps' batches)."
)
@yes_option
@wait_option
@queue_option
@json_option
def command(
    environment: str,
    version: str | None,
    skip_irreversible: bool,
    all_at_once: bool,
    yes: bool,
    wait: float,
    queue: str,
    as_json: bool,
) -> int:
    """Roll ENVIRONMENT back to a release that was verified in it.

    By default this is the last verified release, if any host runs another one, the release of a host is unknown, or
    the last run needs manual intervention. If every host runs the last verified release, it is the one that this
    release replaced. A second rollback restores an older release; it never restores one that was rolled back.

    Shows its plan first. Steps of the current release with an undo of their own are undone, newest first. Then the
    packaged steps of the older release restore the hosts, in batches. Each batch is verified before the next one,
    unless the infrastructure changes. Then the infrastructure is restored to the definition that was verified with the
    older release, and the tests of that release verify the environment.

    Steps of the current release that cannot be undone are listed beforehand, and refused without --skip-irreversible.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.app.requests import RollBack
    from orchestrator.cli.follow_run import execute_and_report, report_enqueued
    from orchestrator.cli.planned import print_plan
    from orchestrator.cli.recovery import recover

    ignore_broken_pipe()
    app = open_application(Path.cwd())
    recover(app)
    app.require_environment(environment)
    if not wait and not queue:
        app.submissions.require_free(app.actor, environment)
    package = app.releases.rollback_package(app.actor, environment, version)
    note(f"planning to roll back {environment} to {package.ref} …")
    plan = app.plans.make(
        app.actor,
        package,
        environment,
        action="rollback",
        check=False,
        skip_irreversible=skip_irreversible,
        all_at_once=all_at_once,
    )
    print_plan(plan, err=True)
    app.plans.require_executable(app.actor, plan)
    confirm(f"Roll back {environment} to {package.ref}?", yes)
    request = RollBack(package=package.ref, targets=(environment,), plan_digest=plan.digest, wait=wait)
    submitted = app.submissions.submit(app.actor, request, queue=queue)
    if queue:
        return report_enqueued(submitted, queue, as_json=as_json)
    return execute_and_report(app, submitted, as_json=as_json)
