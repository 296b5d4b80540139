"""The words of tasks: what is shown of their times."""

from datetime import datetime, timedelta

import pytest

from orchestrator.cli.implementation_plans import task_text
from orchestrator.management.implementation_plans.model import Task, TaskSpan
from orchestrator.management.implementation_plans.queries import ShownPlan
from orchestrator.management.implementation_plans.state import TaskState
from orchestrator.management.implementation_plans.times import schedule
from tests.management.test_implementation_plans import NOON, plan

BEFORE_NOON = NOON - timedelta(seconds=1)


def shown(planned: datetime, ready: datetime) -> str:
    span = TaskSpan(start=planned, end=planned + timedelta(minutes=20))
    task = Task(
        name="page", title="Page", duration_s=1200, planned=span, state=TaskState.READY, ready_at=ready, note="again"
    )
    found = plan(task)
    return task_text(ShownPlan(found, schedule(found, ready, {}), {}), task)


@pytest.mark.parametrize("seconds", [0, 1, 59, 60, 3600])
def test_a_planned_time_is_shown_of_a_task_that_is_late_by_a_minute(seconds: int) -> None:
    """The planned time is shown if the task is later by a minute, and not because a minute has ended in between."""
    assert ("planned" in shown(BEFORE_NOON, BEFORE_NOON + timedelta(seconds=seconds))) == (seconds >= 60)
