"""Automated tasks through the application: promotions as run requests, and rollbacks as requests for workers."""

from dataclasses import dataclass

from orchestrator.app.application import Application
from orchestrator.app.planned_requests import DEFAULT_QUEUE, RequestOptions, request_planned
from orchestrator.app.request_duties import Shows
from orchestrator.app.requests import RollBack
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run, run_id
from orchestrator.domain.promotion import State
from orchestrator.domain.register import REQUESTS
from orchestrator.management.implementation_plans.model import Task
from orchestrator.management.implementation_plans.ports import Execution
from orchestrator.ports import Store

NOTHING_TO_DO = "R108"
RUNNING = Execution()


@dataclass(frozen=True)
class ApplicationExecutions:
    """The `Executions` of the application *app*, whose runs are in *store*. Plans are shown to approvers by *shows*."""

    app: Application
    store: Store
    shows: Shows

    def begin(self, task: Task) -> Execution:
        """Request what *task* does, once. Raises why it is refused."""
        actor = task.actor or SYSTEM_ACTOR
        return self._promote(task, actor) if task.promotion is not None else self._roll_back(task, actor)

    def current(self, task: Task) -> Execution:
        """What became of it."""
        found = self._requested(task) if task.promotion is not None else self._ran(task.followed, State.ROLLED_BACK)
        return Execution(task.followed, found.ended, found.note)

    def _promote(self, task: Task, actor: Actor) -> Execution:
        assert task.promotion is not None
        app, environment = self.app, task.promotion.to
        key = run_id(task.root, environment)
        if app.register.reading(lambda records: records.get(REQUESTS, key)) is not None:
            return Execution(key)
        package = app.releases.kept_package(actor, task.promotion.package)
        try:
            app.plans.targets(actor, package, environment, requested=True)
        except OrchestratorError as error:
            if error.code == NOTHING_TO_DO:
                return Execution(ended="done", note=error.message)
            raise
        plan = app.plans.make(actor, package, environment)
        how = RequestOptions(queue=DEFAULT_QUEUE, root=task.root)
        return Execution(request_planned(app, actor, plan, how, self.shows).id)

    def _roll_back(self, task: Task, actor: Actor) -> Execution:
        assert task.rollback is not None
        app, environment = self.app, task.rollback.environment
        key = run_id(task.root, environment)
        if self._run(key) is not None:
            return Execution(key)
        package = app.releases.rollback_package(actor, environment, task.rollback.to)
        request = RollBack(package=package.ref, targets=(environment,), root=task.root)
        return Execution(app.submissions.submit(actor, request, queue=DEFAULT_QUEUE).name)

    def _requested(self, task: Task) -> Execution:
        request = self.app.register.reading(lambda records: records.get(REQUESTS, task.followed))
        if request is None:
            return Execution(ended="failed", note=f"the run request {task.followed} does not exist")
        if request.state is RequestState.STARTED:
            run = self._run(request.run)
            needs_help = run is not None and run.state is State.NEEDS_INTERVENTION
            return Execution(ended="needs-help", note=f"{request.run} needs intervention") if needs_help else RUNNING
        if request.state is RequestState.FINISHED:
            return self._ran(request.run, State.SUCCEEDED)
        return RUNNING if not request.has_ended else Execution(ended="failed", note=f"{request.id} is {request.state}")

    def _ran(self, run: str, good: State) -> Execution:
        """What became of *run*, which has succeeded in the state *good*."""
        found = self._run(run)
        if found is None or not found.ended:
            return RUNNING
        if found.state is State.NEEDS_INTERVENTION:
            return Execution(ended="needs-help", note=f"{run} needs intervention")
        ended = "done" if found.state in {good, State.SUCCEEDED} else "failed"
        return Execution(ended=ended, note=f"{run} {found.state}")  # type: ignore[arg-type]

    def _run(self, run: str) -> Run | None:
        return next(iter(self.store.runs_named((run,))), None)
