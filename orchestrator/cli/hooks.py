"""Hooks and deliveries as users read them, in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.cli.output import Cell

if TYPE_CHECKING:
    from orchestrator.management.hooks.model import Delivery, Hook


def hook_row(hook: "Hook") -> list[Cell]:
    """The hook as a row of a table."""
    events = ", ".join(hook.events)
    return [hook.name, hook.form.value, hook.account, events, hook.ref, _effect(hook), hook.release]


def hook_lines(hook: "Hook", address: str) -> Iterator[str]:
    """The hook in words, with its *address* for senders."""
    from orchestrator.domain.moments import minute_text

    yield f"{hook.name}: on {', '.join(hook.events)} of {hook.ref}, {_effect(hook)} {hook.release}"
    yield f"address   {address} (form {hook.form.value})"
    yield f"account   {hook.account}"
    yield f"created   {minute_text(hook.created_at)} by {hook.created_by}"


def _effect(hook: "Hook") -> str:
    return f"promote to {hook.environment}" if hook.environment else hook.then


def delivery_row(delivery: "Delivery") -> list[Cell]:
    """The delivery as a row of a table."""
    from orchestrator.domain.moments import minute_text

    event = delivery.event
    about = event.release or " ".join(filter(None, (event.short_ref, event.commit[:12])))
    package = str(delivery.package) if delivery.package is not None else ""
    attempt = f"attempt {delivery.attempt}" if delivery.attempt > 1 else ""
    result = "; ".join(filter(None, (attempt, package, delivery.run_request, delivery.note)))
    what = " ".join(filter(None, (event.kind, about)))
    return [delivery.id, minute_text(delivery.received_at), delivery.hook, what, delivery.state.value, result or "–"]
