"""Automated tasks through the application: promotions as run requests, and rollbacks as requests for workers."""

from dataclasses import dataclass
from datetime import timedelta

from orchestrator.app.planned_requests import RequestOptions, request_planned
from orchestrator.app.request_duties import Shows
from orchestrator.app.requests import RollBack
from orchestrator.app.run_requests import withdraw_request
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import DEFAULT_QUEUE, STORE_FAILURES, Run, run_id
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.promotion import State
from orchestrator.domain.register import REQUESTS
from orchestrator.domain.worker_calls import WorkerCall
from orchestrator.management.application import ManagedApplication
from orchestrator.management.implementation_plans.model import Task
from orchestrator.management.implementation_plans.ports import Execution
from orchestrator.management.implementation_plans.works import direct_work
from orchestrator.ports import Store

NOTHING_TO_DO, IN_USE = "R108", "S101"
RUN_TASK = "implementation_plans.run_task"
AGAIN_AFTER = timedelta(seconds=15)
"""After which the work of a task is tried again, whose environment was in use."""
RUNNING = Execution()


@dataclass(frozen=True)
class ApplicationExecutions:
    """The `Executions` of the application *app*, whose runs are in *store*. Plans are shown to approvers by *shows*."""

    app: ManagedApplication
    store: Store
    shows: Shows

    def begin(self, task: Task) -> Execution:
        """Request what *task* does, once. Raises why it is refused."""
        actor = task.actor or SYSTEM_ACTOR
        if direct_work(task) is not None:
            return self._called(task, actor, f"task-{task.root}-1")
        return self._promote(task, actor) if task.promotion is not None else self._roll_back(task, actor)

    def current(self, task: Task) -> Execution:
        """What became of it."""
        if direct_work(task) is not None:
            return self._worked(task)
        found = self._requested(task) if task.promotion is not None else self._ran(task.followed, State.ROLLED_BACK)
        return Execution(task.followed, found.ended, found.note)

    def stop(self, task: Task, why: str) -> str | None:
        """Have it ended."""
        actor = task.actor or SYSTEM_ACTOR
        if direct_work(task) is not None:
            return self._call_stopped(task)
        try:
            if task.promotion is not None:
                return self._request_stopped(actor, task, why)
            return self._run_stopped(actor, task.followed or run_id(task.root, self._environment(task)), why)
        except OrchestratorError as error:
            if error.code in STORE_FAILURES:
                raise
            return f"not stopped: {error.message} ({error.code})"

    def _call_stopped(self, task: Task) -> str | None:
        """The worker that does the work notices the abort; what was not taken yet records that it did not start."""
        if not task.followed:
            return "did not start"
        call = self.app.worker_calls.get(task.followed)
        if call is None or call.ended_at is not None:
            return "did not start" if not task.machine else "was stopped"
        return None

    def _request_stopped(self, actor: Actor, task: Task, why: str) -> str | None:
        key = task.followed or run_id(task.root, self._environment(task))
        request = self.app.register.reading(lambda records: records.get(REQUESTS, key))
        if request is None:
            return "was not requested"
        if request.run and request.state in {RequestState.STARTED, RequestState.FINISHED}:
            return self._run_stopped(actor, request.run, why)
        if request.has_ended:
            return f"{request.id} is {request.state}"
        return f"{request.id} is {withdraw_request(self.app.acting_as(actor), request.id, why).state}"

    def _run_stopped(self, actor: Actor, key: str, why: str) -> str | None:
        run = self._run(key)
        if run is None:
            return "did not start"
        if run.ended or run.state is State.NEEDS_INTERVENTION:
            return f"{run.id} {run.state}"
        if run.control != "abort":
            self.app.control.request(actor, run, "abort", why)
        return None

    def _environment(self, task: Task) -> str:
        assert task.promotion is not None or task.rollback is not None
        return task.promotion.to if task.promotion is not None else task.rollback.environment  # type: ignore[union-attr]

    def _called(self, task: Task, actor: Actor, id_: str) -> Execution:
        """Have a worker do the work of *task*, by the call *id_*."""
        calls = self.app.worker_calls
        if calls.get(id_) is None:
            at = parse_moment(self.app.acting.clock.now())
            calls.add(WorkerCall(id=id_, case=RUN_TASK, arguments={"root": task.root}, actor=actor, at=at))
        return Execution(id_)

    def _worked(self, task: Task) -> Execution:
        """What became of the call for *task*, which is repeated while the environment is in use, or if it was lost."""
        call = self.app.worker_calls.get(task.followed)
        if call is None:
            return self._called(task, task.actor or SYSTEM_ACTOR, task.followed)
        error = call.errors[0] if call.errors else None
        if error is None or call.ended_at is None:
            return Execution(task.followed)
        if error["code"] not in {IN_USE, *STORE_FAILURES}:
            return Execution(task.followed, ended="failed", note=f"{error['message']} ({error['code']})")
        if parse_moment(self.app.acting.clock.now()) - call.ended_at < AGAIN_AFTER:
            return Execution(task.followed, note=error["message"])
        name, _, number = task.followed.rpartition("-")
        return self._called(task, task.actor or SYSTEM_ACTOR, f"{name}-{int(number) + 1}")

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
