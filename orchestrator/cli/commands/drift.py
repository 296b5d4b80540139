"""`orchestrator drift`: what has changed in an environment since its last release."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, note, out, paint, print_json
from orchestrator.domain.error_codes import RIGHT_MISSING

if TYPE_CHECKING:
    from orchestrator.domain.drift import Drift
    from orchestrator.management.application import ManagedApplication


@click.command("drift")
@click.argument("environment", shell_complete=completing.environments)
@json_option
def command(environment: str, as_json: bool) -> int:
    """Compare ENVIRONMENT with the state that its last release left, and name each difference.

    Pulumi compares the resources with its state and with the definition of that release. Each host is checked for its
    current release and the files of that release. Ansible's check mode predicts what the release's own steps would
    change. The release's suites are run. Nothing is changed.

    Ends with 0 if there are no differences, and with 1 if there are, or if a check was not possible. Such a check is
    listed as *unknown*. New differences open a change request, whose number is printed.
    `require: {no_drift: true}` in `environment.yaml` refuses promotions while there are any.
    """
    from orchestrator.cli.situation import calendar_data, calendars_of, closed_lines
    from orchestrator.domain.errors import Exit
    from orchestrator.management.application import open_managed

    app = open_managed(Path.cwd())
    app.require_environment(environment)
    note(f"comparing {environment} with its last verified release …")
    found = app.inspections.drift(app.actor, environment)
    opened = _request(app, found)
    calendars = calendars_of(app, [environment])
    if as_json:
        about = {"none": found.is_empty, "request": opened or None, "calendar": calendar_data(calendars)}
        print_json("Drift", {**found.to_json(), **about})
    else:
        _print(found)
        if opened:
            out(f"  change request {opened}: orchestrator request show {opened}")
        for line in closed_lines(calendars):
            out(line)
    return int(Exit.OK if found.is_empty else Exit.FAILED)


def _request(app: "ManagedApplication", found: "Drift") -> str:
    """The id of the change request about this drift; empty without one, or for a user who may not view it."""
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.management.change_requests.drifts import drift_reference
    from orchestrator.management.change_requests.queries import drift_request

    if not found.findings:
        return ""
    try:
        opened = drift_request(app.acting, drift_reference(found))
    except OrchestratorError as error:
        if error.code != RIGHT_MISSING:
            raise
        return ""
    return opened.id if opened is not None else ""


def _print(found: "Drift") -> None:
    from orchestrator.cli.words import when

    since = f"since {found.release} was verified there at {when(found.since)}, by {found.run}"
    out(f"{paint(found.environment, bold=True)}: {found}, {since}")
    for finding in found.findings:
        out(f"  {paint('✘', fg='red')} {finding}")
    for text in found.unknown:
        out(f"  {paint('?', fg='yellow')} {text}")
    for text in found.notes:
        out(f"  {paint('–', fg='bright_black')} {text}")
