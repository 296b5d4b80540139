"""`orchestrator approvals`: the promotions that wait, and one of them with its plan and votes."""

from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, note, out, print_json, sort_option, table

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.run_requests import RequestView


@click.command("approvals")
@click.argument("run", required=False, shell_complete=completing.run_requests)
@click.option("--mine", is_flag=True, help="Only those that you can approve, and messages for you.")
@click.option("--all", "everything", is_flag=True, help="All promotions, also ended ones, the newest first.")
@click.option(
    "-n",
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Maximum number with --all.",
)
@click.option("--cursor", help="Continue after the page that printed this cursor, with --all.")
@sort_option(
    "requested",
    default=None,
    help_="By the time of the request. Without it the oldest first, and with --all the newest.",
)
@json_option
def command(
    run: str | None, mine: bool, everything: bool, limit: int, cursor: str | None, sort: str | None, as_json: bool
) -> None:
    """List the promotions that wait, with what they wait for; or show RUN with its plan, risk and votes.

    Emergencies that wait for their approval afterwards are listed too.
    """
    from orchestrator.app.run_requests import list_requests, own_messages, show_request
    from orchestrator.cli.register_options import open_project
    from orchestrator.cli.run_requests import item, print_request

    app = open_project()
    rules = app.request_rules()
    if run is not None:
        seen, text = show_request(app.acting, run, rules)
        print_request(app, seen, as_json=as_json, text=text)
        return
    oldest_first = None if sort is None else sort == "requested"
    page = list_requests(
        app.acting, rules, everything=everything, oldest_first=oldest_first, cursor=cursor, limit=limit
    )
    found = tuple(each for each in page.items if not mine or str(app.acting.actor) in each.could)
    messages = own_messages(app.acting)
    if as_json:
        data = {"requests": [item(each) for each in found], "messages": [each.to_json() for each in messages]}
        print_json("RunRequests", {**data, "cursor": page.cursor, "worker": app.scheduler_runs()})
        return
    for message in messages:
        note(f"for you: {message.text}")
    _print(app, found)
    if page.cursor is not None:
        note(f"{'later' if oldest_first else 'older'} promotions: --cursor '{page.cursor}'")


def _print(app: "Application", found: "tuple[RequestView, ...]") -> None:
    from orchestrator.cli.run_requests import WAITS, wait_reason
    from orchestrator.domain.moments import minute_text

    rows = [
        [
            each.request.id,
            each.request.environment,
            f"{each.request.name} {each.request.version}",
            each.request.kind.value,
            each.request.level.value,
            each.state.value,
            minute_text(each.request.expires_at) if each.state in WAITS else "–",
            wait_reason(each),
        ]
        for each in found
    ]
    headers = ["run", "environment", "release", "kind", "risk", "state", "expires", "reason"]
    out(table(headers, rows) if rows else "no promotion waits")
    if any(each.state in WAITS for each in found) and not app.scheduler_runs():
        note("no worker is running, which would start what is approved: orchestrator worker")
