"""What front ends use of this machine without a project, with the real adapters; each is imported when it is used."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.adapters.pulumi.engine import Engine
    from orchestrator.app.machine import PulumiProgram, Report
    from orchestrator.domain.calendar.import_options import ImportOptions
    from orchestrator.domain.calendar.rules import CalendarRule
    from orchestrator.domain.environment import Environment
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.package_comparison import Comparison
    from orchestrator.domain.plan import StackSpec
    from orchestrator.domain.project_definition import SealedDefinition
    from orchestrator.domain.release import Package
    from orchestrator.domain.vendor_archive import VendorArchive
    from orchestrator.server_wiring import RealServers


@dataclass(frozen=True)
class RealPulumi:
    """The Pulumi engines that programs with the variables *environ* find."""

    environ: Mapping[str, str]

    @property
    def version(self) -> str:
        """The version that is installed."""
        from orchestrator.adapters.pulumi import engine

        return engine.VERSION

    @property
    def cache(self) -> Path:
        """The folder into which it is installed."""
        from orchestrator.adapters.pulumi import engine

        return engine.engine_cache(self.environ)

    def find(self) -> "Engine":
        """The engine that would be used. Raises E101."""
        from orchestrator.adapters.pulumi import engine

        return engine.find_engine(self.environ)

    def interpreter_problem(self) -> str | None:
        """What our own interpreter lacks to run programs; None: nothing."""
        from orchestrator.adapters.pulumi import engine

        return engine.interpreter_problem()

    def missing_credential(self, spec: "StackSpec") -> tuple[str, str] | None:
        """What the stack needs and was not given, and its remedy; None: nothing. Raises E102."""
        from orchestrator.adapters.pulumi import settings

        return settings.missing_credential(spec, self.environ)

    def runtime_of(
        self, program: "PulumiProgram", environment: "Environment", folder: Path, root: Path
    ) -> "tuple[str, OrchestratorError | None]":
        """The runtime of an environment's program, and why *program* cannot run it. Raises E102."""
        from orchestrator.adapters.pulumi import definition, engine, runtimes, settings

        own = definition.find_program(environment, folder, root).path
        project = settings.project_file(own)
        found = engine.Engine(program.path, program.version, program.source)
        return runtimes.runtime(project)[0], runtimes.problem(project, found, self.environ, own)

    def install(self, report: "Report", archive: "VendorArchive | None", *, force: bool) -> "Engine":
        """Build an engine, or take it from the vendor's *archive*. Raises E103."""
        from orchestrator.adapters.pulumi import engine

        return engine.install_engine(self.environ, report, archive, force=force)

    def install_host(self, report: "Report", runtime: str) -> Path:
        """Build the language host for programs of a further *runtime*. Raises E103."""
        from orchestrator.adapters.pulumi import engine

        return engine.install_host(self.environ, report, runtime)


@dataclass(frozen=True)
class RealSshServers:
    """The SSH server that programs with the variables *environ* find."""

    environ: Mapping[str, str]

    def find(self) -> Path:
        """The program that would be used. Raises E-codes."""
        from orchestrator.hosts import sshd

        return sshd.find_server(self.environ).path

    def isolates(self) -> bool:
        """Whether loopback hosts are isolated from this machine."""
        from orchestrator.hosts import loopback

        return loopback.isolation()

    def install(self, report: "Report") -> Path:
        """Install a server. Raises E-codes."""
        from orchestrator.hosts import sshd

        return sshd.install_server(self.environ, report).path


class RealDatabases:
    """How stores are kept."""

    def describe(self, url: str) -> str:
        """The kind of the store at *url*, how it is kept, and the schema of this program, in words."""
        from orchestrator.adapters.database.driver import driver, journal_mode
        from orchestrator.adapters.database.engine import SCHEMA

        kind = url.split("://", maxsplit=1)[0].partition("+")[0]
        if kind != "sqlite":
            return f"{kind} (a server), schema {SCHEMA}"
        mode = journal_mode()
        why = "" if mode == "WAL" else ": its write-ahead log has a known fault in this version"
        return f"{kind} (SQLite {driver().sqlite_version}, journal mode {mode}{why}), schema {SCHEMA}"

    def files(self, url: str) -> list[Path] | None:
        """The existing files of the store at *url*; None if it is on a server."""
        from orchestrator.adapters.database.engine import engine_url, sqlite_path

        if not url.startswith("sqlite"):
            return None
        return [sqlite_path(found) for found in (url, engine_url(url)) if sqlite_path(found).exists()]

    def damage(self, file: Path) -> list[str]:
        """What is wrong with a database file by its own check; empty if nothing is."""
        from orchestrator.adapters.database.engine import integrity

        return integrity(f"sqlite:///{file}")


class RealPackageFiles:
    """Sealed files."""

    def read(self, file: Path) -> "Package":
        """Read and verify *file*. Raises P-codes."""
        from orchestrator.adapters.archive.packages import SealedPackages

        return SealedPackages(file.parent / "unused").read(file)

    def compare(self, before: Path, after: Path, project: Path | None) -> "Comparison":
        """The differences between two files. Raises P-codes."""
        from orchestrator.adapters.archive.compare import compare_packages

        return compare_packages(before, after, project)


class RealDefinitionSealer:
    """Seals definitions of projects."""

    @contextmanager
    def sealed(self, start: Path) -> "Iterator[SealedDefinition]":
        """The project around *start*, sealed into a file that is removed at the end. Raises as `seal`."""
        from orchestrator.trees import temporary_folder

        with temporary_folder("orchestrator-push-") as folder:
            yield self.seal(start, Path(folder) / "definition")

    def seal(self, start: Path, target: Path) -> "SealedDefinition":
        """Seal the project around *start* into *target*. Raises F-codes, N181, N183, and P-codes of the files."""
        import orchestrator.config as files
        from orchestrator.adapters.archive.definition_files import ProjectFolder
        from orchestrator.adapters.archive.project_definition import seal_definition
        from orchestrator.config.key_material import allowed_key_material
        from orchestrator.domain.environment import PUSHED
        from orchestrator.domain.errors import OrchestratorError

        root = files.find_project(start)
        project = files.load_project(root)
        if project.definition == PUSHED:
            hint = "name the folder with the project's files: orchestrator project push PATH"
            raise OrchestratorError("N183", f"{root} uses the definition that is pushed, and has none", hint=hint)
        environments = tuple(files.load_environments(root, project).values())
        allowed = allowed_key_material(root, project)
        return seal_definition(ProjectFolder(root, project.name, environments, allowed), target)


class RealCalendarFiles:
    """Calendar files."""

    def read(self, text: str, options: "ImportOptions") -> "tuple[CalendarRule, ...]":
        """Each event as a calendar rule. Raises C-codes."""
        from orchestrator.adapters.calendar_file.reader import read_calendar

        return read_calendar(text, options)

    def write(self, rules: "Iterable[CalendarRule]", at: datetime) -> str:
        """The *rules* as a file that was made at the moment *at*."""
        from orchestrator.adapters.calendar_file.writer import write_calendar

        return write_calendar(rules, at)


class RealMachine:
    """This machine, for programs with the variables *environ*."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.pulumi, self.ssh_servers = RealPulumi(environ), RealSshServers(environ)
        self.databases, self._environ = RealDatabases(), environ
        self.package_files, self.calendar_files = RealPackageFiles(), RealCalendarFiles()
        self.definitions = RealDefinitionSealer()

    @property
    def servers(self) -> "RealServers":
        """The servers that the user has signed in to."""
        from orchestrator.server_wiring import RealServers

        return RealServers(self._environ)
