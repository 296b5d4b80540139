"""A batch of a step that was started, and the hosts that it may have changed."""

from dataclasses import dataclass

from orchestrator.domain.plan import PlannedStep
from orchestrator.domain.step import Outcome, StepResult


def touched(result: StepResult, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Which of *hosts* a step may have changed: those in its *result*, or all of them if it has none."""
    if result.is_untouched:
        return ()
    reported = {host.host for host in result.hosts}
    silent = tuple(host for host in hosts if host not in reported)
    unsure = result.outcome in (Outcome.ERRORED, Outcome.UNKNOWN, Outcome.ABORTED)
    return result.touched() + (silent if unsure else ())


@dataclass(frozen=True)
class StartedStep:
    """One batch of one step that was started, and what came of it."""

    step: PlannedStep
    hosts: tuple[str, ...]
    result: StepResult

    def touched(self) -> tuple[str, ...]:
        """The hosts that may have been changed."""
        return touched(self.result, self.hosts)
