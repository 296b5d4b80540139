"""Retention: what old runs have left in the state folder."""

from orchestrator.app.acting import Change, change
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.project_definition import EARLIER, ProjectDefinition
from orchestrator.domain.register import PROJECT_DEFINITIONS, REQUESTS, VOTES
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
        found = prune.removable(self._parts.services, self._parts.durable_records, lambda: self._named_plans(actor))
        return found.model_copy(update={"definitions": tuple(each.digest for each in self._definitions(actor))})

    @use_case(Action.RUN_WORKER)
    def prune(self, actor: Actor) -> Removable:
        """Remove what the project's retention rule does not keep. Raises S200."""
        found = prune.prune(self._parts.services, self._parts.durable_records, lambda: self._named_plans(actor))
        old = self._definitions(actor)
        if old:
            self._remove_definitions(actor, old)
        return found.model_copy(update={"definitions": tuple(each.digest for each in old)})

    def _definitions(self, actor: Actor) -> tuple[ProjectDefinition, ...]:
        """The project definitions that have not been current for the time of the rule, and that nothing names."""
        services = self._parts.services
        if not self._parts.receives_definitions:
            return ()

        def work(records: Records) -> tuple[ProjectDefinition, ...]:
            asked = {request.definition for request in each_record(records, REQUESTS)}
            earlier = records.all(PROJECT_DEFINITIONS, EARLIER)
            return tuple(each for each in earlier if each.digest not in asked)

        cutoff = parse_moment(services.project.retention.cutoff(services.clock.now()))
        found = self._parts.acting_as(actor).register.reading(work)
        old = [each for each in found if each.last_needed <= cutoff]
        named = prune.named_definitions(services) if old else frozenset[str]()
        return tuple(each for each in old if each.digest not in named)

    def _remove_definitions(self, actor: Actor, old: tuple[ProjectDefinition, ...]) -> None:
        """Remove *old*: the record first, so that none names an archive that is gone."""

        def work(task: Change) -> frozenset[str]:
            for each in old:
                current = task.records.get(PROJECT_DEFINITIONS, each.digest)
                if current == each:
                    task.remove(PROJECT_DEFINITIONS, each, event="prune")
            return frozenset(each.digest for each in task.records.all(PROJECT_DEFINITIONS))

        kept = change(self._parts.acting_as(actor), Action.RUN_WORKER, work)
        for digest in {each.digest for each in old} - kept:
            self._parts.definition_archives.remove(digest)
        self._parts.prune_definitions(kept)

    def _named_plans(self, actor: Actor) -> frozenset[str]:
        """The plans that run requests and votes name."""

        def named(records: Records) -> frozenset[str]:
            plans = {cast.vote.plan for cast in each_record(records, VOTES)}
            for request in each_record(records, REQUESTS):
                plans |= {request.plan, *(request.rollout.plans.values() if request.rollout else ())}
            return frozenset(plans)

        return self._parts.acting_as(actor).register.reading(named)
