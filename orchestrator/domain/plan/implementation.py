"""The implementation plans of a plan: those that a promotion starts as its steps, and those that undo them."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from pydantic import Field

from orchestrator.domain.model import Model, Name, RelativePath
from orchestrator.domain.release import PackageRef
from orchestrator.domain.release_steps import UNDO_WORDS, ImplementationStep

T = TypeVar("T")


class PlannedImplementation(Model):
    """An implementation plan that the *step* of a promotion starts, from the *template* in its package.

    It starts after the first *position* of the steps with a playbook. *parameters* are those of the release. *undo* is
    the template of what undoes it, `nothing`, or `impossible`.
    """

    step: Name
    position: int
    template: RelativePath
    parameters: dict[str, str] = Field(default_factory=dict)
    undo: str

    @classmethod
    def of(cls, step: ImplementationStep, position: int) -> "PlannedImplementation":
        """As *step* declares it."""
        return cls(
            step=step.name,
            position=position,
            template=step.implementation,
            parameters=step.parameters,
            undo=step.undo,
        )


class PlannedReversal(Model):
    """An implementation plan that undoes the *step* of *release*, from the *template* in that release's package.

    It starts after the first *position* undo playbooks of the rollback.
    """

    step: Name
    release: PackageRef
    position: int
    template: RelativePath
    parameters: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, release: PackageRef, planned: PlannedImplementation, position: int) -> "PlannedReversal | None":
        """What undoes *planned*, a step of *release*; None if nothing does."""
        if planned.undo in UNDO_WORDS:
            return None
        return cls(
            step=planned.step,
            release=release,
            position=position,
            template=planned.undo,
            parameters=planned.parameters,
        )


Placed = TypeVar("Placed", PlannedImplementation, PlannedReversal)


def at_positions(items: Sequence[T], placed: Sequence[Placed]) -> Iterator[T | Placed]:
    """*items* in their order, with each of *placed* at its position among them."""
    for number, item in enumerate(items):
        yield from (each for each in placed if each.position == number)
        yield item
    yield from (each for each in placed if each.position >= len(items))
