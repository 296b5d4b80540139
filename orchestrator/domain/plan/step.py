"""One step of a plan with its batches of hosts, its canary and its undo."""

from typing import Literal

from pydantic import Field

from orchestrator.domain.inventory import Inventory, batches, canaries, ordered
from orchestrator.domain.model import Model
from orchestrator.domain.once_tags import NO_TAGS, OnceTags
from orchestrator.domain.plan.observation import ObservationWindow
from orchestrator.domain.plan.play import PlaySpec, StepPreview
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.release import PackageRef
from orchestrator.domain.sides import Side, Sides, divided


class PlannedCanary(Model):
    """The canary of a step: its hosts, and their observation before the others follow."""

    hosts: int | str
    observation: ObservationWindow


class PlannedStep(Model):
    """One step of the plan: the play, its batches of hosts (null until provisioning), and its undo.

    *order* is that of the hosts before they were divided, *seed* that of a shuffle. With a *canary* the first batch
    are its hosts. With *sides* (the host patterns of blue and green) the step only runs on hosts of the side *to*.
    *stacked*: each side is a stack of its own. *once* are tags that run in one batch only. *plays* are all plays of
    the playbook, with the effects of batches. *undo_plays* are those of the undo playbook, if it runs on all hosts of
    the step.
    """

    play: PlaySpec
    batches: tuple[tuple[str, ...], ...] | None = None
    sizes: tuple[int | str, ...] = ("100%",)
    max_failures: int = 0
    pause: float = 0.0
    once: OnceTags = Field(default=NO_TAGS, exclude_if=lambda once: not once.tags)
    plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
    undo: str | None = None
    undo_plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
    preview: StepPreview | None = None
    strategy: Literal["rolling", "canary", "blue_green"] = "rolling"
    order: Literal["inventory", "reverse", "sorted", "shuffled"] = "inventory"
    seed: str = ""
    canary: PlannedCanary | None = None
    sides: tuple[str, str] | None = Field(default=None, exclude_if=lambda sides: sides is None)
    to: Side | None = Field(default=None, exclude_if=lambda side: side is None)
    stacked: bool = Field(default=False, exclude_if=lambda yes: not yes)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of all its batches, in their order; none while they are not known."""
        return tuple(host for batch in self.batches or () for host in batch)

    def divided(self, inventory: Inventory) -> Sides | None:
        """Its hosts as two sides; None where it has none here. Raises D101 and R210."""
        if self.sides is None:
            return None
        hosts = inventory.select(self.play.hosts)
        return divided(inventory, self.sides, self.play.step, hosts, half=self.stacked)

    def cut(self, inventory: Inventory) -> tuple[tuple[str, ...], ...]:
        """The batches of the hosts that it goes to. Raises D101, R170 where no host can go first, and R210."""
        hosts, sides = inventory.select(self.play.hosts), self.divided(inventory)
        if sides is not None and self.to is not None:
            hosts = [host for host in hosts if host in sides.of(self.to)]
        hosts = ordered(hosts, self.order, self.seed)
        if self.canary is None:
            return tuple(tuple(batch) for batch in batches(hosts, self.sizes))
        first = canaries(inventory, hosts, self.canary.hosts)
        rest = [host for host in hosts if host not in first]
        found = [first, *batches(rest, self.sizes, len(hosts))]
        return tuple(tuple(batch) for batch in found if batch)


class PlannedArtifact(Model):
    """An artifact of the release, and whether the collection unpacks it on hosts."""

    name: str
    unpack: bool


class PlannedUndo(Model):
    """One undo playbook of a rollback: it runs on the hosts where its step was started, from the package of *release*.

    *plays* are all plays of the playbook.
    """

    release: PackageRef
    play: PlaySpec
    plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
