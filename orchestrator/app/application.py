"""The application over the parts of one project: every group of use cases. Front ends get this and nothing below."""

from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.domain.errors import OrchestratorError

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.app.clients import Clients
    from orchestrator.app.control import Control
    from orchestrator.app.definitions import Definitions
    from orchestrator.app.environments import Environments
    from orchestrator.app.execute import Execution
    from orchestrator.app.front_end import ApplicationParts, FrontEndParts
    from orchestrator.app.inspections import Inspections
    from orchestrator.app.machine import Machine
    from orchestrator.app.maintenance import Maintenance
    from orchestrator.app.planned_requests import RequestOptions
    from orchestrator.app.plans import Plans
    from orchestrator.app.project_diagnosis import ProjectDiagnosis
    from orchestrator.app.queries import Queries
    from orchestrator.app.recovery import Recovery
    from orchestrator.app.releases import Releases
    from orchestrator.app.request_duties import Shows
    from orchestrator.app.resumption import Resumption
    from orchestrator.app.retention import Retention
    from orchestrator.app.state_restore import StateRestore
    from orchestrator.app.submit import Submissions
    from orchestrator.app.uploads import PackageUploads
    from orchestrator.domain.approval.requests import RunRequest
    from orchestrator.domain.environment import Environment
    from orchestrator.domain.plan import Plan
    from orchestrator.domain.release import PackageRef
    from orchestrator.domain.wave_plan import WavePlan

    Base = FrontEndParts
else:
    Base = object


class Application(Base):
    """The groups of use cases, each made when it is first used. `wiring` adds the parts.

    A front end reaches the journal and durable execution through use cases only: this type has neither.
    """

    executes_here = True
    """Whether commands execute runs in this process. At a server its workers do."""

    server_url = ""
    """The address of the project at the server where commands act; empty where they act in its folder."""

    if TYPE_CHECKING:  # `wiring` has it

        @property
        def _parts(self) -> ApplicationParts:
            """All parts of the project."""

    @property
    def records_at(self) -> frozenset[str]:
        """What no two projects share: the database of the records, and the folder of the state."""
        return frozenset({self._parts.store_url, str(self._parts.state)})

    def require_environment(self, name: str) -> "tuple[Environment, Path]":
        """The environment *name* and its folder. Raises R103 if the project has none of that name."""
        return self._parts.services.environment(name)

    def require_package(self, ref: "PackageRef") -> None:
        """Return if the package *ref* is kept. Raises P301."""
        if self._parts.services.packages.ref(ref.digest) is None:
            raise OrchestratorError("P301", f"the package {ref} ({ref.digest}) is not kept any more")

    def upload(self, file: "Path", digest: str) -> None:
        """Bring the sealed *file* of the package *digest* to where this application is. It is here."""
        del file, digest

    def request_planned(self, plan: "Plan | WavePlan", how: "RequestOptions", shows: "Shows") -> "RunRequest":
        """Record the request of the actor for *plan*, which approvers see as *shows* writes it."""
        from orchestrator.app.planned_requests import request_planned

        return request_planned(self, self.actor, plan, how, shows)

    @cached_property
    def clients(self) -> "Clients":
        """Queries that clients of a server make first."""
        from orchestrator.app.clients import Clients

        return Clients(self._parts)

    @cached_property
    def uploading(self) -> "PackageUploads":
        """Packages that clients upload."""
        from orchestrator.app.uploads import PackageUploads

        return PackageUploads(self._parts)

    def upload_definition(self, file: "Path", digest: str) -> None:
        """Bring the archive *file* of the definition *digest* to where this application is."""
        self.definitions.keep(self.actor, digest, file)

    @cached_property
    def definitions(self) -> "Definitions":
        """Project definitions."""
        from orchestrator.app.definitions import Definitions

        return Definitions(self._parts)

    @cached_property
    def releases(self) -> "Releases":
        """Packages."""
        from orchestrator.app.releases import Releases

        return Releases(self._parts)

    @cached_property
    def plans(self) -> "Plans":
        """Plans."""
        from orchestrator.app.plans import Plans

        return Plans(self._parts)

    @cached_property
    def submissions(self) -> "Submissions":
        """Requests."""
        from orchestrator.app.submit import Submissions

        return Submissions(self._parts)

    @cached_property
    def control(self) -> "Control":
        """Control requests and locks."""
        from orchestrator.app.control import Control

        return Control(self._parts)

    @cached_property
    def execution(self) -> "Execution":
        """Execution of requests."""
        from orchestrator.app.execute import Execution

        return Execution(self._parts)

    @cached_property
    def queries(self) -> "Queries":
        """Queries of the current state in the journal."""
        from orchestrator.app.queries import Queries

        return Queries(self._parts)

    @cached_property
    def inspections(self) -> "Inspections":
        """Inspections of hosts and stacks."""
        from orchestrator.app.inspections import Inspections

        return Inspections(self._parts)

    @cached_property
    def stacks(self) -> "Environments":
        """Stacks of environments."""
        from orchestrator.app.environments import Environments

        return Environments(self._parts)

    @cached_property
    def recovery(self) -> "Recovery":
        """What was left behind."""
        from orchestrator.app.recovery import Recovery

        return Recovery(self._parts)

    @cached_property
    def resumption(self) -> "Resumption":
        """What was interrupted."""
        from orchestrator.app.resumption import Resumption

        return Resumption(self._parts)

    @cached_property
    def retention(self) -> "Retention":
        """What old runs have left."""
        from orchestrator.app.retention import Retention

        return Retention(self._parts)

    @cached_property
    def state_restore(self) -> "StateRestore":
        """The state, replaced by that of a backup."""
        from orchestrator.app.state_restore import StateRestore

        return StateRestore(self._parts)

    def diagnosis(self, machine: "Machine") -> "ProjectDiagnosis":
        """The checks of the project on this *machine*."""
        from orchestrator.app.project_diagnosis import ProjectDiagnosis

        return ProjectDiagnosis(self._parts, machine)

    @cached_property
    def maintenance(self) -> "Maintenance":
        """The project key, backups, and workers."""
        from orchestrator.app.maintenance import Maintenance

        return Maintenance(self._parts)
