"""When an operation of Pulumi is good: one rule."""

from typing import Any

import pytest

from orchestrator.adapters.pulumi.verdict import is_good

SAID: dict[str, Any] = {"code": 0, "corrupt": False, "uncertain": [], "error": "", "effects": 2}
CASES: dict[str, tuple[str, int | None, dict[str, Any], bool]] = {
    "everything says so": ("exited", 0, {}, True),
    "nothing was changed": ("exited", 0, {"effects": 0}, True),
    "the engine failed": ("exited", 0, {"code": 255}, False),
    "the engine was killed": ("exited", 0, {"code": -9}, False),
    "the job failed": ("exited", 1, {}, False),
    "the job was killed": ("lost", None, {}, False),
    "the job was stopped": ("stopped", 0, {}, False),
    "the time limit": ("timeout", 0, {}, False),
    "no exit status": ("exited", None, {}, False),
    "nothing was told": ("exited", 0, {"code": None}, False),
    "the state is damaged": ("exited", 0, {"corrupt": True}, False),
    "a create without an answer": ("exited", 0, {"uncertain": ["urn"]}, False),
    "a resource that was begun": ("exited", 0, {"unfinished": ["web1"]}, False),
    "it was refused": ("exited", 0, {"refused": "E163"}, False),
}


@pytest.mark.parametrize("case", CASES)
def test_an_operation_is_good_only_when_everything_says_so(case: str) -> None:
    """The end of the job, the exit status of the engine and what its events say decide together."""
    how, code, said, good = CASES[case]
    assert is_good(how, code, {**SAID, **said}) is good
