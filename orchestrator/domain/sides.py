"""Blue and green: two sides of an environment, of which one is live, and the other is the standby side."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ValidationInfo, field_validator

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Flaky, Gate, Span, distinct
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.model import Model, RelativePath
from orchestrator.domain.quantities import HostPattern

Side = Literal["blue", "green"]
SIDES: tuple[Side, Side] = ("blue", "green")


def other(side: Side) -> Side:
    """The side opposite to *side*."""
    return "green" if side == "blue" else "blue"


class BlueGreen(Model):
    """The two sides of a step, and the switch between them.

    *blue* and *green* are host patterns: together they select all hosts of the step, and share none. *switch* is the
    playbook that switches the traffic to one of them; it runs on the hosts of *router* (default: those of both
    sides). With *observe*, the side that is about to be live is observed for this time before the switch: every *every*
    all *gates* are checked. *retire* is a playbook for the standby side, at the end of the run; without it that side
    is kept.
    """

    blue: HostPattern
    green: HostPattern
    switch: RelativePath
    router: HostPattern | None = None
    observe: Span | None = None
    every: Span = "10s"
    gates: Annotated[tuple[Gate, ...], AfterValidator(distinct)] = ()
    flaky: Flaky | None = None
    retire: RelativePath | None = None

    @field_validator("gates")
    @classmethod
    def _in_an_observation(cls, gates: tuple[Gate, ...], info: ValidationInfo) -> tuple[Gate, ...]:
        if gates and "observe" in info.data and info.data["observe"] is None:
            raise ValueError("are checked during the observation: give its length with `observe`")
        return gates


class Sides(Model):
    """The hosts of each side; one that is a stack of its own may have none yet."""

    blue: tuple[str, ...]
    green: tuple[str, ...]

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


def divided(
    inventory: Inventory, patterns: tuple[str, str], step: str, hosts: list[str], *, half: bool = False
) -> Sides | None:
    """The *hosts* of *step* as two sides, by blue's and green's host *patterns*; None where neither means any host.

    Raises R210 when they do not fit: one means no host (unless *half* may be there), they share some, or they are not
    just the step's hosts.
    """
    found = {side: tuple(_meant(inventory, pattern)) for side, pattern in zip(SIDES, patterns, strict=True)}
    if not found["blue"] and not found["green"]:
        return None
    for side, pattern in zip(SIDES, patterns, strict=True):
        if not found[side] and not half:
            raise OrchestratorError("R210", f"the step {step} has no {side} side: {pattern!r} selects no host here")
    sides = Sides(blue=found["blue"], green=found["green"])
    if message := _misfit(sides, step, hosts):
        raise OrchestratorError("R210", message)
    return sides


def _misfit(sides: Sides, step: str, hosts: list[str]) -> str:
    """Why *sides* are not the *hosts* of *step* in two parts; empty if they are."""
    both = [host for host in sides.blue if host in sides.green]
    if both:
        return f"{', '.join(both)} would be on both sides of the step {step}"
    outside = [host for host in hosts if host not in sides.hosts]
    if outside:
        return f"{', '.join(outside)} would be on neither side of the step {step}"
    strange = [host for host in sides.hosts if host not in hosts]
    return f"the step {step}, which has sides, is not for {', '.join(strange)} on one" if strange else ""


def joined(found: Mapping[Side, Inventory]) -> Inventory:
    """The hosts of two stacks as one inventory, in which the groups `blue` and `green` are those of each.

    Raises E150 when both have a host of one name, and E151 when both have a group with other variables.
    """
    hosts: dict[str, dict[str, Any]] = {}
    groups = {str(side): Group() for side in SIDES}
    for side, mine in found.items():
        twice = [host for host in mine.hosts if host in hosts]
        if twice:
            raise OrchestratorError("E150", f"both stacks have {', '.join(twice)}: names of hosts must be unique")
        hosts |= mine.hosts
        for name, group in mine.groups.items():
            if name not in {"all", "ungrouped", *SIDES}:
                groups[name] = _both(name, groups.get(name), group)
        common = mine.groups["all"].vars if "all" in mine.groups else {}
        groups[side] = Group(hosts=tuple(mine.hosts), vars=common)
    both = Inventory(hosts=hosts, groups=groups)
    return both.with_files_of(next(iter(found.values()))) if found else both


def _both(name: str, one: Group | None, other_: Group) -> Group:
    if one is None:
        return other_
    if one.vars != other_.vars:
        raise OrchestratorError("E151", f"the group {name} has other variables in each of the two stacks")
    children = tuple(dict.fromkeys((*one.children, *other_.children)))
    return Group(hosts=(*one.hosts, *other_.hosts), children=children, vars=one.vars)


def _meant(inventory: Inventory, pattern: str) -> list[str]:
    try:
        return inventory.select(pattern)
    except OrchestratorError:
        return []
