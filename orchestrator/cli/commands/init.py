"""`orchestrator init`: a working project, or what is missing in yours."""

from pathlib import Path

import click

from orchestrator.cli.output import json_option, out, paint, print_json
from orchestrator.domain.text import counted


@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--name", metavar="NAME", help="The project's name (default: from the folder's name).")
@click.option("--dry-run", is_flag=True, help="List the files without writing them.")
@json_option
def command(folder: Path, name: str | None, dry_run: bool, as_json: bool) -> None:
    """Write a working project into FOLDER, or complete a folder with Pulumi.yaml, playbooks and tests.

    Existing files are not changed, and either all missing files are written or none. In an empty folder this writes
    two environments on loopback hosts, a playbook, a suite and a first release, which can be promoted at once.
    """
    from orchestrator.app.project_files import new_project_files

    new = new_project_files(folder, name)
    if not dry_run:
        new.write()
    if as_json:
        print_json("Init", {"folder": str(folder), "name": new.name, "written": new.paths, "dry_run": dry_run})
        return
    for path in new.paths:
        out(f"{paint('+', fg='green')} {folder / path}")
    if not new.files:
        out(f"nothing is missing in {folder}")
        return
    where = "" if folder == Path() else f" -C {folder}"
    out(f"\n{counted(len(new.files), 'file')} {'would be ' * dry_run}written; existing files are unchanged. Next:")
    if new.completes:
        release = next((path for path in new.paths if path.endswith("/release.yaml")), "the releases")
        out(f"  read {release}, and run: orchestrator{where} validate")
    out(f"  orchestrator{where} doctor")
    out(f"  orchestrator{where} promote {new.name}")
