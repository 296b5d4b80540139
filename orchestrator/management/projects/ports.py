"""The projects that are served together."""

from typing import Protocol

from orchestrator.domain.access.principals import Actor
from orchestrator.management.projects.model import Portfolio


class ProjectSources(Protocol):
    """The projects of a server, or the only one."""

    def seen_by(self, actor: Actor) -> Portfolio:
        """The projects that *actor* may view. Each decides by its own bindings."""
