"""Standing: what is known of an environment's sides, as the last switch left them."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.plan import HostState
from orchestrator.domain.sides import Side


@dataclass(frozen=True)
class BlueGreenState:
    """What the journal knows of an environment's sides: which one is *live* (None: nobody has ever switched here).

    *switch_uncertain*: a switch was begun, and nobody saw it end well; *live* is the side before. *sides* are those of
    the hosts then.
    """

    live: Side | None
    switch_uncertain: bool
    sides: dict[str, Side]

    @classmethod
    def of(cls, states: Iterable[HostState]) -> "BlueGreenState":
        """What the *states* of its hosts tell."""
        known = [(state, state.side) for state in states if state.side is not None]
        up = {side for state, side in known if not state.is_standby}
        switch_uncertain = any(state.switch_uncertain for state, _ in known)
        return cls(up.pop() if len(up) == 1 else None, switch_uncertain, {state.host: side for state, side in known})
