"""Implementation plans that the steps of runs start: a run starts one once, and continues after its end.

A run that waits is paused by its plan. The plan stays in the open part of its table until the run has continued, so a
worker that dies in between leaves what the next one finds.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.acting import Acting, Change, change, read_own
from orchestrator.app.control import record_control
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor, ActorKind, Method
from orchestrator.domain.errors import OrchestratorErrors
from orchestrator.domain.implementation import step_parameters
from orchestrator.domain.moments import Now
from orchestrator.domain.register import OPEN
from orchestrator.domain.text import with_reason
from orchestrator.management.implementation_plans.decisions import PlanStart, abort_plan, plan_of, put_new
from orchestrator.management.implementation_plans.model import ImplementationPlan
from orchestrator.management.implementation_plans.ports import TemplateFile, TemplateReader, WaitingRuns
from orchestrator.management.implementation_plans.records import put_plan
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.works import check_inside
from orchestrator.ports import ImplementationStatus, Store, WantedImplementation
from orchestrator.register_ports import Records


@dataclass(frozen=True)
class RegisterImplementations:
    """The `Implementations` of a project: plans in its register. *acting* gives the system at it, *read* a template.

    A plan belongs to the user who requested the run. This user does the tasks without an owner, and the automated tasks
    have the rights of this user.
    """

    acting: Callable[[], Acting]
    read: TemplateReader

    def start(self, wanted: WantedImplementation) -> ImplementationStatus:
        """Start the plan once. Raises A110, F-codes, G401, G402, G407 and G410."""
        source, run = self._template(wanted), wanted.run
        version = wanted.package.ref.version
        values = step_parameters(source.template, wanted.parameters, run.environment, version, undoes=wanted.undoes)

        def work(task: Change) -> ImplementationPlan:
            found = plan_of_step(task.records, run.id, wanted.step)
            if found is not None:
                return found
            made = plan_of(task, source, PlanStart(parameters=values), actor_named(run.by or str(SYSTEM_ACTOR)))
            check_inside(run.id, run.environment, made.tasks)
            about = {"run": run.id, "environment": run.environment, "step": wanted.step, "waiting": True}
            inside = made.model_copy(update=about)
            return put_new(task, inside)

        return _status(change(self.acting(), Action.RUN_IMPLEMENTATIONS, work))

    def _template(self, wanted: WantedImplementation) -> TemplateFile:
        """The template in the package. Raises the first fault of it."""
        try:
            return self.read(Path(str(wanted.package.root)) / wanted.template)
        except OrchestratorErrors as faults:
            raise faults.errors[0] from faults

    def status(self, plan: str) -> ImplementationStatus:
        """Whether it has ended, and how. Raises A110."""
        return _status(read_own(self.acting(), lambda view: view.existing(IMPLEMENTATION_PLANS, plan)))

    def abort(self, plan: str, why: str) -> ImplementationStatus:
        """Abort it, unless it has ended. Raises A110."""
        found = self.status(plan)
        return found if found.ended is not None else _status(abort_plan(self.acting(), plan, why))


def plan_of_step(records: Records, run: str, step: str) -> ImplementationPlan | None:
    """The plan that *step* of *run* has started. It is in the open part until the run has recorded its end."""
    plans = records.all(IMPLEMENTATION_PLANS, OPEN)
    return next((plan for plan in plans if (plan.run, plan.step) == (run, step)), None)


def actor_named(name: str) -> Actor:
    """The actor who is recorded in a run as *name*."""
    kind, _, rest = name.partition(":")
    if rest and kind in {each.value for each in ActorKind}:
        return (
            SYSTEM_ACTOR if name == str(SYSTEM_ACTOR) else Actor(name=rest, kind=ActorKind(kind), method=Method.SYSTEM)
        )
    return Actor(name=name, method=Method.SYSTEM)


def _status(plan: ImplementationPlan) -> ImplementationStatus:
    ended = plan.state.value if plan.has_ended else None
    return ImplementationStatus(plan.id, ended, plan.note)  # type: ignore[arg-type]


# -- what continues the runs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JournalRuns:
    """The `WaitingRuns` of a project, in its journal."""

    store: Store

    def continue_run(self, run: str, step: str, plan: str, why: str) -> bool:
        """Continue it if the plan has paused it."""
        found = self.store.run(run)
        if found.ended or self.store.has_entry(run, f"{step}:finished"):
            return True
        if found.control == "pause" and found.control_by == plan:
            record_control(self.store, plan, found, "", why)
        return False


def waited_for(records: Records) -> Iterator[ImplementationPlan]:
    """The plans that have ended, and whose runs have not continued yet."""
    return (plan for plan in records.all(IMPLEMENTATION_PLANS, OPEN) if plan.waiting and plan.has_ended)


def continue_runs(runs: WaitingRuns, acting: Acting) -> Iterator[str]:
    """Continue the runs whose implementation plans have ended. A phrase for each that has continued."""
    for plan in read_own(acting, lambda view: tuple(waited_for(view.records))):
        why = with_reason(f"{plan.id} is {plan.state}", plan.note)
        if runs.continue_run(plan.run, plan.step, plan.id, why):
            change(acting, Action.RUN_IMPLEMENTATIONS, lambda task, key=plan.id: _continued(task, key))  # type: ignore[misc]
            yield f"{plan.run} has continued after {plan.id}"


def _continued(task: Change, key: str) -> None:
    plan = task.existing(IMPLEMENTATION_PLANS, key)
    put_plan(task, plan.model_copy(update={"waiting": False}), "continue run", run=plan.run)


@dataclass
class ContinueRuns:
    """The scheduler's duty."""

    acting: Acting
    runs: WaitingRuns
    name: str = "runs that wait for implementation plans"

    def due(self, now: Now) -> bool:
        """Whether a plan has ended that a run waits for."""
        del now
        return read_own(self.acting, lambda view: next(waited_for(view.records), None) is not None)

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Continue the runs."""
        del now
        return continue_runs(self.runs, acting)
