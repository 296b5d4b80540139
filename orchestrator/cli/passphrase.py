"""The option that names the file with the passphrase of backups, and that file."""

import os
import stat
from pathlib import Path

import click

from orchestrator.domain.errors import OrchestratorError

SHORTEST, LONGEST = 12, 4096  # bytes of a passphrase
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


def read_passphrase(file: Path) -> bytes:
    """The passphrase in *file*, without the end of its line. Raises S190.

    It is a file that only its owner can read, or a pipe from a password manager.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OrchestratorError("S190", f"cannot read the passphrase file {file}: {error.strerror}") from error
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            text = f"the passphrase file {file} has the mode {mode & 0o777:04o}: other users can read or write it"
            raise OrchestratorError("S190", text, hint=f"chmod 600 {file}")
        data = b""
        while len(data) <= LONGEST + 1 and (piece := os.read(handle, LONGEST)):
            data += piece
    except OSError as error:
        raise OrchestratorError("S190", f"cannot read the passphrase file {file}: {error.strerror}") from error
    finally:
        os.close(handle)
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not SHORTEST <= len(data) <= LONGEST or b"\n" in data:
        raise OrchestratorError("S190", f"the passphrase in {file} is not one line of {SHORTEST} to {LONGEST} bytes")
    return data
