"""What steps record besides their outcome."""

import json
from typing import Any

import pytest

from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import (
    HostsObserved,
    HostsReplaced,
    HostsSettled,
    LeaseTaken,
    LossesAgreed,
    Payload,
    PlanSettled,
    RehearsalJudged,
    SidesDeclared,
    SnapshotTaken,
    StackClaimed,
    StackDisposed,
)

OUTLINE: dict[str, Any] = {"hosts": {"web1": {}}, "groups": {}, "files": [], "source_digest": None}
STATE = {"host": "web1", "truth": "empty", "release": None, "since": None, "run": None, "serves": ""}
LOSS = {"op": "delete", "type": "aws:rds:Instance", "name": "db", "urn": "urn:db", "why": "listed"}
STORED: list[tuple[type[Payload], dict[str, Any]]] = [
    (LeaseTaken, {"fence": 7}),
    (PlanSettled, {"plan": "sha256:1"}),
    (HostsSettled, {"outline": OUTLINE, "digest": "sha256:2", "variables": None, "batches": [[["web1"]]]}),
    (HostsSettled, {"outline": OUTLINE, "digest": "sha256:2", "variables": "sha256:3"}),
    (HostsObserved, {"states": [STATE]}),
    (SidesDeclared, {"sides": {"blue": ["web1"], "green": []}}),
    (HostsReplaced, {"fresh": ["web1"]}),
    (SnapshotTaken, {"snapshot": "sha256:4"}),
    (RehearsalJudged, {"evidence": "sha256:5", "good": False, "document": {"left": 1}}),
    (LossesAgreed, {"held": "a1.look", "update_file": "sha256:6", "losses": [LOSS]}),
    (LossesAgreed, {"losses": []}),
    (StackDisposed, {"gone": True}),
    (StackClaimed, {"stack": "dev-1", "configured": "dev", "definition": "sha256:7", "until": "2026-01-01T00:00:00Z"}),
]


def _result(data: dict[str, Any]) -> StepResult:
    return StepResult(outcome=Outcome.SUCCEEDED, data=data)


@pytest.mark.parametrize(("kind", "data"), STORED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_payload_is_stored_as_it_always_was(kind: type[Payload], data: dict[str, Any]) -> None:
    """A payload that is read from a stored result is written again as the same JSON text."""
    assert json.dumps(kind.read(_result(data)).to_json()) == json.dumps(data)


def test_a_payload_is_read_from_a_result_with_the_facts_of_a_failure() -> None:
    """A payload is read beside the code of an error and the other facts that every result may have."""
    data = {"losses": [LOSS], "code": "R230", "untouched": True}
    result = _result(data)
    assert [loss.to_json() for loss in LossesAgreed.read(result).losses] == [LOSS]
    assert (result.code, result.is_untouched, result.is_lost, result.refused) == ("R230", True, False, ())


def test_what_an_older_program_did_not_record_has_a_default() -> None:
    """The hosts of a run that was started before variables were recorded are read, and so is a result without hosts."""
    assert (
        HostsSettled.read(_result({"outline": OUTLINE, "digest": "sha256:2", "batches": []})).variables == "unrecorded"
    )
    assert HostsObserved.read(_result({})).states == ()
    assert HostsReplaced.read(_result({})).fresh == ()
