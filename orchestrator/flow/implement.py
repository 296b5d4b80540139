"""Implement: an implementation plan that a step starts. The run waits for its end without a process.

While it waits, the run is paused by the plan: its process ends, and no worker takes it. The end of the plan continues
the run, and so does an operator. The environment stays held.
"""

from orchestrator.domain.effects import Change
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STOPPED, STOPPING, STORE_FAILURES, Entry
from orchestrator.domain.plan import PlannedImplementation, PlannedReversal
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Package
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import with_reason
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import ImplementationStatus, WantedImplementation

ABORTED = "G409"


def carry_out(ctx: RunContext, planned: PlannedImplementation) -> None:
    """Start the implementation plan of a step, and wait for its end. Halts the run unless it is completed."""
    if ctx.state is State.VERIFYING:
        ctx.move(Event.DEPLOY)
    package = ctx.pinned_package()
    wanted = WantedImplementation(ctx.run, f"implement.{planned.step}", package, planned.template, planned.parameters)
    change = Change("implementation", name=planned.step)
    _carried_out(ctx, wanted, f"{planned.step}: {planned.template}", change, verb="implement")


def carry_back(ctx: RunContext, planned: PlannedReversal, package: Package, number: int) -> None:
    """Start the implementation plan that undoes a step of *package*, and wait for its end. *number* makes its name."""
    name = f"undo.implementation.{number}.{planned.step}"
    wanted = WantedImplementation(ctx.run, name, package, planned.template, planned.parameters, undoes=True)
    about: dict[str, object] = {"playbook": planned.template, "hosts": [], "release": planned.release.to_json()}
    _carried_out(
        ctx, wanted, f"undo {planned.step}: {planned.template}", Change("implementation"), verb="undo", **about
    )


def _carried_out(
    ctx: RunContext, wanted: WantedImplementation, label: str, change: Change, verb: str, **about: object
) -> None:
    def work(_job: str, _emit: object) -> StepResult:
        try:
            status = ctx.services.implementations.start(wanted)
        except OrchestratorError as error:
            if error.code in STORE_FAILURES:
                raise
            data = {**error.to_json(), "untouched": True}
            return StepResult(outcome=Outcome.ERRORED, message=error.message, data=data)
        text = {"level": "info", "text": f"waits for the end of {status.id}", "implementation": status.id}
        ctx.note(Entry(kind="notice", step=wanted.step, data=text, key=f"{wanted.step}:waits"))
        return _result(ctx, status, label)

    result = ctx.step(wanted.step, label, work, may_change=change, verb=verb, implementation=wanted.template, **about)
    if not result.good:
        raise RunHalted(wanted.step, result)


def _result(ctx: RunContext, status: ImplementationStatus, label: str) -> StepResult:
    """The result of the plan, once it has ended."""
    plans = ctx.services.implementations
    while status.ended is None:
        stopping = STOPPING.get(ctx.control(), "") if not ctx.going_back else ""
        if stopping:
            why = f"{ctx.run.id} was {stopping}"
            status = plans.abort(status.id, why)
            return StepResult(
                outcome=Outcome.ABORTED, message=f"{why}, and {status.id} with it", data={"code": STOPPED}
            )
        status = _waited(ctx, status, label)
    data = {"implementation": status.id}
    if status.ended == "completed":
        return StepResult(outcome=Outcome.SUCCEEDED, message=f"{status.id} is completed", data=data)
    message = with_reason(f"{status.id} was aborted", status.note)
    return StepResult(outcome=Outcome.FAILED, message=message, data={**data, "code": ABORTED})


def _waited(ctx: RunContext, status: ImplementationStatus, label: str) -> ImplementationStatus:
    """The status of the plan after the run was paused by it. Without other runs in this process, the process ends here.

    What ends the plan continues only a run that is paused, so the plan is read again after the pause was recorded.
    """
    if ctx.control() != "pause":
        why = f"{label} waits for {status.id}"
        ctx.note(Entry(kind="control", data={"control": "pause", "by": status.id, "why": why}))
    now = ctx.services.implementations.status(status.id)
    if now.ended is None:
        ctx.ownership.park()
        return ctx.services.implementations.status(status.id)
    ctx.note(Entry(kind="control", data={"control": "", "by": status.id, "why": f"{status.id} has ended"}))
    return now
