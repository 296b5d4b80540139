"""`orchestrator plan`: what a promotion would do, as a document with a digest."""

from pathlib import Path

import click

from orchestrator.cli.output import json_option, note, print_json


@click.command("plan")
@click.argument("release")
@click.option("--to", "environment", metavar="ENV", required=True, help="The environment.")
@click.option("-o", "--out", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write it here, too.")
@click.option("--check/--no-check", default=True, show_default=True, help="Run Ansible's check mode for each step.")
@json_option
def command(release: str, environment: str, target: Path | None, check: bool, as_json: bool) -> None:
    """Show what promoting RELEASE into an environment would do, without doing any of it.

    One document: Pulumi's planned changes, steps with their hosts and batches, what Ansible's check mode says and what
    it cannot see, the tests, what runs on the hosts now, and the way back. `promote --plan` executes exactly it.
    """
    import json

    from orchestrator.cli.planned import print_plan
    from orchestrator.cli.report import warn
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    package = app.package(release, warn)
    note(f"planning {package.ref} → {environment} …")
    plan = app.plan(package, environment, check=check)
    if target is not None:
        target.write_text(json.dumps(plan.document(), indent=1) + "\n", encoding="utf-8")
    if as_json:
        document = plan.document()
        print_json("Plan", {key: value for key, value in document.items() if key not in {"apiVersion", "kind"}})
    else:
        print_plan(plan)
