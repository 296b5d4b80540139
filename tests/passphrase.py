"""A passphrase for backups, in a file that only its owner can read."""

from pathlib import Path


def passphrase(folder: Path) -> tuple[str, str]:
    """The words that name the file, for `orchestrator backup` and `restore`."""
    file = folder / "passphrase"
    file.write_text("correct horse battery staple\n")
    file.chmod(0o600)
    return "--passphrase-file", str(file)
