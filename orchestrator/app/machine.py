"""This machine: the programs that projects need, and files that are read without a project.

The composition root gives it to front ends, as it gives them projects: see `opening`.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from orchestrator.domain.calendar.import_options import ImportOptions
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.package_comparison import Comparison
from orchestrator.domain.plan import StackSpec
from orchestrator.domain.project_definition import SealedDefinition
from orchestrator.domain.release import Package
from orchestrator.domain.server_profiles import ServerProfile
from orchestrator.domain.vendor_archive import VendorArchive

Report = Callable[[str], None]
"""Gets a line about the current action."""


class PulumiProgram(Protocol):
    """A Pulumi engine that can be used."""

    @property
    def path(self) -> Path:
        """Its program."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def source(self) -> str:
        """Where it was found."""


class PulumiInstallation(Protocol):
    """The Pulumi engines of this machine."""

    @property
    def version(self) -> str:
        """The version that is installed."""

    @property
    def cache(self) -> Path:
        """The folder into which it is installed."""

    def find(self) -> PulumiProgram:
        """The engine that would be used. Raises E101."""

    def interpreter_problem(self) -> str | None:
        """What our own interpreter lacks to run programs; None: nothing."""

    def missing_credential(self, spec: StackSpec) -> tuple[str, str] | None:
        """What the stack needs and was not given, and its remedy; None: nothing. Raises E102."""

    def runtime_of(
        self, program: PulumiProgram, environment: Environment, folder: Path, root: Path
    ) -> tuple[str, OrchestratorError | None]:
        """The runtime of an environment's program, and why *program* cannot run it. Raises E102.

        *folder* has the environment's file, in the project *root*.
        """

    def install(self, report: Report, archive: VendorArchive | None, *, force: bool) -> PulumiProgram:
        """Build an engine, or take it from the vendor's *archive*. Raises E103."""

    def install_host(self, report: Report, runtime: str) -> Path:
        """Build the language host for programs of a further *runtime*. Raises E103."""


class SshServers(Protocol):
    """The SSH server of loopback hosts on this machine."""

    def find(self) -> Path:
        """The program that would be used. Raises E-codes."""

    def isolates(self) -> bool:
        """Whether loopback hosts are isolated from this machine."""

    def install(self, report: Report) -> Path:
        """Install a server: the distribution's package, or without root its files in the cache. Raises E-codes."""


class PackageFiles(Protocol):
    """Sealed files."""

    def read(self, file: Path) -> Package:
        """Read and verify *file*. Raises P-codes."""

    def compare(self, before: Path, after: Path, project: Path | None) -> Comparison:
        """The differences between two files; commits are those of the folder *project*. Raises P-codes."""


class DefinitionSealer(Protocol):
    """Seals definitions of projects."""

    def sealed(self, start: Path) -> AbstractContextManager[SealedDefinition]:
        """The project around *start*, sealed into a file that is removed at the end.

        Raises F-codes, N181, N183, and P-codes of the files.
        """


class CalendarFiles(Protocol):
    """Calendar files (RFC 5545)."""

    def read(self, text: str, options: ImportOptions) -> tuple[CalendarRule, ...]:
        """Each event as a calendar rule. Raises C-codes."""

    def write(self, rules: Iterable[CalendarRule], at: datetime) -> str:
        """The *rules* as a file that was made at the moment *at*."""


class Databases(Protocol):
    """How stores are kept."""

    def describe(self, url: str) -> str:
        """The kind of the store at *url*, how it is kept, and the schema of this program, in words."""

    def files(self, url: str) -> list[Path] | None:
        """The existing files of the store at *url*; None if it is on a server."""

    def damage(self, file: Path) -> list[str]:
        """What is wrong with a database file by its own check; empty if nothing is."""


class Servers(Protocol):
    """The servers that the user of this machine has signed in to."""

    def login(self, url: str, token: str, name: str | None, ca_cert: Path | None) -> tuple[ServerProfile, str, str]:
        """Check *token* at the server, and keep it in a profile; with the actor and the project. Raises N-codes."""

    def logout(self, name: str) -> ServerProfile:
        """Remove the profile *name*. Raises N138."""


class Machine(Protocol):
    """What front ends use of this machine."""

    @property
    def pulumi(self) -> PulumiInstallation:
        """The Pulumi engines."""

    @property
    def ssh_servers(self) -> SshServers:
        """The SSH server of loopback hosts."""

    @property
    def databases(self) -> Databases:
        """How stores are kept."""

    @property
    def package_files(self) -> PackageFiles:
        """Sealed files."""

    @property
    def definitions(self) -> DefinitionSealer:
        """Seals definitions of projects."""

    @property
    def servers(self) -> Servers:
        """The servers that the user has signed in to."""

    @property
    def calendar_files(self) -> CalendarFiles:
        """Calendar files."""
