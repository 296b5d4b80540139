"""The short form of `make hostile`."""

from pathlib import Path

import pytest

from tests.campaigns.chaos.table import Shared
from tests.campaigns.hostile.__main__ import FEWEST
from tests.campaigns.hostile.runner import lines, run, structures

LINES = lines()
SLOW = {"S5", "S14", "S22"}  # they start Ansible and pytest
NAMES = [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in LINES]
FEW = 12  # cases of each line


@pytest.mark.parametrize("name", LINES)
def test_a_line_has_cases_of_many_structures(name: str) -> None:
    """At least fifty attacks of different structure are tried, and they follow from the seed alone."""
    found = [case.structure for case in structures(LINES[name], 1)]
    assert len(found) >= FEWEST
    assert found == [case.structure for case in structures(LINES[name], 1)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_hostile_is_accepted(name: str, tmp_path: Path) -> None:
    """A few cases of each line: nothing is accepted, written or read outside, left running, or raised."""
    shared = Shared(tmp_path)
    try:
        figures = run(LINES[name], shared, 20261129, FEW)
        assert figures.found == []
        assert figures.cases == FEW
    finally:
        shared.forget()


@pytest.mark.parametrize("name", NAMES)
def test_a_removed_defence_is_noticed(name: str, tmp_path: Path) -> None:
    """Without the first defence of a line, its cases find something."""
    shared = Shared(tmp_path)
    try:
        with next(iter(LINES[name].DEFENCES.values()))():
            assert run(LINES[name], shared, 20261129, enough=1).found
    finally:
        shared.forget()
