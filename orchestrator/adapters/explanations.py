"""Reasons of a job's failure that its output contains and that the job itself could not report."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.domain.step import StepResult
from orchestrator.file_system import read_end
from orchestrator.isolation.isolator import Isolator
from orchestrator.ports import JobOutcome

PRINTED = 20_000  # bytes of a job's output in which refused paths are found


def explained(result: StepResult, folder: Path, advice: Callable[[str], str]) -> StepResult:
    """The *result* of the job in *folder*. A bad one gets the text of *advice* for its messages and output."""
    if result.outcome.good:
        return result
    found = advice("\n".join([result.message, *(host.message for host in result.hosts), _printed(folder)]))
    if not found:
        return result
    return result.model_copy(update={"message": f"{result.message}; {found}" if result.message else found})


def not_isolated(isolator: Isolator, outcome: JobOutcome) -> str:
    """Why the job with this *outcome* was not started, if its isolation could not be made; empty if it was started."""
    return isolator.failure(_printed(outcome.folder)) if outcome.how == "exited" and outcome.code else ""


def _printed(folder: Path) -> str:
    """The end of what the job in *folder* printed."""
    return read_end(folder / "output.log", PRINTED)
