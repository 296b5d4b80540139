"""`orchestrator implementation` on a real register: from a file to the end of a plan, with its documents."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.cli import main
from orchestrator.documents.management import MODELS
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
LAUNCH = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Launch ${{ parameters.version }}
parameters:
  version: {description: The version}
tasks:
  - name: announce
    title: Announce ${{ parameters.version }}
    instructions: Mail the shops.
    timeout: 4h
  - name: check
    after: [announce]
    duration: 1h
  - name: decide
    kind: decision
    after: [check]
"""
START = ("implementation", "start", "launch", "--parameter", "version=1.5.0")


@pytest.fixture
def planned(project: MemoryProject) -> MemoryProject:
    """A project with the template *launch*."""
    folder = project.folder / "implementation"
    folder.mkdir()
    (folder / "launch.yaml").write_text(LAUNCH)
    return project


def states(project: MemoryProject, key: str = "IP-1") -> list[str]:
    found = project.json("implementation", "status", key)
    return [task["state"] for task in found["plan"]["tasks"]]


def test_a_plan_is_carried_out_from_its_file(planned: MemoryProject) -> None:
    """A plan starts from its file, its tasks are begun, helped, failed, retried and done with evidence, and it is exported."""
    assert "no implementation plans" in planned.say("implementation", "list")
    assert "no task waits for you" in planned.say("implementation", "status")
    assert "implementation/launch.yaml" in planned.say("validate")
    said = planned.say(*START)
    assert "announce ready: Announce 1.5.0" in said
    assert "critical announce → check → decide" in said
    assert "IP-1 announce ready" in planned.say("implementation", "status")
    planned.say("implementation", "begin", "IP-1", "announce")
    planned.say("implementation", "help-needed", "IP-1", "announce", "-m", "no list")
    assert states(planned) == ["needs-help", "pending", "pending"]
    planned.say("implementation", "begin", "IP-1", "announce")
    planned.say("implementation", "fail", "IP-1", "announce", "-m", "the list is old")
    planned.say("implementation", "retry", "IP-1", "announce")
    planned.say("implementation", "done", "IP-1", "announce", "--evidence", "mailed", "--link", "https://example.org/1")
    shown = planned.say("implementation", "show", "IP-1", "announce")
    assert "Mail the shops." in shown
    assert "https://example.org/1" in shown
    planned.say("implementation", "add", "IP-1", "page", "--after", "announce", "--title", "Change the page")
    planned.say("implementation", "replan", "IP-1", "decide", "--after", "check", "--after", "page", "--for", "5m")
    assert states(planned) == ["done", "ready", "pending", "ready"]
    planned.say("implementation", "skip", "IP-1", "page", "-m", "no page")
    planned.say("implementation", "done", "IP-1", "check")
    planned.say("implementation", "decide", "IP-1", "decide", "go", "-m", "all is well")
    planned.say("implementation", "evidence", "IP-1", "check", "--evidence", "screenshot in the wiki")
    exported = planned.say("implementation", "export", "IP-1")
    assert "# IP-1: Launch 1.5.0" in exported
    assert "screenshot in the wiki" in exported
    MODELS["implementation-plan"].model_validate_json(
        planned.say("implementation", "export", "IP-1", "--format", "json")
    )
    assert planned.json("implementation", "list")["plans"] == []
    assert "completed" in planned.say("implementation", "list", "--all")
    planned.say(*START, "--at", (datetime.now(UTC) + timedelta(days=1)).isoformat(), "--rehearsal")
    assert planned.json("implementation", "done", "IP-2", "announce", code=3)["errors"][0]["code"] == "G404"
    planned.say("implementation", "status", "IP-2", "--refresh")
    planned.say(*START)
    said_ = {"implementation-plan": ("status", "IP-2"), "implementation-plans": ("list", "-n", "1"),
             "implementation-tasks": ("status",)}  # fmt: skip
    for kind, words in said_.items():
        MODELS[kind].model_validate_json(planned.say("implementation", *words, "--json"))
    planned.say("implementation", "abort", "IP-2", "-m", "wrong day", "--yes")
    assert states(planned, "IP-2") == ["aborted", "aborted", "aborted"]


def test_a_plan_is_re_planned_as_a_whole(planned: MemoryProject) -> None:
    """Without a task, `replan` changes the plan; fields of tasks and of plans are told apart; the export has both times."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="minutes")
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="minutes")
    planned.say(*START, "--at", tomorrow)
    said = planned.say(
        "implementation", "replan", "IP-1", "--start", later, "--title", "Night launch", "-m", "open late"
    )
    assert "Night launch" in said
    exported = planned.say("implementation", "export", "IP-1")
    row = next(line for line in exported.splitlines() if line.startswith("| Announce"))
    assert [cell.strip()[:10] for cell in row.split("|")[4:6]] == [tomorrow[:10], later[:10]]
    assert "Critical path: announce, check, decide." in exported
    for words, text in (
        (("--for", "2h"), "--for is a field of a task"),
        (("check", "--release", "REL-1"), "--release is a field of PLAN"),
        ((), "at least one field"),
    ):
        assert text in planned.json("implementation", "replan", "IP-1", *words, code=2)["errors"][0]["message"]


MEASURED = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Move the orders
tasks:
  - name: measure
    inputs:
      type: object
      properties:
        rows: {type: integer, description: The rows of the table}
        backup: {type: string}
      required: [backup]
  - name: move
    after: [measure]
    instructions: Move ${{ tasks.measure.rows }} rows, with ${{ tasks.measure.backup }} at hand.
"""


