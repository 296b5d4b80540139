"""An observation in a plan: its gates, how long and how often; the watch after a promotion."""

from orchestrator.domain.gate import Flaky, Gate
from orchestrator.domain.model import Model
from orchestrator.domain.plan.play import SuiteSpec


class PlannedGate(Model):
    """One gate of the plan, with its *suite* if it has one. *own*: declared by the environment, not by the release."""

    gate: Gate
    suite: SuiteSpec | None = None
    own: bool = False

    @property
    def name(self) -> str:
        """Its name among all gates that are checked together."""
        return f"environment.{self.gate.name}" if self.own else self.gate.name


class ObservationWindow(Model):
    """An observation for a number of *seconds*: every *every* seconds all *gates* are checked."""

    seconds: float
    every: float
    gates: tuple[PlannedGate, ...] = ()
    flaky: Flaky | None = None

    @property
    def times(self) -> int:
        """How often: it follows from the plan and not from a clock, so that a replay takes the same way."""
        return max(1, round(self.seconds / self.every))


class PlannedWatch(Model):
    """The watch after the promotion; times in seconds."""

    seconds: float
    every: float
    suite: SuiteSpec | None
    gates: tuple[PlannedGate, ...] = ()
    flaky: Flaky | None = None

    @property
    def observation(self) -> ObservationWindow:
        """When its gates are checked."""
        return ObservationWindow(seconds=self.seconds, every=self.every, gates=self.gates, flaky=self.flaky)
