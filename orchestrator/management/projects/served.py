"""Which projects an actor sees: the one where a command acts, or those that a server serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.domain.access.principals import Actor, ActorKind, Method
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.projects.model import Portfolio
from orchestrator.management.projects.summary import may_view, summary_of

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication


@dataclass(frozen=True)
class ServedProject:
    """The project of *app* at the address *path* of its server."""

    app: "ManagedApplication"
    path: str = ""


class OneProject:
    """The `ProjectSources` without a server of several: the project of *app*."""

    def __init__(self, app: "ManagedApplication") -> None:
        self._only = ServedProject(app)

    def seen_by(self, actor: Actor) -> Portfolio:
        """The project, if *actor* may view it."""
        return portfolio_of([self._only], actor)


@dataclass(frozen=True)
class ServerProjects:
    """The `ProjectSources` at the project *own* of a server of *projects*, whose users sign in at *home*.

    A user who has signed in, or has a token of home, is known in every project. Any other actor is known in *own* only.
    """

    projects: Sequence[ServedProject]
    own: str
    home: str

    def seen_by(self, actor: Actor) -> Portfolio:
        """The projects that *actor* may view."""
        return portfolio_of(
            [each for each in self.projects if each.app.project.name == self.own or self._is_known_everywhere(actor)],
            actor,
        )

    def _is_known_everywhere(self, actor: Actor) -> bool:
        if actor.kind is not ActorKind.USER:
            return False
        of_home = self.own == self.home or (actor.credential or "").startswith(f"{self.home}:")
        return actor.method is Method.SESSION or (actor.method is Method.TOKEN and of_home)


def portfolio_of(projects: Sequence[ServedProject], actor: Actor) -> Portfolio:
    """Those of *projects* that *actor* may view, by name. Where rights cannot be read, no name is given."""
    found, unreadable = [], 0
    for each in sorted(projects, key=lambda each: each.app.project.name):
        try:
            seen = may_view(each.app, actor)
        except OrchestratorError:
            unreadable += 1
            continue
        if seen:
            found.append(summary_of(each.app, each.path, actor))
    return Portfolio(projects=tuple(found), unreadable=unreadable)
