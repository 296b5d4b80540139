"""Checks of a service or another system during a rollout: gates and probes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.domain.context import Context
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.downtime import AvailabilityReport
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import PlannedGate
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.ports.jobs import Emit


class Gates(Protocol):
    """Checks by requests, queries and commands. A gate that is a suite is run by the `Verifier`."""

    def ask(
        self,
        gate: PlannedGate,
        hosts: tuple[str, ...],
        package: Package,
        inventory: Inventory,
        context: Context,
        job: str,
        emit: Emit,
    ) -> StepResult:
        """Check once, for *hosts*: *succeeded*, *failed*, or *unknown* if the check was not possible. Never raises."""

    def missing_credential(self, gate: PlannedGate, context: Context) -> MissingCredential | None:
        """The credential of the gate that is not on this machine; None if nothing is missing."""

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Return when all that the gate needs of this machine is here. Raises E160 and E161."""


class Prober(Protocol):
    """Requests a service continuously during a run, without affecting the run."""

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Start the probe under *job*, or continue it; returns soon. Returns what cannot be requested, in a sentence.

        It continues if this process dies. If it dies itself, the process that resumes the run starts it again.
        """

    def end(self, probe: Probe, job: str, since: str) -> AvailabilityReport:
        """End the probe. Returns the measurements since the time *since* (ISO 8601), and the gaps."""

    def stop(self, job: str) -> None:
        """Ensure that the probe has stopped. Safe at any time."""


@dataclass(frozen=True)
class WantedImplementation:
    """An implementation plan that the *step* of *run* starts, from the file *template* in the unpacked *package*.

    *parameters* are those of the release. It *undoes* the plan of a step, or is that of the step itself.
    """

    run: Run
    step: str
    package: Package
    template: str
    parameters: Mapping[str, str]
    undoes: bool = False


@dataclass(frozen=True)
class ImplementationStatus:
    """Whether the implementation plan *id* of a run has ended.

    *ended* is None while it runs, *note* is the reason of its state.
    """

    id: str
    ended: Literal["completed", "aborted"] | None = None
    note: str = ""


class Implementations(Protocol):
    """Implementation plans that runs start. Nothing here waits."""

    def start(self, wanted: WantedImplementation) -> ImplementationStatus:
        """Start the plan. A second call for the same run and step finds the plan of the first.

        Raises A110, F-codes, G401, G402 and G409.
        """

    def status(self, plan: str) -> ImplementationStatus:
        """Whether the *plan* with this id has ended, and how."""

    def abort(self, plan: str, why: str) -> ImplementationStatus:
        """Abort the *plan* with this id unless it has ended, because of *why*."""
