"""The parts of a project that are about its definition, where that is pushed and not in the project's folder."""

import hashlib
import io
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator.config as files
from orchestrator.config.store_place import has_records
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.project_definition import CURRENT
from orchestrator.domain.register import PROJECT_DEFINITIONS
from orchestrator.project_wiring import ProjectParts

if TYPE_CHECKING:
    from orchestrator.adapters.archive.definition_cache import DefinitionCache
    from orchestrator.app.requests import RunRequest
    from orchestrator.domain.environment import Project
    from orchestrator.domain.project_definition import DefinitionManifest
    from orchestrator.register_ports import DefinitionArchives, Register

OF_MACHINE = ("store", "artifacts", "recovery", "isolation", "sign_in", "tokens", "definition")
"""The settings that stay those of the machine: where it keeps records, how it isolates, and who may sign in."""
OF_DEFINITION = (
    "views", "engines", "provisioner", "deployer", "verifier", "gates", "packages", "services", "entrance", "acting",
    "queries", "_environments_by_name",
)  # fmt: skip
"""The parts that are made of the project's files, and that are made again for another definition."""


class RealDefinitionFiles:
    """Archives of project definitions."""

    def read(self, data: bytes) -> "DefinitionManifest":
        """The manifest of an archive, all of which is verified. Raises N180."""
        from orchestrator.adapters.archive.project_definition import verified_definition

        return verified_definition(io.BytesIO(data))

    def unpack(self, data: bytes, target: Path) -> None:
        """Write the files of an archive into the new folder *target*. Raises N180."""
        from orchestrator.adapters.archive.project_definition import unpack_project

        unpack_project(io.BytesIO(data), target)


class DefinitionParts(ProjectParts):
    """What `App` has of definitions."""

    if TYPE_CHECKING:  # `RegisterParts` has it

        @property
        def register(self) -> Register:
            """Management records and the audit stream."""

    @cached_property
    def definition_archives(self) -> "DefinitionArchives":
        """The archives of definitions."""
        from orchestrator.adapters.database.definition_archives import DatabaseDefinitionArchives
        from orchestrator.adapters.database.masking import mask_databases

        mask_databases()
        return DatabaseDefinitionArchives(self.store_url, self.project.name)

    @property
    def definition_files(self) -> RealDefinitionFiles:
        """Reads the archives."""
        return RealDefinitionFiles()

    @cached_property
    def _definition_cache(self) -> "DefinitionCache":
        """The unpacked definitions of this folder of this machine."""
        from orchestrator.adapters.archive.definition_cache import DefinitionCache

        own = hashlib.sha256(str(self.home).encode()).hexdigest()[:16]
        folder = files.cache_folder(self.environ) / "definitions" / f"{self.own.name}-{own}"
        return DefinitionCache(folder, self.home, self._archive)

    def _archive(self, digest: str) -> bytes | None:
        return self.definition_archives.fetch(digest)

    def prune_definitions(self, kept: frozenset[str]) -> int:
        """Remove unpacked definitions of this machine that are not *kept*. Returns how many there were."""
        return self._definition_cache.prune(kept) if self.receives_definitions else 0

    def refresh_definition(self) -> bool:
        """Use the current definition from now on, if the project's is pushed. Returns whether it is another one.

        Raises N180, N185, F-codes and S-codes.
        """
        if not self.receives_definitions:
            return False
        current = self.register.reading(lambda records: records.all(PROJECT_DEFINITIONS, CURRENT))
        if not current or current[0].digest == self.definition:
            return False
        self.use_definition(current[0].digest)
        return True

    def find_definition(self) -> None:
        """Use the current definition if the store is available; what needs the store reports why it is not."""
        if not self.receives_definitions or not has_records(self.home, self.own, self.environ):
            return
        try:
            self.refresh_definition()
        except OrchestratorError as error:
            if not error.code.startswith("S"):
                raise

    def use_definition(self, digest: str) -> None:
        """Use the definition *digest* in this process from now on. Raises N180, N185, F-codes and S-codes."""
        if digest == self.definition:
            return
        root = self._definition_cache.place(digest)
        project = self._with_own_settings(files.load_project(root))
        environments = files.load_environments(root, project)
        found = {"root": root, "project": project, "environments": environments, "definition": digest}
        self.__dict__.update(found)  # at once: other threads see all of one definition
        for name in OF_DEFINITION:
            self.__dict__.pop(name, None)

    def use_definition_of(self, request: "RunRequest") -> None:
        """Use the definition that *request* names from now on; without one the current one, if there is any.

        If it cannot be used, every run in this process is refused from now on with the reason. Raises S-codes.
        """
        if not self.receives_definitions:
            return
        try:
            if request.definition:
                self.use_definition(request.definition)
            else:
                self.refresh_definition()
        except (OrchestratorError, OrchestratorErrors) as error:
            first = error.errors[0] if isinstance(error, OrchestratorErrors) else error
            if first.code.startswith("S"):
                raise
            self.refusal = first
            self.__dict__.pop("services", None)

    def _with_own_settings(self, project: "Project") -> "Project":
        """*project*, with what this machine decides."""
        return project.model_copy(update={name: getattr(self.own, name) for name in OF_MACHINE})
