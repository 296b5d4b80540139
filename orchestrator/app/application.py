"""The application over the parts of one project: every group of use cases. Front ends get this and nothing below."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.app.control import Control
    from orchestrator.app.environments import Environments
    from orchestrator.app.execute import Execution
    from orchestrator.app.front_end import FrontEndParts
    from orchestrator.app.inspections import Inspections
    from orchestrator.app.maintenance import Maintenance
    from orchestrator.app.plans import Plans
    from orchestrator.app.queries import Queries
    from orchestrator.app.recovery import Recovery
    from orchestrator.app.releases import Releases
    from orchestrator.app.retention import Retention
    from orchestrator.app.submit import Submissions

    Base = FrontEndParts
else:
    Base = object


class Application(Base):
    """The groups of use cases, each made when it is first used. `wiring` adds the parts."""

    @cached_property
    def releases(self) -> "Releases":
        """Packages."""
        from orchestrator.app.releases import Releases

        return Releases(self)

    @cached_property
    def plans(self) -> "Plans":
        """Plans."""
        from orchestrator.app.plans import Plans

        return Plans(self)

    @cached_property
    def submissions(self) -> "Submissions":
        """Requests."""
        from orchestrator.app.submit import Submissions

        return Submissions(self)

    @cached_property
    def control(self) -> "Control":
        """Control requests and locks."""
        from orchestrator.app.control import Control

        return Control(self)

    @cached_property
    def execution(self) -> "Execution":
        """Execution of requests."""
        from orchestrator.app.execute import Execution

        return Execution(self)

    @cached_property
    def queries(self) -> "Queries":
        """What is true now, from the journal."""
        from orchestrator.app.queries import Queries

        return Queries(self)

    @cached_property
    def inspections(self) -> "Inspections":
        """What is true on hosts and in stacks."""
        from orchestrator.app.inspections import Inspections

        return Inspections(self)

    @cached_property
    def stacks(self) -> "Environments":
        """Stacks of environments."""
        from orchestrator.app.environments import Environments

        return Environments(self)

    @cached_property
    def recovery(self) -> "Recovery":
        """What was left behind."""
        from orchestrator.app.recovery import Recovery

        return Recovery(self)

    @cached_property
    def retention(self) -> "Retention":
        """What old runs have left."""
        from orchestrator.app.retention import Retention

        return Retention(self)

    @cached_property
    def maintenance(self) -> "Maintenance":
        """The project key, backups, and workers."""
        from orchestrator.app.maintenance import Maintenance

        return Maintenance(self)
