"""`orchestrator raise-risk`: set a higher level of risk for a promotion that waits."""

import click

from orchestrator.cli.output import json_option
from orchestrator.cli.voting import run_request_argument


@click.command("raise-risk")
@run_request_argument
@click.argument("level", type=click.Choice(["medium", "high"]))
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, shown to approvers (required).")
@json_option
def command(run: str, level: str, message: str, as_json: bool) -> None:
    """Raise the level of risk of the promotion RUN. It cannot be lowered.

    Rules of `policy:` and `by_risk` may then require more approvals. Votes that were given still count.
    """
    from orchestrator.app.run_requests import raise_request_risk, show_request
    from orchestrator.cli.register_options import open_project
    from orchestrator.cli.run_requests import print_request
    from orchestrator.domain.risk.kinds import Level

    if not message.strip():
        raise click.UsageError("give the reason with -m: it is shown to the approvers")
    app = open_project()
    rules = app.request_rules()
    request = raise_request_risk(app.acting, run, Level(level), message.strip(), rules)
    seen, _ = show_request(app.acting, request.id, rules)
    print_request(app, seen, as_json=as_json)
