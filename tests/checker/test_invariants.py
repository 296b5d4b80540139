"""The checker itself: each invariant is violated by one value, and is then named."""

from dataclasses import replace
from typing import Any

import pytest

from tests.checker.invariants import Done, Seen, Told, violations

NEW, OLD = "sha256:new", "sha256:old"
STEP, PROOF = (
    ("journal", "r", "step.started", "deploy.1", ""),
    ("journal", "r", "step.finished", "verify.s.environment", "succeeded"),
)
CHANGING = [("journal", "r", "host", host, "changing") for host in ("a", "b")]
GOOD = Seen(
    running={"a": NEW, "b": NEW},
    told={"a": Told("seen", NEW), "b": Told("assumed", NEW)},
    approved={NEW, OLD},
    ended={"r": "succeeded"},
    ledgers=[Done("a", "r", "deploy.1", 1), Done("b", "r", "deploy.1", 1)],
    order=[STEP, *CHANGING, ("effect", "r", "deploy.1", "a"), ("effect", "r", "deploy.1", "b"), PROOF,
           ("journal", "r", "step.started", "retire", ""), ("effect", "r", "retire", "b")],
    verified=NEW,
    before={"a": OLD, "b": OLD},
)  # fmt: skip


def test_nothing_is_wrong_when_all_is_well() -> None:
    """What is as it should be has no violation."""
    assert violations(GOOD) == []


def test_a_repeated_proof_is_one() -> None:
    """A suite whose first attempt was killed proves the environment in its second."""
    order = [*GOOD.order, ("effect", "r", "deploy.1", "a"), (*PROOF[:3], f"{PROOF[3]}~2", PROOF[4])]
    assert violations(replace(GOOD, order=order)) == []


@pytest.mark.parametrize(
    ("invariant", "changed"),
    [
        ("I1", {"running": {"a": NEW, "b": OLD}}),
        ("I1", {"running": {"a": "sha256:other", "b": NEW}}),
        ("I3", {"told": {"a": Told("empty", None), "b": Told("seen", NEW)}}),
        ("I2", {"ledgers": [Done("a", "r", "deploy.1", 1), Done("a", "r", "deploy.1", 1)]}),
        ("I2", {"ledgers": [Done("a", "r", "deploy.1", 2), Done("a", "r", "deploy.2", 1)]}),
        ("I3", {"order": [STEP, ("effect", "r", "deploy.1", "a")]}),
        ("I3", {"ended": {"r": "failed"}}),
        ("I4", {"order": [("effect", "r", "deploy.1", "a"), STEP, PROOF]}),
        ("I5", {"leases": ["r"]}),
        ("I5", {"leftovers": ["process 12"]}),
        ("I6", {"ended": {"r": "deploying"}}),
        ("I9", {"order": [STEP, CHANGING[0], ("effect", "r", "deploy.1", "b"), PROOF]}),
        ("I9", {"told": {"a": Told("changing", OLD), "b": Told("seen", NEW)}}),
        ("I10", {"given": {"a": ("a", "b"), "b": ("a", "b", "c")}, "gives": ("a", "b")}),
        ("I3", {"documents": {"show": {"a": Told("seen", OLD)}}}),
        ("I4", {"claimed": {("a", "r", "deploy.1")}}),
        ("I11", {"ended": {"r": "rolled back"}, "had": {"a": {"conf": b"1"}}, "has": {"a": {"conf": b"2"}}}),
        ("I7", {"batches": {("r", "deploy"): [{"a"}, {"b"}]}}),
    ],
)  # fmt: skip
def test_each_invariant_is_checked(invariant: str, changed: dict[str, Any]) -> None:
    """One thing that is not as it should be is named by its invariant."""
    assert any(text.startswith(invariant) for text in violations(replace(GOOD, **changed)))
