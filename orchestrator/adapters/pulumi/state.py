"""The content of a stack's exported state: outputs, secret ones apart, and a digest of all of it.

Held in memory only: an export shows secrets in clear.
"""

import json
from collections.abc import Iterator
from typing import Any

from orchestrator.adapters.pulumi.events import SECRET, STACK, hide
from orchestrator.adapters.pulumi.stack import VOLATILE, State
from orchestrator.domain.context import Outputs
from orchestrator.domain.model import digest_of
from orchestrator.domain.secret import Secret, secrets_of


def stack_outputs(state: State) -> Outputs:
    """The stack's outputs. One that holds anything secret is secret as a whole."""
    plain: dict[str, Any] = {}
    hidden: dict[str, Any] = {}
    for name, value in _outputs(state).items():
        (hidden if _is_secret(value) else plain)[name] = _revealed(value)
    return Outputs(plain, hidden)


def marked_secrets(state: State) -> list[Secret]:
    """Every value of the state that is marked as secret, by the name of its property."""
    return [secret for resource in state.get("resources") or [] for secret in _secrets(resource, "")]


def _secrets(value: Any, name: str) -> Iterator[Secret]:
    if isinstance(value, dict) and SECRET in value:
        if "plaintext" in value:
            yield from secrets_of(name, _revealed(value))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _secrets(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, name)


def hidden(state: State) -> dict[str, Any]:
    """The outputs as the engine's events show them: every secret part replaced."""
    return {name: hide(value) for name, value in _outputs(state).items()}


def base(state: State) -> str:
    """The digest of the state, without what differs although nothing has changed: times and source positions."""
    resources = [
        {key: value for key, value in resource.items() if key not in VOLATILE}
        for resource in state.get("resources") or []
    ]
    return digest_of({"resources": resources, "pending": state.get("pending_operations") or []})


def count(state: State) -> int:
    """The number of resources as Pulumi counts them: with the stack itself, without the providers that it adds."""
    return sum(not _is_default_provider(resource) for resource in state.get("resources") or [])


def _is_default_provider(resource: dict[str, Any]) -> bool:
    name = str(resource.get("urn", "")).rsplit("::", 1)[-1]
    return str(resource.get("type", "")).startswith("pulumi:providers:") and name.startswith("default")


def protected_resources(state: State) -> dict[str, str]:
    """The resources that the program protects, by URN: `protect` or `retainOnDelete`."""
    found = {}
    for resource in state.get("resources") or []:
        words = [word for word in ("protect", "retainOnDelete") if resource.get(word)]
        if words:
            found[str(resource["urn"])] = words[0]
    return found


def resources(state: State) -> list[dict[str, Any]]:
    """Every resource but the stack itself and its providers, as an operation reports its deletion."""
    saving = protected_resources(state)
    return [
        {
            "op": "delete",
            "type": str(resource["type"]),
            "name": str(resource["urn"]).rsplit("::", 1)[-1],
            "urn": str(resource["urn"]),
            "parent": str(resource.get("parent") or ""),
            "kept": saving.get(str(resource["urn"]), ""),
        }
        for resource in state.get("resources") or []
        if resource.get("type") != STACK and not str(resource.get("type", "")).startswith("pulumi:providers:")
    ]


def _outputs(state: State) -> dict[str, Any]:
    for resource in state.get("resources") or []:
        if resource.get("type") == STACK:
            return dict(resource.get("outputs") or {})
    return {}


def _is_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return SECRET in value or any(_is_secret(item) for item in value.values())
    return isinstance(value, list) and any(_is_secret(item) for item in value)


def _revealed(value: Any) -> Any:
    if isinstance(value, dict):
        if SECRET in value and "plaintext" in value:
            return json.loads(value["plaintext"])
        return {key: _revealed(item) for key, item in value.items()}
    return [_revealed(item) for item in value] if isinstance(value, list) else value
