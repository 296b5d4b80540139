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
    from orchestrator.config.scaffold import missing, project_name, slug, survey, write_files
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.model import NAME
    from orchestrator.folders import reference_folder, templates_folder

    if name is not None and not NAME.fullmatch(name):
        hint = f"--name {slug(name, 'project')}"
        message = f"{name!r} is no name: lower-case letters, digits and dashes, at most 63"
        raise OrchestratorError("F126", message, hint=hint)
    chosen = name or project_name(folder)
    own = folder.is_dir() and survey(folder).anything
    files = missing(folder, chosen, reference_folder(), templates_folder())
    written = [path for path, _ in files]
    if not dry_run:
        write_files(folder, files)
    if as_json:
        print_json("Init", {"folder": str(folder), "name": chosen, "written": written, "dry_run": dry_run})
        return
    for path in written:
        out(f"{paint('+', fg='green')} {folder / path}")
    if not written:
        out(f"nothing is missing in {folder}")
        return
    where = "" if folder == Path() else f" -C {folder}"
    out(f"\n{counted(len(written), 'file')} {'would be ' * dry_run}written; existing files are unchanged. Next:")
    if own:
        release = next((path for path in written if path.endswith("/release.yaml")), "the releases")
        out(f"  look at {release}, then: orchestrator{where} validate")
    out(f"  orchestrator{where} doctor")
    out(f"  orchestrator{where} promote {chosen}")
