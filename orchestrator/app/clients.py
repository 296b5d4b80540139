"""What a client of a server needs of the project before it calls use cases."""

from orchestrator import __version__
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.front_end import ApplicationParts
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.environment import Environment
from orchestrator.domain.model import Model
from orchestrator.domain.waves import Waves


class PlacedEnvironment(Model):
    """An *environment* with its *folder*, relative to the project."""

    environment: Environment
    folder: str


class ProjectFacts(Model):
    """A project as its clients see it: the *version* of its program, and who the *actor* is.

    *environments* are in the order of the path. *declared* are the calendar entries of their files.
    """

    version: str
    name: str
    actor: Actor
    waves: tuple[Waves, ...]
    environments: tuple[PlacedEnvironment, ...]
    declared: tuple[CalendarRule, ...]


class Clients(UseCases):
    """The use cases for clients of a server."""

    def __init__(self, parts: ApplicationParts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.VIEW)
    def project_facts(self, actor: Actor) -> ProjectFacts:
        """The project as *actor* sees it."""
        root = self._parts.root
        return ProjectFacts(
            version=__version__,
            name=self._parts.project.name,
            actor=actor,
            waves=self._parts.project.waves,
            environments=tuple(
                PlacedEnvironment(environment=environment, folder=str(folder.relative_to(root)))
                for environment, folder in self._parts.environments.values()
            ),
            declared=self._parts.declared_rules(),
        )

    @use_case(Action.VIEW)
    def scheduler_runs(self, actor: Actor) -> bool:
        """Whether some worker does what is due."""
        return self._parts.scheduler_runs()
