"""What steps record besides their outcome: one value a kind of step, stored as the `data` of its result.

What every kind of step may record (the code of an error, or that nothing was changed) is read from the result itself.
"""

from typing import Self

from pydantic import Field

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Model
from orchestrator.domain.plan import HostState, Loss
from orchestrator.domain.requirements.check import CheckedHost
from orchestrator.domain.sides import Side
from orchestrator.domain.step import StepResult

UNRECORDED = "unrecorded"
"""The digest of variables in a run that was started before they were recorded."""


class Payload(Model):
    """What one kind of step records."""

    @classmethod
    def read(cls, result: StepResult) -> Self:
        """The payload of *result*. Raises `pydantic.ValidationError` if another kind of step recorded it."""
        return cls.from_json({name: value for name, value in result.data.items() if name in cls.model_fields})


class LeaseTaken(Payload):
    """The environment was taken for the run, with a fencing token."""

    fence: int


class PlanSettled(Payload):
    """The plan of the run, by its digest."""

    plan: str


SETTLING_STEPS = ("hosts", "rehearse.hosts.back", "rehearse.hosts.again", "hosts.restored")
"""The steps that settle which hosts an environment has, in the order in which a run takes them."""


class HostsSettled(Payload):
    """The hosts that the run is about.

    *outline* has them without their variables, *digest* is that of all of it. *variables* is the digest of what plays
    are given; None if some of that is secret. *batches* are those of each step; None after a rollback of the stack.
    """

    outline: Inventory
    digest: str
    variables: str | None = UNRECORDED
    batches: tuple[tuple[tuple[str, ...], ...], ...] | None = Field(
        default=None, exclude_if=lambda found: found is None
    )


class HostsObserved(Payload):
    """What hosts reported; empty if they could not be inspected."""

    states: tuple[HostState, ...] = ()


class RequirementsChecked(Payload):
    """The checks of what the release requires, of each host that has requirements."""

    requirements: tuple[CheckedHost, ...] = ()


def with_checks(result: StepResult, checks: tuple[CheckedHost, ...]) -> StepResult:
    """The *result* of an inspection with its *checks*, if there are any."""
    found = RequirementsChecked(requirements=checks)
    return result.model_copy(update={"data": {**result.data, **found.to_json()}}) if checks else result


class SidesDeclared(Payload):
    """The hosts of each side, when an operator has declared the live one."""

    sides: dict[Side, tuple[str, ...]]


class HostsReplaced(Payload):
    """The hosts that the rollback of the stack has replaced; empty if they could not be inspected."""

    fresh: tuple[str, ...] = ()


class SnapshotTaken(Payload):
    """The snapshot of all hosts, by its digest."""

    snapshot: str


class StackSpared(Payload):
    """*Why* the rehearsal did not roll the stack back; empty if it did."""

    why: str = ""


class RehearsalJudged(Payload):
    """The evidence of a rehearsal: the digest of its *document*, and whether everything was restored."""

    evidence: str
    good: bool
    document: dict[str, object]


class LossesAgreed(Payload):
    """The stateful resources that the next step would delete.

    *held* is the job that made the update plan to which the next step is constrained, and *update_file* the digest of
    that plan's file; None if there is no such plan.
    """

    held: str | None = Field(default=None, exclude_if=lambda held: held is None)
    update_file: str | None = Field(default=None, exclude_if=lambda file: file is None)
    losses: tuple[Loss, ...] = ()


class StackDisposed(Payload):
    """Whether the stack to be destroyed was *gone* already."""

    gone: bool = False


class StackClaimed(Payload):
    """The stack that is made for this run only: by which *definition*, and *until* when it stays (ISO 8601)."""

    stack: str
    configured: str
    definition: str
    until: str
