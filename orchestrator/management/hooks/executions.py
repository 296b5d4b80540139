"""What follows from deliveries through the application: calls for workers, and run requests."""

from dataclasses import dataclass

from orchestrator.app.planned_requests import RequestOptions, request_planned
from orchestrator.app.request_duties import Shows
from orchestrator.domain.error_codes import NOTHING_TO_PROMOTE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import DEFAULT_QUEUE, run_id
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.register import REQUESTS
from orchestrator.domain.release import Package
from orchestrator.domain.worker_calls import WorkerCall
from orchestrator.management.application import ManagedApplication
from orchestrator.management.hooks.model import Delivery, Hook
from orchestrator.management.hooks.ports import Promoted

BUILD = "hooks.build_delivery"


@dataclass(frozen=True)
class ApplicationHooks:
    """The `HookExecutions` of the application *app*. Plans are shown to approvers by *shows*."""

    app: ManagedApplication
    shows: Shows

    def request_build(self, hook: Hook, delivery: Delivery) -> str:
        """Have a worker build it."""
        calls, id_ = self.app.worker_calls, f"hook-{delivery.id}"
        call = calls.get(id_)
        if call is None:
            at = parse_moment(self.app.acting.clock.now())
            calls.add(WorkerCall(id=id_, case=BUILD, arguments={"delivery": delivery.id}, actor=hook.actor, at=at))
            return ""
        error = call.errors[0] if call.errors else None
        return f"{error['message']} ({error['code']})" if error is not None else ""

    def promote(self, hook: Hook, delivery: Delivery) -> Promoted:
        """Request the promotion."""
        app, actor = self.app, hook.actor
        wanted = delivery.package.digest if delivery.package is not None else delivery.event.release
        package = app.releases.kept_package(actor, wanted)
        if package.ref.name != hook.release:
            raise OrchestratorError("G702", f"{package.ref} is not a package of {hook.release}")
        environment = self._environment(hook, package)
        key = run_id(delivery.root, environment)
        if app.register.reading(lambda records: records.get(REQUESTS, key)) is not None:
            return Promoted(package.ref, key)
        try:
            app.plans.targets(actor, package, environment, requested=True)
        except OrchestratorError as error:
            if error.code == NOTHING_TO_PROMOTE:
                return Promoted(package.ref, note=error.message)
            raise
        plan = app.plans.make(actor, package, environment)
        how = RequestOptions(queue=DEFAULT_QUEUE, root=delivery.root)
        return Promoted(package.ref, request_planned(app, actor, plan, how, self.shows).id)

    def _environment(self, hook: Hook, package: Package) -> str:
        """Where the promotion leads: the first environment of the path that is for *package*. Raises G702."""
        declared = package.manifest.release.environments
        entries = [each for each in self.app.hook_sources.entry_environments() if each in declared]
        wanted = hook.environment or next(iter(entries), None)
        if wanted is None or wanted not in entries:
            place = wanted or "the first environment of a path"
            raise OrchestratorError("G702", f"{package.ref} is not for {place}")
        return wanted
