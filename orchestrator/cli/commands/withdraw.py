"""`orchestrator withdraw`: withdraw the request of a promotion, or a vote on it."""

import click

from orchestrator.cli.output import json_option
from orchestrator.cli.voting import run_request_argument


@click.command("withdraw")
@run_request_argument
@click.option("--vote", is_flag=True, help="Withdraw your own vote, and not the request.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def command(run: str, vote: bool, message: str, as_json: bool) -> None:
    """Withdraw the request of the promotion RUN before it starts: as its requester, or with the right `run:control`.

    With --vote, withdraws your newest vote on it. The request waits again if that vote was needed. A promotion that has
    started is stopped with `orchestrator cancel`.
    """
    from orchestrator.app.run_requests import show_request, withdraw_request
    from orchestrator.app.votes import take_back_vote
    from orchestrator.cli.register_options import open_project
    from orchestrator.cli.run_requests import print_request

    app = open_project()
    rules = app.request_rules()
    if vote:
        request = take_back_vote(app.acting, run, rules, message.strip())
    else:
        request = withdraw_request(app.acting, run, message.strip())
    seen, _ = show_request(app.acting, request.id, rules)
    print_request(app, seen, as_json=as_json)
