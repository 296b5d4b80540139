"""The newest reports of drift and parity of each environment."""

from collections.abc import Iterable
from typing import Any

from orchestrator.app.acting import Acting, Change, View, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.environment_reports import DriftMark, DriftReport, EnvironmentReports, ParityReport
from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.register import DRIFT_REPORTS, PARITY_REPORTS


def keep_drift(acting: Acting, report: DriftReport) -> None:
    """Keep *report* in the place of an older one."""

    def work(task: Change) -> None:
        known = task.records.get(DRIFT_REPORTS, report.environment)
        if known is None or known.at <= report.at:
            about = {"differences": report.differences, "unknown": report.unknown, "by": report.by}
            task.put(DRIFT_REPORTS, report, **about)

    change(acting, Action.OBSERVE, work, environment=report.environment)


def keep_parity(acting: Acting, report: ParityReport) -> None:
    """Keep *report* in the place of an older one."""

    def work(task: Change) -> None:
        known = task.records.get(PARITY_REPORTS, report.environment)
        if known is None or known.at <= report.at:
            about = {"differences": report.differences, "unknown": report.unknown, "by": report.by}
            task.put(PARITY_REPORTS, report, other=report.other, **about)

    change(acting, Action.OBSERVE, work, environment=report.environment)


@forwarded
def environment_reports(acting: Acting, environment: str) -> EnvironmentReports:
    """The newest reports of *environment*. That of parity is shown to those who may view the other environment too."""

    def work(view: View) -> EnvironmentReports:
        parity = view.records.get(PARITY_REPORTS, environment)
        if parity is not None and not view.may(Action.VIEW, parity.other):
            parity = None
        return EnvironmentReports(
            environment=environment, drift=view.records.get(DRIFT_REPORTS, environment), parity=parity
        )

    return read_register(acting, Action.VIEW, work, environment=environment)


def with_drift_marks(
    acting: Acting, rows: list[dict[str, Any]], facts: Iterable[EnvironmentFacts]
) -> list[dict[str, Any]]:
    """The *rows* of the matrix with the newest check of drift in the cell of each environment's current release.

    Reports about an earlier release, or from before the current one was verified, are left out. The cells themselves
    are shared with other readers, and stay as they are.
    """
    reports = {each.environment: each for each in read_register(acting, Action.VIEW, _every_report)}
    for item in facts:
        report = reports.get(item.name)
        if report is None or item.release is None or not _is_about(report, item):
            continue
        names = ("at", "differences", "unknown", "request")
        mark = DriftMark(**{name: getattr(report, name) for name in names}).to_json()
        for row in rows:
            if row["release"]["digest"] == item.release.digest:
                row["in"][item.name] = {**row["in"][item.name], "drift": mark}
    return rows


def _every_report(view: View) -> tuple[DriftReport, ...]:
    return view.records.all(DRIFT_REPORTS)


def _is_about(report: DriftReport, facts: EnvironmentFacts) -> bool:
    """Whether *report* compares the environment with its current release."""
    found, release = report.found, facts.release
    return release is not None and found.release.digest == release.digest and found.since == facts.verified_at
