"""Implementation plans by values: states, what is due, expected times, and the critical path."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.config.implementation import implementation_files, load_implementation
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import ImplementationTemplate, parameters_of
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task, TaskSpan
from orchestrator.management.implementation_plans.progress import due_steps, missing_of
from orchestrator.management.implementation_plans.state import (
    IMPLEMENTATION_TABLE,
    TASK_TABLE,
    PlanEvent,
    PlanState,
    TaskEvent,
    TaskState,
)
from orchestrator.management.implementation_plans.templates import task_of
from orchestrator.management.implementation_plans.times import planned_times, replanned_times, schedule

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
S, E = TaskState, TaskEvent


def task(name: str, *after: str, minutes: int = 10, **fields: Any) -> Task:
    span = TaskSpan(start=NOON, end=NOON + minutes * MINUTE)
    return Task.model_validate(
        {"name": name, "title": name, "after": after, "duration_s": minutes * 60, "planned": span, **fields}
    )


def plan(*tasks: Task, **fields: Any) -> ImplementationPlan:
    about: dict[str, Any] = {"number": 1, "title": "Launch", "template": "launch", "digest": f"sha256:{'1' * 64}",
                             "owner": "ann", "start_at": NOON, "created_at": NOON, "created_by": "ann"}  # fmt: skip
    return ImplementationPlan.model_validate({**about, "state": PlanState.RUNNING, "tasks": tasks, **fields})


def run(found: ImplementationPlan, at: datetime = NOON, satisfied: bool = False) -> ImplementationPlan:
    """*found* after everything that is due at a time."""
    for step in due_steps(found, lambda _key: satisfied, at):
        found = step.plan
    return found


def states(found: ImplementationPlan) -> list[str]:
    return [each.state.value for each in found.tasks]


@given(st.lists(st.sampled_from(TaskEvent), max_size=30))
def test_a_task_has_only_states_of_the_table(events: list[TaskEvent]) -> None:
    """After any events the state is one of the table, a refused event changes nothing, and an end stays an end."""
    found = task("check")
    for event in events:
        if TASK_TABLE.allows(found.state, event):
            assert not found.has_ended
            before, found = found, found.after_event(event, "IP-1")
            assert TASK_TABLE.moves[before.state][event] is found.state
        else:
            with pytest.raises(OrchestratorError, match="not possible"):
                found.after_event(event, "IP-1")
    assert set(TASK_TABLE.moves) == set(TaskState)


@given(st.lists(st.sampled_from(PlanEvent), max_size=10))
def test_a_plan_has_only_states_of_the_table(events: list[PlanEvent]) -> None:
    """After any events the state of a plan is one of the table, and an end stays an end."""
    found = plan(task("check"), state=PlanState.SCHEDULED)
    for event in events:
        if IMPLEMENTATION_TABLE.allows(found.state, event):
            found = found.after_event(event)
        else:
            with pytest.raises(OrchestratorError, match="not possible"):
                found.after_event(event)
    assert set(IMPLEMENTATION_TABLE.moves) == set(PlanState)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(TaskEvent), st.integers(0, 90)), max_size=25
)


@given(ACTIONS)
@example([("a", TaskEvent.REQUEST_HELP, 0), ("a", TaskEvent.READY, 30)])
def test_nothing_downstream_runs_before_what_it_comes_after(actions: list[tuple[str, TaskEvent, int]]) -> None:
    """After any events, times and restarts, a task that has become ready comes after tasks that have ended or let it pass."""
    found = run(plan(task("a", timeout_s=1800, on_timeout="continue"), task("b", "a", timeout_s=600, on_timeout="fail"),
                     task("c", "a", timeout_s=600, on_timeout="skip"), task("d", "b", "c", timeout_s=60)))  # fmt: skip
    now = NOON
    for name, event, minutes in actions:
        now += minutes * MINUTE
        found = run(ImplementationPlan.from_json(found.to_json()), now)
        current = found.task(name)
        assert current is not None
        # a user does not skip over what the program decides: `ready` is an event of time only
        if event is not TaskEvent.READY and TASK_TABLE.allows(current.state, event) and not found.has_ended:
            fields: dict[str, Any] = (
                {"ended_at": now} if TASK_TABLE.moves[current.state][event] in TASK_TABLE.ends else {}
            )
            if event is TaskEvent.REQUEST_HELP:
                fields["due_at"] = None  # as the use case does: no time ends a task that needs help
            found = run(found.with_tasks([current.after_event(event, found.id, **fields)]), now)
        for each in found.tasks:
            if each.state not in {S.PENDING, S.SKIPPED, S.ABORTED}:
                assert missing_of(found, each, lambda _key: False) == ()
        assert (found.state is PlanState.COMPLETED) is all(each.has_ended for each in found.tasks)


def test_a_task_is_ready_when_everything_before_it_has_ended() -> None:
    """A plan starts at its time; a task is ready when what it comes after is done or skipped, and at its earliest start."""
    found = plan(
        task("a"), task("b", "a"), task("c", "IP-2:x"), task("d", not_before=NOON + HOUR), state=PlanState.SCHEDULED
    )
    assert (run(found, NOON - MINUTE).state, states(run(found))) == (
        "scheduled",
        ["ready", "pending", "pending", "pending"],
    )
    assert states(run(found, NOON + HOUR, satisfied=True)) == ["ready", "pending", "ready", "ready"]
    failed = run(plan(task("a", state=S.FAILED), task("b", "a")))
    assert states(failed) == ["failed", "pending"]
    assert states(run(plan(task("a", state=S.SKIPPED), task("b", "a")))) == ["skipped", "ready"]


@pytest.mark.parametrize(
    ("on_timeout", "state", "later"),
    [
        ("fail", "failed", "pending"),
        ("skip", "skipped", "ready"),
        ("needs-help", "needs-help", "pending"),
        ("continue", "ready", "ready"),
    ],
)
def test_the_end_of_a_timeout_has_the_stated_effect(on_timeout: str, state: str, later: str) -> None:
    """When its timeout ends a task fails, is skipped, needs help, or lets later tasks start, once, also after 90 days."""
    found = run(plan(task("a", timeout_s=90 * 86400, on_timeout=on_timeout), task("b", "a")))
    assert states(run(found, NOON + timedelta(days=90) - MINUTE)) == ["ready", "pending"]
    late = run(found, NOON + timedelta(days=90))
    assert states(late) == [state, later]
    assert run(late, NOON + timedelta(days=91)) == late


def test_a_dependency_that_is_added_makes_a_ready_task_wait() -> None:
    """A ready task that comes after something else since it was re-planned is pending again."""
    found = run(plan(task("a"), task("b")))
    assert states(run(found.with_tasks([found.tasks[1].model_copy(update={"after": ("a",)})]))) == ["ready", "pending"]


def test_the_critical_path_decides_when_the_plan_ends() -> None:
    """The expected times follow from lengths and order, and the critical path has the tasks without slack."""
    found = plan(task("a"), task("b", "a", minutes=60), task("c", "a", minutes=20), task("d", "b", "c"))
    times = schedule(found, NOON, {})
    assert (times.critical, times.end) == (("a", "b", "d"), NOON + 80 * MINUTE)
    late = found.with_tasks([found.tasks[2].model_copy(update={"duration_s": 7200})])
    assert schedule(late, NOON, {}).critical == ("a", "c", "d")
    outside = plan(task("a", "REL-1:deploy"))
    assert schedule(outside, NOON, {"REL-1:deploy": NOON + HOUR}).end == NOON + 70 * MINUTE


@given(st.lists(st.integers(1, 90), min_size=4, max_size=4), st.integers(0, 300))
def test_a_longer_critical_task_makes_the_plan_longer(minutes: list[int], more: int) -> None:
    """A plan ends later by exactly the time that a critical task takes longer."""
    a, b, c, d = minutes
    found = plan(
        task("a", minutes=a), task("b", "a", minutes=b), task("c", "a", minutes=c), task("d", "b", "c", minutes=d)
    )
    before = schedule(found, NOON, {})
    for name in before.critical:
        if name in {"a", "d"}:
            current = found.task(name)
            assert current is not None
            longer = found.with_tasks([current.model_copy(update={"duration_s": current.duration_s + more * 60})])
            assert schedule(longer, NOON, {}).end == before.end + more * MINUTE


def test_planned_and_replanned_times_are_both_kept() -> None:
    """A task keeps the time of its first plan beside the new one, and what has started does not move."""
    found = planned_times(plan(task("a"), task("b", "a")), {})
    assert found.tasks[1].planned == TaskSpan(start=NOON + 10 * MINUTE, end=NOON + 20 * MINUTE)
    begun = found.tasks[0].model_copy(update={"state": S.IN_PROGRESS, "started_at": NOON, "duration_s": 3600})
    moved = replanned_times(found.with_tasks([begun]), NOON, {})
    assert moved.tasks[0].replanned is None
    assert (moved.tasks[1].planned.start, moved.tasks[1].span.start) == (NOON + 10 * MINUTE, NOON + HOUR)


def template(**task_fields: Any) -> ImplementationTemplate:
    return ImplementationTemplate.from_json(
        {"apiVersion": "orchestrator/v1", "kind": "ImplementationTemplate", "title": "x",
         "parameters": {"version": {}, "who": {"default": "ann"}}, "tasks": [{"name": "a", **task_fields}]}
    )  # fmt: skip


def test_parameters_fill_the_texts_of_tasks() -> None:
    """A parameter has its default or a given value, and is filled into texts; a missing, unknown or unfit one is G401."""
    found = template(title="Check ${{ parameters.version }}", owner="${{parameters.who}}", start="1h", timeout="2d")
    values = parameters_of(found, {"version": "1.2"})
    made = task_of(found.tasks[0], values, NOON, Actor(name="ann"))
    assert (made.title, made.owner, made.not_before, made.timeout_s) == ("Check 1.2", "ann", NOON + HOUR, 2 * 86400)
    for given_, text in (({}, "a value is missing for: version"), ({"version": "1", "whom": "x"}, "no parameter whom")):
        with pytest.raises(OrchestratorError, match=text) as error:
            parameters_of(found, given_)
        assert error.value.code == "G401"
    with pytest.raises(OrchestratorError, match="a: after") as error:
        task_of(template(after=["${{ parameters.version }}"]).tasks[0], {"version": "No Name"}, NOON, Actor(name="ann"))
    assert error.value.code == "G401"


def test_the_example_is_valid() -> None:
    """The templates of the example are read without an error, and that of the launch has tasks of every kind."""
    root = Path(__file__).resolve().parents[2] / "examples" / "implementation-plan"
    found = {file.name: load_implementation(file, root) for file in implementation_files(root)}
    assert sorted(found) == ["launch.yaml", "switch-names-back.yaml", "switch-names.yaml"]
    assert {each.kind for each in found["launch.yaml"].tasks} == {"manual", "decision", "automated"}
