"""Request: who asks for what, whether the environment can take it now, and the lease on it."""

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Lease
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import PackageRef, Release
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.course import Course, Setting
from orchestrator.ports import Emit


def admit(course: Course) -> None:
    """Take the environment's lease. Nothing else of this run happens without it."""
    course.move(Event.PLAN)

    def take(_job: str, _emit: Emit) -> StepResult:
        allow(course.environment)
        lease = acquire(course)
        return StepResult(outcome=Outcome.SUCCEEDED, data={"fence": lease.fence})

    result = course.must("lease", f"take {course.run.environment}", take, verb="request")
    course.fence = int(result.data["fence"])


def acquire(course: Course) -> Lease:
    """The environment's lease for this run. Raises the S-code for *busy* when somebody else holds it."""
    run = course.run
    reason = f"{run.kind} of {run.release}" if run.release else run.kind
    return course.setting.store.acquire(run.environment, run.id, run.by, reason)


def allow(environment: Environment) -> None:
    """Refuse what this version could not honour: a rule that is written down and not kept is worse than none.

    Raises R110 (approvals) and R111 (windows).
    """
    if environment.approvals is not None:
        raise OrchestratorError("R110", f"{environment.name} asks for approvals, which this version cannot collect")
    if environment.windows:
        raise OrchestratorError("R111", f"{environment.name} declares windows, which this version cannot keep")


def targets(setting: Setting, release: Release, ref: PackageRef, to: str | None) -> list[str]:
    """Where a promotion goes: *to*, or the rest of the release's path, from the first environment without it.

    An environment is passed over when the release has been verified there and is what runs there now. Raises
    R103 for an unknown environment and R104 for one that the release does not declare.
    """
    declared = [name for name in setting.environments if name in release.environments]
    for name in release.environments:
        setting.environment(name)
    if to is not None:
        setting.environment(to)
        if to not in declared:
            raise OrchestratorError("R104", f"{ref} does not declare the environment {to!r}")
        return [to]
    rest = list(declared)
    while rest and runs_there(setting, rest[0], ref):
        rest.pop(0)
    return rest


def runs_there(setting: Setting, environment: str, ref: PackageRef) -> bool:
    """Whether *ref* is the release that was verified last in *environment*."""
    verified = setting.store.verified(environment)
    destroyed = any(host.truth == "empty" for host in setting.store.hosts(environment))
    return bool(verified) and verified[0].release.digest == ref.digest and not destroyed
