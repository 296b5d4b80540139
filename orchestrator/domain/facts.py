"""The current facts of an environment: computed once, and shown by `status`, `matrix`, `doctor`, `queue` and `show`."""

from collections.abc import Iterable
from typing import Literal

from orchestrator.domain.admission.documents import NextPromotion
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.effects import declared_change
from orchestrator.domain.error_codes import STACK_NOT_ROLLED_BACK
from orchestrator.domain.journal import PROMOTION_KINDS, Kind, Lease, QueueEntry, Run
from orchestrator.domain.model import Model
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.story import RunView

Activity = Literal["working", "waiting", "queued", "paused", "interrupted", "ended"]
"""What a run does: a process works on it; it waits for the environment, or for a worker; an operator paused it; its
process has died; or it has ended."""

EFFECTIVE: frozenset[Kind] = frozenset({*PROMOTION_KINDS, "rollback", "provision", "destroy", "resolve", "reap"})
"""Runs that change an environment. The others only record what was observed or decided."""
RELEASING: frozenset[Kind] = frozenset({*PROMOTION_KINDS, "rollback"})
STACK_ONLY: frozenset[Kind] = frozenset({"provision", "destroy", "resolve", "reap"})
GOOD = frozenset({State.SUCCEEDED, State.ROLLED_BACK})
UNTOUCHED = frozenset({State.REQUESTED, State.PLANNING, State.BUILDING})


class Remedy(Model):
    """A *command* that helps, and its *effect*."""

    command: str
    effect: str


class RunFacts(Run):
    """A run and its *activity*. *interrupted*: it has not ended, and no process works on it."""

    activity: Activity
    interrupted: bool


class Problem(Model):
    """What an operator must act on: the *run* that it comes from, its *reason* in one line, and what helps."""

    kind: Literal["intervention", "interrupted", "service", "unknown", "unrecorded"]
    environment: str
    run: str | None
    text: str
    reason: str
    remedies: tuple[Remedy, ...]


class Destroyed(Model):
    """Since when an environment's infrastructure is destroyed, by which operator and which run."""

    at: str
    by: str
    run: str


class QueueFacts(Model):
    """The queue of one environment: its lease, the run that has it (*holder*), and the runs that wait, in order."""

    lease: Lease | None
    holder: RunFacts | None
    waiting: tuple[QueueEntry, ...]


class EnvironmentFacts(Model):
    """What is known of one environment.

    *release* is the last verified one; null once the environment is *destroyed*. *hosts* are all hosts of the
    environment, those without any release included. *holder* is the run that has the lease; *open_runs* are all runs
    that have not ended, newest first. *last_run* is the newest run, *last_effect* the newest that may have changed
    something. *recorded* is false where the journal has no run of the environment. *calendar* is whether it is open to
    promotions. *next_promotion* is the release that it gets next, if the status of this environment alone was
    requested, or if promotions are automatic.
    """

    name: str
    after: str | None
    recorded: bool
    problems: tuple[Problem, ...]
    release: PackageRef | None
    verified_at: str | None
    destroyed: Destroyed | None
    lease: Lease | None
    holder: RunFacts | None
    waiting: tuple[QueueEntry, ...]
    open_runs: tuple[RunFacts, ...]
    last_run: RunFacts | None
    last_effect: RunFacts | None
    hosts: tuple[HostState, ...]
    calendar: EnvironmentCalendar | None = None
    next_promotion: NextPromotion | None = None

    @property
    def serving(self) -> tuple[HostState, ...]:
        """The hosts that are not on standby."""
        return tuple(state for state in self.hosts if not state.is_standby)

    @property
    def intervention(self) -> Problem | None:
        """The newest run that needs manual intervention; None when there is none."""
        return next((problem for problem in self.problems if problem.kind == "intervention"), None)


def had_effect(run: Run) -> bool:
    """Whether *run* may have changed the environment: one that ended as *failed* has changed nothing."""
    if run.kind not in EFFECTIVE or run.state is State.FAILED:
        return False
    return run.ended or run.state not in UNTOUCHED


def is_settled(run: Run) -> bool:
    """Whether *run* left nothing open: it ended with a verified release, or with nothing that could hold one."""
    return run.ended and run.state in GOOD and (run.kind in RELEASING or run.kind == "destroy")


def unsettled(runs: Iterable[Run]) -> list[Run]:
    """Which of *runs* (newest first) need manual intervention, and were not settled by a later run.

    A later run that brought a verified release, or destroyed the environment, settles all. So does a later promotion or
    rollback that needs intervention itself: what it left is what has to be acted on. A run that only operated the stack
    settles the earlier ones of its kind.
    """
    found: list[Run] = []
    operated: set[Kind] = set()
    for run in runs:
        if is_settled(run):
            break
        if run.state is State.NEEDS_INTERVENTION and run.kind not in operated:
            found.append(run)
        if run.state is State.NEEDS_INTERVENTION and run.kind in RELEASING:
            break
        if run.state in {*GOOD, State.NEEDS_INTERVENTION} and run.kind in STACK_ONLY:
            operated.add(run.kind)
    return found


def destroyed(runs: Iterable[Run]) -> Destroyed | None:
    """By which of *runs* (newest first) the environment was destroyed; None when a later run changed it again."""
    last = next((run for run in runs if had_effect(run)), None)
    if last is None or last.kind != "destroy" or last.state is not State.SUCCEEDED:
        return None
    return Destroyed(at=last.ended_at or last.requested_at, by=last.by, run=last.id)


def changing(story: RunView) -> tuple[str, ...]:
    """The hosts that a step of the run may be changing: one that was started, and has no outcome yet."""
    changes = (declared_change(step.name, step.about, {}) for step in story.running)
    return tuple(host for change in changes if change.kind in {"hosts", "side"} for host in change.hosts)


def remedies(story: RunView) -> tuple[Remedy, ...]:
    """The commands that help a run which needs manual intervention, the most useful one first."""
    run, back = story.run, story.planned.get("rollback_target") or {}
    found = [Remedy(command=f"orchestrator show {run.id}", effect="each step and the state of each host")]
    for step in story.steps.values():
        for host in step.bad_hosts()[:1]:
            command = f"orchestrator logs {run.id} --step {step.name} --host {host.host}"
            found.append(Remedy(command=command, effect="the output of the failed step"))
    results = (step.result for step in story.steps.values())
    stays = any(result is not None and result.code == STACK_NOT_ROLLED_BACK for result in results)
    gone = back.get("impossible") or []
    preview = f"orchestrator environment preview {run.environment}"
    if story.planned.get("ephemeral"):
        command = f"orchestrator environment reap {run.environment}"
        found.append(Remedy(command=command, effect="destroy what was made for this run"))
    elif gone and back.get("available"):
        command = "orchestrator promote RELEASE"
        found.append(Remedy(command=command, effect=f"promote a corrected release that repairs {', '.join(gone)}"))
        command = f"orchestrator rollback {run.environment} --skip-irreversible"
        found.append(Remedy(command=command, effect=f"roll back, and keep what {', '.join(gone)} changed"))
    elif stays:
        found.append(Remedy(command=preview, effect="what the current program would change"))
    elif back.get("available"):
        command = f"orchestrator rollback {run.environment}"
        found.append(Remedy(command=command, effect="roll back to the last verified release"))
    elif run.release is not None:
        command = "orchestrator promote RELEASE"
        found.append(Remedy(command=command, effect="promote a corrected release; there is no rollback target"))
    else:
        found.append(Remedy(command=preview, effect="what is left to do"))
    return tuple(found)
