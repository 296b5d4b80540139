"""`orchestrator build`: a release folder → one sealed file."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, out, print_json
from orchestrator.domain.text import counted


@click.command("build")
@click.argument("release", shell_complete=completing.releases)
@click.option(
    "-o",
    "--out",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the package here instead of to dist/NAME-VERSION.release.",
)
@json_option
def command(release: str, target: Path | None, as_json: bool) -> None:
    """Seal RELEASE into one package file.

    RELEASE is a release.yaml, the folder that contains one, or a name below the project's releases folder. The same
    content always gives the same bytes, and so the same digest. Ansible verifies that the playbooks find all named
    files in the package alone. The package is kept as well: `promote` takes it by NAME-VERSION.

    With --server, the package is built here and uploaded. A repetition continues an upload that was interrupted.
    """
    from orchestrator.app.opening import open_application, open_local
    from orchestrator.cli.report import warn
    from orchestrator.domain.errors import OrchestratorError

    app = open_application(Path.cwd())
    warnings: list[OrchestratorError] = []
    on_warning = warnings.append if as_json else warn
    local = app if app.executes_here else open_local(Path.cwd())
    package = local.releases.build(local.actor, release, target, on_warning)
    app.upload(Path(package.path), package.digest)
    if as_json:
        data = {"release": package.ref.to_json(), "file": package.path, "files": len(package.manifest.files)}
        data["warnings"] = [warning.to_json() for warning in warnings]
        print_json("Build", data)
        return
    out(f"{package.path}")
    out(f"{package.ref}  {package.digest}  {counted(len(package.manifest.files), 'file')}")
