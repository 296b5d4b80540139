"""The parts of a project that keep something: the journal, packages, artifacts and keys."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.domain.authentication import KEY_FILE
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.folders import collections_folder
from orchestrator.ports import Artifacts, Logs, NullArtifacts, NullLogs, Store, Uploads
from orchestrator.project_wiring import ProjectParts

if TYPE_CHECKING:
    from orchestrator.adapters.archive.checks import Declared
    from orchestrator.adapters.backup.project_backups import ProjectBackups
    from orchestrator.adapters.project_key import FileKeys
    from orchestrator.adapters.views import Views
    from orchestrator.adapters.withheld import WithheldSecrets
    from orchestrator.app.front_end import LoopbackHost
    from orchestrator.app.parts import PackageStore


class StorageParts(ProjectParts):
    """What a project keeps. Each part is made when it is first used."""

    if TYPE_CHECKING:  # `EngineParts` has it

        @property
        def views(self) -> Views:
            """What processes find of this machine."""

    @cached_property
    def store(self) -> Store:
        """The journal."""
        from orchestrator.adapters.database.masking import mask_databases
        from orchestrator.adapters.database.store import DatabaseStore

        mask_databases()
        return DatabaseStore(self.store_url, self.clock)

    @cached_property
    def artifacts(self) -> Artifacts:
        """The store that several machines share. It is not accessed yet. Raises S140."""
        if self.shared is None:
            return NullArtifacts()
        from orchestrator.adapters.artifacts.places import artifacts

        return artifacts(self.shared, self.home)

    @cached_property
    def logs(self) -> Logs:
        """What jobs have printed, for other machines."""
        if self.shared is None:
            return NullLogs()
        from orchestrator.adapters.artifacts.logs import SharedLogs

        return SharedLogs(self.state / "jobs", self.artifacts)

    @cached_property
    def keys(self) -> "FileKeys":
        """The project key: in the file that `ORCHESTRATOR_PROJECT_KEY_FILE` names, otherwise in the state folder."""
        from orchestrator.adapters.project_key import FileKeys

        named = self.environ.get(KEY_FILE)
        file = Path(os.path.normpath(self.home / named)) if named else self.state / "project.key"
        return FileKeys(file, self.clock, shared=bool(named))

    @property
    def withheld(self) -> "WithheldSecrets":
        """The secrets that a restored backup did not have."""
        from orchestrator.adapters.withheld import WithheldSecrets

        return WithheldSecrets(self.state, self.environ)

    @property
    def backups(self) -> "ProjectBackups":
        """The backups of the project."""
        from orchestrator.adapters.backup.content import BackupPaths
        from orchestrator.adapters.backup.project_backups import ProjectBackups

        return ProjectBackups(BackupPaths(self.project.name, self.state, self.store_url), self.secret_paths)

    def loopback_hosts(self) -> "list[tuple[LoopbackHost, bool]]":
        """The recorded loopback hosts, and whether each is running."""
        from orchestrator.hosts import loopback

        return [(host, loopback.alive(host)) for host in loopback.recorded(self.state)]

    @cached_property
    def uploads(self) -> Uploads:
        """Unfinished uploads of packages."""
        from orchestrator.adapters.upload_files import UploadFiles

        return UploadFiles(self.state / "uploads")

    @cached_property
    def packages(self) -> "PackageStore":
        """Release packages."""
        from orchestrator.adapters.archive.packages import SealedPackages
        from orchestrator.adapters.archive.proof import Proof

        collections = collections_folder()
        from orchestrator.config.implementation import load_implementation

        proof = Proof(collections, self.environ, self._declared, self.views, load_implementation)
        local = SealedPackages(
            self.state / "packages",
            collections=collections,
            proof=proof,
            packing=self.project.package,
            declared=self._declared,
            environ=self.environ,
            views=self.views,
        )
        if self.shared is None:
            return local
        from orchestrator.adapters.artifacts.packages import SharedPackages

        return SharedPackages(local, self.artifacts)

    def _declared(self, names: tuple[str, ...]) -> "tuple[Declared, ...]":
        """What the environments *names* of this project declare; nothing where their files cannot be read."""
        from orchestrator.adapters.archive.checks import declared_by

        try:
            found = {name: self.environments[name] for name in names if name in self.environments}
        except (OrchestratorError, OrchestratorErrors):  # commands that need the files report what is wrong
            return ()
        shown = {name: os.path.relpath(folder / "environment.yaml", self.root) for name, (_, folder) in found.items()}
        return tuple(declared_by(name, shown[name], environment) for name, (environment, _) in found.items())
