"""What promoting one package into one environment would do: a document with a digest.

Each piece of work is a frozen value here before a port does it. The digest covers all that decides what will happen,
and not when the plan was made. `stack`, `play`, `look`, `step`, `hosts`, `rollback` and `sides` hold the parts,
`document` the plan, `changes` the comparison of two plans.
"""

from orchestrator.domain.plan.changes import PARTS, SETTINGS, STACK, VERSIONS, differences, held
from orchestrator.domain.plan.document import NOTHING, Acknowledgements, Condition, Plan, PlanAction
from orchestrator.domain.plan.hosts import SILENT, HostState, Truth, after_switch
from orchestrator.domain.plan.implementation import PlannedImplementation, PlannedReversal, at_positions
from orchestrator.domain.plan.observation import ObservationWindow, PlannedGate, PlannedWatch
from orchestrator.domain.plan.play import HostPreview, PendingHandler, PlaySpec, StepPreview, SuiteSpec, play_of
from orchestrator.domain.plan.rollback import RollbackTarget, SecondPass, SkippedStep
from orchestrator.domain.plan.sides import PlannedSides
from orchestrator.domain.plan.stack import Loss, ResourceChange, StackPreview, StackSpec, change_tree, losses
from orchestrator.domain.plan.step import PlannedArtifact, PlannedCanary, PlannedStep, PlannedUndo

__all__ = [
    "NOTHING",
    "PARTS",
    "SETTINGS",
    "SILENT",
    "STACK",
    "VERSIONS",
    "Acknowledgements",
    "Condition",
    "HostPreview",
    "HostState",
    "Loss",
    "ObservationWindow",
    "PendingHandler",
    "Plan",
    "PlanAction",
    "PlannedArtifact",
    "PlannedCanary",
    "PlannedGate",
    "PlannedImplementation",
    "PlannedReversal",
    "PlannedSides",
    "PlannedStep",
    "PlannedUndo",
    "PlannedWatch",
    "PlaySpec",
    "ResourceChange",
    "RollbackTarget",
    "SecondPass",
    "SkippedStep",
    "StackPreview",
    "StackSpec",
    "StepPreview",
    "SuiteSpec",
    "Truth",
    "after_switch",
    "at_positions",
    "change_tree",
    "differences",
    "held",
    "losses",
    "play_of",
]
