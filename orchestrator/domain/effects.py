"""What a run may have changed so far: the one place that decides between *failed* and *rolled back*.

A step declares what it may change before it starts, and its result reports whether it did. A run that may have changed
something does not end as *failed*, which means that nothing was changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.domain.plan import PlannedStep
from orchestrator.domain.promotion import GOING_BACK, State
from orchestrator.domain.started import StartedStep, touched
from orchestrator.domain.step import StepResult, attempts

CHANGED = GOING_BACK | {State.VERIFYING}
"""The states that a run only reaches after it may have changed something: suites may change hosts too."""


@dataclass(frozen=True)
class Change:
    """What a step may change: *nothing*, a *stack*, the *hosts* of a play or of a *suite*, or the *side* that is live.

    With *implementation* it is what users and tasks of the implementation plan do, which the step *name* starts.

    A *claim* changes nothing: it records the stack that is made for this run only. *step* is the planned one that a
    play deploys. *is_rollback*: the switch restores the previous side. *always*: its start alone counts.
    A suite may change hosts, and is not expected to.
    """

    kind: Literal["nothing", "claim", "stack", "hosts", "suite", "side", "implementation"]
    hosts: tuple[str, ...] = ()
    step: PlannedStep | None = None
    is_rollback: bool = False
    always: bool = False
    name: str = ""

    def made_by(self, result: StepResult) -> bool:
        """Whether the step may have made this change, by its *result*."""
        if self.kind in {"nothing", "claim"}:
            return False
        if self.always or result.good:
            return True
        if self.kind in {"stack", "suite", "implementation"}:
            return not result.is_untouched
        return bool(touched(result, self.hosts))

    def to_record(self) -> dict[str, Any]:
        """As the entry has it that a step was started. The hosts are a field of that entry themselves."""
        step = self.step.play.step if self.step is not None else None
        declared = {
            "kind": self.kind,
            "step": step,
            "back": self.is_rollback,
            "always": self.always,
            "name": self.name,
        }
        return {name: value for name, value in declared.items() if value}


NOTHING = Change("nothing")
"""Of steps that only read, compute or record."""
SWITCHED_BACK = "switch.back"
"""What the names of steps end with that let the service lead to the side that was live before."""
AGAIN = "rehearse.again."
"""The prefix of the names of steps that a rehearsal runs again after the rollback in it."""

EARLIER_UPDATES = ("provision", "rehearse.stack.back", "rehearse.stack.again")
"""The steps of a promotion that update the stack before a rollback, in entries that do not declare it."""


def declared_change(name: str, about: Mapping[str, Any], steps: Mapping[str, PlannedStep]) -> Change:
    """What the step *name* declared that it may change, by what was recorded of its start (*about*).

    *steps* are the planned ones, by name; a deployed step that is not one of them has None as its *step*.
    """
    declared, hosts = about.get("may_change"), tuple(about.get("hosts", ()))
    if declared is None:
        return _earlier_change(name, about, steps)
    step, is_rollback, always = (
        steps.get(declared.get("step", "")),
        bool(declared.get("back")),
        bool(declared.get("always")),
    )
    name = str(declared.get("name", ""))
    return Change(declared["kind"], hosts, step, is_rollback=is_rollback, always=always, name=name)


def _earlier_change(name: str, about: Mapping[str, Any], steps: Mapping[str, PlannedStep]) -> Change:
    """What a step may change that an earlier version started, which did not record it."""
    verb, hosts = about.get("verb"), tuple(about.get("hosts", ()))
    if verb == "deploy":
        return Change("hosts", hosts, steps.get(name.removeprefix(AGAIN).rpartition(".")[0]))
    if name.endswith(SWITCHED_BACK) or verb == "switch":
        return Change("side", hosts, is_rollback=name.endswith(SWITCHED_BACK))
    if any(name in attempts(update) for update in EARLIER_UPDATES):
        return Change("stack")
    return Change("hosts", hosts) if verb in {"undo", "restore"} and hosts else NOTHING


@dataclass
class Effects:
    """The changes that the steps of a run declared, with their results, and the states that it has entered.

    *taken_back* counts the first steps of a rehearsal, whose changes were undone since.
    """

    steps: list[tuple[Change, StepResult]] = field(default_factory=list)
    states: set[State] = field(default_factory=set)
    taken_back: int = 0

    def record(self, change: Change, result: StepResult) -> None:
        """Add a step that has ended."""
        self.steps.append((change, result))

    def take_back(self) -> None:
        """Record that all deployed steps were undone: a failure from here on undoes those that start next."""
        self.taken_back = len(self.steps)

    @property
    def changed(self) -> bool:
        """Whether the run may have changed something, so that a failure is rolled back or needs intervention."""
        return bool(self.states & CHANGED) or any(change.made_by(result) for change, result in self.steps)

    @property
    def stack_changed(self) -> bool:
        """Whether the run may have changed the stack."""
        return any(change.kind == "stack" and change.made_by(result) for change, result in self.steps)

    @property
    def started(self) -> list[StartedStep]:
        """The batches of planned steps that were deployed, in their order, without those that were undone since."""
        return [
            StartedStep(change.step, change.hosts, result)
            for change, result in self.steps[self.taken_back :]
            if change.step is not None
        ]

    @property
    def implemented(self) -> tuple[str, ...]:
        """The steps whose implementation plans were started, in their order. A rehearsal does not undo them."""
        found = (change.name for change, result in self.steps if change.name and change.made_by(result))
        return tuple(dict.fromkeys(found))

    @property
    def switching(self) -> bool:
        """Whether a switch to another side was started, and was not undone."""
        switching = False
        for change, result in self.steps:
            if change.kind == "side" and change.made_by(result):
                switching = not (change.is_rollback and result.good)
        return switching

    @property
    def claimed(self) -> dict[str, Any] | None:
        """What was recorded of the stack that is made for this run only, before it is made; None if none is."""
        return next((result.data for change, result in self.steps if change.kind == "claim" and result.good), None)

    @property
    def ephemeral_stack(self) -> dict[str, Any] | None:
        """What was recorded of the stack that was made for this run only; None if none was made."""
        return self.claimed if self.stack_changed else None
