"""`orchestrator history`: the runs there were."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.completing import places
from orchestrator.cli.output import (
    Cell,
    cursor_option_value,
    folded,
    json_option,
    note,
    out,
    page_options,
    print_json,
    screen,
    sort_option,
    table,
    width,
)

if TYPE_CHECKING:
    from orchestrator.domain.facts import RunFacts


@click.command("history")
@click.argument("environment", required=False, shell_complete=places)
@page_options("runs", limit=20)
@sort_option("requested", default="-requested", help_="The newest first, or with `requested` the oldest.")
@json_option
def command(environment: str | None, limit: int, cursor: str | None, sort: str, as_json: bool) -> None:
    """List the runs, newest first; with ENVIRONMENT those of one environment, or of a list of waves."""
    from orchestrator.app.opening import open_application
    from orchestrator.cli.recovery import remind
    from orchestrator.cli.situation import calendar_data, calendars_of
    from orchestrator.domain.listing import RUN_CURSOR, RunFilter

    app = open_application(Path.cwd())
    remind(app)
    if environment is not None and app.plans.waves(app.actor, environment) is None:
        app.require_environment(environment)
    oldest_first, after = sort == "requested", cursor_option_value(cursor, RUN_CURSOR)
    page = app.queries.run_page(app.actor, RunFilter(environment=environment), after, limit, oldest_first=oldest_first)
    runs = list(page.items)
    if as_json:
        calendar = calendar_data(calendars_of(app, sorted({run.environment for run in runs})))
        print_json("History", {"runs": [run.to_json() for run in runs], "cursor": page.cursor, "calendar": calendar})
    elif not runs:
        out("no runs yet; start one with: orchestrator promote RELEASE")
    else:
        out(_listed(runs, screen()))
        if page.cursor is not None:
            note(f"{'later' if oldest_first else 'older'} runs: --cursor {page.cursor}")


def _listed(runs: "list[RunFacts]", columns: int | None) -> str:
    """A table, or where that is wider than the screen two lines for each run."""
    from orchestrator.cli.words import state_cell, when
    from orchestrator.domain.text import first_line

    heads = ["run", "kind", "environment", "release", "state", "requested", "by"]
    rows: list[list[Cell]] = [
        [
            run.id,
            run.kind,
            run.environment,
            str(run.release) if run.release else "–",
            state_cell(run.state, run.activity),
            when(run.requested_at),
            run.by,
        ]
        for run in runs
    ]
    messages = [first_line(run.message, 160) for run in runs]
    full = table([*heads, ""], [[*row, message] for row, message in zip(rows, messages, strict=True)])
    if columns is None or all(width(click.unstyle(line)) <= columns for line in full.splitlines()):
        return full
    narrow = [[row[0], row[1], *row[3:6]] for row in rows]
    first, *lines = table(["run", "kind", "release", "state", "requested"], narrow, columns=columns).splitlines()
    found = [first]
    for line, run, message in zip(lines, runs, messages, strict=True):
        found += [line, *folded(f"    by {run.by or 'unknown'}" + (f": {message}" if message else ""), indent=4)]
    return "\n".join(found)
