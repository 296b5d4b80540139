"""State tables: the states of a noun, and the events that lead from one to the next. The docs show their diagrams."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from orchestrator.domain.errors import OrchestratorError

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class StateTable(Generic[S, E]):
    """The states of a *noun*, from the *initial* one on: *moves* has the state after each event that is possible."""

    noun: str
    initial: S
    moves: Mapping[S, Mapping[E, S]]

    def after(self, state: S, event: E, name: str = "") -> S:
        """The state after *event* of the object *name*. Raises G101 for an event that the table does not have."""
        try:
            return self.moves[state][event]
        except KeyError:
            possible = ", ".join(self.moves[state]) or "nothing: this is its end"
            what = f"the {self.noun} {name}" if name else f"a {self.noun}"
            text = f"{what} is {state}, and {event} is not possible (possible: {possible})"
            raise OrchestratorError("G101", text) from None

    def allows(self, state: S, event: E) -> bool:
        """Whether *event* is possible in *state*."""
        return event in self.moves[state]

    @property
    def ends(self) -> frozenset[S]:
        """The states after which nothing happens."""
        return frozenset(state for state, moves in self.moves.items() if not moves)