def test_inputs_are_given_and_used(planned: MemoryProject) -> None:
    """A task shows its inputs, takes them with `--input`, and later tasks and the export have their values."""
    (planned.folder / "implementation" / "move.yaml").write_text(MEASURED)
    planned.say("implementation", "start", "move")
    shown = planned.say("implementation", "show", "IP-1", "measure")
    assert "input  rows: integer: The rows of the table" in shown
    assert "input  backup: string, required" in shown
    wrong = planned.json("implementation", "done", "IP-1", "measure", "--input", "rows=many", code=2)["errors"][0]
    assert (wrong["code"], "rows: 'many'" in wrong["message"]) == ("G408", True)
    planned.say("implementation", "done", "IP-1", "measure", "--input", "rows", code=2)
    planned.say("implementation", "done", "IP-1", "measure", "--input", "rows=7", "--input", "backup=b-1")
    assert "Move 7 rows, with b-1 at hand." in planned.say("implementation", "show", "IP-1", "move")
    assert "- rows = 7" in planned.say("implementation", "export", "IP-1")
    (planned.folder / "schema.json").write_text('{"type": "object", "properties": {"n": {"type": "number"}}}')
    planned.say("implementation", "replan", "IP-1", "move", "--inputs", "schema.json")
    assert "input  n: number" in planned.say("implementation", "show", "IP-1", "move")
    (planned.folder / "schema.json").write_text("[]")
    planned.say("implementation", "replan", "IP-1", "move", "--inputs", "schema.json", code=2)


def test_what_is_wrong_with_inputs_in_a_file_is_told_by_its_place(planned: MemoryProject) -> None:
    """A secret input, and references to inputs that do not exist or are not there yet, are named with line and column."""
    wrong = MEASURED.replace("        backup:", "        password: {type: string}\n        backup:").replace(
        "measure.rows", "measure.row"
    )
    file = planned.folder / "implementation" / "move.yaml"
    file.write_text(wrong + "  - {name: own, owner: '${{ tasks.measure.rows }}', title: '${{ tasks.measure.rows }}'}\n")
    errors = planned.json("validate", code=2)["errors"]
    assert [(each["code"], each["line"], each["message"].partition(":")[0]) for each in errors] == [
        ("F160", 10, "the input password is a secret"),
        ("F160", 15, "measure has no input row"),
        ("F160", 16, "owner cannot refer to the inputs of a task"),
        ("F160", 16, "own uses an input of measure, but does not come after it"),
        ("F160", 16, "own uses an input of measure, but does not come after it"),
    ]


def test_what_is_wrong_is_told_with_its_code(planned: MemoryProject) -> None:
    """Wrong parameters, tasks and kinds have their codes, and a wrong file is told by line and column."""

    def code(*words: str, exit_: int = 2) -> str:
        return str(planned.json("implementation", *words, code=exit_)["errors"][0]["code"])

    planned.say("implementation", "start", code=2)
    assert code("start", "lanch", exit_=6) == "A110"
    assert code("start", "launch") == "G401"
    assert code("start", "launch", "--parameter", "versoin=1") == "G401"
    planned.say("implementation", "start", "launch", "--parameter", "version", code=2)
    planned.say(*START)
    assert code("done", "IP-1", "check", exit_=3) == "G404"
    assert code("decide", "IP-1", "announce", "go") == "G405"
    assert code("evidence", "IP-1", "announce", "--link", "ftp://x") == "G406"
    assert code("replan", "IP-1", "announce", "--after", "decide") == "G402"
    assert code("add", "IP-1", "check", exit_=3) == "G407"
    planned.say("implementation", "evidence", "IP-1", "announce", code=2)
    planned.say("implementation", "replan", "IP-1", "announce", code=2)
    assert code("show", "IP-1", "nothing", exit_=6) == "A110"
    file = planned.folder / "implementation" / "launch.yaml"
    file.write_text(
        LAUNCH.replace("after: [check]", "after: [chekc]").replace(
            "title: Announce ${{ parameters.version }}", "title: ${{ parameters.v }}"
        )
    )
    errors = planned.json("validate", code=2)["errors"]
    assert [(e["code"], e["line"], e["column"]) for e in errors] == [
        ("F160", 8, 12),
        ("F160", 16, 13),
    ]
    assert "did you mean 'check'" in errors[1]["hint"]


def test_a_completion_offers_plans_tasks_and_files(planned: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell completes the ids of open plans, the tasks of a plan, and the names of templates."""
    planned.say(*START)
    for words, expected in (("show ip", "IP-1"), ("show IP-1 ann", "announce"), ("start la", "launch")):
        monkeypatch.setenv("COMP_WORDS", f"orchestrator implementation {words}")
        monkeypatch.setenv("COMP_CWORD", str(1 + len(words.split())))
        monkeypatch.setenv("_ORCHESTRATOR_COMPLETE", "bash_complete")
        assert planned.capsys is not None
        with pytest.raises(SystemExit):
            main([])
        assert expected in planned.capsys.readouterr().out
