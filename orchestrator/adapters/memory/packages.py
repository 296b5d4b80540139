"""The `Packages` port, for releases that are values and have no files."""

from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Manifest, Package, PackageRef, Release, Revision


class MemoryPackages:
    """The `Packages` port, for releases that are values and have no files."""

    def __init__(self) -> None:
        self._kept: dict[str, Package] = {}
        self.spoiled: set[str] = set()

    def put(self, release: Release, revision: Revision | None = None) -> Package:
        """Keep a package of *release* with nothing in it, built from *revision*. One that is kept stays as it is."""
        manifest = Manifest(apiVersion="orchestrator/v1", kind="Package", release=release, files=())
        package = Package(manifest=manifest, digest=manifest.digest, path="", root="", revision=revision)
        return self._kept.setdefault(package.digest, package)

    def build(self, project: Path, source: Path, release: Release, target: Path) -> Package:
        """Keep it; there is no file."""
        del project, source, target
        return self.put(release)

    def read(self, path: Path) -> Package:
        """The package whose digest the file's name is."""
        return self.fetch(path.name)

    def keep(self, path: Path) -> Package:
        """The same."""
        return self.fetch(path.name)

    def hold(self, path: Path) -> Package:
        """The same: there is one machine."""
        return self.fetch(path.name)

    def fetch(self, digest: str) -> Package:
        """The kept package; one that is *spoiled* is refused like a file that was changed."""
        if digest not in self._kept or digest in self.spoiled:
            raise OrchestratorError("P301", f"the package {digest} is not kept here, or was changed")
        return self._kept[digest]

    def revision(self, digest: str) -> Revision | None:
        """The Git commit that the package was put with."""
        return self.fetch(digest).revision

    def share(self, package: Package) -> None:
        """Nothing: there is one machine."""

    def known(self) -> list[tuple[PackageRef, Manifest]]:
        """Every package with its manifest."""
        return [(ref, self.fetch(ref.digest).manifest) for ref in self.refs()]

    def remove(self, ref: PackageRef) -> None:
        """Forget a package, as on a machine that never had it; doing it again is harmless."""
        self._kept.pop(ref.digest, None)

    def refs(self) -> list[PackageRef]:
        """Every package."""
        return [package.ref for package in self._kept.values()]

    def strange_names(self) -> list[str]:
        """None: there is no shared store."""
        return []

    def ref(self, digest: str) -> PackageRef | None:
        """The package's name and version."""
        return self._kept[digest].ref if digest in self._kept else None
