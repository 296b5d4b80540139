"""The corpus is what it says, and a few of its projects do the same by hand and through the product."""

import json
import re
from pathlib import Path

import pytest

from tests.unchanged import effects
from tests.unchanged.__main__ import run, unexpected
from tests.unchanged.known import BY_DESIGN, LONGER, MENDS, SHAPES, SHORT
from tests.unchanged.project import PROJECTS, Command, Project, corpus
from tests.unchanged.undoings import coverage

DOCUMENT = PROJECTS.parents[2] / "docs" / "unchanged.md"


def test_the_corpus_is_large_and_covers_every_mend() -> None:
    """At least 40 projects, each of at least two shapes, and at least one for each mend."""
    projects = corpus()
    assert len(projects) >= 40
    assert {cover for project in projects for cover in project.covers} == set(MENDS)
    assert [project.name for project in projects if len(project.shapes) < 2 or not project.commands] == []


@pytest.mark.parametrize("project", corpus(), ids=lambda project: project.name)
def test_a_project_has_the_shapes_that_its_readme_names(project: Project) -> None:
    """Each shape is one of those that are known, and is in the project's files."""
    paths = [path for path in sorted(project.folder.rglob("*")) if path.is_file() and path.name != "README.md"]
    names = "\n".join(path.relative_to(project.folder).as_posix() for path in paths)
    everything = "\n".join([names, *(path.read_text("utf-8", "replace") for path in paths)])
    assert [shape for shape in project.shapes if not re.search(SHAPES[shape], everything)] == []


def test_what_each_project_covers_is_documented() -> None:
    """The documented table has each line, with the projects whose README names it."""
    assert "\n".join(coverage()) in DOCUMENT.read_text("utf-8")


def test_every_file_of_the_corpus_is_in_a_project() -> None:
    """A folder without a README would be left out without a word."""
    assert [folder.name for folder in PROJECTS.iterdir() if not (folder / "README.md").is_file()] == []


def test_the_table_of_differences_is_documented() -> None:
    """Each difference by design is a row of the documented table, which has at most ten, and no other row is there."""
    section = DOCUMENT.read_text("utf-8").partition("## Differences by design")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!difference|---)([^|]+?) \|", section, re.MULTILINE)
    assert rows == list(dict.fromkeys(row.row for row in BY_DESIGN))
    assert len(rows) <= 10


def test_a_line_of_a_readme_is_taken_apart() -> None:
    """Folder, program, options with their values, and arguments are those of the shell."""
    command = Command.of("cd ansible && ansible-playbook -i 'my hosts' --tags=a,b -v site.yml")
    assert (command.folder, command.program, command.arguments) == ("ansible", "ansible-playbook", ("site.yml",))
    assert command.values("-i", "--tags") == ["my hosts", "a,b"]


def test_a_file_on_the_controller_is_compared_without_what_always_differs(tmp_path: Path) -> None:
    """Of a log our own plays, order and times are left out, of a fact cache the facts; what Git keeps is no file."""
    start = "2026-01-02 03:04:05,678 p=12 u=root n=ansible INFO| "
    lines = ("PLAY [Orchestrator: claim the hosts] *", "ok: [web]", "PLAY [Own] *", f"b: {tmp_path}", "a: done")
    for name, text in (
        ("run.log", "".join(f"{start}{line}\n" for line in lines)),
        ("facts/web1", '{"ansible_date_time": "now", "own": 1}'),
        ("facts/web2", json.dumps({"__payload__": '{"ansible_date_time": "now", "own": 2}'})),
        (".git/config", ""),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert effects.of_controller(effects.files_of(tmp_path), [(str(tmp_path), "<PROJECT>")]) == {
        "controller:facts/web1": '{"own": 1}',
        "controller:facts/web2": '{"own": 2}',
        "controller:run.log": "INFO| PLAY [Own] *\nINFO| a: done\nINFO| b: <PROJECT>",
    }


@pytest.mark.engines
@pytest.mark.parametrize("name", [*SHORT, *(pytest.param(name, marks=pytest.mark.long) for name in LONGER)])
def test_a_project_runs_unchanged(name: str) -> None:
    """Files, modes, variables, task results and test outcomes are the same by hand and through the product."""
    (made,) = run([project for project in corpus() if project.name == name], 1)
    assert made.tasks
    assert made.tests
    assert [str(difference) for difference in unexpected(made)] == [], made.printed[-4000:]
