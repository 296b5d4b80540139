"""Project definitions: selected in a project's folder, sealed in the form of a release package, and read as strictly.

    manifest.json            the canonical manifest, whose SHA-256 is the definition's digest
    content/…                its files, in that order

Nothing else is accepted, so an archive holds nothing that the digest does not cover.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from orchestrator.adapters.archive import links
from orchestrator.adapters.archive.definition_files import ProjectFolder, manifest_faults, select_files
from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.adapters.archive.replaced_file import ReplacedFile
from orchestrator.adapters.archive.sealed import END, MANIFEST, MAX_MANIFEST, Member, Reader, put_all
from orchestrator.adapters.archive.unpacked import content_as, link_as, write_file
from orchestrator.domain.error_codes import NOT_A_DEFINITION
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.project_definition import DefinitionManifest, SealedDefinition
from orchestrator.domain.release import PackageFile

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class DefinitionReader(Reader):
    """Reads the archive of a definition from front to back. Raises N180 for anything that we would not have written."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.attachments: list[str] = []
        first = self._next()
        if first is None or first != Member(MANIFEST, first.size, executable=False) or first.size > MAX_MANIFEST:
            raise not_a_definition("the first file is not the manifest")
        text = self._exactly(first.size, MANIFEST)
        self._padding(first)
        self.definition = _manifest(text)
        self.digest = self.definition.digest

    def content(self) -> Iterator[tuple[PackageFile, Iterator[bytes]]]:
        """Each file with its data, which is read before the next file is requested. Raises P-codes."""
        for file in self.definition.files:
            expected = Member.of(file)
            if self._next() != expected:
                raise not_a_definition(f"{file.path} is not in the order of the manifest")
            yield file, self._data(expected, file.sha256) if file.link is None else iter(())
        if self._next() is not None:
            raise not_a_definition("it has more than its manifest lists")


def _manifest(text: bytes) -> DefinitionManifest:
    """The manifest in *text*. Raises N180."""
    try:
        found = DefinitionManifest.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError) as error:
        raise not_a_definition("its manifest cannot be read") from error
    if found.text != text:
        raise not_a_definition("its manifest is not in the canonical form")
    names = [file.path for file in found.files]
    check_together([check_name(name) for name in (*names, *found.credentials)])
    fault = manifest_faults(found)
    if fault:
        raise not_a_definition(fault)
    return found


def not_a_definition(why: str) -> OrchestratorError:
    """The error for an archive that is not that of a definition, or not the one with its digest."""
    return OrchestratorError("N180", f"this is not the archive of a project definition: {why}")


def seal_definition(project: ProjectFolder, target: Path) -> SealedDefinition:
    """Seal the definition of *project* into *target*. Raises N181, and P-codes of the files."""
    selected, root = select_files(project), project.root
    listed = tuple(_listed(name, root / name) for name in selected.names)
    manifest = DefinitionManifest(project=project.name, files=listed, credentials=selected.credentials)
    check_together([check_name(name) for name in (*selected.names, *selected.credentials)])
    with ReplacedFile(target) as out:
        put_all(out, manifest.text, listed, lambda file: (root / file.path).open("rb"), _changed)
        out.write(END)
    return SealedDefinition(manifest=manifest, file=str(target), revision=selected.revision)


def _listed(name: str, path: Path) -> PackageFile:
    about = PackageFile(path=name, size=0, sha256="0" * 64)
    if path.is_symlink():
        link = os.fsencode(path.readlink()).decode("utf-8", "surrogateescape")
        why = links.objection(link)
        if why is not None:
            raise OrchestratorError("P103", f"the target of the link {name} {why}: {link}")
        return link_as(link, about)
    try:
        with path.open("rb") as file:
            return content_as(file, about)
    except OSError as error:
        raise OrchestratorError("P109", f"cannot read {path}: {error.strerror or error}") from error


def _changed(path: str) -> OrchestratorError:
    return OrchestratorError("P206", f"{path} changed while it was packed")


def read_definition(file: Path) -> DefinitionManifest:
    """The manifest of the archive *file*, all of which is verified. Raises N180."""
    with file.open("rb") as source:
        return verified_definition(source)


def verified_definition(source: BinaryIO) -> DefinitionManifest:
    """The manifest of an archive, all of which is verified. Raises N180."""
    try:
        reader = DefinitionReader(source)
        for _, data in reader.content():
            for _ in data:
                pass
    except OrchestratorError as error:
        raise _as_definition(error) from error
    return reader.definition


def unpack_project(source: BinaryIO, target: Path) -> DefinitionManifest:
    """Write the files of an archive into the new folder *target*. Raises N180; what was written then stays."""
    try:
        reader = DefinitionReader(source)
        target.mkdir(mode=0o755)
        root = os.open(target, FOLDER)
        try:
            for file, data in reader.content():
                write_file(root, file, data)
        finally:
            os.close(root)
    except OrchestratorError as error:
        raise _as_definition(error) from error
    return reader.definition


def _as_definition(error: OrchestratorError) -> OrchestratorError:
    return error if error.code == NOT_A_DEFINITION else not_a_definition(error.message)
