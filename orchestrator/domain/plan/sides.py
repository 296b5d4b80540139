"""Two sides in a plan: the live one, the target of the switch, and the plays between them."""

from collections.abc import Iterable

from pydantic import Field

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Model
from orchestrator.domain.plan.hosts import HostState
from orchestrator.domain.plan.observation import ObservationWindow
from orchestrator.domain.plan.play import PlaySpec
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.sides import Side, Sides, other


class PlannedSides(Model):
    """Two sides: the *live* one (null before the first switch), and the target of the switch (*to*).

    *blue* and *green* are their host patterns, *hosts* their hosts, if known. *switch* is the playbook that is run on
    *router* (default: both sides), after the *observation*, if there is one. *retire* is run on the other side
    at the end. A rollback whose release is already live has no target (*to*). It does not change the *unchanged_hosts*:
    those of the standby side, and those that already have its release. If that is a whole side, it switches *first*.
    *stacked*: each side is a stack of its own. *switch_plays* and *retire_plays* are all plays of the two playbooks.
    """

    blue: str
    green: str
    live: Side | None = None
    to: Side | None = None
    hosts: Sides | None = None
    switch: PlaySpec
    router: str | None = None
    observation: ObservationWindow | None = None
    retire: PlaySpec | None = None
    unchanged_hosts: tuple[str, ...] = ()
    first: bool = False
    stacked: bool = Field(default=False, exclude_if=lambda yes: not yes)
    switch_plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
    retire_plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)

    def switched(self, sides: Sides, inventory: Inventory) -> PlaySpec:
        """The switch on its hosts. Raises D101 when *router* means none."""
        hosts = sides.hosts if self.router is None else tuple(inventory.select(self.router))
        return self.switch.model_copy(update={"limit": hosts})

    def retired(self, current_hosts: Iterable[HostState], sides: Sides, live: Side) -> tuple[str, ...]:
        """The hosts of the side other than *live* that *retire* runs on: those that are not empty."""
        used = {state.host for state in current_hosts if state.truth != "empty"}
        return tuple(host for host in sides.of(other(live)) if host in used)

    def rollback_side(self, current_hosts: Iterable[HostState], sides: Sides, digest: str) -> Side | None:
        """The side to which a failure switches back; None: there is none.

        That is the one that was live. If that was not known, it is the other one, if all its hosts ran the package
        *digest*.
        """
        if self.live is not None or self.to is None:
            return self.live
        deployed, old = {state.host for state in current_hosts if state.runs(digest)}, sides.of(other(self.to))
        return other(self.to) if old and set(old) <= deployed else None
