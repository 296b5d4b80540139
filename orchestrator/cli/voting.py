"""What `approve` and `reject` share: the options, and a vote for what was shown."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli import completing

if TYPE_CHECKING:
    from orchestrator.app.run_requests import RequestView
    from orchestrator.domain.approval.votes import Decision

F = TypeVar("F", bound=Callable[..., Any])


def run_request_argument(function: F) -> F:
    """The argument RUN, which arrives as *run*, with its completion."""
    return click.argument("run", shell_complete=completing.run_requests)(function)


def vote_options(function: F) -> F:
    """The argument RUN and the options of a vote."""
    yes = click.option("--yes", is_flag=True, help="Do not prompt on a terminal.")
    plan = click.option("--plan", metavar="DIGEST", help="Vote only if this is the plan of the request.")
    message = click.option("-m", "--message", default="", metavar="WHY", help="A comment, kept with the vote.")
    return run_request_argument(message(plan(yes(function))))


def vote(run: str, decision: "Decision", message: str, plan: str | None, *, yes: bool, as_json: bool) -> int:
    """Vote on the plan that the request *run* has now, and print the request after that."""
    from orchestrator.app.run_requests import show_request
    from orchestrator.app.votes import Shown, cast_vote
    from orchestrator.cli.output import confirm, note
    from orchestrator.cli.register_options import open_project
    from orchestrator.cli.run_requests import hint_worker, print_request

    app = open_project()
    rules = app.request_rules()
    seen, text = show_request(app.acting, run, rules)
    _check_plan(seen, plan)
    if sys.stdin.isatty() and not yes:
        print_request(app, seen, as_json=False, text=text)
        confirm(f"{decision.value.capitalize()} this plan?", yes=False)
    shown = Shown(seen.request.plan, seen.request.rendered)
    voted = cast_vote(app.acting, seen.request.id, decision, shown, rules, comment=message.strip())
    after, _ = show_request(app.acting, voted.request.id, rules)
    print_request(app, after, as_json=as_json)
    if not as_json and (hint := hint_worker(app, after)):
        note(hint)
    return 0


def _check_plan(seen: "RequestView", plan: str | None) -> None:
    """Return if *plan* is not given, or is the plan of the request. Raises A205."""
    from orchestrator.domain.errors import OrchestratorError

    if plan is None:
        return
    start = plan.removeprefix("sha256:")
    if len(start) < 8:
        raise click.UsageError("--plan needs at least 8 characters of a digest: an empty answer is not a vote")
    if not seen.request.plan.removeprefix("sha256:").startswith(start):
        text = f"{seen.request.id} has another plan: {seen.request.plan}"
        raise OrchestratorError("A205", text, hint=f"orchestrator approvals {seen.request.id}")
