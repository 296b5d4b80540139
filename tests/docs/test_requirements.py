"""Each requirement of docs/safety.md has tests that exist, and so has each promise."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/safety.md").read_text()
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINES = re.compile(r"`make hostile LINES=([\w,]+)`")
ROWS = {int(number): (text, tests) for number, text, tests in ROW.findall(PAGE)}
COUNT = 22
"""Requirements that have to be tested; those that come later are listed below the table."""
LATER = ("signatures of plans", "encrypted backups")


@cache
def functions_of(path: str) -> frozenset[str]:
    """The names of the functions in the file *path* that are not skipped."""
    tree = ast.parse((ROOT / path).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(
        node.name
        for node in functions
        if not any(ast.unparse(mark).startswith("pytest.mark.skip(") for mark in node.decorator_list)
    )


def test_every_requirement_is_listed() -> None:
    """The table has a line for each requirement, in order; those that come later are named."""
    assert list(ROWS) == list(range(1, COUNT + 1))
    later = PAGE.partition("These requirements come later:")[2].partition("## ")[0]
    assert [word for word in LATER if word not in later] == []


@pytest.mark.parametrize("number", range(1, COUNT + 1))
def test_every_requirement_has_a_test(number: int) -> None:
    """At least one test function is named, and all of those that are named exist."""
    named = TEST.findall(ROWS[number][1])
    assert [name for _, name in named if name]
    assert missing(ROWS[number][1]) == []


def test_every_test_that_the_page_names_exists() -> None:
    """Also those of promises that are not in the table."""
    assert missing(PAGE) == []


def test_every_promise_names_its_tests() -> None:
    """A promise names a requirement of the table, or its own tests."""
    part = PAGE.partition("## Promises about packages")[2].partition("## What is not covered")[0]
    promises = [text for text in re.split(r"\n\n", part) if text.startswith("**")]
    assert len(promises) > 15
    bare = [
        text.splitlines()[0] for text in promises if not TEST.search(text) and not re.search(r"requirements? \d", text)
    ]
    assert bare == []


def test_a_test_that_does_not_exist_is_noticed() -> None:
    """Neither a file, nor a function, nor a line of hostile cases is believed."""
    here = "tests/docs/test_requirements.py"
    assert missing(f"`{here}::test_every_requirement_is_listed` `{here}`") == []
    assert missing(f"`{here}::test_nothing`, `tests/nowhere.py::test_a`, `make hostile LINES=S8,S99`") == [
        f"{here}::test_nothing",
        "tests/nowhere.py::test_a",
        "S99",
    ]


def missing(text: str) -> list[str]:
    """The tests that *text* names and that do not exist."""
    found = [
        f"{path}::{name}" if name else path
        for path, name in TEST.findall(text)
        if not (ROOT / path).is_file() or (name and name not in functions_of(path))
    ]
    lines = {f"S{int(file.name[1:3])}" for file in (ROOT / "tests/campaigns/hostile").glob("s[0-9][0-9]_*.py")}
    return found + [line for named in LINES.findall(text) for line in named.split(",") if line not in lines]
