"""`orchestrator drift`: what has changed in an environment since its last release."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, note, out, paint, print_json

if TYPE_CHECKING:
    from orchestrator.domain.drift import Drift


@click.command("drift")
@click.argument("environment", shell_complete=completing.environments)
@json_option
def command(environment: str, as_json: bool) -> int:
    """Say whether ENVIRONMENT is as its last release left it, and name each thing that is not.

    Pulumi is asked which resources are other than its state, and than the definition of that release, says; every host,
    which release is current there, and whether its files are as they were put there; Ansible's check mode, what the
    release's own steps would change; and the release's suites are run. Nothing is changed.

    Ends with 0 when nothing has changed, and with 1 when something has, or when something could not be asked: that is
    named as unknown. `require: {no_drift: true}` in `environment.yaml` makes a promotion wait for it.
    """
    from orchestrator.domain.errors import Exit
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    app.setting.environment(environment)
    note(f"comparing {environment} with its last verified release …")
    found = app.drift(environment)
    if as_json:
        print_json("Drift", {**found.to_json(), "none": found.none})
    else:
        _print(found)
    return int(Exit.OK if found.none else Exit.FAILED)


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
