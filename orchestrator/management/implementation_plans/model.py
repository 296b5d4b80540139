"""Implementation plans as they are recorded."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.implementation import LongText, OnTimeout, TaskKind
from orchestrator.domain.model import Digest, Model, Name
from orchestrator.domain.moments import Moment, minute_text
from orchestrator.domain.task_work import (
    WORKS,
    CommandTask,
    GateTask,
    PlaybookTask,
    PromotionTask,
    RollbackTask,
    Text,
    Work,
)
from orchestrator.management.implementation_plans.state import (
    IMPLEMENTATION_TABLE,
    PASSED,
    TASK_TABLE,
    PlanEvent,
    PlanState,
    TaskEvent,
    TaskState,
)

TaskKey = Annotated[
    str, StringConstraints(pattern=r"^((IP|REL)-[0-9]+:)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$|^REL-[0-9]+$")
]
"""A task of the same plan (`check`), of another one (`IP-2:check`), a phase (`REL-1:deploy`), or a planned release."""
MOST_TASKS = 500
Reason = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)]


class TaskSpan(Model):
    """The time from *start* to *end*. The two can be the same."""

    start: Moment
    end: Moment

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("ends before it starts")
        return self

    def __str__(self) -> str:
        """The time in a phrase."""
        return f"{minute_text(self.start)} to {minute_text(self.end)}"


class Evidence(Model):
    """Something that shows what was done: a text, the URL of a link, or a file by its digest and size in bytes."""

    kind: Literal["text", "link", "file"]
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    digest: Digest | None = None
    size: int = Field(default=0, ge=0)
    at: Moment
    by: str


class Task(Model):
    """A task of a plan.

    *planned* is its time when it was entered, *replanned* the one after changes. *not_before* is its earliest start.
    It waits since *ready_at*; its timeout ends at *due_at*. *passed* is whether later tasks may start before it ends.
    *ended_by* is who completed, skipped or decided it, with the reason or result *note*. *inputs* is the JSON Schema of
    the *values* that this user gives; texts of later tasks refer to them.

    An automated task does its *promotion*, *rollback*, *command*, *playbook* or *gate* for *actor*, who entered it.
    *root* is its idempotency key, from its start on, and *followed* the run request, run or call that was recorded for
    it. *machine* is where its command, playbook or gate was started. While it is *stopping*, what it has started is
    ended, because the plan was aborted.

    *added_by* is the user who added it after the start of the plan, from the task *source* of a template
    (`tools:purge`) if that is not empty.
    """

    name: Name
    title: Text
    kind: TaskKind = "manual"
    instructions: LongText = ""
    owner: str = ""
    group: str = ""
    after: tuple[TaskKey, ...] = ()
    not_before: Moment | None = None
    duration_s: int = Field(ge=0)
    timeout_s: int | None = Field(default=None, ge=1)
    on_timeout: OnTimeout = "needs-help"
    promotion: PromotionTask | None = None
    rollback: RollbackTask | None = None
    command: CommandTask | None = None
    playbook: PlaybookTask | None = None
    gate: GateTask | None = None
    actor: Actor | None = None
    root: str = ""
    followed: str = ""
    machine: str = ""
    stopping: bool = False
    added_by: str = ""
    source: str = ""
    planned: TaskSpan
    replanned: TaskSpan | None = None
    state: TaskState = TaskState.PENDING
    ready_at: Moment | None = None
    due_at: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    ended_by: str = ""
    passed: bool = False
    note: Reason = ""
    evidence: tuple[Evidence, ...] = ()
    inputs: dict[str, Any] | None = None
    values: dict[str, Any] = Field(default={})

    @property
    def work(self) -> str:
        """What an automated task does, in a phrase; empty for others."""
        return next((work.about for work in self.works), "")

    @property
    def works(self) -> tuple[Work, ...]:
        """What an automated task does: one of them; none for others."""
        found: tuple[Work | None, ...] = tuple(getattr(self, name) for name in WORKS)
        return tuple(work for work in found if work is not None)

    @property
    def span(self) -> TaskSpan:
        """The time that currently counts as planned."""
        return self.replanned or self.planned

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in TASK_TABLE.ends

    @property
    def lets_pass(self) -> bool:
        """Whether tasks that come after it may start."""
        return self.passed or self.state in PASSED

    def after_event(self, event: TaskEvent, plan: str, **fields: Any) -> Self:
        """The task after *event*. Raises G101."""
        state = TASK_TABLE.after(self.state, event, f"{plan}:{self.name}")
        return self.model_validate({**dict(self), "state": state, **fields})

    def waits_from(self, now: datetime) -> dict[str, Any]:
        """The fields of a task that waits from *now* on, until its timeout ends."""
        return {"due_at": now + timedelta(seconds=self.timeout_s) if self.timeout_s is not None else None}


class ImplementationPlan(Model):
    """An implementation plan, made from the *template* with its *digest* and *parameters*, to start at *start_at*.

    *owner* is responsible for it, and does the tasks without an owner. *release* is the planned release that it is
    for, if any. The *step* of a *run* has started it, if it is part of a promotion or rollback. The run holds its
    *environment*, and is *waiting* until it continues after the end of the plan. A *rehearsal* executes no automated
    task and sends no notifications.
    *note* is the reason of its state.
    """

    number: int = Field(ge=1)
    title: Text
    description: LongText = ""
    template: Name
    digest: Digest
    parameters: dict[str, str] = Field(default={})
    owner: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    release: str = ""
    run: str = ""
    environment: str = ""
    step: str = ""
    waiting: bool = False
    rehearsal: bool = False
    start_at: Moment
    created_at: Moment
    created_by: str
    state: PlanState = PlanState.SCHEDULED
    tasks: tuple[Task, ...] = Field(min_length=1, max_length=MOST_TASKS)
    started_at: Moment | None = None
    ended_at: Moment | None = None
    note: Reason = ""

    @property
    def id(self) -> str:
        """What users call it."""
        return f"IP-{self.number}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in IMPLEMENTATION_TABLE.ends

    @property
    def is_stopping(self) -> bool:
        """Whether it has ended, and something that it has started is still being ended."""
        return any(task.stopping for task in self.tasks)

    def task(self, name: str) -> Task | None:
        """The task with this name."""
        return next((task for task in self.tasks if task.name == name), None)

    def owner_of(self, task: Task) -> str:
        """The user who does *task*; empty if a group does."""
        return task.owner or ("" if task.group else self.owner)

    def after_event(self, event: PlanEvent, **fields: Any) -> Self:
        """The plan after *event*. Raises G101."""
        state = IMPLEMENTATION_TABLE.after(self.state, event, self.id)
        return self.model_validate({**dict(self), "state": state, **fields})

    def with_tasks(self, tasks: Iterable[Task]) -> Self:
        """The plan with *tasks* in place of those of the same names, and new ones at its end."""
        changed = {task.name: task for task in tasks}
        new = [task for name, task in changed.items() if self.task(name) is None]
        found = (*(changed.get(task.name, task) for task in self.tasks), *new)
        return self.model_validate({**dict(self), "tasks": found})
