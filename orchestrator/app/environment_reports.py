"""The newest reports of drift and parity of each environment."""

from collections.abc import Iterable
from typing import TypeVar

from orchestrator.app.acting import Acting, Change, View, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.environment_reports import DriftMark, DriftReport, EnvironmentReports, ParityReport
from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.register import DRIFT_REPORTS, PARITY_REPORTS, RecordKind

R = TypeVar("R", DriftReport, ParityReport)


def keep_drift(acting: Acting, report: DriftReport) -> None:
    """Keep *report* in the place of an older one."""
    _keep(acting, DRIFT_REPORTS, report)


def keep_parity(acting: Acting, report: ParityReport) -> None:
    """Keep *report* in the place of an older one."""
    _keep(acting, PARITY_REPORTS, report, other=report.other)


def _keep(acting: Acting, kind: RecordKind[R], report: R, **more: object) -> None:
    about = {**more, "differences": report.differences, "unknown": report.unknown, "by": report.by}

    def work(task: Change) -> None:
        known = task.records.get(kind, report.environment)
        if known is None or known.at <= report.at:
            task.put(kind, report, **about)

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


def drift_marks(acting: Acting, facts: Iterable[EnvironmentFacts]) -> dict[str, DriftMark]:
    """The newest check of drift of each environment with a current release, by its name, for the cell of that release.

    Reports about an earlier release, or from before the current one was verified, are left out.
    """
    reports = {each.environment: each for each in read_register(acting, Action.VIEW, _every_report)}
    found = {}
    for item in facts:
        report = reports.get(item.name)
        if report is not None and _is_about(report, item):
            found[item.name] = DriftMark(
                at=report.at, differences=report.differences, unknown=report.unknown, request=report.request
            )
    return found


def _every_report(view: View) -> tuple[DriftReport, ...]:
    return view.records.all(DRIFT_REPORTS)


def _is_about(report: DriftReport, facts: EnvironmentFacts) -> bool:
    """Whether *report* compares the environment with its current release."""
    found, release = report.found, facts.release
    return release is not None and found.release.digest == release.digest and found.since == facts.verified_at
