"""The newest report of the requirements of each release in each environment."""

from orchestrator.app.acting import Acting, Change, View, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.register import REQUIREMENT_REPORTS
from orchestrator.domain.requirements.check import RequirementReport


def keep_report(acting: Acting, report: RequirementReport) -> RequirementReport:
    """Keep *report* in the place of an older one."""

    def work(task: Change) -> RequirementReport:
        failed = [host.host for host in report.hosts if host.failed]
        return task.put(REQUIREMENT_REPORTS, report, met=report.is_met, failed=failed[:20])

    return change(acting, Action.OBSERVE, work, environment=report.environment)


@forwarded
def requirement_reports(acting: Acting, environment: str) -> tuple[RequirementReport, ...]:
    """The newest report of each release that was checked in *environment*, the newest first."""

    def work(view: View) -> tuple[RequirementReport, ...]:
        found = view.records.all(REQUIREMENT_REPORTS, environment)
        return tuple(sorted(found, key=lambda report: report.at, reverse=True))

    return read_register(acting, Action.VIEW, work, environment=environment)
