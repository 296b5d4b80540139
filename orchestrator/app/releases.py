"""Packages: building, finding, sharing and removing them."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orchestrator.config as files
from orchestrator.app.acting import Right
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.package_uses import refuse_used, remove_unused
from orchestrator.app.parts import Parts, Warn
from orchestrator.app.run_requests import record_builder
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import DIGEST
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import Package, PackageRef, Release
from orchestrator.domain.text import nearest
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.inspect.release_history import RestorePoint, as_of, rollback_target
from orchestrator.inspect.versions import Versions, uses
from orchestrator.trees import temporary_folder


@dataclass(frozen=True)
class KeptPackages:
    """The packages of a project: their *refs*, and the number of *files* of each that is on this machine, by digest.

    *strange_names* are in the shared store, and are not names of packages.
    """

    refs: tuple[PackageRef, ...]
    files: dict[str, int]
    strange_names: tuple[str, ...]


class Releases(UseCases):
    """The use cases about releases and their packages."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.VIEW)
    def package(
        self,
        actor: Actor,
        wanted: str,
        warn: Warn = lambda _warning: None,
        building: Callable[[Path], object] = lambda _source: None,
        *,
        publish: bool = True,
    ) -> Package:
        """The package that *wanted* means: a sealed file, a kept one (`shop-1.4.0`, version, digest), or a source.

        A source folder is built first, so that `promote releases/shop` works from the first day; *building* is called
        with it before. Without *publish* the package is kept on this machine alone, and `dist/` is left as it is.
        To build needs the right to build; without *publish*, and for a sealed file, that to plan. Raises A101, R106 and
        R107.
        """
        path = Path(wanted)
        if path.is_file() and path.suffix == ".release":
            self._rights.require(actor, (Right(Action.PLAN),), "", recorded=False)
            return self._parts.packages.keep(path) if publish else self._parts.packages.hold(path)
        found = self._fitting(wanted)
        if found is not None:
            package = self._parts.packages.fetch(found.digest)
            if publish:
                self._share(package)
            return package
        try:
            source = files.find_release(self._parts.root, self._parts.project, wanted)
        except OrchestratorError as error:
            known = [f"{ref.name}-{ref.version}" for ref in self._parts.packages.refs()]
            known += [str(file.parent.relative_to(self._parts.root)) for file in self._sources()]
            text = f"the release {wanted!r} does not exist"
            raise OrchestratorError("R106", text, hint=nearest(wanted, known)) from error
        self._rights.require(actor, (Right(Action.BUILD if publish else Action.PLAN),), "", recorded=publish)
        building(source)
        built = self._build(actor, source, None, warn) if publish else self._draft(actor, source, warn)
        return self._parts.packages.fetch(built.digest)

    @use_case(Action.VIEW)
    def kept(self, actor: Actor) -> KeptPackages:
        """The packages that the project keeps, and those on this machine with the number of their files."""
        packages = self._parts.packages
        files = {ref.digest: len(manifest.files) for ref, manifest in packages.known()}
        return KeptPackages(tuple(packages.refs()), files, tuple(packages.strange_names()))

    @use_case(Action.VIEW)
    def kept_refs(self, actor: Actor) -> list[PackageRef]:
        """The packages that the project keeps, without reading them."""
        return self._parts.packages.refs()

    @use_case(Action.BUILD)
    def keep(self, actor: Actor, file: Path) -> Package:
        """Verify the sealed *file*, and put it into the store. Raises P-codes."""
        return self._parts.packages.keep(file)

    def _sources(self) -> list[Path]:
        """The files of the releases that the project describes."""
        return sorted((self._parts.root / self._parts.project.releases).glob("*/release.yaml"))

    def _share(self, package: Package) -> None:
        """Ensure that other machines have a *package* that was kept here before. Raises S-codes."""
        self._parts.packages.share(package)

    @use_case(Action.VIEW)
    def reference(self, actor: Actor, wanted: str) -> PackageRef:
        """The release that *wanted* names by version or digest; a whole digest may be of a package that is not here.

        Raises R106 and R107.
        """
        return self._reference(wanted)

    def _reference(self, wanted: str) -> PackageRef:
        found = self._fitting(wanted)
        if found is None and DIGEST.match(wanted):
            return PackageRef(name="unknown", version="0", digest=wanted)
        if found is None:
            raise OrchestratorError("R106", f"no package {wanted!r} is kept here")
        return found

    @use_case(Action.VIEW)
    def kept_package(self, actor: Actor, wanted: str) -> Package:
        """The kept package that *wanted* names by version or digest. Nothing is built or read from a path.

        Raises R106 and R107.
        """
        found = self._fitting(wanted)
        if found is None:
            known = [f"{ref.name}-{ref.version}" for ref in self._parts.packages.refs()]
            raise OrchestratorError("R106", f"no package {wanted!r} is kept here", hint=nearest(wanted, known))
        return self._parts.packages.fetch(found.digest)

    def _fitting(self, wanted: str) -> PackageRef | None:
        """The kept package that *wanted* means; None if there is none. Raises R107 if there are several."""
        found = [ref for ref in self._parts.packages.refs() if ref.is_meant_by(wanted)]
        if len(found) > 1:
            names = ", ".join(f"{ref} ({ref.digest[:19]})" for ref in found)
            raise OrchestratorError("R107", f"{wanted!r} fits several packages: {names}")
        return found[0] if found else None

    def _kept(self, digest: str) -> Package:
        """The kept package with this *digest*, shared for other machines."""
        package = self._parts.packages.fetch(digest)
        self._share(package)
        return package

    @use_case(Action.BUILD)
    def build(
        self, actor: Actor, wanted: str, target: Path | None = None, warn: Warn = lambda _warning: None
    ) -> Package:
        """Seal the release that *wanted* names into *target* (by default `dist/<name>-<version>.release`).

        It is kept as well, so that it can be named by its version from here on. *warn* is given what may be missing.
        """
        return self._build(actor, files.find_release(self._parts.root, self._parts.project, wanted), target, warn)

    @use_case(Action.BUILD)
    def build_checkout(self, actor: Actor, wanted: str, root: Path) -> Package:
        """Seal the release *wanted* as another checkout of the project at *root* has it, and keep the package.

        Raises F134, and what `build` raises.
        """
        source = files.find_release(root, self._parts.project, str(root / self._parts.project.releases / wanted))
        release = files.load_release(source, root)
        with temporary_folder("orchestrator-build-") as folder:
            file = Path(folder) / f"{release.name}-{release.version}.release"
            built = self._sealed(actor, source, release, file, lambda _warning: None, root)
            self._parts.packages.keep(file)
            return built

    def _build(self, actor: Actor, source: Path, target: Path | None, warn: Warn) -> Package:
        release = files.load_release(source, self._parts.root)
        file = target or self._published(release.name, release.version)
        package = self._sealed(actor, source, release, file, warn)
        self._parts.packages.keep(file)
        return package

    def _draft(self, actor: Actor, source: Path, warn: Warn) -> Package:
        """Seal the release described by *source* as a draft: kept on this machine, and not shared."""
        release = files.load_release(source, self._parts.root)
        with temporary_folder("orchestrator-draft-") as folder:
            file = Path(folder) / f"{release.name}-{release.version}.release"
            self._sealed(actor, source, release, file, warn)
            return self._parts.packages.hold(file)

    def _sealed(
        self, actor: Actor, source: Path, release: Release, file: Path, warn: Warn, root: Path | None = None
    ) -> Package:
        """Seal a *release* of the files below *root*; None: of the project's folder.

        Other packages of its version that no environment has seen are removed. Raises P106 and P123.
        """
        acting, uses = self._parts.acting_as(actor), self._parts.package_uses
        raised = f"raise the version {release.version}"
        versions = Versions(
            self._parts.packages,
            self._parts.store,
            release,
            lambda ref: acting.register.reading(lambda records: refuse_used(records, uses, ref, raised)),
            lambda refs: remove_unused(acting.register, str(actor), uses, refs, self._parts.packages.remove, raised),
        )
        built = self._parts.packages.build(
            root or self._parts.root, source, release, file, admit=versions.admit, warn=warn
        )
        try:
            versions.supersede(built.digest)
        except OrchestratorError:  # another package of the version was used since `admit`: it stays
            file.unlink(missing_ok=True)
            raise
        record_builder(acting, built.digest)
        return built

    def _published(self, name: str, version: str) -> Path:
        """Where the package of a version is published."""
        return self._parts.root / "dist" / f"{name}-{version}.release"

    @use_case(Action.BUILD)
    def remove(self, actor: Actor, wanted: str) -> tuple[PackageRef, bool]:
        """Remove a package that no environment has seen; whether its file in `dist/` is removed too.

        Raises P123 for one in use, also by a train, planned release, task or run request that has not ended.
        """
        ref = self._reference(wanted)
        found = uses(self._parts.store, ref.digest)
        if found:
            hint = "raise the version of the next release; packages that an environment has had are kept"
            raise OrchestratorError("P123", f"{ref} is used by {', '.join(found[:5])}", hint=hint)
        acting, known = self._parts.acting_as(actor), self._parts.package_uses
        remove_unused(acting.register, str(actor), known, (ref,), self._parts.packages.remove)
        file = self._published(ref.name, ref.version)
        with contextlib.suppress(OrchestratorError):
            if self._parts.packages.read(file).digest == ref.digest:
                file.unlink()
                return ref, True
        return ref, False

    @use_case(Action.VIEW)
    def planned_package(self, actor: Actor, plan: Plan | WavePlan) -> Package:
        """The package that *plan* promotes, shared for other machines. Raises P301 with the command that brings it."""
        digest = plan.release.digest
        if any(ref.digest == digest for ref in self._parts.packages.refs()):
            return self._kept(digest)
        file = f"{digest.removeprefix('sha256:')}.release"
        if self._parts.shared is None:
            hint = (
                f"copy .orchestrator/packages/{file} from the machine that made the plan, and run here: "
                f"orchestrator package verify {file} --keep"
            )
        else:
            hint = (
                "run on the machine that made the plan: orchestrator package verify "
                f".orchestrator/packages/{file} --keep; then repeat this command here"
            )
        where = "is not kept on this machine" + (
            f" or in {self._parts.artifacts.where}" if self._parts.shared is not None else ""
        )
        raise OrchestratorError("P301", f"the package of the plan, {plan.release} ({digest}), {where}", hint=hint)

    @use_case(Action.PLAN)
    def rollback_package(self, actor: Actor, environment: str, version: str | None) -> Package:
        """The package that a rollback restores: *version*, otherwise that of `rollback_target`. Raises R134."""
        return self._fetched(rollback_target(self._parts.services, environment, version))

    @use_case(Action.PLAN)
    def as_of(self, actor: Actor, environment: str, when: str) -> tuple[Package, RestorePoint]:
        """What *environment* was at a time or at the end of a run, and its package. Raises R101, R204, R205."""
        then = as_of(self._parts.services, environment, when)
        return self._fetched(then.release), then

    def _fetched(self, ref: PackageRef) -> Package:
        """The package that is restored, shared because other machines may have to continue the rollback."""
        package = self._parts.packages.fetch(ref.digest)
        with contextlib.suppress(OrchestratorError):  # a rollback does not wait for it: this machine has the package
            self._share(package)
        return package
