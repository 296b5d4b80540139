"""`orchestrator report`: the measures as an HTML page that needs no server."""

from datetime import datetime
from pathlib import Path

import click

from orchestrator.cli.measure_options import period_options, project_measures
from orchestrator.cli.output import masked, note


@click.command("report")
@period_options
@click.option("--out", "target", type=click.Path(path_type=Path, dir_okay=False), default=Path("measures.html"),
              show_default=True, metavar="FILE", help="The file to write.")  # fmt: skip
def command(since: datetime | None, until: datetime | None, environments: tuple[str, ...], target: Path) -> None:
    """Write the measures with their trends and runs as an HTML page, which opens in a browser without a server."""
    from orchestrator.cli.register_options import open_project
    from orchestrator.management.measures.charts import measures_report

    if target.suffix != ".html":
        raise click.UsageError("--out is a file that ends in .html")
    measures = project_measures(since, until, environments)
    try:
        target.write_text(masked(measures_report(open_project().project.name, measures)), encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {target}: {error.strerror}") from error
    note(f"written: {target}")
