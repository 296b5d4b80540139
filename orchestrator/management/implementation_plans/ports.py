"""What implementation plans read from the project."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from orchestrator.domain.implementation import ImplementationTemplate
from orchestrator.management.implementation_plans.model import Task


@dataclass(frozen=True)
class TemplateFile:
    """A *template*, its *name* (of the file, without its ending), and the *digest* of its content."""

    name: str
    template: ImplementationTemplate
    digest: str


class ImplementationSources(Protocol):
    """The facts of implementation plans."""

    def template_names(self) -> tuple[str, ...]:
        """The names of the files in `implementation/`."""

    def template(self, name: str) -> TemplateFile:
        """The template called *name*. Raises A110, and F-codes with every fault of the file."""


TemplateReader = Callable[[Path], TemplateFile]
"""Reads the template in a file. Raises F-codes with every fault of it."""


class WaitingRuns(Protocol):
    """The runs that wait for implementation plans."""

    def continue_run(self, run: str, step: str, plan: str, why: str) -> bool:
        """Continue *run*, if the *plan* of its *step* has paused it, because of *why*.

        Returns whether nothing is left to do: the run has ended, or the step.
        """


@dataclass(frozen=True)
class Execution:
    """What became of an automated task: the id under which it is *followed*, and how it *ended*.

    *ended* is None while it runs, and `needs-help` if its run needs manual intervention. *note* is the result.
    """

    followed: str = ""
    ended: Literal["done", "failed", "needs-help"] | None = None
    note: str = ""


class Executions(Protocol):
    """Executes automated tasks through the application."""

    def begin(self, task: Task) -> Execution:
        """Request what *task* does, for its actor, under its root. A second call finds what the first has requested."""

    def current(self, task: Task) -> Execution:
        """What became of *task*, which is followed."""

    def stop(self, task: Task, why: str) -> str | None:
        """Have ended what *task* has started, because of *why*. What became of it; None while that is not known."""
