"""`orchestrator rehearse`: promote a release, roll it back and promote it again, before a rollback is needed."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import detach_option, json_option, queue_option, wait_option


@click.command("rehearse")
@click.argument("release", shell_complete=completing.releases)
@click.option("--in", "environment", metavar="ENV", required=True, help="The environment.")
@wait_option
@detach_option
@queue_option
@json_option
def command(release: str, environment: str, wait: float, detach: bool, queue: str, as_json: bool) -> int:
    """Promote RELEASE, roll it back, and promote it again, to show that the rollback works.

    The rollback uses the packages' own steps. At each stop the tests of the current release run. The hosts are
    inspected before and after. If a file, package, service, port or fact was not restored, the rehearsal has failed
    and the release is rolled back (exit 4).

    Otherwise the release stays, and there is evidence for this pair of packages, with the time of each leg.
    `orchestrator show RUN` prints it, and environments with `require: {rehearsal: true}` require it.

    If the environment requires approvals, records a run request, as `orchestrator promote` does.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.app.requests import Rehearse
    from orchestrator.cli.follow_run import execute_and_report, report_enqueued, start_in_background
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.report import building, warn
    from orchestrator.cli.requesting import PromotionOptions, governed, request
    from orchestrator.domain.plan import NOTHING

    app = open_application(Path.cwd())
    recover(app)
    package = app.releases.package(app.actor, release, warn, building)
    targets = app.plans.targets(app.actor, package, environment, redeploy=True, rehearsal=True)
    requesting = PromotionOptions(NOTHING, queue=queue, wait=wait, is_queued=bool(queue) or detach, rehearsal=True)
    if governed(app, package, environment, requesting):
        return request(app, package, (environment,), None, requesting, as_json=as_json)
    submitted = app.submissions.submit(
        app.actor, Rehearse(package=package.ref, targets=targets, wait=wait), queue=queue
    )
    if queue:
        return report_enqueued(submitted, queue, as_json=as_json)
    return (
        start_in_background(app, submitted, as_json=as_json)
        if detach
        else execute_and_report(app, submitted, as_json=as_json)
    )
