"""What users can request of a run."""

import pytest

from orchestrator.domain.journal import ControlVerb
from orchestrator.domain.run_controls import possible_requests

CASES: tuple[tuple[ControlVerb, bool, str], ...] = (
    ("", False, "pause cancel abort"),
    ("pause", False, "continue cancel abort"),
    ("cancel", False, "abort"),
    ("abort", False, ""),
    ("", True, "pause abort"),
    ("pause", True, "continue abort"),
    ("cancel", True, "pause abort"),
    ("abort", True, "pause abort"),
)


@pytest.mark.parametrize(("control", "going_back", "wanted"), CASES)
def test_a_run_is_asked_for_what_has_an_effect(control: ControlVerb, going_back: bool, wanted: str) -> None:
    """A run pauses or continues and never both, is cancelled once, and is not cancelled while it rolls back."""
    assert " ".join(possible_requests(control, going_back=going_back)) == wanted


@pytest.mark.parametrize(("control", "going_back", "wanted"), CASES)
def test_an_interrupted_run_can_be_continued(control: ControlVerb, going_back: bool, wanted: str) -> None:
    """Where a run could be paused it is continued instead when no process works on it; nothing else is different."""
    found = possible_requests(control, going_back=going_back, interrupted=True)
    pausable = control == "" or going_back
    assert " ".join(found) == (wanted.replace("pause", "continue") if pausable else wanted)
