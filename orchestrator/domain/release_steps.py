"""The steps of a release as its author writes them: playbooks with their rollout, and implementation plans."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, WithJsonSchema, field_validator

from orchestrator.domain.gate import Canary
from orchestrator.domain.model import Model, Name, RelativePath, text_schema
from orchestrator.domain.once_tags import NO_TAGS, OnceTags
from orchestrator.domain.quantities import SHARE, Duration, HostPattern
from orchestrator.domain.sides import BlueGreen

UNDO_WORDS = frozenset({"nothing", "impossible"})
"""What `undo` can be besides a file."""
VARIABLE = re.compile(r"^(?!ansible_)[a-z_][a-z0-9_]*$")


def _batch(batch: int | str) -> int | str:
    if isinstance(batch, int):
        if batch < 1:
            raise ValueError("must be at least 1")
        return batch
    if not SHARE.fullmatch(batch):
        raise ValueError("must be a count such as 2, or a share from 1% to 100%")
    return batch


def _variable(name: str) -> str:
    if name.startswith("ansible_"):
        raise ValueError("names that start with ansible_ change how Ansible itself works and are refused")
    if not VARIABLE.fullmatch(name):
        raise ValueError("must be a variable name: lower-case letters, digits and underscores")
    return name


Batch = Annotated[
    int | str,
    AfterValidator(_batch),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, text_schema(SHARE.pattern)]}),
]
VariableName = Annotated[str, AfterValidator(_variable)]
Variables = Annotated[
    dict[VariableName, Any], WithJsonSchema({"type": "object", "propertyNames": {"pattern": VARIABLE.pattern}})
]


class Rollout(Model):
    """How a step reaches its hosts.

    *strategy* is `rolling` (batch by batch), `canary` (some hosts first, which are observed, then the rest) or
    `blue_green` (the standby side, then a switch to it). *batches* are sizes, like Ansible's
    `serial`: counts, or shares of all hosts of the step. The last one repeats until no host is left. *order* is that
    of the hosts before they are divided: of the inventory, reversed, by name, or shuffled by a seed in the plan. More
    than *max_failures* failed or unreachable hosts in the whole step stop it. *once* names tags of plays and tasks
    that run in the first batch only, or in the last.
    """

    strategy: Literal["rolling", "canary", "blue_green"] = Field(
        default="rolling", exclude_if=lambda word: word == "rolling"
    )
    batches: tuple[Batch, ...] = Field(default=("100%",), min_length=1)
    order: Literal["inventory", "reverse", "sorted", "shuffled"] = Field(
        default="inventory", exclude_if=lambda word: word == "inventory"
    )
    max_failures: int = Field(default=0, ge=0)
    pause: Duration = "0s"
    once: OnceTags = Field(default=NO_TAGS, exclude_if=lambda once: not once.tags)
    canary: Canary | None = Field(default=None, exclude_if=lambda canary: canary is None)
    blue_green: BlueGreen | None = Field(default=None, validate_default=True, exclude_if=lambda sides: sides is None)

    @field_validator("canary")
    @classmethod
    def _of_a_canary(cls, canary: Canary | None, info: ValidationInfo) -> Canary | None:
        if canary is not None and info.data.get("strategy", "canary") != "canary":
            raise ValueError("is allowed with strategy: canary only")
        return canary

    @field_validator("blue_green")
    @classmethod
    def _of_two_sides(cls, sides: BlueGreen | None, info: ValidationInfo) -> BlueGreen | None:
        wanted = info.data.get("strategy")
        if sides is not None and wanted not in {None, "blue_green"}:
            raise ValueError("is allowed with strategy: blue_green only")
        if sides is None and wanted == "blue_green":
            raise ValueError("is required with strategy: blue_green: it declares the two sides")
        return sides


class Step(Model):
    """One deployment step: a playbook on some hosts, and its undo.

    *undo* is a playbook of this release, `nothing` (there is nothing to undo), `impossible` (a point of no
    return), or absent: the last verified release's own steps restore the hosts.
    """

    name: Name
    playbook: RelativePath
    hosts: HostPattern = "all"
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    vars: Variables = Field(default_factory=dict)
    extra_vars: Variables = Field(default_factory=dict)
    undo: RelativePath | Literal["nothing", "impossible"] | None = None
    rollout: Rollout = Rollout()
    timeout: Duration = "30m"

    @field_validator("rollout")
    @classmethod
    def _with_one_way_back(cls, rollout: Rollout, info: ValidationInfo) -> Rollout:
        if rollout.blue_green is not None and info.data.get("undo") is not None:
            raise ValueError("has strategy: blue_green, whose rollback is the switch: leave `undo` out")
        return rollout


class ImplementationStep(Model):
    """A step that starts an implementation plan, and waits for its end.

    *implementation* is its template, a file of this release, with values for its *parameters*. *undo* is the template
    of the implementation plan that a rollback starts, `nothing` (there is nothing to undo), or `impossible` (a point
    of no return).
    """

    name: Name
    implementation: RelativePath
    parameters: dict[Name, str] = Field(default_factory=dict)
    undo: RelativePath | Literal["nothing", "impossible"]


def _step_kind(written: Any) -> str:
    if isinstance(written, dict):
        return ImplementationStep.__name__ if "implementation" in written else Step.__name__
    return type(written).__name__


AnyStep = Annotated[
    Annotated[Step, Tag(Step.__name__)] | Annotated[ImplementationStep, Tag(ImplementationStep.__name__)],
    Discriminator(_step_kind),
]
"""A step of a release: with `implementation` it is an implementation plan, otherwise a playbook."""
