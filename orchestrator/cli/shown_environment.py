"""One environment as `orchestrator environment show` prints it."""

from orchestrator.cli.output import out, paint
from orchestrator.cli.situation import calendar_lines
from orchestrator.cli.words import when
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.environment import Environment
from orchestrator.domain.environment_reports import DriftReport, EnvironmentReports, ParityReport
from orchestrator.domain.journal import Lease
from orchestrator.domain.moments import moment_text
from orchestrator.domain.plan import StackSpec


def print_definition(
    item: Environment, folder: str, spec: StackSpec | None, lease: Lease | None, calendar: EnvironmentCalendar
) -> None:
    """Print the file of an environment, in *folder* of the project, its stack, its holder and its calendar."""
    out(f"{paint(item.name, bold=True)}  {item.description}")
    out(f"  folder      {folder}")
    out(f"  after       {item.after or '– (the first of the path)'}")
    both = f", live of {item.sides.blue} (blue) and {item.sides.green} (green)" if item.sides else ""
    out(f"  stack       {spec.stack if spec else 'none: no Pulumi program'}{both}")
    out(f"  definition  {spec.definition if spec else '–'}")
    out(f"  rollback    {'automatic' if item.rollback.automatic else 'only on request'}")
    out(f"  held by     {f'{lease.holder} ({lease.reason})' if lease else '–'}")
    out(f"  calendar    {'; '.join(calendar_lines(calendar)) or 'open'}")


def print_reports(found: EnvironmentReports) -> None:
    """Print what the newest checks of drift and parity have found."""
    out(f"  drift       {_drift(found.drift)}")
    out(f"  parity      {_parity(found.parity)}")


def _drift(report: DriftReport | None) -> str:
    if report is None:
        return "not checked yet"
    request = f", change request {report.request}" if report.request else ""
    return f"{report.summary} since {report.found.release} was verified{request}; {_checked(report)}"


def _parity(report: ParityReport | None) -> str:
    return "not checked yet" if report is None else f"with {report.other}: {report.summary}; {_checked(report)}"


def _checked(report: DriftReport | ParityReport) -> str:
    plan = f", for the plan of {report.run}" if report.run else ""
    return f"checked {when(moment_text(report.at))} by {report.by}{plan}"
