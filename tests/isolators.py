"""The isolators of this machine, for tests that run with each of them."""

import shutil
from pathlib import Path

import pytest

from orchestrator.isolation.find import problem_of
from orchestrator.isolation.isolator import NONE, Isolator, Kind
from tools.bubblewrap import cached


def working(kind: Kind) -> Isolator:
    """The isolator of this *kind*. The test is skipped where it does not work."""
    if kind == "none":
        return NONE
    program = shutil.which("bwrap") or str(cached())
    if kind == "bubblewrap" and not Path(program).is_file():
        pytest.skip("bubblewrap is not installed, and its package could not be obtained")
    found = Isolator(kind, program if kind == "bubblewrap" else "")
    if reason := problem_of(found):
        pytest.skip(f"{kind} does not work here: {reason}")
    return found
