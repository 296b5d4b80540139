"""Every command as a user without any right: each is refused with the action of the table, or is public for a reason."""

import getpass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from orchestrator.adapters.clock import SystemClock
from orchestrator.app import access, people
from orchestrator.app.acting import Acting
from orchestrator.cli import NAMES, cli
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.domain.errors import Exit
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
TABLE: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "command_rights.yaml").read_text())


def commands() -> set[str]:
    """Every command, and every command of a group."""
    found: set[str] = set()
    for name in NAMES:
        command = cli.get_command(click.Context(cli), name)
        below = command.commands if isinstance(command, click.Group) else {}
        found |= {f"{name} {each}" for each in below} or {name}
    return found


@pytest.fixture
def guarded(project: MemoryProject) -> MemoryProject:
    """A project with a run, an administrator, and a local user `eve` without any right."""
    project.go("staging", "1.0.0")
    for name, text in (
        ("access.yaml", "apiVersion: orchestrator/v1\nkind: Access\n"),
        ("secret", "0123456789abcdef\n"),
    ):
        (project.folder / name).write_text(text)
    (project.folder / "secret").chmod(0o600)
    for name in ("x.backup", "shop.release"):
        (project.folder / name).write_bytes(b"x")
    (project.folder / "empty.ics").write_text("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n")
    app = project.app()
    acting = Acting(app.register, Actor(name=getpass.getuser()), SystemClock(), ("staging", "production"))
    people.add_user(acting, User(name="eve", local=getpass.getuser()))
    people.add_user(acting, User(name="ann"))
    access.grant(acting, Binding(role="administrator", to="user:ann"))
    app.close()
    return project


def test_every_command_is_in_the_table() -> None:
    """The table has every command, each with a right or with a reason why it needs none."""
    assert commands() == {name for name, entry in TABLE.items() if "command" not in entry}
    assert all(("right" in entry) is not ("public" in entry) for entry in TABLE.values())


def test_a_command_needs_exactly_the_right_of_the_table(guarded: MemoryProject) -> None:
    """As a user without rights each command ends with A101 for its action, and nothing else is in the audit stream."""
    wrong: dict[str, Any] = {}
    for name, entry in TABLE.items():
        if "public" in entry:
            continue
        before = entries(guarded)
        flag = entry.get("json", "--json").split()
        words = [*entry.get("command", name).split(), *entry.get("words", "").split(), *flag]
        said = guarded.say(*words, code=int(Exit.NOT_ALLOWED))
        added = entries(guarded)[len(before) :]
        if [(each.action, each.outcome) for each in added] != [(entry["right"], "denied")]:
            wrong[name] = ([(each.action, each.outcome) for each in added], said[-300:])
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())


def entries(project: MemoryProject) -> Any:
    """The audit stream."""
    app = project.app()
    try:
        return app.register.reading(lambda records: records.audit())
    finally:
        app.close()
