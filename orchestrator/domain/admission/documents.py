"""The conditions of a promotion as documents have them."""

from orchestrator.domain.admission.conditions import Admission, ConditionKind, ConditionState
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import PackageRef


class ListedCondition(Model):
    """One condition of a promotion. *who* are the users who can change it, *until* is when it will be over.

    *code* is the error code of a refusal by it; null if it is met.
    """

    condition: ConditionKind
    state: ConditionState
    reason: str
    who: tuple[str, ...]
    until: Moment | None
    command: str | None
    code: str | None


class ListedAdmission(Model):
    """Whether a promotion may start, with every condition.

    *until* is the earliest start; null if it may start, or if that is not known.
    """

    may_start: bool
    refused: bool
    until: Moment | None
    conditions: tuple[ListedCondition, ...]


class NextPromotion(ListedAdmission):
    """The *release* that was verified last in the environment before, with its conditions.

    There is no next promotion if that is the current release.
    """

    release: PackageRef


def next_promotion(release: PackageRef, admission: Admission) -> NextPromotion:
    """The promotion of *release* that has this *admission*."""
    return NextPromotion.from_json({"release": release.to_json(), **admission.to_json()})
