"""What is the same for every run of a project: the ports, and the files that describe it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestrator.domain.drift import Drift
from orchestrator.domain.environment import Environment, Project, unknown_environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.parity import KINDS, Parity
from orchestrator.ports import (
    Artifacts,
    Clock,
    Deployer,
    Gates,
    Implementations,
    Keys,
    Logs,
    Notifier,
    NullArtifacts,
    NullGates,
    NullImplementations,
    NullLogs,
    NullProber,
    Packages,
    Prober,
    Provisioner,
    Store,
    Verifier,
)
from orchestrator.secret_values import SecretValues


class Entrance(Protocol):
    """Whether an environment is open to a run."""

    def admit(self, services: "Services", run: Run, *, plan: str | None, overrun: bool) -> None:
        """Return if *run*, which executes *plan*, may take its environment. Raises the codes of conditions."""

    def closed(self, run: Run) -> str:
        """Why the environment of *run* is currently closed to it; empty if it is open."""

    def passed(self, run: Run) -> tuple[str, ...]:
        """What of the calendar was passed for the release of *run*, by whom and why."""


class AlwaysOpen:
    """The `Entrance` of a project without a calendar."""

    def admit(self, services: "Services", run: Run, *, plan: str | None, overrun: bool) -> None:
        """Every run may."""

    def closed(self, run: Run) -> str:
        """Nothing closes."""
        del run
        return ""

    def passed(self, run: Run) -> tuple[str, ...]:
        """Nothing was passed."""
        del run
        return ()


class Findings(Protocol):
    """Keeps what inspections find, for all users who may view the environment, and for release management."""

    def of(self, by: str, run: str) -> "Findings":
        """The same for what the plan of *run* finds, which the actor *by* requested."""

    def found_drift(self, found: Drift) -> None:
        """Keep the drift of an environment, and open and close change requests by it."""

    def found_parity(self, found: Parity, kinds: tuple[str, ...] = KINDS) -> None:
        """Keep how two environments differ in *kinds*, in the place of what was found of each before."""


class NullFindings:
    """`Findings` that keep nothing."""

    def of(self, by: str, run: str) -> Findings:
        """The same."""
        del by, run
        return self

    def found_drift(self, found: Drift) -> None:
        """Nothing is kept."""

    def found_parity(self, found: Parity, kinds: tuple[str, ...] = KINDS) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class Services:
    """What is the same for every run of a project: the ports, and the files that describe it.

    *environments* maps names to the content of their files and the folders that hold them, in the order of the path;
    *state* is the project's own folder for everything that is kept. *secrets* are those that this process knows, from
    *environ*, its environment variables, and from what the adapters read. *stacks* are the names of stacks by their
    environments, where these are not all: those made for one release, and that of the side which a run is about.
    *entrance* refuses promotions into a closed environment, and holds those that have changed nothing yet.
    *definition* is the digest of the project definition that they come from; empty if that is the project's folder.
    *refusal* is why no run can start with them, if it is known before. *findings* keeps what inspections find.
    """

    project: Project
    root: Path
    state: Path
    environments: Mapping[str, tuple[Environment, Path]]
    provisioner: Provisioner
    deployer: Deployer
    verifier: Verifier
    packages: Packages
    store: Store
    clock: Clock
    notifier: Notifier
    keys: Keys
    artifacts: Artifacts = field(default_factory=NullArtifacts)
    logs: Logs = field(default_factory=NullLogs)
    stacks: Mapping[str, str] = field(default_factory=dict)
    gates: Gates = field(default_factory=NullGates)
    implementations: Implementations = field(default_factory=NullImplementations)
    prober: Prober = field(default_factory=NullProber)
    secrets: SecretValues = field(default_factory=SecretValues)
    environ: Mapping[str, str] = field(default_factory=dict)
    entrance: Entrance = field(default_factory=AlwaysOpen)
    definition: str = ""
    refusal: OrchestratorError | None = None
    findings: Findings = field(default_factory=NullFindings)

    def environment(self, name: str) -> tuple[Environment, Path]:
        """An environment and its folder. Raises R103 when the project has none of that name."""
        if name not in self.environments:
            raise unknown_environment(name, self.environments)
        return self.environments[name]
