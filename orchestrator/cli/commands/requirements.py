"""`orchestrator requirements`: what the hosts of an environment have of what a release requires."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import Cell, json_option, note, out, paint, print_json, screen, table

if TYPE_CHECKING:
    from orchestrator.domain.release import Package
    from orchestrator.domain.requirements.check import Check, RequirementReport
    from orchestrator.management.application import ManagedApplication

PLANNED = re.compile(r"REL-[1-9][0-9]*")
STYLES = {"met": ("✔", "green"), "not met": ("✘", "red"), "unknown": ("?", "yellow")}


@click.command("requirements")
@click.argument("release", shell_complete=completing.releases)
@click.option(
    "--in",
    "environment",
    required=True,
    metavar="ENV",
    shell_complete=completing.environments,
    help="The environment whose hosts are measured.",
)
@json_option
def command(release: str, environment: str, as_json: bool) -> int:
    """Measure what the hosts of an environment have, and compare it with the `requirements:` of RELEASE.

    RELEASE is a package, a source, or a planned release (`REL-1`), of which each built package is checked. Ansible
    reads the hosts. Nothing is changed on them. The newest report of each release and environment is kept: a planned
    release whose requirements are not met there has a conflict.

    Ends with 0 if every requirement is met on every host, and with 1 otherwise, or if a host could not be measured.
    """
    from orchestrator.domain.errors import Exit
    from orchestrator.management.application import open_managed

    app = open_managed(Path.cwd())
    app.require_environment(environment)
    found = []
    for package in _packages(app, release):
        note(f"measuring the hosts of {environment} for {package.ref} …")
        found.append(app.inspections.requirements(app.actor, package, environment))
    if as_json:
        reports = [{**report.to_json(), "met": report.is_met} for report in found]
        print_json("Requirements", {"environment": environment, "reports": reports})
    else:
        for report in found:
            _print(report)
    return int(Exit.OK if all(report.is_met for report in found) else Exit.FAILED)


def _packages(app: "ManagedApplication", release: str) -> "Iterator[Package]":
    """The package that *release* means, or those of a planned release."""
    from orchestrator.cli.report import UsageProblem, building, warn
    from orchestrator.management.planned_releases.queries import show_planned_release

    if not PLANNED.fullmatch(release):
        yield app.releases.package(app.actor, release, warn, building, publish=False)
        return
    planned = show_planned_release(app.acting, release, app.release_sources).release
    digests = [each.digest for each in planned.packages if each.digest]
    if not digests:
        raise UsageProblem(f"no package of {release} is built", f"orchestrator release show {release}")
    for digest in digests:
        yield app.releases.kept_package(app.actor, digest)


def _print(report: "RequirementReport") -> None:
    from orchestrator.domain.text import counted

    failed = sum(len(host.failed) for host in report.hosts)
    checks = sum(len(host.checks) for host in report.hosts)
    result = "all met" if report.is_met else f"{failed} not met or unknown"
    title = paint(f"{report.release} in {report.environment}", bold=True)
    if not checks:
        out(f"{title}: it requires nothing of {counted(len(report.hosts), 'host')}")
        return
    out(f"{title}: {counted(checks, 'requirement')} on {counted(len(report.hosts), 'host')}, {result}")
    rows = [_row(host.host, check) for host in report.hosts for check in host.checks]
    out(table(["host", "requirement", "measured", "required", ""], rows, columns=screen()))
    for host in report.hosts:
        for check in (each for each in host.failed if each.reason):
            out(f"  {host.host}: {check.text}")


def _row(host: str, check: "Check") -> list[Cell]:
    sign, colour = STYLES[check.state]
    return [host, check.what, check.measured or "–", check.required, (f"{sign} {check.state}", colour)]
