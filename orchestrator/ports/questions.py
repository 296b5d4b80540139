"""Checks of a service or another system during a rollout: gates and probes."""

from typing import Protocol

from orchestrator.domain.context import Context
from orchestrator.domain.downtime import AvailabilityReport
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
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
