"""The infrastructure in a plan: a stack, its previewed changes, and the stateful resources it would lose."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from orchestrator.domain.environment import PulumiSettings, StatefulRule
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Digest, Model


class StackSpec(Model):
    """One Pulumi stack of one environment. *program* is the absolute path of its folder, *definition* its digest.

    The definition covers every file of the program's folder (program, stack configuration, lock files) and
    the environment's own file. *configured* is the stack whose configuration it has, where that is another one.
    """

    environment: str
    program: str
    stack: str
    definition: Digest
    settings: PulumiSettings = PulumiSettings()
    configured: str = ""


class ResourceChange(Model):
    """The planned operation of Pulumi on one resource (*op*); *properties* are the ones that differ.

    *kept* is the protection that the program itself has set, by the current state of the stack: `protect` or
    `retainOnDelete`.
    """

    op: str
    type: str
    name: str
    urn: str
    parent: str = ""
    properties: tuple[str, ...] = ()
    kept: str = ""


class Loss(Model):
    """A stateful resource that would be replaced or deleted. *why* is the rule that makes it stateful."""

    op: Literal["replace", "delete"]
    type: str
    name: str
    urn: str
    why: str

    def __str__(self) -> str:
        return f"{self.op} {self.type} {self.name} ({self.why})"


_LETS_GO = {"delete", "discard"}
_NOTHING_YET = {"remove-pending-replace", "read-replacement"}


def losses(changes: Iterable[ResourceChange], rules: Iterable[StatefulRule]) -> tuple[Loss, ...]:
    """The *changes* that would replace or delete a stateful resource, by *rules* or by the program's declarations.

    A component that fits a rule includes everything in it. Each resource is listed once.
    """
    changes = tuple(changes)
    known = {change.urn: change for change in changes}
    found: dict[str, Loss] = {}
    for change in changes:
        replaces = "replace" in change.op and change.op not in _NOTHING_YET
        why = _kept(change, known, tuple(rules)) if replaces or change.op in _LETS_GO else ""
        if why:
            op: Literal["replace", "delete"] = "replace" if replaces else "delete"
            found.setdefault(change.urn, Loss(op=op, type=change.type, name=change.name, urn=change.urn, why=why))
    return tuple(found.values())


def _kept(change: ResourceChange, known: dict[str, ResourceChange], rules: tuple[StatefulRule, ...]) -> str:
    """What makes the resource, or a component around it, one that is kept; empty: nothing does."""
    if change.kept:
        return f"its declaration has {change.kept}"
    at: ResourceChange | None = change
    seen = set[str]()
    while at is not None and at.urn not in seen:
        for rule in rules:
            if rule.fits(at.type, at.name):
                return f"stateful by its {rule}" if at is change else f"in {at.name}, stateful by its {rule}"
        seen.add(at.urn)
        at = known.get(at.parent)
    return ""


class StackPreview(Model):
    """The changes that Pulumi previews.

    *base* is the digest of the stack's state at the preview, and *update_plan* that of the content of Pulumi's
    saved update plan, to which the update is constrained. *update_file* is the digest of the file's bytes. It is not
    part of the plan's digest, because the file is encrypted anew each time. *inventory* is that after the update, or
    null if it cannot be known before. *counts* maps Pulumi's words (`create`, `same`, …) to numbers. *refused* is the
    reason if Pulumi refuses the update because a resource is protected; *changes* are then incomplete. *versions* are
    those of the engine (`pulumi`) and of the providers, if known. *settings* are the `PULUMI_*` variables of the
    controller that decide which code or which resources are involved; of one that may be secret the digest.
    """

    state_digest: Digest
    update_plan: Digest | None = None
    update_file: Digest | None = Field(default=None, exclude_if=lambda digest: digest is None)
    changes: tuple[ResourceChange, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    inventory: Inventory | None = None
    refused: str = ""
    versions: dict[str, str] = Field(default_factory=dict, exclude_if=lambda versions: not versions)
    settings: dict[str, str] = Field(default_factory=dict, exclude_if=lambda settings: not settings)

    @property
    def changes_something(self) -> bool:
        """Whether the update would do anything."""
        return any(count for op, count in self.counts.items() if op != "same")

    def in_form_of(self, earlier: "StackPreview") -> "StackPreview":
        """This preview, with the inventory in the form that it has in *earlier*."""
        if self.inventory is None:
            return self
        return self.model_copy(update={"inventory": self.inventory.in_form_of(earlier.inventory)})


UNSHOWN = frozenset({"same", "read", "refresh"})
REPLACING = frozenset({"replace", "create-replacement", "delete-replaced"})


def change_tree(changes: Iterable[ResourceChange]) -> list[tuple[int, ResourceChange]]:
    """The *changes* in the order of their tree, each with its level; resources that stay as they are are left out."""
    wanted = _replaced([change for change in changes if change.op not in UNSHOWN])
    known = {change.urn for change in wanted}
    below: dict[str, list[ResourceChange]] = {}
    for change in wanted:
        below.setdefault(change.parent if change.parent in known else "", []).append(change)
    waiting = [(0, change) for change in reversed(below.get("", []))]
    found = []
    while waiting:
        level, change = waiting.pop()
        waiting += [(level + 1, child) for child in reversed(below.get(change.urn, []))]
        found.append((level, change))
    return found


def _replaced(changes: list[ResourceChange]) -> list[ResourceChange]:
    """*changes* with the three that Pulumi reports of each replaced resource as one."""
    found: dict[tuple[str, str], ResourceChange] = {}
    for change in changes:
        op = "replace" if change.op in REPLACING else change.op
        old = found.get((change.urn, op), change)
        properties = tuple(dict.fromkeys([*old.properties, *change.properties]))
        found[change.urn, op] = change.model_copy(update={"op": op, "properties": properties})
    return list(found.values())
