"""Recovery of runs whose process died. Commands that act recover what is in their way; commands that read report it."""

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.app.application import Application
from orchestrator.cli.output import note
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors

if TYPE_CHECKING:
    from orchestrator.app.resumption import Resumed


def recover(app: Application) -> None:
    """Resume every run that was started here, has not ended, and has no process."""
    remind(app)
    report_resumed(app.resumption.resume_interrupted())


def remind(app: Application) -> None:
    """Report what was made for a promotion, is past its time, and still exists."""
    with contextlib.suppress(OrchestratorError, OrchestratorErrors):  # the command prints its own result in any case
        if any(environment.ephemeral is not None for environment, _ in app.environments.values()):
            for left in app.recovery.leftovers(app.actor):
                name = left.run.environment
                note(f"{name}: what {left.run.id} created has expired: orchestrator environment reap {name}")


def report_resumed(resumed: "Iterable[Resumed]") -> None:
    """Report each request that was interrupted, as it is resumed."""
    for each in resumed:
        if each.leaves:
            note(f"{each.root} leaves the queue: its process ended while it waited")
        else:
            note(f"{each.root} was interrupted; it resumes in the background (process {each.process})")
