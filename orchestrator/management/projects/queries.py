"""The use case that lists projects."""

from orchestrator.app.acting import Acting
from orchestrator.app.forwarding import forwarded
from orchestrator.management.projects.model import Portfolio
from orchestrator.management.projects.ports import ProjectSources


@forwarded
def list_projects(acting: Acting, sources: ProjectSources) -> Portfolio:
    """The projects that the actor may view, with their state. No right is needed: others are left out."""
    return sources.seen_by(acting.actor)
