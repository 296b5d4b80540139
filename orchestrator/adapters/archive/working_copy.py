"""A copy of a package's content for one job: what runs there may write, and the kept package stays as it is."""

import os
import shutil
from pathlib import Path

from orchestrator.adapters.archive.unpacked import verify_tree
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package


def copy_content(package: Package, target: Path) -> Path:
    """Copy the unpacked content of *package* to *target*, verify every file of the copy, and return *target*.

    The copy is verified and not its source, so that no change between verification and use is possible. What an
    interrupted attempt left at *target* is replaced. Raises P112 and P303.
    """
    if package.root is None:
        raise RuntimeError("the package is not unpacked")
    if os.path.lexists(target):
        shutil.rmtree(target)
    try:
        shutil.copytree(package.root, target, symlinks=True, copy_function=_copy)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise OrchestratorError("P112", f"cannot copy the content of {package.ref}: {_reason(error)}") from error
    verify_tree(target, package.manifest)
    return target


def _copy(source: str, target: str) -> str:
    """Copy one file with its permissions and without its times."""
    shutil.copyfile(source, target, follow_symlinks=False)
    if not os.path.islink(source):  # noqa: PTH114
        shutil.copymode(source, target)
    return target


def _reason(error: OSError | shutil.Error) -> str:
    """The reason of *error*, which stands for several files when it comes from `copytree`."""
    found = error.args[0] if isinstance(error, shutil.Error) and error.args and error.args[0] else error
    return str(found[0][2] if isinstance(found, list) else getattr(error, "strerror", None) or error)
