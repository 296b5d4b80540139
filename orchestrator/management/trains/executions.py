"""The runs of trains through the application: promotions as run requests, rollbacks as requests for workers."""

from dataclasses import dataclass, replace
from datetime import datetime

from orchestrator.app.application import Application
from orchestrator.app.planned_requests import RequestOptions, request_planned
from orchestrator.app.request_duties import Shows
from orchestrator.app.requests import RollBack
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.admission.conditions import TOO_EARLY
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import DEFAULT_QUEUE, Run, run_id
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.promotion import State
from orchestrator.domain.register import REQUESTS
from orchestrator.domain.text import with_reason
from orchestrator.management.trains.model import Train, TrainRun
from orchestrator.management.trains.ports import RunReport
from orchestrator.ports import Store

NOTHING_TO_DO = "R108"
AGAIN = "the set was rehearsed: it is promoted again"


@dataclass(frozen=True)
class ApplicationTrains:
    """The `TrainExecutions` of the application *app*, whose runs are in *store*. Plans are shown by *shows*."""

    app: Application
    store: Store
    shows: Shows

    def begin(self, train: Train, run: TrainRun) -> RunReport:
        """Request *run*, once. Raises why it is refused."""
        match run.kind:
            case "promotion":
                return self._promote(train, run)
            case "rollback":
                return self._roll_back(train, run)
        return self._verify(train, run)

    def current(self, run: TrainRun) -> RunReport:
        """What became of it."""
        if run.kind == "rollback":
            return self._ran(run.followed, State.ROLLED_BACK)
        request = self.app.register.reading(lambda records: records.get(REQUESTS, run.followed))
        if request is None:
            return RunReport(run.followed, "failed", note=f"the run request {run.followed} does not exist")
        if request.state in {RequestState.STARTED, RequestState.FINISHED}:
            found = self._ran(request.run, State.SUCCEEDED)
            return replace(found, followed=run.followed)
        ended = "failed" if request.has_ended else None
        note = with_reason(f"{request.id} is {request.state}", request.note)
        return RunReport(run.followed, ended, note=note if ended else "")  # type: ignore[arg-type]

    def _promote(self, train: Train, run: TrainRun) -> RunReport:
        app, actor, environment = self.app, train.conductor, run.environment
        key = run_id(run.root, environment)
        if app.register.reading(lambda records: records.get(REQUESTS, key)) is not None:
            return RunReport(key)
        member = train.member(run.package)
        assert member is not None
        package = app.releases.kept_package(actor, member.digest)
        again = AGAIN if run.turn > 1 else ""
        try:
            if not app.plans.targets(actor, package, environment, requested=True, allow_rolled_back=bool(again)):
                return RunReport(ended="succeeded", note="it runs there already")
        except OrchestratorError as error:
            if error.code == NOTHING_TO_DO:
                return RunReport(ended="succeeded", note=error.message)
            if error.code == TOO_EARLY:  # since it was verified at the stop before: the train waits
                return RunReport()
            raise
        plan = app.plans.make(actor, package, environment)
        how = RequestOptions(queue=DEFAULT_QUEUE, root=run.root, allow_rolled_back=again)
        return RunReport(request_planned(app, actor, plan, how, self.shows).id)

    def _roll_back(self, train: Train, run: TrainRun) -> RunReport:
        app, key = self.app, run_id(run.root, run.environment)
        if self._run(key) is not None:
            return RunReport(key)
        previous = train.previous_of(run.environment, run.package)
        assert previous is not None
        assert previous.release is not None
        package = app.releases.kept_package(SYSTEM_ACTOR, previous.release.digest)
        request = RollBack(package=package.ref, targets=(run.environment,), root=run.root)
        return RunReport(app.submissions.submit(SYSTEM_ACTOR, request, queue=DEFAULT_QUEUE).name)

    def _verify(self, train: Train, run: TrainRun) -> RunReport:
        """Whether the tests of *run*'s environment succeed after the whole set was promoted. It changes nothing."""
        del train
        drift = self.app.inspections.drift(SYSTEM_ACTOR, run.environment)
        tests = [str(found) for found in drift.findings if found.part == "test"]
        unknown = [text for text in drift.unknown if "suite" in text]
        note = "; ".join((*tests, *unknown))
        return RunReport(run.root, "failed" if note else "succeeded", note=note)

    def _ran(self, name: str, good: State) -> RunReport:
        """What became of the run *name*, which has succeeded in the state *good*."""
        run = self._run(name)
        if run is None or not run.ended:
            help_ = run is not None and run.state is State.NEEDS_INTERVENTION
            return RunReport(name, "needs-help" if help_ else None, touched=help_)
        if run.state is State.NEEDS_INTERVENTION:
            return RunReport(name, "needs-help", touched=True, note=f"{name} needs intervention", ended_at=_end(run))
        succeeded = run.state in {good, State.SUCCEEDED}
        touched = run.state is not State.FAILED
        return RunReport(name, "succeeded" if succeeded else "failed", touched, f"{name} {run.state}", _end(run))

    def _run(self, name: str) -> Run | None:
        return next(iter(self.store.runs_named((name,))), None)


def _end(run: Run) -> datetime | None:
    return parse_moment(run.ended_at) if run.ended_at else None
