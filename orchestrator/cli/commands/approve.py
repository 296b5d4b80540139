"""`orchestrator approve`: vote for the plan of a promotion that waits."""

import click

from orchestrator.cli.output import json_option
from orchestrator.cli.voting import vote, vote_options


@click.command("approve")
@vote_options
@json_option
def command(run: str, message: str, plan: str | None, yes: bool, as_json: bool) -> int:
    """Vote for the plan of the promotion RUN, or for the emergency RUN in its review.

    The vote is for the plan that is shown now, and for no other: if the plan changes, it does not count any more. The
    newest vote of a user counts. On a terminal the plan is shown first, and an empty answer is not a vote. With --plan,
    nothing is recorded (exit 3) if the request has another plan.

    An absent user's deputy votes with that user's right. The requester's own vote is refused, unless the environment
    allows it.
    """
    from orchestrator.domain.approval.votes import Decision

    return vote(run, Decision.APPROVE, message, plan, yes=yes, as_json=as_json)
