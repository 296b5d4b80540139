"""The `Verifier`, `Gates` and `Prober` ports on a `World`."""

from orchestrator.adapters.memory.world import World
from orchestrator.domain.context import Context
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.downtime import AvailabilityReport
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlannedGate, SuiteSpec
from orchestrator.domain.release import Package
from orchestrator.domain.step import Outcome, StepResult, TestResult, worst
from orchestrator.ports import Emit


class MemoryVerifier:
    """The `Verifier` port on a `World`: one test a host, which passes where the package runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Verify each host."""
        del job, emit
        tests = tuple(self._one(host, package, context) for host in suite.limit or tuple(inventory.hosts))
        bad = [test.host for test in tests if not test.outcome.good]
        message = f"{package.ref} does not serve on {', '.join(bad)}" if bad else ""
        return StepResult(outcome=worst(test.outcome for test in tests), message=message, tests=tests)

    def _one(self, host: str, package: Package, context: Context) -> TestResult:
        if host in self._world.gone:
            return TestResult(name="serves", host=host, outcome=Outcome.UNKNOWN)
        runs = self._world.running.get((context.environment, host)) == package.digest
        broken = self._world.fails("verify", host, package.ref.version)
        return TestResult(
            name="serves", host=host, outcome=Outcome.SUCCEEDED if runs and not broken else Outcome.FAILED
        )


class MemoryGates:
    """The `Gates` port on a `World`: every gate is open but those that a fault names."""

    def __init__(self, world: World) -> None:
        self._world = world

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
        """Good, failed, or unknown where it is deaf."""
        del inventory, job, emit
        name = gate.gate.name
        self._world.ledger.append(f"gate {name} of {package.ref} {context.environment}/{','.join(hosts)}")
        if name in self._world.deaf:
            return StepResult(outcome=Outcome.UNKNOWN, message="no response", data={"code": "V141"})
        if self._world.fails("gate", name, package.ref.version):
            return StepResult(outcome=Outcome.FAILED, message=f"{name} is shut", data={"code": "V140"})
        return StepResult(outcome=Outcome.SUCCEEDED)

    def missing_credential(self, gate: PlannedGate, context: Context) -> MissingCredential | None:
        """The credential that the world lacks for gates."""
        del gate, context
        return next((each for each in self._world.missing if each.needed_for == "gates"), None)

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Raise E160 if a fault declares that something needed by the gate is missing."""
        del context
        if self._world.fails("need", gate.gate.name, package.ref.version):
            raise OrchestratorError("E160", f"what the gate {gate.name} needs is not here")


class MemoryProber:
    """The `Prober` port on a `World`: nothing is ever away, and no time passes."""

    def __init__(self, world: World) -> None:
        self._world = world

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Start the probe."""
        del probe, package, inventory, context
        self._world.probes.add(job)
        return ""

    def end(self, probe: Probe, job: str, since: str) -> AvailabilityReport:
        """Stop the probe. Nothing was measured."""
        del probe, since
        self._world.probes.discard(job)
        return AvailabilityReport()

    def stop(self, job: str) -> None:
        """Stop the probe."""
        self._world.probes.discard(job)
