"""`orchestrator measures`: the five measures of deployments, each with the runs behind it."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli.measure_options import MEASURES, period_options, project_measures
from orchestrator.cli.output import json_option, note, out, print_json, screen, table

if TYPE_CHECKING:
    from orchestrator.management.measures.model import Measures

HEADS = ("measure", "value", "runs")
RUN_HEADS = ("run", "environment", "release", "ended", "value")


@click.command("measures")
@period_options
@click.option(
    "--runs",
    "name",
    type=click.Choice(MEASURES),
    metavar="MEASURE",
    help="List the runs behind one measure, such as lead-time.",
)
@json_option
def command(
    since: datetime | None, until: datetime | None, environments: tuple[str, ...], name: str | None, as_json: bool
) -> None:
    """Print the five DORA measures: deployment frequency, lead time, change failure rate, recovery time, rework rate.

    They are computed from the journal, over the promotions at the end of the path. A deployment counts once, however
    many incidents it had. Failures in earlier environments are counted apart.
    """
    measures = project_measures(since, until, environments)
    if as_json:
        print_json("Measures", {"measures": measures.to_json()})
    elif name is not None:
        _print_runs(measures, name)
    else:
        _print(measures)


def _print(measures: "Measures") -> None:
    from orchestrator.management.measures.charts import about_text, count_text, value_text

    out(about_text(measures))
    if not any(measure.of for measure in measures.measures):
        out("there are no promotions in this period; another one: orchestrator measures --since TIME")
        return
    out(table(HEADS, [[each.title, value_text(each), count_text(each)] for each in measures.measures], screen()))
    note("the runs behind a measure: orchestrator measures --runs MEASURE; as a report: orchestrator report")


def _print_runs(measures: "Measures", name: str) -> None:
    from orchestrator.domain.moments import minute_text
    from orchestrator.management.measures.charts import count_text, length_text, value_text

    measure = next(each for each in measures.measures if each.name == name)
    out(f"{measure.title}: {value_text(measure)}, from {count_text(measure)}. Definition: {measure.formula}.")
    rows = [
        [
            run.run,
            run.environment,
            str(run.release),
            minute_text(run.at),
            length_text(run.value) if measure.unit == "seconds" else f"{run.value:g}",
        ]
        for run in measure.runs
    ]
    out(table(RUN_HEADS, rows, screen()) if rows else "there are no such runs in this period")
