"""What pages change of implementation plans: each function calls one use case, and decides nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import whole_minute
from orchestrator.management.implementation_plans import replanning
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.additions import NewTask, add_task
from orchestrator.management.implementation_plans.decisions import PlanStart, start_plan
from orchestrator.management.implementation_plans.evidence import NO_EVIDENCE, EvidenceDraft
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.queries import ShownPlan
from orchestrator.management.implementation_plans.replanning import TaskChange
from orchestrator.management.implementation_plans.state import TASK_TABLE, PlanState, TaskEvent, TaskState
from orchestrator.web.changes import is_allowed

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

ON_TIMEOUT = ("needs-help", "fail", "skip", "continue")
KINDS = {
    "manual": "manual task",
    "decision": "decision",
    "promotion": "promotion",
    "rollback": "rollback",
    "template": "task of a template",
}
"""What users add, with the words for it."""


@dataclass(frozen=True)
class TaskGiven:
    """What comes with an event of a task: the *reason*, *evidence*, *inputs*, and the *decision* (`go` or `no-go`)."""

    reason: str = ""
    evidence: EvidenceDraft = NO_EVIDENCE
    decision: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)


TaskCall = Callable[[Acting, str, str, TaskGiven], ImplementationPlan]


def _decide(acting: Acting, key: str, name: str, how: TaskGiven) -> ImplementationPlan:
    if how.decision not in {"go", "no-go"}:
        raise OrchestratorError("N110", "decision: go or no-go")
    go = how.decision == "go"
    return tasks.decide_task(
        acting, key, name, go=go, reason=how.reason, evidence=how.evidence, inputs=how.inputs if go else {}
    )


def _complete(acting: Acting, key: str, name: str, how: TaskGiven) -> ImplementationPlan:
    return tasks.complete_task(acting, key, name, how.reason, how.evidence, how.inputs)


def _add_evidence(acting: Acting, key: str, name: str, how: TaskGiven) -> ImplementationPlan:
    if not how.evidence:
        raise OrchestratorError("N110", "evidence: a text, a link or a file is required")
    return tasks.add_evidence(acting, key, name, how.evidence)


TASK_EVENTS: dict[str, TaskCall] = {
    "begin": lambda acting, key, name, how: tasks.begin_task(acting, key, name, how.reason),
    "done": _complete,
    "decide": _decide,
    "fail": lambda acting, key, name, how: tasks.fail_task(acting, key, name, how.reason, how.evidence),
    "help-needed": lambda acting, key, name, how: tasks.request_help(acting, key, name, how.reason),
    "retry": lambda acting, key, name, how: tasks.retry_task(acting, key, name, how.reason),
    "skip": lambda acting, key, name, how: tasks.skip_task(acting, key, name, how.reason),
    "evidence": _add_evidence,
}
"""The events of a task that users cause, by the words of the command line."""
TASK_TEXTS = {
    "begin": "Record that a task is being done, also after it needed help.",
    "done": "Record that a task is done, with its evidence.",
    "decide": "Decide a task go or no-go. A no-go aborts the plan.",
    "fail": "Record that a task failed. The reason is required.",
    "help-needed": "Record that a task needs help, which notifies its users and the owner of the plan.",
    "retry": "Make a task that failed ready again.",
    "skip": "Skip a task. The reason is required.",
    "evidence": "Add evidence to a task, also after its end.",
}
"""What each event does."""
STATE_EVENTS: dict[str, tuple[TaskEvent, ...]] = {
    "begin": (TaskEvent.START, TaskEvent.RESUME),
    "done": (TaskEvent.COMPLETE,),
    "decide": (TaskEvent.GO,),
    "fail": (TaskEvent.FAIL,),
    "help-needed": (TaskEvent.REQUEST_HELP,),
    "retry": (TaskEvent.RETRY,),
    "skip": (TaskEvent.SKIP,),
}
OF_TEMPLATE = frozenset({"duration_s", "timeout_s", "on_timeout"})
BY_KIND = {"begin": ("manual", "decision"), "done": ("manual",), "fail": ("manual",), "decide": ("decision",)}
ALWAYS_WITH_REASON = frozenset({"fail", "skip"})


def possible_task_events(acting: Acting, shown: ShownPlan, task: Task) -> tuple[str, ...]:
    """The events of *task* that the actor can currently cause: the buttons of a page."""
    runs = task.name in shown.mine or is_allowed(acting, Action.RUN_IMPLEMENTATIONS)
    found = [name for name in STATE_EVENTS if (runs or name == "help-needed") and _is_possible(shown.plan, task, name)]
    return (*found, "evidence") if runs else tuple(found)


def _is_possible(plan: ImplementationPlan, task: Task, name: str) -> bool:
    """Whether the state and the kind of *task* let users cause the event *name*."""
    if plan.has_ended or not any(TASK_TABLE.allows(task.state, event) for event in STATE_EVENTS[name]):
        return False
    if plan.state is PlanState.SCHEDULED:
        return name == "skip"
    automated = task.kind == "automated"
    if automated and task.state is TaskState.FAILED:
        return True
    if automated and name == "skip":
        return task.state not in {TaskState.IN_PROGRESS, TaskState.NEEDS_HELP}
    return task.kind in BY_KIND.get(name, (task.kind,))


def needs_reason(shown: ShownPlan, task: Task, name: str) -> bool:
    """Whether the use case of the event *name* refuses an empty reason."""
    if name in {"evidence", "help-needed"}:
        return False
    failed = name == "done" and task.state is TaskState.FAILED
    return failed or name in ALWAYS_WITH_REASON or task.name not in shown.mine


def may_replan(acting: Acting, plan: ImplementationPlan) -> bool:
    """Whether the actor changes the tasks of *plan*, and ends it."""
    return not plan.has_ended and is_allowed(acting, Action.RUN_IMPLEMENTATIONS)


def parameter_lines(text: str) -> dict[str, str]:
    """The lines of *text*, each `NAME=VALUE`. Raises N110 for another one."""
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    wrong = next((name for name, sign, _ in pairs if not sign), None)
    if wrong is not None:
        raise OrchestratorError("N110", f"parameters: each line is NAME=VALUE, and {wrong[:60]!r} is not")
    return {name.strip(): value.strip() for name, _, value in pairs}


def enter_plan(app: "ManagedApplication", acting: Acting, template: str, how: PlanStart) -> ImplementationPlan:
    """Start a plan from a *template*, or schedule it. Raises what the use case raises."""
    return start_plan(acting, template, app.implementation_sources, how)


def new_task_of(kind: str, given: Mapping[str, str], before: tuple[str, ...]) -> NewTask:
    """The new task that a form states: of the *kind*, with what it has *given* for this kind. Raises N110."""
    if kind not in KINDS:
        raise OrchestratorError("N110", f"kind: one of {', '.join(KINDS)}")
    needed = {"promotion": ("package", "to"), "rollback": ("environment",), "template": ("source",)}.get(kind, ())
    missing = next((name for name in needed if not given[name]), None)
    if missing is not None:
        raise OrchestratorError("N110", f"{missing}: required for a {KINDS[kind]}")
    if kind == "promotion":
        return NewTask(promote=given["package"], to=given["to"], before=before)
    if kind == "rollback":
        return NewTask(roll_back=given["environment"], to_version=given["version"], before=before)
    if kind == "template":
        return NewTask(source=given["source"], parameters=parameter_lines(given["parameters"]), before=before)
    return NewTask(kind="decision" if kind == "decision" else "manual", before=before)


def enter_task(
    app: "ManagedApplication", acting: Acting, key: str, name: str, fields: dict[str, Any], reason: str, new: NewTask
) -> ImplementationPlan:
    """Add the task *new*, called *name*, with these *fields*. Raises N110, and what the use case raises.

    The form always has a length and a timeout: those of a task of a template are in its file.
    """
    if new.source:
        fields = {name: value for name, value in fields.items() if name not in OF_TEMPLATE}
    return add_task(acting, key, name, app.implementation_sources, task_change_of(fields), reason, new)


def enter_replan(acting: Acting, key: str, name: str, fields: dict[str, Any], reason: str) -> ImplementationPlan:
    """Change *fields* of a task. Raises N110, G402 and G407."""
    if not fields and is_allowed(acting, Action.RUN_IMPLEMENTATIONS):
        raise OrchestratorError("N110", "at least one field is required")
    return replanning.replan_task(acting, key, name, task_change_of(fields), reason)


def enter_plan_change(acting: Acting, plan: ImplementationPlan, fields: dict[str, Any], reason: str) -> object:
    """Change those of *fields* in which they differ from *plan*. Raises N110 without one, and G407."""
    now = {"title": plan.title, "owner": plan.owner, "release": plan.release, "start": whole_minute(plan.start_at)}
    changed = {name: value for name, value in fields.items() if value is not None and value != now[name]}
    if not changed and is_allowed(acting, Action.RUN_IMPLEMENTATIONS):
        raise OrchestratorError("N110", "at least one field is required")
    return replanning.replan_plan(acting, plan.id, replanning.PlanChange(**changed), reason)


def task_change_of(fields: dict[str, Any]) -> TaskChange:
    """The change with these *fields*. Raises N110 for what happens at the end of the timeout, if it is unknown."""
    chosen = fields.get("on_timeout")
    if chosen is not None and chosen not in ON_TIMEOUT:
        raise OrchestratorError("N110", f"on_timeout: one of {', '.join(ON_TIMEOUT)}")
    return TaskChange(**fields)


def changed_fields(task: Task, fields: dict[str, Any]) -> dict[str, Any]:
    """Those of *fields* in which they differ from *task*, so that a form changes only what was edited."""
    now: dict[str, Any] = {
        "title": task.title,
        "instructions": task.instructions.strip(),
        "owner": task.owner,
        "group": task.group,
        "after": task.after,
        "start": whole_minute(task.not_before) if task.not_before is not None else None,
        "duration_s": task.duration_s,
        "timeout_s": task.timeout_s or 0,
        "on_timeout": task.on_timeout,
        "inputs": task.inputs or {},
    }
    return {name: value for name, value in fields.items() if value != now[name]}
