"""Deployments out of the runs of one environment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from orchestrator.domain.journal import PROMOTION_KINDS, Run
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.promotion import State
from orchestrator.management.measures.compute import REWORK_TIME
from orchestrator.management.measures.model import Deployment

COUNTED = frozenset({State.SUCCEEDED, State.ROLLED_BACK, State.NEEDS_INTERVENTION})
"""The ends of promotions that had an effect. One that ends as failed changed nothing, and is not a deployment."""


@dataclass(frozen=True)
class RunDetails:
    """What else is known of runs.

    *failed_at* is the time of the first failure by run, *commit_at* the time of the commit by the digest of a package.
    *emergencies* are requests.
    """

    failed_at: Mapping[str, datetime] = field(default_factory=dict)
    commit_at: Mapping[str, datetime] = field(default_factory=dict)
    emergencies: frozenset[str] = frozenset()


def deployments_of(runs: Iterable[Run], details: RunDetails) -> tuple[Deployment, ...]:
    """The deployments among the *runs* of one environment, by their end.

    A manual rollback counts against the newest deployment before it of another version of its package, if that one
    succeeded at most 7 days before and no other rollback counts against it.
    """
    ended = sorted((run for run in runs if run.ended and run.release is not None), key=attrgetter("ended_at", "id"))
    found = [_deployment(run, details) for run in ended if run.kind in PROMOTION_KINDS and run.state in COUNTED]
    verifying = [run for run in ended if _verifies(run)]
    for run in ended:
        if run.kind == "rollback" and run.state in COUNTED:
            _count_rollback(found, run)
    return tuple(_with_recovery(each, verifying) for each in found)


def _deployment(run: Run, details: RunDetails) -> Deployment:
    assert run.release is not None
    assert run.ended_at is not None
    fields = {
        "run": run.id,
        "environment": run.environment,
        "release": run.release,
        "state": run.state.value,
        "requested_at": parse_moment(run.requested_at),
        "ended_at": parse_moment(run.ended_at),
        "emergency": run.root in details.emergencies,
        "commit_at": details.commit_at.get(run.release.digest),
        "failed_at": details.failed_at.get(run.id),
    }
    return Deployment.model_validate(fields)


def _verifies(run: Run) -> bool:
    """Whether a release was verified at the end of *run*."""
    return (run.kind in PROMOTION_KINDS or run.kind == "rollback") and run.state in {State.SUCCEEDED, State.ROLLED_BACK}


def _count_rollback(found: list[Deployment], run: Run) -> None:
    """Mark the deployment that the manual rollback *run* undid."""
    assert run.release is not None
    requested = parse_moment(run.requested_at)
    for place in range(len(found) - 1, -1, -1):
        each = found[place]
        if each.ended_at > requested or each.release.name != run.release.name:
            continue
        if each.ended_at < requested - REWORK_TIME:
            return
        if each.state == "succeeded" and not each.undone_by and each.release.digest != run.release.digest:
            found[place] = each.model_copy(update={"undone_by": run.id, "failed_at": requested})
            return


def _with_recovery(each: Deployment, verifying: Sequence[Run]) -> Deployment:
    """*each* with the end of the first run after its failure that verified a release of its package."""
    if not each.has_failed or each.failed_at is None:
        return each
    if each.state == "rolled back":
        return each.model_copy(update={"restored_at": each.ended_at})
    for run in verifying:
        assert run.release is not None
        end = parse_moment(run.ended_at or run.requested_at)
        if run.id != each.run and end >= each.failed_at and run.release.name == each.release.name:
            return each.model_copy(update={"restored_at": end})
    return each
