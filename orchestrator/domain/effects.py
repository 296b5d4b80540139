"""What a run may have changed so far: the one place that decides between *failed* and *rolled back*.

A step declares what it may change before it starts, and its result says whether it did. A run that may have changed
something does not end as *failed*, which means that nothing was changed.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.domain.plan import PlannedStep
from orchestrator.domain.promotion import State
from orchestrator.domain.started import StartedStep, touched
from orchestrator.domain.step import StepResult

GOING_BACK = frozenset({State.HALTING, State.UNDOING, State.RESTORING, State.VERIFYING_ROLLBACK})
"""The states of a run that restores what was there before."""
CHANGED = GOING_BACK | {State.VERIFYING}
"""The states that a run only reaches after it may have changed something: suites may change hosts too."""


@dataclass(frozen=True)
class Change:
    """What a step may change: a *stack*, the *hosts* of a play, or the *side* that is live.

    A *claim* changes nothing: it records the stack that is made for this run only. *step* is the planned one that a
    play deploys. *back*: the switch leads to where it led before. *always*: its start alone counts, whatever it did.
    """

    kind: Literal["claim", "stack", "hosts", "side"]
    hosts: tuple[str, ...] = ()
    step: PlannedStep | None = None
    back: bool = False
    always: bool = False

    def made_by(self, result: StepResult) -> bool:
        """Whether the step may have made this change, by its *result*."""
        if self.always or result.good:
            return self.kind != "claim"
        if self.kind == "stack":
            return not result.is_untouched
        return bool(touched(result, self.hosts))


@dataclass
class Effects:
    """The changes that the steps of a run declared, with their results, and the states that it has entered.

    *taken_back* counts the steps at the beginning of a rehearsal whose changes were taken back since.
    """

    steps: list[tuple[Change, StepResult]] = field(default_factory=list)
    states: set[State] = field(default_factory=set)
    taken_back: int = 0

    def record(self, change: Change, result: StepResult) -> None:
        """Add a step that has ended."""
        self.steps.append((change, result))

    def take_back(self) -> None:
        """Record that all deployed steps were taken back: a failure from here on undoes those that start next."""
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
        """The batches of planned steps that were deployed, in their order, without those that were taken back."""
        return [
            StartedStep(change.step, change.hosts, result)
            for change, result in self.steps[self.taken_back :]
            if change.step is not None
        ]

    @property
    def switching(self) -> bool:
        """Whether a switch to another side was started, and was not taken back."""
        switching = False
        for change, result in self.steps:
            if change.kind == "side" and change.made_by(result):
                switching = not (change.back and result.good)
        return switching

    @property
    def claimed(self) -> dict[str, Any] | None:
        """What was recorded of the stack that is made for this run only, before it is made; None if none is."""
        return next((result.data for change, result in self.steps if change.kind == "claim" and result.good), None)

    @property
    def ephemeral_stack(self) -> dict[str, Any] | None:
        """What was recorded of the stack that was made for this run only; None if none was made."""
        return self.claimed if self.stack_changed else None
