"""`orchestrator reject`: vote against the plan of a promotion."""

import click

from orchestrator.cli.output import json_option
from orchestrator.cli.voting import vote, vote_options


@click.command("reject")
@vote_options
@json_option
def command(run: str, message: str, plan: str | None, yes: bool, as_json: bool) -> int:
    """Vote against the plan of the promotion RUN. A rejection by a user who may approve ends the request.

    With --plan, nothing is recorded (exit 3) if the request has another plan.
    """
    from orchestrator.domain.approval.votes import Decision

    return vote(run, Decision.REJECT, message, plan, yes=yes, as_json=as_json)
