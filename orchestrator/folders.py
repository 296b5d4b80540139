"""The folders that are installed with the program."""

from pathlib import Path


def reference_folder() -> Path:
    """The folder with the reference `environments/` and `playbooks/`: in an installed package, or the repository."""
    here = Path(__file__).resolve().parent
    return here / "reference" if (here / "reference").is_dir() else here.parent


def collections_folder() -> Path:
    """The folder that holds our own collection."""
    return Path(__file__).resolve().parent / "ansible"


def templates_folder() -> Path:
    """The folder with the templates of `init`."""
    return Path(__file__).resolve().parent / "templates"
