"""The option that names the file with the passphrase of backups."""

from pathlib import Path

import click

from orchestrator.domain.errors import OrchestratorError

VARIABLE = "ORCHESTRATOR_PASSPHRASE_FILE"

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar=VARIABLE,
    help=f"Read the passphrase from this file (default: {VARIABLE}).",
)


def required(file: Path | None) -> Path:
    """The named *file*. Raises S190 if there is none."""
    if file is None:
        hint = f"give --passphrase-file FILE, or set {VARIABLE}"
        raise OrchestratorError("S190", "the passphrase of the backup is not given", hint=hint)
    return file
