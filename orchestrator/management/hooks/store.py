"""Where hooks and deliveries are kept: in the register, deliveries in the order of their times."""

from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import OPEN, RecordKind
from orchestrator.management.hooks.model import Delivery, Hook

HOOKS = RecordKind("hooks", Hook, lambda hook: hook.name, noun="hook")
DELIVERIES = RecordKind(
    "hook_deliveries",
    Delivery,
    key=lambda delivery: delivery.id,
    part=lambda delivery: delivery.hook if delivery.has_ended else OPEN,
    position=lambda delivery: moment_text(delivery.received_at),
    noun="hook-delivery",
)
