"""Packages that every machine has: kept here when they are used, and in the artifact store for all the others."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from orchestrator.adapters.archive.packages import ENDING, Admit, SealedPackages
from orchestrator.domain.error_codes import PACKAGE_NOT_KEPT
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Manifest, Package, PackageRef, Release, Revision
from orchestrator.ports import Artifacts
from orchestrator.trees import temporary_folder

FOLDER = "packages"
"""Names of packages are `packages/<name>/<version>/<hexadecimal digest>`."""


class SharedPackages:
    """The `Packages` port over *local*, which fetches from *artifacts* what it lacks, and gives it what it keeps."""

    def __init__(self, local: SealedPackages, artifacts: Artifacts) -> None:
        self._local, self._artifacts = local, artifacts

    def build(
        self,
        project: Path,
        source: Path,
        release: Release,
        target: Path,
        *,
        replace: bool = False,
        admit: Admit | None = None,
        warn: Callable[[OrchestratorError], object] = lambda _warning: None,
    ) -> Package:
        """As `SealedPackages.build`: a sealed file goes nowhere before it is kept."""
        return self._local.build(project, source, release, target, replace=replace, admit=admit, warn=warn)

    def read(self, path: Path) -> Package:
        """As `SealedPackages.read`."""
        return self._local.read(path)

    def keep(self, path: Path) -> Package:
        """Keep the sealed file here and in the artifact store. Raises S-codes if the store does not accept it."""
        package = self._local.keep(path)
        self.share(package)
        return package

    def hold(self, path: Path) -> Package:
        """Keep the sealed file here and nowhere else."""
        return self._local.hold(path)

    def remove(self, ref: PackageRef) -> None:
        """Remove a package here, and its name in the artifact store. Raises S-codes."""
        self._artifacts.forget(_name(ref))
        self._local.remove(ref)

    def share(self, package: Package) -> None:
        """Ensure that the artifact store has a package that is kept here, whole. Raises S-codes."""
        self._artifacts.name(_name(package.ref), self._artifacts.put(Path(package.path)))

    def fetch(self, digest: str) -> Package:
        """The package, from the artifact store when it is not kept here. Raises P301, P302 and S-codes."""
        try:
            return self._local.fetch(digest)
        except OrchestratorError as error:
            if error.code != PACKAGE_NOT_KEPT:
                raise
        found = [ref for ref in self._shared() if ref.digest == digest]
        if not found:
            raise OrchestratorError("P301", f"the package {digest} is kept neither here nor in {self._artifacts.where}")
        return self._bring(found[0])

    def revision(self, digest: str) -> Revision | None:
        """The Git commit of a package that is kept here. Raises P301 for one that is only shared."""
        return self._local.revision(digest)

    def known(self) -> list[tuple[PackageRef, Manifest]]:
        """The packages that are kept here."""
        return self._local.known()

    def refs(self) -> list[PackageRef]:
        """Every package that is kept here or shared."""
        found = {ref.digest: ref for ref in [*self._local.refs(), *self._shared()]}
        return sorted(found.values(), key=lambda ref: (ref.name, ref.version, ref.digest))

    def ref(self, digest: str) -> PackageRef | None:
        """The reference of the package kept here, otherwise of the shared one. None if the store does not respond."""
        found = self._local.ref(digest)
        if found is None:
            with contextlib.suppress(OrchestratorError):
                found = next((ref for ref in self._shared() if ref.digest == digest), None)
        return found

    def strange_names(self) -> list[str]:
        """The names among the shared packages that are not those of a package; every listing leaves them out."""
        return [name for name, ref in self._listed() if ref is None]

    def _shared(self) -> list[PackageRef]:
        return [ref for _, ref in self._listed() if ref is not None]

    def _listed(self) -> list[tuple[str, PackageRef | None]]:
        return [(name, _ref(name)) for name in self._artifacts.names(f"{FOLDER}/")]

    def _bring(self, ref: PackageRef) -> Package:
        """Fetch the sealed file, verify it as any file from elsewhere, and keep it here."""
        shared = self._artifacts.named(_name(ref))
        if shared is None:
            raise OrchestratorError("P301", f"the package {ref.digest} is no longer in {self._artifacts.where}")
        with temporary_folder("orchestrator-fetch-") as folder:
            file = Path(folder) / f"{ref.name}{ENDING}"
            self._artifacts.get(shared, file)
            if self._local.read(file).digest != ref.digest:
                raise OrchestratorError("P302", f"{_name(ref)} in {self._artifacts.where} is another package")
            return self._local.keep(file)


def _ref(name: str) -> PackageRef | None:
    """The package that *name* is about; None if no package has such a name."""
    _, *parts = name.split("/")
    try:
        shop, version, digest = parts
        return PackageRef(name=shop, version=version, digest=f"sha256:{digest}")
    except ValueError:  # too few parts, or one of another form
        return None


def _name(ref: PackageRef) -> str:
    return f"{FOLDER}/{ref.name}/{ref.version}/{ref.digest.removeprefix('sha256:')}"
