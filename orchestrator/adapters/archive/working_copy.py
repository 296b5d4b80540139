"""A copy of a package's content for one job: what runs there may write, and the kept package stays as it is.

Artifacts, installed requirements and our collection are used where they are kept: a copy for each job would cost too
much. They are verified each time that a job gets its copy.
"""

import os
from pathlib import Path

from orchestrator.adapters.archive.unpacked import copy_verified, naming_remedy, verify_areas
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package
from orchestrator.trees import discard, remove


def copy_content(package: Package, target: Path) -> Path:
    """Copy the unpacked content of *package* to *target*, verify all of the package, and return *target*.

    The bytes that are written are verified, so that no change of the content between verification and use is possible.
    What an interrupted attempt left at *target* is replaced. Raises P112 and P303.
    """
    if package.root is None:
        raise RuntimeError("the package is not unpacked")
    if os.path.lexists(target):
        remove(target)
    try:
        with naming_remedy(package.home or Path(package.root).parent):
            copy_verified(Path(package.root), target, package.manifest)
            verify_areas({area: package.folder(area) for area in package.manifest.areas()}, package.manifest)
    except OSError as error:
        discard(target)
        raise OrchestratorError("P112", f"cannot copy the content of {package.ref}: {error.strerror}") from error
    except OrchestratorError:
        discard(target)
        raise
    return target
