"""Retention: what old runs have left in the state folder."""

from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.register import REQUESTS, VOTES
from orchestrator.domain.retention import Removable
from orchestrator.flow import prune
from orchestrator.register_ports import Records, each_record


class Retention(UseCases):
    """The use cases that remove what no run needs any more."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.VIEW)
    def removable(self, actor: Actor) -> Removable:
        """What the project's retention rule would remove. Changes nothing."""
        return prune.removable(self._parts.services, self._parts.durable_records, lambda: self._named_plans(actor))

    @use_case(Action.RUN_WORKER)
    def prune(self, actor: Actor) -> Removable:
        """Remove what the project's retention rule does not keep. Raises S200."""
        return prune.prune(self._parts.services, self._parts.durable_records, lambda: self._named_plans(actor))

    def _named_plans(self, actor: Actor) -> frozenset[str]:
        """The plans that run requests and votes name."""

        def named(records: Records) -> frozenset[str]:
            plans = {cast.vote.plan for cast in each_record(records, VOTES)}
            for request in each_record(records, REQUESTS):
                plans |= {request.plan, *(request.rollout.plans.values() if request.rollout else ())}
            return frozenset(plans)

        return self._parts.acting_as(actor).register.reading(named)
