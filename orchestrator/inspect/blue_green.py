"""Blue-green state: what is known of an environment's sides, as the last switch left them."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.plan import HostState
from orchestrator.domain.sides import Side


@dataclass(frozen=True)
class BlueGreenState:
    """The sides of an environment, from the journal: which one is *live* (None: there was never a switch).

    *switch_uncertain*: a switch was started, and not recorded as completed; *live* is the previous side. *sides* are
    those of its hosts, by name.
    """

    live: Side | None
    switch_uncertain: bool
    sides: dict[str, Side]

    @classmethod
    def of(cls, states: Iterable[HostState]) -> "BlueGreenState":
        """The sides by the *states* of the hosts."""
        known = [(state, state.side) for state in states if state.side is not None]
        up = {side for state, side in known if not state.is_standby}
        switch_uncertain = any(state.switch_uncertain for state, _ in known)
        return cls(up.pop() if len(up) == 1 else None, switch_uncertain, {state.host: side for state, side in known})
