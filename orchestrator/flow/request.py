"""Request: who asks for what, whether the environment can take it now, and the lease on it."""

from collections.abc import Iterable

from orchestrator.domain.environment import Environment
from orchestrator.domain.error_codes import ENVIRONMENT_BUSY
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import PackageRef, Release
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import undated
from orchestrator.flow.course import STOPPING, Course, Setting, stack_of
from orchestrator.flow.trail import everywhere, unsettled
from orchestrator.ports import Emit

POLL = 0.5


def admit(course: Course) -> None:
    """Take the environment's lease. Nothing else of this run happens without it."""
    course.move(Event.PLAN)

    def take(_job: str, emit: Emit) -> StepResult:
        allow(course.environment)
        return _wait(course, emit) if course.wait else acquire(course)

    course.must("lease", f"take {course.run.environment}", take, verb="request")


def acquire(course: Course) -> StepResult:
    """The environment's lease for this run. Raises S101 when somebody else holds it, or waits for it."""
    course.enter()
    return StepResult(outcome=Outcome.SUCCEEDED, data={"fence": course.fence})


def _wait(course: Course, emit: Emit) -> StepResult:
    """Take the lease when it is this run's turn, saying what it waits for. Raises S104 and S105."""
    store, clock, run = course.setting.store, course.setting.clock, course.run
    deadline, said = clock.monotonic() + course.wait, ""
    store.enqueue(run.environment, run, supersede=course.environment.queue.supersede)
    while True:
        if (wish := course.wish()) in STOPPING:  # before it is its turn: what only waited has nothing to undo
            store.dequeue(run.environment, run.id)
            data = {"code": "R150"}
            return StepResult(outcome=Outcome.ABORTED, message=f"{STOPPING[wish]} while it waited", data=data)
        try:
            return acquire(course)
        except OrchestratorError as error:
            if error.code != ENVIRONMENT_BUSY:
                raise
            why = error.message
        if undated(why) != said:
            emit(Entry(kind="notice", data={"level": "info", "text": f"waiting: {why}"}))
            said = undated(why)
        _go_on_waiting(course, late=clock.monotonic() >= deadline)
        clock.sleep(POLL)


def _go_on_waiting(course: Course, *, late: bool) -> None:
    """Leave the queue when there is nothing to wait for any more. Raises S104 and S105."""
    store, run = course.setting.store, course.run
    if course.wish() == "pause":
        course.tenure.park()
    course.tenure.check()  # a process that is asked to end, or was replaced, waits no longer
    mine = next((wait for wait in store.queue(run.environment) if wait.run == run.id), None)
    if mine is not None and mine.superseded_by is None and not late:
        return
    store.dequeue(run.environment, run.id)
    if mine is not None and mine.superseded_by is not None:
        raise OrchestratorError("S104", f"{run.id} is superseded by {mine.superseded_by}")
    raise OrchestratorError("S105", f"{run.environment} did not become free in {course.wait:.0f} s (--wait)")


def allow(environment: Environment) -> None:
    """Refuse what this version could not honour: a rule that is written down and not kept is worse than none.

    Raises R110 (approvals) and R111 (windows).
    """
    if environment.approvals is not None:
        raise OrchestratorError("R110", f"{environment.name} requires approvals, which this version cannot collect")
    if environment.windows:
        raise OrchestratorError("R111", f"{environment.name} declares windows, which this version cannot keep")


def allow_all(setting: Setting, names: Iterable[str]) -> None:
    """Check the whole path before any environment of it is touched: raises what :func:`allow` does for one of them."""
    for name in names:
        allow(setting.environment(name)[0])


def targets(
    setting: Setting, release: Release, ref: PackageRef, to: str | None, *, redeploy: bool = False
) -> list[str]:
    """Where a promotion goes: *to*, or the rest of the release's path, from the first environment without it.

    An environment is passed over when the release has been verified there and is what runs there now, unless it is to
    *redeploy*. Raises R103 for an unknown environment and R104 for one that the release does not declare.
    """
    declared = [name for name in setting.environments if name in release.environments]
    for name in release.environments:
        setting.environment(name)
    if to is not None:
        setting.environment(to)
        if to not in declared:
            raise OrchestratorError("R104", f"{ref} does not declare the environment {to!r}")
        return [] if not redeploy and is_current(setting, to, ref) else [to]
    rest = list(declared)
    while not redeploy and rest and runs_there(setting, rest[0], ref):
        rest.pop(0)
    return rest


def is_current(setting: Setting, environment: str, ref: PackageRef) -> bool:
    """Whether nothing is left to do for *ref* in *environment*.

    It runs there as :func:`runs_there` says, on the infrastructure as it is defined now; no run needs intervention, and
    none holds the environment.
    """
    if setting.environment(environment)[0].ephemeral is not None or not runs_there(setting, environment, ref):
        return False
    if setting.store.lease(environment) is not None or unsettled(setting, environment):
        return False
    spec = stack_of(setting, environment)
    return spec is None or setting.store.verified(environment)[0].definition == spec.definition


def runs_there(setting: Setting, environment: str, ref: PackageRef) -> bool:
    """Whether *ref* is the release that was verified last in *environment*, and runs on each host that it is for."""
    verified = setting.store.verified(environment)
    last = bool(verified) and verified[0].release.digest == ref.digest
    return last and everywhere(setting, environment, ref.digest)
