"""`orchestrator why`: every condition of a promotion, with its state, and when it will be over."""

from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import folded, json_option, out, paint, print_json
from orchestrator.cli.register_options import open_project

if TYPE_CHECKING:
    from orchestrator.domain.admission.conditions import Admission, Condition

MARKS = {"met": ("✔", "green"), "warning": ("!", "yellow"), "waiting": ("…", "yellow"), "refused": ("✘", "red")}


@click.command("why")
@click.argument("release", shell_complete=completing.releases)
@click.option(
    "--to", "environment", required=True, metavar="ENV", shell_complete=completing.environments, help="The environment."
)
@click.option("--as", "name", metavar="USER", help="Check this user or service-account:NAME.")
@json_option
@click.pass_context
def command(context: click.Context, release: str, environment: str, name: str | None, as_json: bool) -> None:
    """Show every condition of promoting RELEASE to ENV: its state, who can change it, and when it will be over.

    The same conditions are checked by `promote`, by a run before it takes the environment, and by `status ENV`.
    Conditions that need the engines (drift, parity) are checked when the plan is made. Exit 3 if one is not met.
    """
    from orchestrator.app.admission import why
    from orchestrator.cli.report import building, warn
    from orchestrator.domain.errors import Exit

    app = open_project()
    app.require_environment(environment)
    package = app.releases.package(app.actor, release, warn, building, publish=False)
    found = why(app.acting, app.promotion(package, environment), name)
    if as_json:
        about = {"release": package.ref.to_json(), "environment": environment}
        print_json("Admission", {**about, **found.to_json(), "calendar": app.calendar_state(environment).to_json()})
    else:
        out("\n".join(admission_lines(found, str(package.ref), environment)))
    if not found.may_start:
        context.exit(Exit.NOT_ALLOWED)


def admission_lines(found: "Admission", release: str, environment: str) -> list[str]:
    """The admission as text: the answer, and one line for each condition."""
    lines = [f"{paint(f'{release} → {environment}', bold=True)}: {start_text(found)}"]
    for condition in found.conditions:
        lines += condition_lines(condition, release, environment)
    return lines


def start_text(found: "Admission") -> str:
    """Whether it may start, in a few words."""
    from orchestrator.domain.moments import minute_text

    if found.may_start:
        return paint("may start now", fg="green")
    if found.until is not None:
        return paint(f"not before {minute_text(found.until)}", fg="yellow")
    return paint("refused" if found.is_refused else "waits", fg="red" if found.is_refused else "yellow")


def condition_lines(condition: "Condition", release: str, environment: str) -> list[str]:
    """One condition; of one that is not met also who can change it, and the command for that."""
    from orchestrator.domain.moments import minute_text

    mark, colour = MARKS[condition.state.value]
    lines = folded(f"  {paint(mark, fg=colour)} {condition.kind.value}: {condition.reason}", indent=4)
    if condition.is_met:
        return lines
    if condition.until is not None:
        lines.append(f"      over:  {minute_text(condition.until)}")
    if condition.who:
        lines.append(f"      who:   {', '.join(condition.who)}")
    if condition.command:
        command = condition.command.replace("RELEASE", release.replace(" ", "-")).replace(" ENV", f" {environment}")
        lines += folded(f"      next:  {command}", indent=13)
    return lines
