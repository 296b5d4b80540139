"""What implementation plans read from the project."""

from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.implementation import ImplementationTemplate


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
