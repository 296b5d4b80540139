"""What the scheduler does for implementation plans: starts, timeouts, and what the ends of other things make ready."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, View, access_of, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import Now
from orchestrator.domain.register import OPEN
from orchestrator.domain.text import with_reason
from orchestrator.management.implementation_plans.progress import Step, due_steps, next_plan_step
from orchestrator.management.implementation_plans.records import outside_state, put_step
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.register_ports import Records


@forwarded
def advance_plans(acting: Acting) -> tuple[str, ...]:
    """Do everything that time and other objects require of plans. A phrase for each step; nothing happens twice."""
    due = read_register(acting, Action.RUN_IMPLEMENTATIONS, _due)
    return tuple(text for key in due for text in _advance(acting, key))


def _due(view: View) -> list[str]:
    now = view.now.earliest
    plans = view.records.all(IMPLEMENTATION_PLANS, OPEN)
    return [plan.id for plan in plans if next_plan_step(plan, lambda key: outside_state(view, key)[0], now) is not None]


def _advance(acting: Acting, key: str) -> tuple[str, ...]:
    def work(task: Change) -> tuple[str, ...]:
        plan = task.existing(IMPLEMENTATION_PLANS, key)
        steps = list(due_steps(plan, lambda each: outside_state(task, each)[0], task.now.earliest))
        for step in steps:
            put_step(task, step)
        return tuple(step_text(step) for step in steps)

    return change(acting, Action.RUN_IMPLEMENTATIONS, work)


def step_text(step: Step) -> str:
    """What a step did, in a phrase."""
    found = step.plan.task(step.task)
    if found is None:
        return with_reason(f"{step.plan.id} is {step.plan.state}", step.note)
    return with_reason(f"{step.plan.id}:{step.task} is {found.state}", step.note)


@dataclass
class AdvanceImplementations:
    """The scheduler's duty."""

    acting: Acting
    name: str = "implementation plans"

    def due(self, now: Now) -> bool:
        """Whether something is due for a plan."""
        del now

        def work(records: Records) -> bool:
            return bool(_due(View(self.acting, records, access_of(records), self.acting.now(records))))

        return self.acting.register.reading(work)

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do it."""
        del now
        return advance_plans(acting)
