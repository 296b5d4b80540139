"""The ports of a project that does not have what they lead to: they do nothing, and report that."""

from pathlib import Path

from orchestrator.domain.context import Context
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.downtime import AvailabilityReport
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import PlannedGate
from orchestrator.domain.release import Package
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.ports.jobs import Emit
from orchestrator.ports.questions import ImplementationStatus, WantedImplementation


class NullGates:
    """The `Gates` of a project without gates: nothing can be checked."""

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
        """Return *unknown*."""
        del gate, hosts, package, inventory, context, job, emit
        return StepResult(outcome=Outcome.UNKNOWN, message="no gate can be checked here", data={"code": "V141"})

    def missing_credential(self, gate: PlannedGate, context: Context) -> MissingCredential | None:
        """Nothing is needed."""
        del gate, context
        return None

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Nothing is needed."""


class NullImplementations:
    """The `Implementations` of a project without release management: none can be started."""

    def start(self, wanted: WantedImplementation) -> ImplementationStatus:
        """Refuse it."""
        raise OrchestratorError("G410", f"{wanted.template} cannot be started here")

    def status(self, plan: str) -> ImplementationStatus:
        """Refuse it: no plan was started here."""
        hint = "orchestrator implementation list shows what exists"
        raise OrchestratorError("A110", f"there is no {plan}", hint=hint)

    def abort(self, plan: str, why: str) -> ImplementationStatus:
        """Refuse it: no plan was started here."""
        del why
        return self.status(plan)


class NullProber:
    """A `Prober` that does nothing."""

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Start nothing."""
        del probe, package, inventory, context, job
        return ""

    def end(self, probe: Probe, job: str, since: str) -> AvailabilityReport:
        """Nothing was seen."""
        del probe, job, since
        return AvailabilityReport()

    def stop(self, job: str) -> None:
        """Do nothing."""


class NullArtifacts:
    """The `Artifacts` of a project on one machine: what is kept stays where it is, and nothing is anywhere else."""

    where = "nowhere else"

    def put(self, source: Path) -> str:
        """Nothing is put anywhere."""
        del source
        return ""

    def get(self, digest: str, target: Path) -> None:
        """There is nothing."""
        del target
        raise OrchestratorError("S146", f"{digest} is not here, and nothing is shared")

    def name(self, name: str, digest: str) -> None:
        """Nothing has a name."""

    def named(self, name: str) -> str | None:
        """Nothing has a name."""
        del name
        return None

    def forget(self, name: str) -> None:
        """Nothing has a name."""

    def remove(self, digest: str) -> None:
        """There is nothing."""

    def names(self, prefix: str) -> list[str]:
        """Nothing has a name."""
        del prefix
        return []

    def check(self) -> None:
        """There is nothing that could be wrong."""


class NullLogs:
    """The `Logs` of a project on one machine: what jobs have printed stays in their folders."""

    def keep(self, job: str) -> list[Entry]:
        """Nothing is kept anywhere else."""
        del job
        return []
