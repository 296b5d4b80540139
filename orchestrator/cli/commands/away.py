"""`orchestrator away`: an absence, in which a deputy has the approval right."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import json_option, out, print_json, table
from orchestrator.cli.register_options import MOMENT, open_project

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import Absence


@click.command("away")
@click.option(
    "--from", "start", type=MOMENT, metavar="TIME", help="The start (default: now), such as 2026-12-24T08:00:00Z."
)
@click.option("--until", "end", type=MOMENT, metavar="TIME", help="The end.")
@click.option("--deputy", metavar="USER", help="The user who gets the approval right for that time.")
@click.option("--user", "user", metavar="USER", help="The absent user (default: the actor).")
@click.option("--end", "back", is_flag=True, help="Remove the current absence, otherwise the next one.")
@json_option
def command(
    start: datetime | None, end: datetime | None, deputy: str | None, user: str | None, back: bool, as_json: bool
) -> None:
    """Record an absence and its deputy, or list absences (without options).

    The deputy has the approval right of the absent user in that time, and no other right.
    """
    from orchestrator.app.people import add_absence, end_absence, show_access
    from orchestrator.domain.moments import parse_moment

    app = open_project()
    name = user or app.acting.actor.name
    if back:
        _say([end_absence(app.acting, name)], "no longer away", as_json=as_json)
    elif end is None and deputy is None and start is None:
        found = [each for each in show_access(app.acting).absences if user in {None, each.user}]
        _say(found, "", as_json=as_json)
    elif end is None or deputy is None:
        raise click.UsageError("an absence needs --until and --deputy")
    else:
        first = start or parse_moment(app.acting.clock.now())
        _say([add_absence(app.acting, name, deputy, first, end)], "away", as_json=as_json)


def _say(absences: "list[Absence]", what: str, *, as_json: bool) -> None:
    from orchestrator.domain.moments import minute_text

    if as_json:
        print_json("Absences", {"absences": [absence.to_json() for absence in absences]})
        return
    rows = [[a.user, minute_text(a.start), minute_text(a.end), a.deputy] for a in absences]
    if what:
        out(f"{rows[0][0]} is {what} from {rows[0][1]} to {rows[0][2]}; the deputy is {rows[0][3]}")
        return
    out(table(["user", "from", "until", "deputy"], rows) if rows else "no absences are recorded")
