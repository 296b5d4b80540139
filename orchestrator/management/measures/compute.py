"""The arithmetic of the measures. The definitions are those of DORA, applied to what a journal records."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from orchestrator.domain.calendar.intervals import Interval
from orchestrator.management.bookings.conflicts import weeks_of
from orchestrator.management.measures.model import (
    Deployment,
    Measure,
    MeasuredRun,
    MeasureName,
    Measures,
    MeasureSpan,
    WeekMeasures,
)

LONGEST_WAIT = timedelta(days=90)
"""The time for which a request can wait before its run ends."""
REWORK_TIME = timedelta(days=7)
"""A manual rollback counts against a deployment that ended at most this long before. Rework follows within it, too."""

FORMULAS: dict[MeasureName, tuple[str, str]] = {
    "deployment-frequency": (
        "Deployment frequency",
        "promotions that succeeded at the end of the path, per day of the period",
    ),
    "lead-time": (
        "Lead time for changes",
        "median time from the commit of the package to its verification at the end of the path",
    ),
    "change-failure-rate": (
        "Change failure rate",
        "promotions that were rolled back, needed intervention, or were rolled back manually within 7 days, of all",
    ),
    "recovery-time": (
        "Failed deployment recovery time",
        "median time from the first failure to the verification of a restored release",
    ),
    "rework-rate": (
        "Rework rate",
        "emergencies, and promotions within 7 days after a rollback of the same package, of all",
    ),
    "failed-before": (
        "Failed before the end of the path",
        "promotions into earlier environments that were rolled back or needed intervention",
    ),
}


def compute_measures(
    deployments: Sequence[Deployment], span: MeasureSpan, environments: tuple[str, ...], before: tuple[str, ...]
) -> Measures:
    """The measures of *deployments*, which may start before *span*: rework depends on what happened earlier.

    *environments* are at the end of their paths, *before* are the others.
    """
    last = [each for each in deployments if each.environment in environments]
    counted = [each for each in last if span.has(each.ended_at)]
    rework = _reworked(last)
    earlier = [each for each in deployments if each.environment in before and span.has(each.ended_at)]
    measures = (
        _frequency(counted, span),
        _times("lead-time", counted, lead_seconds),
        _share("change-failure-rate", counted, lambda each: each.has_failed),
        _times("recovery-time", counted, recovery_seconds),
        _share("rework-rate", counted, lambda each: each.run in rework),
        _failed_before(earlier),
    )
    weeks = tuple(_week(counted, week, rework) for week in _weeks(span))
    return Measures(
        since=span.since, until=span.until, environments=environments, before=before, measures=measures, weeks=weeks
    )


def lead_seconds(each: Deployment) -> float | None:
    """Seconds from the commit to the verification; None if it did not succeed, or the commit is unknown."""
    if each.state != "succeeded" or each.commit_at is None:
        return None
    return max(0.0, (each.ended_at - each.commit_at).total_seconds())


def recovery_seconds(each: Deployment) -> float | None:
    """Seconds from the first failure to the verification of a restored release; None without either."""
    if not each.has_failed or each.failed_at is None or each.restored_at is None:
        return None
    return max(0.0, (each.restored_at - each.failed_at).total_seconds())


def _reworked(deployments: Iterable[Deployment]) -> frozenset[str]:
    """The runs that were emergencies, or followed a rollback of the same package within the rework time."""
    every = list(deployments)
    rollbacks: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for each in every:
        if each.state == "rolled back" or each.undone_by:
            rollbacks[each.environment, each.release.name].append(each.restored_at or each.ended_at)
    for moments in rollbacks.values():
        moments.sort()
    return frozenset(each.run for each in every if each.emergency or _follows(each, rollbacks))


def _follows(each: Deployment, rollbacks: Mapping[tuple[str, str], list[datetime]]) -> bool:
    """Whether a rollback ended in the rework time before *each* was requested. The rollbacks of a place are sorted."""
    moments = rollbacks.get((each.environment, each.release.name), [])
    place = bisect_right(moments, each.requested_at)
    return place > 0 and moments[place - 1] >= each.requested_at - REWORK_TIME


def _frequency(counted: Sequence[Deployment], span: MeasureSpan) -> Measure:
    good = [each for each in counted if each.state == "succeeded"]
    days = (span.until - span.since) / timedelta(days=1)
    value = len(good) / days if days > 0 else None
    return _measure("deployment-frequency", "per day", value, [(each, 1.0) for each in good], len(counted))


def _times(name: MeasureName, counted: Sequence[Deployment], seconds: Callable[[Deployment], float | None]) -> Measure:
    timed = [(each, found) for each in counted if (found := seconds(each)) is not None]
    value = median(found for _, found in timed) if timed else None
    of = sum(each.has_failed if name == "recovery-time" else each.state == "succeeded" for each in counted)
    return _measure(name, "seconds", value, timed, of)


def _share(name: MeasureName, counted: Sequence[Deployment], is_part: Callable[[Deployment], bool]) -> Measure:
    part = [(each, 1.0) for each in counted if is_part(each)]
    return _measure(name, "share", len(part) / len(counted) if counted else None, part, len(counted))


def _failed_before(earlier: Sequence[Deployment]) -> Measure:
    failed = [(each, 1.0) for each in earlier if each.state != "succeeded"]
    return _measure("failed-before", "runs", float(len(failed)), failed, len(earlier))


def _measure(
    name: MeasureName, unit: str, value: float | None, behind: Sequence[tuple[Deployment, float]], of: int
) -> Measure:
    title, formula = FORMULAS[name]
    newest = sorted(behind, key=lambda one: (one[0].ended_at, one[0].run), reverse=True)
    runs = tuple(
        MeasuredRun(run=each.run, environment=each.environment, release=each.release, at=each.ended_at, value=share)
        for each, share in newest
    )
    about = {"name": name, "title": title, "formula": formula, "unit": unit}
    return Measure.model_validate({**about, "value": value, "count": len(runs), "of": of, "runs": runs})


def _weeks(span: MeasureSpan) -> Iterable[Interval]:
    return weeks_of(Interval(span.since, span.until)) if span.since < span.until else ()


def _week(counted: Sequence[Deployment], week: Interval, rework: frozenset[str]) -> WeekMeasures:
    here = [each for each in counted if week.start <= each.ended_at < week.end]
    lead = [found for each in here if (found := lead_seconds(each)) is not None]
    recovery = [found for each in here if (found := recovery_seconds(each)) is not None]
    failed, reworked = sum(each.has_failed for each in here), sum(each.run in rework for each in here)
    return WeekMeasures(
        week=week.start,
        deployments=sum(each.state == "succeeded" for each in here),
        failed=failed,
        lead_s=median(lead) if lead else None,
        failure_share=failed / len(here) if here else None,
        recovery_s=median(recovery) if recovery else None,
        rework_share=reworked / len(here) if here else None,
    )
