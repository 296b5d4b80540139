"""What the manifest of a package must satisfy, from any writer: names, sizes, areas, links, what the release names."""

import hashlib
import posixpath
import re

from orchestrator.adapters.archive import links
from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Manifest, PackageFile, Release

CONTENT, ATTACHMENTS = "content/", "attachments/"
OWN_COLLECTION = "ansible_collections/orchestrator/release/"
REQUIREMENTS = ("collections/", "roles/")
MAX_FILES = 50_000
MAX_FILE = 8 * 1024**3 - 1  # the highest number of eleven octal digits
MAX_TOTAL = 32 * 1024**3


def check_manifest(manifest: Manifest) -> None:
    """Whether *manifest* can be that of a package. Raises P203, P204, P207, P214, P215, P217 and P218."""
    names = [file.name for file in manifest.files]
    if len(names) > MAX_FILES:
        raise OrchestratorError("P207", f"the package has more than {MAX_FILES} files")
    large = next((file.path for file in manifest.files if file.size > MAX_FILE), None)
    if large is not None:
        raise OrchestratorError("P207", f"{large!r} is larger than 8 GiB")
    if sum(file.size for file in manifest.files) > MAX_TOTAL:
        raise OrchestratorError("P207", "the package is larger than 32 GiB")
    for file in manifest.files:
        check_name(file.path)
    if names != sorted(names):
        raise OrchestratorError("P214", "the manifest's files are not in order")
    for area in manifest.areas():
        check_together([file.path for file in manifest.files if file.area == area])
    _check_areas(manifest)
    _check_links(manifest)
    _check_release(manifest)


def _check_areas(manifest: Manifest) -> None:
    """Each area holds what it is for, and nothing else. Raises P218."""
    named = {item.file_name for item in manifest.release.artifacts}
    for file in manifest.files:
        fits = {
            "content": True,
            "artifacts": file.path in named and file.link is None,
            "collection": file.path.startswith(OWN_COLLECTION),
            "requirements": file.path.startswith(REQUIREMENTS),
        }[file.area]
        if not fits or (manifest.format == 1 and file.area != "content"):
            raise OrchestratorError("P218", f"{file.name!r} has no place in a package of format {manifest.format}")
    if manifest.format > 1 and manifest.project != ".":
        raise OrchestratorError("P218", "a package of format 2 has no project folder of its own")
    if "collection" in manifest.areas() and manifest.collection is None:
        raise OrchestratorError("P218", "the version of the collection in the package is missing")


def _check_links(manifest: Manifest) -> None:
    """Each link is one that may be packed, and stays in its area. Raises P217."""
    for area in manifest.areas():
        known = links_of(manifest, area)
        for path, link in known.items():
            reason = links.objection(link)
            if manifest.format == 1:
                reason = "is a link, which format 1 does not have"
            elif reason is None and links.target(path, known) is None:
                reason = "leads out of its area or in a circle"
            if reason is not None:
                raise OrchestratorError("P217", f"the target of the link {path!r} {reason}: {link!r}")
    strange = next((file for file in manifest.files if file.link is not None and not _is_link(file)), None)
    if strange is not None:
        raise OrchestratorError("P217", f"the link {strange.path!r} has the size or digest of a file")


def _is_link(file: PackageFile) -> bool:
    sha256 = hashlib.sha256(str(file.link).encode()).hexdigest()
    return (file.size, file.sha256, file.executable) == (0, sha256, False)


def links_of(manifest: Manifest, area: str) -> dict[str, str]:
    """The links of an *area*: the target of each by its path."""
    return {file.path: file.link for file in manifest.files if file.area == area and file.link is not None}


def _missing_artifacts(manifest: Manifest) -> list[str]:
    """The artifacts of the release that are not in the package."""
    packed = {file.name for file in manifest.files}
    if manifest.format == 1:
        return [item.path for item in manifest.release.artifacts if CONTENT + item.path not in packed]
    return [item.file_name for item in manifest.release.artifacts if f"artifacts/{item.file_name}" not in packed]


def _check_release(manifest: Manifest) -> None:
    """All that the release refers to is in the package. Raises P215."""
    release, known = manifest.release, links_of(manifest, "content")
    files = {file.path for file in manifest.files if file.area == "content" and file.link is None}
    folders = {name[: cut.start()] for name in files for cut in re.finditer("/", name)} | {"."}

    def has(name: str, places: set[str]) -> bool:
        return name == posixpath.normpath(name) and links.target(name, known) in places

    missing = _missing_artifacts(manifest)
    missing += [name for name in (*playbooks(release), *release.implementations()) if not has(name, files)]
    places = [manifest.project, *release.suites(), *release.certificates(), *release.include]
    missing += [name for name in places if not has(name, files | folders)]
    if missing:
        raise OrchestratorError("P215", f"the release refers to {missing[0]!r}, which is not in the package")


def playbooks(release: Release) -> list[str]:
    """The playbooks of all steps, those that switch sides and retire one, and those that undo steps."""
    return release.playbooks()
