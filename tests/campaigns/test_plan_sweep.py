"""The sweep of promotions through implementation plans: nothing is lost or done twice, and it finds what would."""

from typing import Any

import pytest

from orchestrator.management.implementation_plans import automation, run_steps
from orchestrator.management.implementation_plans.state import TaskState
from tests.campaigns import plan_sweep
from tests.campaigns.plan_sweep import ORDERS, follow


def test_each_order_ends_as_it_says() -> None:
    """Without a death the orders lead to each end of a run and a plan, and to every last state of a task."""
    found = {name: follow(order, iter(()))[0] for name, order in ORDERS.items()}
    assert {name: (end.run, [plan[1] for plan in end.plans]) for name, end in found.items()} == {
        "completed": ("succeeded", ["completed"]),
        "helped, failed and retried": ("succeeded", ["completed"]),
        "added to": ("succeeded", ["completed"]),
        "late": ("succeeded", ["completed"]),
        "aborted": ("rolled back", ["aborted", "completed"]),
        "decided no-go": ("rolled back", ["aborted", "completed"]),
        "stopped run": ("rolled back", ["aborted", "completed"]),
    }
    added = dict(found["added to"].plans[0][2])
    assert (added["more"], added["purge"], dict(found["added to"].requested)["more"]) == ("done", "done", 1)
    twice = dict(found["helped, failed and retried"].requested)
    assert (twice["count"], twice["move"], twice["back"], twice["promote"]) == (2, 2, 2, 1)
    ends = {state for end in found.values() for plan in end.plans for _, state in plan[2]}
    assert ends == {str(state) for state in (TaskState.DONE, TaskState.SKIPPED, TaskState.ABORTED)}


@pytest.mark.long
def test_a_death_at_any_write_loses_and_repeats_nothing() -> None:
    """A process that dies before or after any write of the register, the journal or what tasks cause leaves what an undisturbed one does."""
    done, died = plan_sweep.sweep(names=("helped, failed and retried", "aborted"))
    assert (done > 500, died) == (True, done)


def test_a_second_plan_of_a_step_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep notices a step that does not look for the plan that it has started before its process died."""
    monkeypatch.setattr(run_steps, "plan_of_step", lambda *_: None)
    with pytest.raises(AssertionError):
        plan_sweep.sweep(names=("decided no-go",))


def test_work_that_is_requested_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep notices a worker that requests the work of a task under a new key after a death."""
    keys = iter(range(10**6))

    def begun(executions: Any, task: Any) -> Any:
        return executions.begin(task.model_copy(update={"root": f"{next(keys):06}"}))

    monkeypatch.setattr(automation, "_begun", begun)
    with pytest.raises(AssertionError):
        plan_sweep.sweep(names=("completed",))
