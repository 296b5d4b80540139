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
