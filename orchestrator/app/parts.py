"""What the application is given: the parts of one project, each made when it is first used. `wiring` makes them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from orchestrator.app.acting import Acting
from orchestrator.app.admission import Promotion
from orchestrator.app.authorize import Rights
from orchestrator.app.package_uses import PackageUses
from orchestrator.app.requests import RunRequest
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import QueuedRequest
from orchestrator.domain.project_definition import DefinitionManifest
from orchestrator.domain.release import Manifest, Package, PackageRef, Release
from orchestrator.flow.prune import Records
from orchestrator.ports import Artifacts, Deployer, Engines, Keys, Packages, Provisioner, Store, Uploads
from orchestrator.register_ports import DefinitionArchives
from orchestrator.secret_values import SecretValues
from orchestrator.services import Findings, Services

Warn = Callable[[OrchestratorError], object]


class PackageStore(Packages, Protocol):
    """Release packages with what only use cases need of them."""

    def build(
        self,
        project: Path,
        source: Path,
        release: Release,
        target: Path,
        *,
        admit: Callable[[Manifest, frozenset[str]], None] | None = None,
        warn: Warn = lambda _warning: None,
    ) -> Package:
        """As the port's; *admit* refuses a digest before the file has its name, *warn* gets what may be missing."""

    def share(self, package: Package) -> None:
        """Ensure that other machines have a kept package, if packages are shared. Raises S-codes."""

    def known(self) -> list[tuple[PackageRef, Manifest]]:
        """The packages on this machine with their manifests."""


class DefinitionFiles(Protocol):
    """Archives of project definitions."""

    def read(self, data: bytes) -> DefinitionManifest:
        """The manifest of an archive, all of which is verified. Raises N180."""

    def unpack(self, data: bytes, target: Path) -> None:
        """Write the files of an archive into the new folder *target*. Raises N180."""


class StopSignal(Protocol):
    """How a process is made to stop before its next step."""

    why: str


class Execution(Protocol):
    """Durable execution: the workflows of requests, one process for each at a time."""

    @property
    def here(self) -> str:
        """The places where the locks of this process are valid."""

    def begin(self, root: str, arguments: dict[str, object]) -> Callable[[], dict[str, object]]:
        """Start or resume the workflow of a request. Returns a way to wait for its answer. Raises S120."""

    def working(self, root: str) -> bool:
        """Whether a process works, or may work, on a request."""

    def works_on(self, work: QueuedRequest) -> bool:
        """The same, for a request that was just read."""

    def leftover(self) -> list[QueuedRequest]:
        """Requests that are not done and that no process works on, oldest first."""

    def release(self) -> None:
        """Release the claim of this process."""

    def close(self) -> None:
        """Close databases, and release locks."""


class Withheld(Protocol):
    """The secrets that a restored backup did not contain."""

    def require(self) -> None:
        """Raises S193 while a secret is missing."""


class Parts(Protocol):
    """The parts of one project."""

    @property
    def root(self) -> Path:
        """The folder with the project's files."""

    @property
    def receives_definitions(self) -> bool:
        """Whether the project's definition is the one that was pushed, and not its folder."""

    @property
    def definition(self) -> str:
        """The digest of the definition in use; empty where the folder has the files."""

    def use_definition(self, digest: str) -> None:
        """Use the definition *digest* in this process from now on. Raises N180, N185, F-codes and S-codes."""

    def use_definition_of(self, request: RunRequest) -> None:
        """Use the definition that *request* names from now on; without one the current one, if there is any.

        If it cannot be used, every run in this process is refused from now on with the reason. Raises S-codes.
        """

    def refresh_definition(self) -> bool:
        """Use the current definition from now on, if the project's is pushed. Returns whether it is another one."""

    @property
    def definition_archives(self) -> DefinitionArchives:
        """The archives of definitions."""

    @property
    def definition_files(self) -> DefinitionFiles:
        """Reads the archives."""

    def prune_definitions(self, kept: frozenset[str]) -> int:
        """Remove unpacked definitions of this machine that are not *kept*. Returns how many there were."""

    @property
    def state(self) -> Path:
        """The folder for everything that is kept."""

    @property
    def project(self) -> Project:
        """The file of the project."""

    @property
    def environments(self) -> Mapping[str, tuple[Environment, Path]]:
        """Every environment with its folder, in the order of the path."""

    @property
    def rights(self) -> Rights:
        """What decides who may do what."""

    def acting_as(self, actor: Actor) -> Acting:
        """The *actor* at the register."""

    @property
    def package_uses(self) -> PackageUses:
        """What release management knows of packages."""

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        """The windows, freezes and holidays that the files of the environments declare."""

    def promotion(
        self,
        package: Package,
        environment: str,
        *,
        allow_rolled_back: bool = False,
        overrun: bool = False,
        rehearsal: bool = False,
        requested: bool = False,
    ) -> Promotion:
        """What a promotion of *package* into *environment* is checked with. Raises R103."""

    @property
    def findings(self) -> Findings:
        """Keeps what inspections find, as found for the system."""

    @property
    def store(self) -> Store:
        """The journal."""

    @property
    def store_url(self) -> str:
        """Where the journal is."""

    @property
    def engine(self) -> Execution:
        """Durable execution."""

    @property
    def durable_records(self) -> Records:
        """The records of durable execution, for their removal."""

    @property
    def services(self) -> Services:
        """What every run is given."""

    @property
    def engines(self) -> Engines:
        """Where adapters of engines come from."""

    @property
    def deployer(self) -> Deployer:
        """Ansible, with the connections of this process."""

    @property
    def provisioner(self) -> Provisioner:
        """Pulumi."""

    @property
    def packages(self) -> PackageStore:
        """Release packages."""

    @property
    def uploads(self) -> Uploads:
        """Unfinished uploads of packages."""

    @property
    def keys(self) -> Keys:
        """The project key."""

    @property
    def artifacts(self) -> Artifacts:
        """What several machines share."""

    @property
    def shared(self) -> str | None:
        """Where several machines share what they keep; None where they do not."""

    @property
    def withheld(self) -> Withheld:
        """The secrets that a restored backup did not contain."""

    @property
    def secrets(self) -> SecretValues:
        """The secrets that this process knows."""

    @property
    def resuming(self) -> set[str]:
        """Requests that this process has started a process for."""
