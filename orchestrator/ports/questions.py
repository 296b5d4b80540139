"""What is asked of a service or another system during a rollout: gates, and probes of a service."""

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
    """What else must hold: requests, queries and commands. A gate that is a suite is asked through the `Verifier`."""

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
        """Ask once, about *hosts*: *succeeded*, *failed*, or *unknown* when it could not be asked. Never raises."""

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Return when all that the gate needs of this machine is here. Raises E160 and E161."""


class Prober(Protocol):
    """Looks all the time whether a service answers, beside everything else and in nobody's way."""

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Begin under *job*, or go on with what was begun; returns soon. What cannot be asked, in a sentence.

        It goes on when this process dies, and when it dies itself it is begun again by whoever goes on with the run.
        """

    def end(self, probe: Probe, job: str, since: str) -> AvailabilityReport:
        """Look no longer: what was seen since the time *since* (ISO 8601), and when nobody looked."""

    def stop(self, job: str) -> None:
        """See that nobody looks any more. Safe at any time."""
