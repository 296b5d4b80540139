"""What the output of a job says of its failure that the job itself could not report."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from orchestrator.domain.step import StepResult
from orchestrator.isolation.isolator import Isolator
from orchestrator.ports import JobOutcome

PRINTED = 20_000  # characters of a job's output in which refused paths are found


def explained(result: StepResult, folder: Path, advice: Callable[[str], str]) -> StepResult:
    """The *result* of the job in *folder*; one that is not good gets what *advice* says of its messages and output."""
    if result.outcome.good:
        return result
    with contextlib.suppress(OSError):
        found = advice("\n".join([result.message, *(host.message for host in result.hosts), _printed(folder)]))
        if found:
            return result.model_copy(update={"message": f"{result.message}; {found}" if result.message else found})
    return result


def not_isolated(isolator: Isolator, outcome: JobOutcome) -> str:
    """Why the job with this *outcome* was not started, if its isolation could not be made; empty if it was started."""
    with contextlib.suppress(OSError):
        return isolator.failure(_printed(outcome.folder)) if outcome.how == "exited" and outcome.code else ""
    return ""


def _printed(folder: Path) -> str:
    """The end of what the job in *folder* printed."""
    return (folder / "output.log").read_text(encoding="utf-8", errors="replace")[-PRINTED:]
