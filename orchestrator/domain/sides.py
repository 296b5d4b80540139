"""Blue and green: two sides of an environment, of which one is live, and the other stands by."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Flaky, Gate, Span, distinct
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Model, RelativePath
from orchestrator.domain.quantities import HostPattern

Side = Literal["blue", "green"]
SIDES: tuple[Side, Side] = ("blue", "green")


def other(side: Side) -> Side:
    """The side opposite to *side*."""
    return "green" if side == "blue" else "blue"


class BlueGreen(Model):
    """The two sides of a step, and how one is switched to.

    *blue* and *green* are host patterns: together they mean all hosts of the step, and share none. *switch* is the
    playbook that lets the service lead to one of them; it runs on the hosts of *router*, by default on those of both
    sides. With *look*, the side that is about to be live is looked at for so long before, *every* so often all *gates*
    are asked. *retire* is a playbook for the side that stands by, at the end of the run; without it that side is kept.
    """

    blue: HostPattern
    green: HostPattern
    switch: RelativePath
    router: HostPattern | None = None
    look: Span | None = None
    every: Span = "10s"
    gates: Annotated[tuple[Gate, ...], AfterValidator(distinct)] = ()
    flaky: Flaky | None = None
    retire: RelativePath | None = None

    @field_validator("gates")
    @classmethod
    def _in_a_look(cls, gates: tuple[Gate, ...], info: ValidationInfo) -> tuple[Gate, ...]:
        if gates and "look" in info.data and info.data["look"] is None:
            raise ValueError("are asked in a look: say with `look` how long it is")
        return gates


class Sides(Model):
    """The hosts of each side."""

    blue: tuple[str, ...] = Field(min_length=1)
    green: tuple[str, ...] = Field(min_length=1)

    def of(self, side: Side) -> tuple[str, ...]:
        """The hosts of *side*."""
        return self.blue if side == "blue" else self.green

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of both."""
        return self.blue + self.green

    def side(self, host: str) -> Side | None:
        """The side that *host* is on; None: on neither."""
        return next((side for side in SIDES if host in self.of(side)), None)


def divided(inventory: Inventory, blue: str, green: str, step: str, hosts: list[str]) -> Sides | None:
    """The *hosts* of *step* as two sides, by the host patterns *blue* and *green*; None where neither means any host.

    Raises R210 when they do not fit: one means no host, they share some, or they are not just the step's hosts.
    """
    found = {side: tuple(_meant(inventory, pattern)) for side, pattern in zip(SIDES, (blue, green), strict=True)}
    if not found["blue"] and not found["green"]:
        return None
    for side, pattern in zip(SIDES, (blue, green), strict=True):
        if not found[side]:
            raise OrchestratorError("R210", f"the step {step} has no {side} side: {pattern!r} means no host here")
    both = [host for host in found["blue"] if host in found["green"]]
    if both:
        raise OrchestratorError("R210", f"{', '.join(both)} would be on both sides of the step {step}")
    outside = [host for host in hosts if host not in found["blue"] + found["green"]]
    if outside:
        raise OrchestratorError("R210", f"{', '.join(outside)} would be on neither side of the step {step}")
    strange = [host for host in found["blue"] + found["green"] if host not in hosts]
    if strange:
        raise OrchestratorError("R210", f"the step {step}, which has sides, is not for {', '.join(strange)} on one")
    return Sides(blue=found["blue"], green=found["green"])


def _meant(inventory: Inventory, pattern: str) -> list[str]:
    try:
        return inventory.select(pattern)
    except OrchestratorError:
        return []
