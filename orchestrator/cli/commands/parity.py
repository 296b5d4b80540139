"""`orchestrator parity`: how two environments differ."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, note, out, paint, print_json

if TYPE_CHECKING:
    from orchestrator.domain.parity import Parity


@click.command("parity")
@click.argument("left", metavar="STAGING", shell_complete=completing.environments)
@click.argument("right", metavar="PRODUCTION", shell_complete=completing.environments)
@json_option
def command(left: str, right: str, as_json: bool) -> int:
    """Compare STAGING and PRODUCTION, and name each difference.

    Compares the files of their Pulumi programs, configuration keys, groups, numbers of hosts, names of variables, facts
    and packages of hosts, and the last verified releases. Nothing is changed. Allow intended differences with
    `parity: {with: ..., allow: [...]}` in either `environment.yaml`, as KIND:NAME or a whole KIND.

    Ends with 0 if there are no differences but allowed ones, and with 1 otherwise, or if a check was not possible. Such
    a check is listed as *unknown*. `require: {parity: true}` refuses promotions while there are any.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.situation import calendar_data, calendars_of, closed_lines
    from orchestrator.domain.errors import Exit

    app = open_application(Path.cwd())
    for name in (left, right):
        app.require_environment(name)
    note(f"comparing {left} and {right} …")
    found = app.inspections.parity(app.actor, left, right)
    calendars = calendars_of(app, [left, right])
    if as_json:
        print_json("Parity", {**found.to_json(), "none": found.is_empty, "calendar": calendar_data(calendars)})
    else:
        _print(found)
        for line in closed_lines(calendars):
            out(line)
    return int(Exit.OK if found.is_empty else Exit.FAILED)


def _print(found: "Parity") -> None:
    from orchestrator.domain.text import counted

    summary = (
        counted(len(found.differences), "difference")
        if found.differences
        else "no differences, other than allowed ones"
    )
    unknown = f", {len(found.unknown)} unknown" if found.unknown else ""
    out(f"{paint(f'{found.left} and {found.right}', bold=True)}: {summary}{unknown}")
    for item in found.differences:
        out(f"  {paint('✘', fg='red')} {found.say(item)}")
    for text in found.unknown:
        out(f"  {paint('?', fg='yellow')} {text}")
    for item in found.allowed:
        out(f"  {paint('–', fg='bright_black')} allowed: {found.say(item)}")
    for text in found.unused:
        out(f"  {paint('–', fg='bright_black')} allowed, and does not differ: {text}")
