"""What of a state tells whether an operation that was killed has changed anything."""

from typing import Any

import pytest

from orchestrator.adapters.pulumi.stack import fingerprint

ROOT: dict[str, Any] = {"urn": "urn:pulumi:s::s::pulumi:pulumi:Stack::s-s", "type": "pulumi:pulumi:Stack"}
PROVIDER: dict[str, Any] = {"urn": "p", "type": "pulumi:providers:aws", "custom": True, "id": "1"}
COMPONENT: dict[str, Any] = {"urn": "c", "type": "my:site:Web"}
HOST: dict[str, Any] = {
    "urn": "h",
    "type": "aws:ec2/instance:Instance",
    "custom": True,
    "id": "i-1",
    "inputs": {"size": "s"},
}
PENDING: dict[str, Any] = {"resource": {"urn": "h", "type": HOST["type"]}, "type": "creating"}


@pytest.mark.parametrize("found", [[], [ROOT], [ROOT, PROVIDER], [ROOT, PROVIDER, COMPONENT]])
def test_what_is_nothing_outside_of_the_state_is_no_change(found: list[dict[str, Any]]) -> None:
    """An operation that has only written the stack, providers and components has changed nothing, and can be repeated."""
    assert fingerprint({"resources": found}) == fingerprint({})


@pytest.mark.parametrize(
    "state",
    [
        {"resources": [ROOT, HOST]},
        {"resources": [ROOT], "pending_operations": [PENDING]},
        {"resources": [ROOT, {**HOST, "inputs": {"size": "m"}}]},
        {"resources": [ROOT, {**HOST, "id": "i-2"}]},
    ],
)
def test_a_resource_and_one_that_was_begun_are_changes(state: dict[str, Any]) -> None:
    """A resource, a value of one, and an operation that was begun are told apart from what was there before."""
    assert fingerprint(state) != fingerprint({"resources": [ROOT]})
    if "pending_operations" not in state and state["resources"][-1] != HOST:
        assert fingerprint(state) != fingerprint({"resources": [ROOT, HOST]})
