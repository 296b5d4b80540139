"""Recovery: ephemeral stacks that their promotions could not destroy."""

from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.control import record_control
from orchestrator.app.journal import recorded_request
from orchestrator.app.parts import Parts
from orchestrator.app.requests import Reap, Request, parse_request
from orchestrator.app.submit import record_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run, request_parameters
from orchestrator.domain.text import clean_text
from orchestrator.inspect.leftovers import Leftover, leftovers
from orchestrator.ports.lists import each_request


class Recovery(UseCases):
    """The use cases about what was left behind."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.VIEW)
    def leftovers(self, actor: Actor, environment: str | None = None) -> list[Leftover]:
        """Ephemeral stacks that promotions could not destroy, and on which no process works.

        Of *environment* all of them; without one, in every environment those past their time. Raises R103.
        """
        if environment is not None:
            self._parts.services.environment(environment)
        now = self._parts.services.clock.now()
        every = leftovers(self._parts.services, environment)
        found = [left for left in every if environment is not None or left.due(now)]
        return [left for left in found if left.run.ended or self._is_dead(left.run)]

    @use_case(Action.DESTROY)
    def reap(self, actor: Actor, environment: str, made_by: str, *, queue: str = "") -> Request:
        """Request that what the run *made_by* left in *environment* is destroyed.

        This is done by a run of its own, or by *made_by*, cancelled, if it has not ended. Workers of *queue* execute
        it, or the caller if that is empty. A request that is not done is not repeated. Raises R101 without such a
        leftover, R103, and S101 when the environment is busy.
        """
        run = self._left_by(environment, made_by)
        if not run.ended:
            if run.control != "cancel":
                record_control(self._parts.store, str(actor), run, "cancel", "what it created has expired")
            if queue:
                self._parts.store.transfer(run.root, queue)
            return recorded_request(self._parts.store, run.root)
        for work in each_request(self._parts.store):
            if work.request["kind"] == "reap" and request_parameters(work.request).get("run") == run.id:
                return parse_request(work.request)
        return record_request(self._parts, actor, Reap(targets=(run.environment,), leftover=run.id), queue)

    def _left_by(self, environment: str, made_by: str) -> Run:
        """The run *made_by*, if it has left a stack in *environment* and no process works on it."""
        self._parts.services.environment(environment)
        for left in leftovers(self._parts.services, environment):
            if left.run.id == made_by and (left.run.ended or self._is_dead(left.run)):
                return left.run
        raise OrchestratorError("R101", f"no run {clean_text(made_by, 100)} has left anything in {environment}")

    def _is_dead(self, run: Run) -> bool:
        return run.control != "pause" and not self._parts.engine.working(run.root)
