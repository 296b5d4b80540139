"""Recovery: ephemeral stacks that their promotions could not destroy."""

from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.control import record_control
from orchestrator.app.journal import recorded_request
from orchestrator.app.parts import Parts
from orchestrator.app.requests import Reap, Request, parse_request
from orchestrator.app.rights import reap_rights
from orchestrator.app.submit import record_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.journal import Run, request_parameters
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

    @use_case(reap_rights)
    def reap(self, actor: Actor, leftover: Leftover, *, queue: str = "") -> Request:
        """Request that *leftover* is destroyed: by a run of its own, or by the one that made it, cancelled.

        A request that is not done is not repeated. Raises S101 when the environment is busy.
        """
        run = leftover.run
        if not run.ended:
            if run.control != "cancel":
                record_control(self._parts.store, str(actor), run, "cancel", "what it created has expired")
            return recorded_request(self._parts.store, run.root)
        for work in each_request(self._parts.store):
            if work.request["kind"] == "reap" and request_parameters(work.request).get("run") == run.id:
                return parse_request(work.request)
        return record_request(self._parts, actor, Reap(targets=(run.environment,), leftover=run.id), queue)

    def _is_dead(self, run: Run) -> bool:
        return run.control != "pause" and not self._parts.engine.working(run.root)
