"""`orchestrator can-i`: whether an actor may do something, by which rule, or what is missing."""

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, out, print_json
from orchestrator.cli.register_options import open_project
from orchestrator.domain.access.actions import Action


@click.command("can-i")
@click.argument("action", type=click.Choice([action.value for action in Action]), metavar="ACTION")
@click.argument("environment", required=False, metavar="[ENV]", shell_complete=completing.environments)
@click.option("--as", "name", metavar="USER", help="Check this user or service-account:NAME.")
@click.option("--why", is_flag=True, help="Show the bindings that do not suffice, and the users with the right.")
@json_option
@click.pass_context
def command(
    context: click.Context, action: str, environment: str | None, name: str | None, why: bool, as_json: bool
) -> None:
    """Show whether the actor may do ACTION in ENV (without ENV: in the whole project). Exit 3 if not.

    Actions are listed in docs/life-of-a-run-request.md.
    """
    from orchestrator.app.access import Question, can_i
    from orchestrator.domain.errors import Exit

    app = open_project()
    if environment is not None:
        app.require_environment(environment)
    verdict = can_i(app.acting, Question(action=Action(action), environment=environment, name=name))
    if as_json:
        print_json("Verdict", verdict.to_json())
    else:
        out(("yes: " if verdict.allowed else "no: ") + verdict.reason)
        if why:
            for near in verdict.near:
                out(f"  {near}")
            if not verdict.allowed:
                out(f"  users with this right: {', '.join(verdict.could) or 'none'}")
    if not verdict.allowed:
        context.exit(Exit.NOT_ALLOWED)
