"""The groups of use cases of a command that acts at a server, where they differ from those of a project."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.app.opening import this_machine
from orchestrator.app.plans import Plans
from orchestrator.app.queries import Queries
from orchestrator.app.recovery import Recovery
from orchestrator.app.releases import Releases
from orchestrator.app.requests import Request
from orchestrator.app.run_reader import RunReader
from orchestrator.app.submit import AnyRequest, Submissions
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.error_codes import UNKNOWN_RELEASE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import DEFAULT_QUEUE, Run
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import Package
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.management.remote_runs import EventWatch, RemoteRunReader
from orchestrator.planning.refusal import plan_refusal
from orchestrator.ports.servers import ServerConnection


class RemoteQueries(Queries):
    """Queries whose reader of runs uses the server behind *connection* too."""

    def __init__(self, parts: Any, connection: ServerConnection) -> None:
        super().__init__(parts)
        self._watch = EventWatch(connection)

    def reader(self, actor: Actor) -> RunReader:
        """What reads runs while they continue."""
        return RemoteRunReader(self, actor, self._watch)


class RemoteReleases(Releases):
    """Packages of the server, to which sealed files of this machine are sent by *upload*. Nothing is built."""

    def __init__(self, parts: Any, upload: Callable[[Path, str], None]) -> None:
        super().__init__(parts)
        self._upload = upload

    def keep(self, actor: Actor, file: Path) -> Package:
        """Verify the sealed *file* here, and put it into the store of the server. Raises P-codes and N-codes."""
        del actor
        package = this_machine().package_files.read(file)
        self._upload(file, package.digest)
        return package

    def package(self, actor: Actor, wanted: str, *_: object, **__: object) -> Package:
        """The kept package that *wanted* names by version or digest. Raises R106 and R107."""
        try:
            return self.kept_package(actor, wanted)
        except OrchestratorError as error:
            if error.code != UNKNOWN_RELEASE:
                raise
            raise OrchestratorError(error.code, f"the release {wanted!r} does not exist", hint=error.hint) from error


class RemotePlans(Plans):
    """Plans of the server, which its workers make. Files with plans are those of this machine."""

    def find(self, actor: Actor, wanted: str) -> Plan | WavePlan:
        """The plan that *wanted* means: a digest (or its start), or a file. Raises R121, R122, and R240 to R242."""
        file = Path(wanted)
        if not file.is_file():
            return self.kept(actor, wanted)
        try:
            document = dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise OrchestratorError("R121", f"{file} is not a plan of this version") from error
        return self.kept(actor, self.keep_document(actor, document))

    def document(self, actor: Actor, plan: Plan | WavePlan) -> dict[str, object]:
        """The *plan* as a document with an authentication code of the project."""
        return self.kept_document(actor, plan.digest)

    def require_executable(self, actor: Actor, plan: Plan) -> None:
        """Return if *plan* can be executed. Raises its `plan_refusal`."""
        del actor
        why = plan_refusal(plan)
        if why is not None:
            raise why


class RemoteSubmissions(Submissions):
    """Requests, which are left to the workers of the server."""

    def submit(self, actor: Actor, request: AnyRequest, *, queue: str = "") -> AnyRequest:
        """Record *request* for workers. Without *queue* and a wait, a busy environment refuses it (S101)."""
        if not queue and not request.wait:
            for environment in request.targets:
                self.require_free(actor, environment)
        return super().submit(actor, request, queue=queue or DEFAULT_QUEUE)

    def retry(self, actor: Actor, run: Run, step: str | None, *, queue: str = "") -> Request:
        """Record that *run* is retried, by workers."""
        return super().retry(actor, run, step, queue=queue or DEFAULT_QUEUE)


class RemoteRecovery(Recovery):
    """What was left behind, for the workers of the server."""

    def reap(self, actor: Actor, environment: str, made_by: str, *, queue: str = "") -> Request:
        """Request that workers destroy what the run *made_by* left in *environment*."""
        return super().reap(actor, environment, made_by, queue=queue or DEFAULT_QUEUE)


class NothingInterrupted:
    """The `Resumption` of a command that talks to a server: workers of the server resume runs."""

    def resume_interrupted(self) -> tuple[()]:
        """Nothing."""
        return ()
