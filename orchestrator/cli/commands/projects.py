"""`orchestrator projects`: the projects of a server, or the one of this folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import json_option, out, out_folded, print_json, screen, table

if TYPE_CHECKING:
    from orchestrator.management.projects.model import ProjectSummary

HEADS = ("PROJECT", "HEALTH", "ONBOARDING", "UNDER WAY", "WAITS", "DUE")


@click.command("projects")
@json_option
def command(as_json: bool) -> None:
    """List the projects that you may view: what is under way, what waits and on whom, and what is due.

    With a server these are its projects; without one it is the project of the current folder. Due is what is late, and
    what is due within a week. Onboarding is a checklist that is read from what has happened: each environment was
    planned, tests have passed, a rollback was rehearsed, roles have users, and a notification was delivered.
    """
    from orchestrator.management.application import open_managed
    from orchestrator.management.projects.queries import list_projects

    app = open_managed(Path.cwd())
    found = list_projects(app.acting, app.project_sources)
    if as_json:
        print_json("Projects", found.to_json())
        return
    if not found.projects:
        out("you may not view any project: an administrator grants a role with orchestrator access grant")
    else:
        out(table(HEADS, [_row(each) for each in found.projects], screen()))
        for each in found.projects:
            for line in _lines(each):
                out_folded(line)
    if found.unreadable:
        out(f"{found.unreadable} further: their rights cannot be read at the moment")


def _row(project: "ProjectSummary") -> tuple[str, ...]:
    late = sum(each.is_late for each in project.due)
    due = f"{len(project.due)}, {late} late" if late else str(len(project.due))
    done = f"{sum(step.is_done for step in project.onboarding)} of {len(project.onboarding)}"
    onboarding = done if project.onboarding else "–"
    return (project.name, project.health.value, onboarding, str(len(project.open_runs)), str(len(project.waiting)), due)


def _lines(project: "ProjectSummary") -> list[str]:
    """What is worth a line of its own, each with the name of the project."""
    from orchestrator.domain.moments import minute_text

    found = [project.error] if project.error else []
    found += [f"problem: {each}" for each in project.problems]
    found += [f"under way: {each.text}, {each.activity}, requested by {each.by}" for each in project.open_runs]
    for each in project.waiting:
        users = f", for {', '.join(each.on)}" if each.on else ""
        found.append(f"waits: {each.text}{users}: {each.reason}")
    for item in project.due:
        owner = f", {item.owner}" if item.owner else ""
        found.append(f"{'late' if item.is_late else 'due'}: {item.text}{owner}, {minute_text(item.due)}")
    for step in project.onboarding:
        if not step.is_done:
            found.append(f"not yet: {step.name}: {step.fact}; {step.command}")
    return [f"{project.name}: {each}" for each in found]
