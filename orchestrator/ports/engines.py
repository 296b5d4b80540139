"""The engines: infrastructure, software on hosts, tests, and who makes their adapters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.domain.configuration import Configuration
from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.environment import AnsibleSettings, Environment, PulumiSettings, SnapshotRule
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.parity import Definition
from orchestrator.domain.plan import PlaySpec, ResourceChange, StackPreview, StackSpec, StepPreview, SuiteSpec
from orchestrator.domain.plays import PlaySource
from orchestrator.domain.release import Package
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.snapshot import Snapshot
from orchestrator.domain.step import StepResult
from orchestrator.ports.jobs import Emit

DEFAULTS = AnsibleSettings()


@dataclass(frozen=True)
class SavedPlan:
    """An update plan in *file*, to which an update is constrained while it has its digests.

    *update_plan* is the digest of its content, *update_file* that of its bytes; None where that was not recorded.
    *settings* are those of Pulumi that it was made with; None: the current ones count.
    """

    file: Path
    update_plan: str | None = None
    update_file: str | None = None
    settings: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The start of its digest, for messages."""
        return (self.update_file or self.update_plan or self.file.name)[:19]


@dataclass(frozen=True)
class Provisioned:
    """What came of an update of a stack: the result, and the digest of the state after it."""

    result: StepResult
    base: str


class Provisioner(Protocol):
    """Infrastructure: Pulumi."""

    def definition(self, environment: Environment, folder: Path) -> StackSpec:
        """The current definition of the environment: its program and its file in *folder*, by digest; kept under it.

        Raises E-codes when there is no program.
        """

    def kept(self, digest: str) -> StackSpec:
        """The stack as it was defined when its definition had this digest. Raises E105 when it is not kept here."""

    def described(self, spec: StackSpec) -> Definition:
        """What defines the stack, as far as it can be compared with that of another environment. Raises E106."""

    def inventory(self, environment: Environment, outputs: Outputs) -> Inventory:
        """The hosts that *outputs* and the environment's file give. Raises E-codes when they cannot be read."""

    def preview(self, spec: StackSpec, job: str, emit: Emit, *, save_plan: Path | None = None) -> StackPreview:
        """What an update would do. Changes nothing; writes Pulumi's update plan to *save_plan*."""

    def planned(self, spec: StackSpec, plan: SavedPlan) -> StackPreview:
        """What an update constrained to *plan* would do, derived from its file and the current state.

        Raises E162 when the file does not exist or cannot be read, and E163 when it does not have its digests.
        """

    def unused_settings(self, settings: PulumiSettings) -> tuple[str, ...]:
        """What the controller sets and the engine is not given, in a sentence each."""

    def missing_credential(self, spec: StackSpec) -> MissingCredential | None:
        """The credential that the stack needs and that is not on this machine; None if nothing is missing.

        Only certain errors are reported. Raises E102.
        """

    def drifted(self, spec: StackSpec, job: str, emit: Emit) -> tuple[ResourceChange, ...]:
        """The resources that are really other than the stack's state has them, with the properties that differ.

        *op* is `update`, or `delete` for one that is not there any more. Changes nothing, also not the state.
        """

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: SavedPlan | None = None) -> Provisioned:
        """Update the stack, constrained to *plan* when one is given.

        The file is verified immediately before, and the same bytes are used: E162 and E163 end it untouched.
        """

    def destroy(self, spec: StackSpec, job: str, emit: Emit, *, remove: bool = False) -> StepResult:
        """Destroy every resource of the stack; with *remove*, the stack itself as well."""

    def existing_resources(self, spec: StackSpec) -> tuple[ResourceChange, ...]:
        """What destroying the stack would delete, resource by resource."""

    def resolve(
        self, spec: StackSpec, created: Mapping[str, str], absent: tuple[str, ...], job: str, emit: Emit
    ) -> StepResult:
        """Resolve interrupted creates as an operator decided. *created* maps URNs to ids; `*` in *absent* means all."""

    def outputs(self, spec: StackSpec) -> Outputs:
        """The current outputs of the stack."""

    def resources(self, spec: StackSpec) -> int:
        """The number of resources that destroying the stack deletes, as the result of :meth:`destroy` counts them."""

    def state_digest(self, spec: StackSpec) -> str:
        """The digest of the current state of the stack."""


class Deployer(Protocol):
    """Software on hosts: Ansible."""

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the play on `play.limit`. One host result for each of these hosts, whatever happened."""

    def prepare(self, context: Context) -> None:
        """Ensure that plays find what earlier ones left on the controller, before anything is changed.

        Raises D170, D171 and S-codes.
        """

    def check(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepPreview:
        """What the play would change, by `--check --diff`. Changes nothing."""

    def plays(self, playbook: str, package: Package) -> tuple[PlaySource, ...]:
        """Every play of *playbook*, with what it imports, as it is written. Nothing is run."""

    def inspect(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Check whether every host can be reached and meets the requirements. Changes nothing."""

    def snapshot(self, rule: SnapshotRule, inventory: Inventory, context: Context, job: str, emit: Emit) -> Snapshot:
        """What is on every host: files, packages, services, ports, facts. Changes nothing, and needs a shell on it.

        What *rule* ignores is left out. A host that cannot be inspected is *unknown*, with the reason.
        """

    def close(self) -> None:
        """Leave nothing behind: connections that a killed play has left are closed. Safe at any time."""

    def resolve(self, inventory: Inventory, settings: AnsibleSettings = DEFAULTS) -> Inventory:
        """The inventory with the user's own *files* read into it by Ansible."""

    def is_outdated(self, inventory: Inventory) -> bool:
        """Whether the user's own *files*, or the variables beside them, have changed since they were read here."""

    def configuration(
        self, package: Package, files: tuple[str, ...], settings: AnsibleSettings
    ) -> Configuration | None:
        """The settings of plays and host inspections, as a plan records them; None if there are none.

        *files* are the environment's own inventories. Raises D150.
        """

    def missing_passwords(
        self, package: Package | None, files: tuple[str, ...], settings: AnsibleSettings
    ) -> tuple[MissingCredential, ...]:
        """The files with passwords that settings name for plays and for the inventory *files*, and that are not here.

        Without a *package* those of its plays are not among them.
        Their content is not read. Raises D150.
        """

    def missing_keys(
        self, inventory: Inventory, settings: AnsibleSettings, hosts: tuple[str, ...]
    ) -> tuple[MissingCredential, ...]:
        """The files with keys that are named for *hosts* of *inventory*, and that are not here. Raises D150."""

    def unused_settings(self, package: Package, settings: AnsibleSettings) -> tuple[str, ...]:
        """What the controller or the package sets and plays are not given, in a sentence each."""


class Verifier(Protocol):
    """Verification: testinfra."""

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the suite. A host that cannot be reached is *unknown*; a suite with no test is *failed*."""


class Engines(Protocol):
    """Makes the adapters of the engines. Further ones are made here, and nowhere else.

    So that a project whose engines are simulated is simulated as a whole.
    """

    def provisioner(self) -> Provisioner:
        """A provisioner of its own, for work beside others in this process."""

    def deployer(self, own: str) -> Deployer:
        """A deployer with connections that belong to *own*: closing them does not cut off another run."""

    def verifier(self) -> Verifier:
        """A verifier."""
