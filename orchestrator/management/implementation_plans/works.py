"""Commands, playbooks and gates of tasks: a worker does each once, or records that it was interrupted.

The call of a worker is repeated after the end of its process. A task records the machine on which its work starts
before it starts. On this machine a repeated call finds the same job; on another one nothing is done a second time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.app.acting import Acting, Change, View, change, read_own, unknown
from orchestrator.app.forwarding import accepted_by, forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import OPEN
from orchestrator.domain.task_inputs import value_references
from orchestrator.domain.task_work import CommandTask, GateTask, PlaybookTask, PromotionTask, RollbackTask, Work
from orchestrator.management.implementation_plans.evidence import MOST_BYTES, EvidenceDraft, file_draft, with_fitting
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.progress import Step
from orchestrator.management.implementation_plans.records import put_advanced, put_step
from orchestrator.management.implementation_plans.state import UNDER_WAY, PlanState, TaskEvent
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS

LONGEST_TEXT = 20_000
LOG_NAME = "output.log"
INSIDE = "G410"
Direct = CommandTask | PlaybookTask | GateTask
"""Work that a worker does itself. It requests the others as runs."""


@dataclass(frozen=True)
class WorkResult:
    """How the work of a task *ended*: a phrase (*note*), the end of what it printed (*log*), a line of each host."""

    ended: Literal["done", "failed", "stopped"]
    note: str
    log: bytes = b""
    hosts: tuple[str, ...] = ()


class TaskWorks(Protocol):
    """Does the work of tasks on this machine, which is called *machine*."""

    machine: str

    def perform(self, plan: str, task: Task, stopped: Callable[[], bool]) -> WorkResult:
        """Do the work of *task* of *plan*, or follow it if it was started before; end it once it is *stopped*.

        Raises S101 while the environment is in use.
        """

    def stop(self, plan: str, task: Task) -> bytes:
        """End the work of *task* if it runs on this machine. The end of what it has printed."""


def direct_work(task: Task) -> Direct | None:
    """The work of *task* that a worker does itself; None for another task."""
    return task.command or task.playbook or task.gate


def work_right(work: Work) -> tuple[Action, str]:
    """The right that the actor of a task needs for its *work*, and the environment in which it is needed."""
    if isinstance(work, PromotionTask):
        return Action.PROMOTE, work.to
    if isinstance(work, RollbackTask):
        return Action.ROLL_BACK, work.environment
    return Action.OBSERVE if isinstance(work, GateTask) else Action.PROMOTE, work.environment


def check_inside(run: str, environment: str, tasks: Iterable[Task]) -> None:
    """Raise G410 if one of *tasks* would change the *environment* that *run* holds until they have ended.

    What a task changes has to be known before the plan waits for it, so an environment by reference is refused too.
    """
    for task in tasks:
        for work in task.works:
            changes = not isinstance(work, CommandTask | GateTask)
            place = work_right(work)[1]
            if changes and (place == environment or value_references(place)):
                text = f"the task {task.name} would {task.work}, and {run} holds {environment} until it has ended"
                raise OrchestratorError(INSIDE, text)


def _require_own_task(acting: Acting, root: str, works: TaskWorks) -> None:
    """Return if the actor has the right to the work of the task under *root*. Raises A101, A110 and G405."""
    del works
    read_own(acting, lambda view: _own_task(view, root))


@accepted_by(_require_own_task)
@forwarded
def run_task(acting: Acting, root: str, works: TaskWorks) -> ImplementationPlan:
    """Do the work of the task that has started under *root*, as the user who entered it. A worker calls it.

    Raises A101, A110, G405, and S101 while the environment is in use.
    """
    plan, task = change(acting, Action.RUN_IMPLEMENTATIONS, lambda each: _begun(each, root, works.machine), unless=_any)
    if task.stopping:
        here = task.machine == works.machine
        log = works.stop(plan.id, task) if here else b""
        elsewhere = f"interrupted on {task.machine}: it is not known what was done" if task.machine else "did not start"
        result = WorkResult("stopped", "was stopped" if here else elsewhere, log)
    elif task.state in UNDER_WAY:
        result = works.perform(
            plan.id, task, lambda: not read_own(acting, lambda view: _is_wanted(view, plan.id, task))
        )
    else:
        return plan
    return change(acting, Action.RUN_IMPLEMENTATIONS, lambda each: _ended(each, plan.id, task, result), unless=_any)


def _any(view: View) -> bool:
    """The right is that to the work, and not that to the plan."""
    del view
    return True


def _found(view: View, root: str) -> tuple[ImplementationPlan, Task]:
    for plan in view.records.all(IMPLEMENTATION_PLANS, OPEN):
        for task in plan.tasks:
            if root and task.root == root and direct_work(task) is not None:
                return plan, task
    raise unknown("task under", root, [])


def _own_task(view: View, root: str) -> tuple[ImplementationPlan, Task, Direct]:
    """The plan, the task and its work under *root*, which the actor may do. Raises A101, A110 and G405."""
    plan, task = _found(view, root)
    work = direct_work(task)
    assert work is not None
    view.require(*work_right(work))
    if task.actor is None or view.acting.actor.principal != task.actor.principal:
        raise OrchestratorError("G405", f"{plan.id}:{task.name} is done for {task.actor}, and for no other actor")
    return plan, task, work


def _begun(change_: Change, root: str, machine: str) -> tuple[ImplementationPlan, Task]:
    """The plan and the task after the record that its work starts here; failed if it was started elsewhere."""
    plan, task, work = _own_task(change_, root)
    if task.state not in UNDER_WAY:
        return plan, task
    if task.machine and task.machine != machine and not isinstance(work, GateTask):
        note = f"interrupted on {task.machine}: it is not known what was done"
        failed = task.after_event(TaskEvent.FAIL, plan.id, note=note, due_at=None)
        return _written(change_, plan, failed, TaskEvent.FAIL, note), failed
    if task.machine != machine:
        task = task.model_copy(update={"machine": machine})
        plan = plan.with_tasks([task])
        change_.put(IMPLEMENTATION_PLANS, plan, event="run", task=task.name, work=task.work, machine=machine)
    return plan, task


def _written(change_: Change, plan: ImplementationPlan, task: Task, event: TaskEvent, note: str) -> ImplementationPlan:
    return put_advanced(change_, put_step(change_, Step(plan.with_tasks([task]), event, task.name, note)))


def _is_wanted(view: View, key: str, task: Task) -> bool:
    """Whether the work of *task* is still to be done: it was not aborted, and its timeout has not failed it."""
    plan = view.records.get(IMPLEMENTATION_PLANS, key)
    now = plan.task(task.name) if plan is not None else None
    return plan is not None and now is not None and _is_same(plan, now, task)


def _is_same(plan: ImplementationPlan, now: Task, task: Task) -> bool:
    return plan.state is PlanState.RUNNING and now.root == task.root and now.state in UNDER_WAY


def _host_texts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The evidence about *hosts*: their lines in one text, as many as fit."""
    text = "\n".join(hosts)
    if len(text) <= LONGEST_TEXT:
        return (text,) if text else ()
    shown = text[: LONGEST_TEXT - 100].rpartition("\n")[0]
    return (f"{shown}\n… of {len(hosts)} hosts, as many as fit",)


def _ended(change_: Change, key: str, task: Task, result: WorkResult) -> ImplementationPlan:
    """The plan after the end of the work. A task that has ended in another way gets the result as evidence."""
    plan = change_.existing(IMPLEMENTATION_PLANS, key)
    now = plan.task(task.name)
    if now is None:
        return plan
    wanted = _is_same(plan, now, task)
    files = (file_draft(LOG_NAME, result.log[-MOST_BYTES:]),) if result.log else ()
    texts = (*(() if wanted else (f"{task.work}: {result.note}",)), *_host_texts(result.hosts))
    now = with_fitting(change_, now, EvidenceDraft(texts, files=files))
    if not wanted:
        now = now.model_copy(update={"stopping": False} if now.root == task.root else {})
        after = plan.with_tasks([now])
        change_.put(IMPLEMENTATION_PLANS, after, event="stopped", task=task.name, note=result.note)
        return after
    event = TaskEvent.COMPLETE if result.ended == "done" else TaskEvent.FAIL
    fields = {"ended_at": change_.now.earliest, "ended_by": "system"} if result.ended == "done" else {}
    moved = now.after_event(event, plan.id, note=result.note[:2000], due_at=None, **fields)
    return _written(change_, plan, moved, event, result.note)
