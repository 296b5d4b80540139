"""An error about an object that does not exist has the command that shows such objects, or adds one."""

import ast
import re
from pathlib import Path
from typing import Any

import click
import pytest

import orchestrator
from orchestrator.app.acting import noun_of, read_register
from orchestrator.cli import cli
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.lookups import LOOKUPS, object_hint
from orchestrator.domain.register import KINDS, RecordKind
from orchestrator.management.kinds import MANAGEMENT_KINDS
from tests.app.desk import Desk

ROOT = Path(orchestrator.__file__).parent
OF_THE_SYSTEM = {"counter", "feed-place"}
"""Kinds whose records no user names."""
EVERY: list[RecordKind[Any]] = [*KINDS, *MANAGEMENT_KINDS]
NAMED = [kind for kind in EVERY if noun_of(kind) not in OF_THE_SYSTEM]


def named_in_code() -> set[str]:
    """What the calls of `unknown` in the program call an object, where that is a text."""
    calls = (
        node
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "unknown"
    )
    return {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}


def resolved(line: str) -> click.Command:
    """The command of a command line, which ends at the first argument, option or word in capitals."""
    found: click.Command = cli
    program, *words = line.split()
    assert program == "orchestrator"
    for word in words:
        if not isinstance(found, click.Group):
            break
        following = found.get_command(click.Context(found), word)
        assert following is not None, f"{line}: no command {word}"
        found = following
    return found


def test_each_object_has_a_command() -> None:
    """Each kind of record that users name, and each object of an error in the code, has a command that shows it."""
    assert {noun_of(kind) for kind in NAMED} | named_in_code() <= set(LOOKUPS)
    assert all(lookup.shows for lookup in LOOKUPS.values())


@pytest.mark.parametrize("what", sorted(LOOKUPS))
def test_the_commands_of_hints_exist(what: str) -> None:
    """Each command of a hint is one of the program, with options that it has."""
    for line in (LOOKUPS[what].shows, LOOKUPS[what].adds):
        if not line:
            continue
        command = resolved(line)
        assert not isinstance(command, click.Group), line
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        assert set(re.findall(r"(?<= )--?[a-z-]+", line)) <= options, line


@pytest.mark.parametrize("kind", NAMED, ids=noun_of)
def test_a_missing_record_names_its_command(kind: RecordKind[Any]) -> None:
    """An error about a record that does not exist names the command that shows or adds such records."""
    desk = Desk()
    with pytest.raises(OrchestratorError) as caught:
        read_register(desk.acting("root"), Action.VIEW, lambda view: view.existing(kind, "nobody-x"))
    assert caught.value.code == "A110"
    assert "orchestrator " in str(caught.value.hint)


def test_the_hint_names_the_nearest_and_the_command() -> None:
    """Where objects exist, the hint has the nearest one and what shows them; otherwise what adds one."""
    assert object_hint("train", "T-l", ["T-1"]) == "did you mean 'T-1'? orchestrator train list shows what exists"
    assert object_hint("train", "T-1", []) == "orchestrator train create LINE adds one"
    assert object_hint("audit entry", "9", []) == "orchestrator audit list shows what exists"
