"""What a plan is made of, as far as it is found."""

from dataclasses import dataclass

from orchestrator.domain.environment import Environment
from orchestrator.domain.plan import Condition, PlannedGate, PlannedSides, PlannedStep, RollbackTarget
from orchestrator.inspect.release_history import Begun
from orchestrator.planning import sides
from orchestrator.planning.survey import Survey


@dataclass(frozen=True)
class Draft:
    """The parts of a plan, as far as they are known.

    *own* are the gates of the environment, *undone* what a rollback undoes, *side_query* the query about the sides,
    *notes* the notes about all that.
    """

    environment: Environment
    survey: Survey
    undone: tuple[Begun, ...]
    rollback_target: RollbackTarget
    own: tuple[PlannedGate, ...]
    blue_green: PlannedSides | None
    side_query: sides.BlueGreenQuery
    steps: tuple[PlannedStep, ...] = ()
    rehearse: bool = False
    conditions: tuple[Condition, ...] = ()
    notes: tuple[str, ...] = ()
