"""The use cases of implementation plans on every register: who may do what, messages, restarts, and what is recorded."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.app.acting import Acting
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Group
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import GROUPS, OUTBOX
from orchestrator.management.implementation_plans import additions, decisions, queries, replanning
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.decisions import PlanStart
from orchestrator.management.implementation_plans.duties import AdvanceImplementations, advance_plans
from orchestrator.management.implementation_plans.evidence import EvidenceDraft
from orchestrator.management.implementation_plans.model import ImplementationPlan
from orchestrator.management.implementation_plans.replanning import PlanChange, TaskChange
from orchestrator.management.implementation_plans.state import TASK_TABLE
from orchestrator.register_ports import Register
from tests.app.desk import NOON, Desk
from tests.contracts.test_register import opened, register
from tests.management.sources import ImplementationFacts

__all__ = ["opened", "register"]  # the fixtures
HOUR = timedelta(hours=1)
TASKS: tuple[dict[str, Any], ...] = (
    {"name": "announce", "owner": "operator", "timeout": "1h"},
    {"name": "check", "group": "night", "after": ["announce"]},
    {"name": "decide", "kind": "decision", "after": ["check"]},
    {"name": "close", "owner": "viewer", "after": ["decide"]},
)


class Runbook:
    """A register with a plan of four tasks. The group night has the user approver."""

    def __init__(self, register: Register | None = None, **how: Any) -> None:
        self.desk = Desk(register)
        self.desk.write(GROUPS, Group(name="night", members=("approver",)))
        self.start(**how)

    def start(self, *made: dict[str, Any], **how: Any) -> ImplementationPlan:
        return decisions.start_plan(
            self.acting("release-manager"), "launch", ImplementationFacts(made or TASKS), PlanStart(**how)
        )

    def acting(self, name: str) -> Acting:
        found = self.desk.acting(name)
        return replace(found, actor=SYSTEM_ACTOR) if name == "system" else found

    def tick(self, after: timedelta = timedelta(0)) -> tuple[str, ...]:
        """The scheduler, after some time, in a process of its own."""
        self.desk.clock.jump(after.total_seconds())
        return advance_plans(self.acting("system"))

    def states(self, key: str = "IP-1") -> list[str]:
        return [task.state.value for task in queries.show_plan(self.acting("viewer"), key).plan.tasks]

    def messages(self, to: str) -> list[str]:
        return [m.text for m in self.desk.register.reading(lambda records: records.all(OUTBOX)) if m.to == to]

    def refused(self, work: Callable[[], object]) -> str:
        with pytest.raises(OrchestratorError) as error:
            work()
        return error.value.code


def test_a_plan_is_carried_out_by_its_users(register: Register) -> None:
    """On every adapter: owners and groups do their tasks without a right, what comes next is ready at once, and the end is recorded."""
    book = Runbook(register)
    assert book.states() == ["ready", "pending", "pending", "pending"]
    assert book.refused(lambda: tasks.complete_task(book.acting("approver"), "IP-1", "check")) == "G404"
    given_ = EvidenceDraft(("mailed",), ("https://example.org/1",))
    tasks.complete_task(book.acting("operator"), "IP-1", "announce", evidence=given_)
    assert "IP-1:check 'check' is ready to be done" in book.messages("approver")
    tasks.begin_task(book.acting("approver"), "IP-1", "check")
    tasks.request_help(book.acting("viewer"), "IP-1", "check", "no access")
    assert "IP-1:check 'check' needs help: no access" in book.messages("release-manager")
    tasks.begin_task(book.acting("approver"), "IP-1", "check")
    tasks.fail_task(book.acting("approver"), "IP-1", "check", "disk full")
    assert book.states() == ["done", "failed", "pending", "pending"]
    tasks.retry_task(book.acting("approver"), "IP-1", "check")
    tasks.complete_task(book.acting("approver"), "IP-1", "check")
    assert book.refused(lambda: tasks.complete_task(book.acting("release-manager"), "IP-1", "decide")) == "G405"
    tasks.decide_task(book.acting("release-manager"), "IP-1", "decide", go=True)
    assert [(p.id, t.name) for p, t in queries.own_tasks(book.acting("viewer"))] == [("IP-1", "close")]
    done = tasks.complete_task(book.acting("viewer"), "IP-1", "close")
    assert (done.state, done.tasks[0].evidence[1].text) == ("completed", "https://example.org/1")
    assert done.tasks[0].ended_by == "operator"
    assert queries.list_plans(book.acting("viewer")).items == ()
    assert [p.id for p in queries.list_plans(book.acting("viewer"), ended=True).items] == ["IP-1"]


def test_what_others_do_needs_a_right_and_a_reason() -> None:
    """The task of another user needs the right and a reason, skipping and failing always a reason, and help neither."""
    book = Runbook()
    assert book.refused(lambda: tasks.complete_task(book.acting("viewer"), "IP-1", "announce", "why")) == "A101"
    assert book.refused(lambda: tasks.complete_task(book.acting("release-manager"), "IP-1", "announce")) == "G403"
    assert book.refused(lambda: tasks.skip_task(book.acting("operator"), "IP-1", "announce", " ")) == "G403"
    assert book.refused(lambda: tasks.fail_task(book.acting("operator"), "IP-1", "announce", "")) == "G403"
    assert book.refused(lambda: tasks.complete_task(book.acting("release-manager"), "IP-1", "anounce", "x")) == "A110"
    link = EvidenceDraft(links=("ftp://x",))
    assert book.refused(lambda: tasks.add_evidence(book.acting("operator"), "IP-1", "announce", link)) == "G406"
    tasks.complete_task(book.acting("release-manager"), "IP-1", "announce", "operator is ill")
    plan = queries.show_plan(book.acting("viewer"), "IP-1").plan
    assert (plan.tasks[0].ended_by, plan.tasks[0].note) == ("release-manager", "operator is ill")
    audit = book.desk.register.reading(lambda records: records.audit())
    assert [e.reason for e in audit if (e.detail or {}).get("event") == "complete"] == ["operator is ill"]


def test_a_no_go_and_an_abort_end_everything() -> None:
    """A no-go aborts the plan with its open tasks, and an abort needs a reason; nothing happens afterwards."""
    book = Runbook()
    for name in ("announce", "check"):
        tasks.skip_task(book.acting("release-manager"), "IP-1", name, "not needed")
    assert book.refused(lambda: tasks.decide_task(book.acting("release-manager"), "IP-1", "decide", go=False)) == "G403"
    after = tasks.decide_task(book.acting("release-manager"), "IP-1", "decide", go=False, reason="tests are red")
    assert (after.state, after.note) == ("aborted", "decide: no-go: tests are red")
    assert book.states() == ["skipped", "skipped", "aborted", "aborted"]
    assert "IP-1 'Launch' was aborted: decide: no-go: tests are red" in book.messages("viewer")
    book.start()
    assert book.refused(lambda: decisions.abort_plan(book.acting("release-manager"), "IP-2", "")) == "G403"
    assert decisions.abort_plan(book.acting("release-manager"), "IP-2", "wrong day").has_ended
    assert book.refused(lambda: tasks.begin_task(book.acting("operator"), "IP-2", "announce")) == "G101"
    assert book.tick(1000 * HOUR) == ()


def test_a_rehearsal_notifies_nobody() -> None:
    """A rehearsal runs with its users, and writes no message."""
    book = Runbook(rehearsal=True)
    tasks.request_help(book.acting("operator"), "IP-1", "announce")
    decisions.abort_plan(book.acting("release-manager"), "IP-1", "over")
    assert [book.messages(name) for name in ("operator", "approver", "release-manager")] == [[], [], []]


def test_time_and_other_plans_move_a_plan_once() -> None:
    """The scheduler starts a scheduled plan, ends timeouts, and lets a task follow one of another plan; nothing twice."""
    book = Runbook()
    duty = AdvanceImplementations(book.acting("system"))
    follow = {"name": "follow", "after": ["IP-1:announce"]}
    book.start(follow, start_at=NOON + 2 * HOUR)
    assert book.tick(HOUR) == ("IP-1:announce is needs-help: the timeout of the task has ended",)
    assert book.tick(2 * HOUR) == ("IP-2 is running",)
    assert book.states("IP-2") == ["pending"]
    assert queries.show_plan(book.acting("viewer"), "IP-2").waits_for == {"follow": ("IP-1:announce",)}
    tasks.complete_task(book.acting("operator"), "IP-1", "announce")
    assert duty.due(book.desk.register.reading(book.acting("system").now))
    assert list(duty.do(book.acting("system"), book.desk.register.reading(book.acting("system").now))) == [
        "IP-2:follow is ready"
    ]
    assert book.tick(90 * 24 * HOUR) == ()


def add(acting: Acting, name: str, **fields: Any) -> ImplementationPlan:
    return additions.add_task(acting, "IP-1", name, ImplementationFacts(TASKS), TaskChange(**fields))


def test_a_plan_is_edited_while_it_runs() -> None:
    """A task is re-planned and added with what comes after it; what has ended is fixed, and wrong dependencies are refused."""
    book = Runbook()
    manager = book.acting("release-manager")
    moved = replanning.replan_task(manager, "IP-1", "check", TaskChange(duration_s=7200, owner="operator"), "slow")
    assert (moved.tasks[1].owner, moved.tasks[1].group, moved.tasks[2].replanned is not None) == ("operator", "", True)
    assert replanning.replan_task(manager, "IP-1", "announce", TaskChange(timeout_s=0)).tasks[0].due_at is None
    added = add(manager, "page", after=("announce",), title="Change the page")
    assert (added.tasks[-1].title, added.tasks[-1].replanned) == ("Change the page", None)
    circle = TaskChange(after=("close",))
    wrong = (
        (lambda: replanning.replan_task(manager, "IP-1", "announce", circle), "G402"),
        (lambda: replanning.replan_task(manager, "IP-1", "close", TaskChange(after=("nothing",))), "G402"),
        (lambda: replanning.replan_task(manager, "IP-1", "close", TaskChange(after=("IP-9:x",))), "G402"),
        (lambda: replanning.replan_task(manager, "IP-1", "close", TaskChange(owner="nobody")), "A110"),
        (lambda: replanning.replan_task(manager, "IP-1", "close", TaskChange(group="day")), "A110"),
        (lambda: replanning.replan_task(manager, "IP-1", "nothing", circle), "A110"),
        (lambda: add(manager, "page"), "G407"),
        (lambda: add(manager, "No Name"), "G407"),
    )
    for work, code in wrong:
        assert book.refused(work) == code
    tasks.begin_task(book.acting("operator"), "IP-1", "announce")
    assert book.refused(lambda: replanning.replan_task(manager, "IP-1", "announce", TaskChange(start=NOON))) == "G407"
    tasks.complete_task(book.acting("operator"), "IP-1", "announce")
    assert book.refused(lambda: replanning.replan_task(manager, "IP-1", "announce", TaskChange(title="x"))) == "G407"
    assert book.states() == ["done", "ready", "pending", "pending", "ready"]


def test_a_plan_is_re_planned_as_a_whole() -> None:
    """A scheduled plan starts at another time with its tasks, and keeps its first plan; its owner, title and release change while it runs."""
    book = Runbook()
    manager = book.acting("release-manager")
    late = {"name": "late", "start": "1h"}
    book.start(TASKS[0], late, start_at=NOON + HOUR)
    later = replanning.replan_plan(manager, "IP-2", PlanChange(start=NOON + 3 * HOUR), "the shop is open")
    assert (later.start_at, later.tasks[1].not_before) == (NOON + 3 * HOUR, NOON + 4 * HOUR)
    assert (later.tasks[1].planned.start, later.tasks[1].span.start) == (NOON + 2 * HOUR, NOON + 4 * HOUR)
    audit = book.desk.register.reading(lambda records: records.audit())
    assert (audit[-1].reason, audit[-1].detail["fields"]) == ("the shop is open", ["start"])
    assert book.tick(HOUR) == ("IP-1:announce is needs-help: the timeout of the task has ended",)
    assert book.states("IP-2") == ["pending", "pending"]
    assert replanning.replan_plan(manager, "IP-2", PlanChange(start=NOON)).state == "running"
    assert book.states("IP-2") == ["ready", "ready"]
    changed = replanning.replan_plan(manager, "IP-2", PlanChange(title="Night launch", owner="operator"))
    assert (changed.title, changed.owner_of(changed.tasks[1])) == ("Night launch", "operator")
    for wanted, code in (
        (PlanChange(start=NOON + 9 * HOUR), "G407"),
        (PlanChange(owner="nobody"), "A110"),
        (PlanChange(release="REL-9"), "A110"),
        (PlanChange(title=" "), "G407"),
    ):
        assert book.refused(lambda wanted=wanted: replanning.replan_plan(manager, "IP-2", wanted)) == code  # type: ignore[misc]
    decisions.abort_plan(manager, "IP-2", "over")
    assert book.refused(lambda: replanning.replan_plan(manager, "IP-2", PlanChange(title="x"))) == "G101"


NAMES = st.sampled_from([made["name"] for made in TASKS])
COMMANDS: dict[str, Callable[[Acting, str], object]] = {
    "begin": lambda a, n: tasks.begin_task(a, "IP-1", n, "x"),
    "done": lambda a, n: tasks.complete_task(a, "IP-1", n, "x"),
    "fail": lambda a, n: tasks.fail_task(a, "IP-1", n, "x"),
    "retry": lambda a, n: tasks.retry_task(a, "IP-1", n, "x"),
    "skip": lambda a, n: tasks.skip_task(a, "IP-1", n, "x"),
    "help": lambda a, n: tasks.request_help(a, "IP-1", n, "x"),
    "go": lambda a, n: tasks.decide_task(a, "IP-1", n, go=True, reason="x"),
    "replan": lambda a, n: replanning.replan_task(a, "IP-1", n, TaskChange(duration_s=60), "x"),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(COMMANDS)), NAMES, st.integers(0, 90), st.booleans()), max_size=15))
@settings(max_examples=60, deadline=None)
def test_no_commands_and_crashes_leave_the_table(commands: list[tuple[str, str, int, bool]]) -> None:
    """Whatever is commanded, and whenever a process dies within a change, each task moves only as the table allows."""
    book = Runbook()
    before = queries.show_plan(book.acting("viewer"), "IP-1").plan
    for name, wanted, minutes, crash in commands:
        acting = book.acting("release-manager")
        if crash:
            acting = replace(acting, register=cast("Register", Dying(book.desk.register)))
        with contextlib.suppress(OrchestratorError, Died):
            COMMANDS[name](acting, wanted)
        book.tick(minutes * timedelta(minutes=1))
        after = queries.show_plan(book.acting("viewer"), "IP-1").plan
        for was, now in zip(before.tasks, after.tasks, strict=True):
            assert _reachable(was.state, now.state), (was.state, now.state, name, wanted)
        before = after
    texts = [m.dedup for m in book.desk.register.reading(lambda records: records.all(OUTBOX))]
    assert len(texts) == len(set(texts))


class Died(BaseException):
    """The process died before its transaction was committed."""


class Dying:
    """A register whose process dies at the end of a transaction."""

    def __init__(self, register: Register) -> None:
        self._register, self.project = register, register.project
        self.reading = register.reading

    def changing(self, by: str, work: Callable[[Any], Any], fence: int | None = None) -> Any:
        def whole(records: Any) -> Any:
            work(records)
            raise Died

        return self._register.changing(by, whole, fence)


def _reachable(before: Any, after: Any) -> bool:
    """Whether *after* can follow from *before* by events of the table."""
    seen, edge = {before}, [before]
    while edge:
        for state in TASK_TABLE.moves[edge.pop()].values():
            if state not in seen:
                seen.add(state)
                edge.append(state)
    return after in seen
