"""Requests to hooks: verified, and recorded once. What follows from them is done by workers."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from orchestrator.app.acting import Acting, Change, access_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.model import digest_of
from orchestrator.domain.standard_webhooks import new_secret
from orchestrator.management.hooks.events import reported_event
from orchestrator.management.hooks.model import Delivery, Hook, HookEvent, HookForm
from orchestrator.management.hooks.ports import HookSources
from orchestrator.management.hooks.signatures import HookRefusal, Received, check_signature
from orchestrator.management.hooks.state import DeliveryEvent, DeliveryState
from orchestrator.management.hooks.store import DELIVERIES, HOOKS
from orchestrator.register_ports import Changes

REFUSALS_APART = timedelta(minutes=1)
"""Of refusals of one hook for one reason, one is recorded in this time: any sender can cause them."""
ID_DIGITS = 16
MOST_ATTEMPTS = 20
"""How often one request can be delivered after failures: others can repeat a request that they have recorded."""
ACTIONS = {"build": Action.BUILD, "promote": Action.PROMOTE}
"""What the audit stream calls the effect of a delivery."""


@dataclass(frozen=True)
class HookReceiver:
    """Receives requests to the hooks of the register of *acting*."""

    acting: Acting
    sources: HookSources

    def receive(self, name: str, received: Received) -> tuple[Delivery, bool]:
        """The delivery that *received* is, and whether it is new. Raises `HookRefusal`, also for an unknown hook.

        The same request again finds the delivery, and has no effect unless that has failed.
        """
        hook = self.acting.register.reading(lambda records: records.get(HOOKS, name))
        if hook is None:
            raise self._unknown(received)
        try:
            identity = self._identity(hook.form, self.sources.open_secret(hook.name, hook.sealed), received)
            event = reported_event(hook.form, received)
            return self._changed(hook, lambda task: _recorded(task, hook, identity, event))
        except HookRefusal as refusal:
            self._record_refusal(hook, refusal)
            raise

    def _identity(self, form: HookForm, secret: str, received: Received) -> str:
        return check_signature(form, secret, received, self.acting.register.reading(self.acting.now))

    def _unknown(self, received: Received) -> HookRefusal:
        """The refusal for a hook that does not exist, after the same work as for one with another secret."""
        with suppress(HookRefusal):
            self._identity(HookForm.GITHUB, new_secret(), received)
        return HookRefusal("the hook does not exist")

    def _changed(self, hook: Hook, work: Callable[[Change], tuple[Delivery, bool]]) -> tuple[Delivery, bool]:
        acting = replace(self.acting, actor=hook.actor)

        def whole(records: Changes) -> tuple[Delivery, bool]:
            return work(Change(acting, records, access_of(records), acting.now(records), ACTIONS[hook.then]))

        return acting.register.changing(str(acting.actor), whole)

    def _record_refusal(self, hook: Hook, refusal: HookRefusal) -> None:
        """List the refusal with its reason, unless one of this kind was listed a moment ago."""
        id_ = _id(hook, f"refused {refusal.why}")

        def is_recent(at: Delivery | None) -> bool:
            now = self.acting.register.reading(self.acting.now)
            return at is not None and at.received_at > now.earliest - REFUSALS_APART

        if is_recent(self.acting.register.reading(lambda records: records.get(DELIVERIES, id_))):
            return

        def work(task: Change) -> tuple[Delivery, bool]:
            at = task.now.earliest
            made = Delivery(id=id_, hook=hook.name, received_at=at, event=HookEvent(kind="other"))
            refused = made.after(DeliveryEvent.REFUSE, at, note=refusal.why)
            task.records.put(DELIVERIES, refused)
            _record_denied(task, hook, refused)
            return refused, True

        self._changed(hook, work)


def _record_denied(task: Change, hook: Hook, delivery: Delivery) -> None:
    entry = record_by(
        task.acting.actor,
        project=task.acting.project,
        at=task.now.earliest,
        action=task.action.value,
        object=f"hook:{hook.name}",
        outcome="denied",
        detail={"reason": delivery.note},
    )
    task.records.record(entry)


def _id(hook: Hook, identity: str) -> str:
    return digest_of([hook.name, identity]).removeprefix("sha256:")[:ID_DIGITS]


def _recorded(task: Change, hook: Hook, identity: str, event: HookEvent) -> tuple[Delivery, bool]:
    """The delivery of *event*, and whether it is new: the first one, or another attempt after one that has failed.

    Raises `HookRefusal` if its account cannot act.
    """
    attempt, id_, known = 1, _id(hook, identity), None
    while (found := task.records.get(DELIVERIES, id_)) is not None:
        known, attempt = found, attempt + 1
        id_ = _id(hook, f"{identity} attempt {attempt}")
    if known is not None and (known.state is not DeliveryState.FAILED or attempt > MOST_ATTEMPTS):
        return known, False
    account = Directory(task.access).service_accounts.get(hook.account)
    if account is None or not account.is_active:
        raise HookRefusal(f"the service account {hook.account} does not exist or is disabled")
    at, ignored = task.now.earliest, event.not_for(hook)
    made = Delivery(id=id_, hook=hook.name, received_at=at, event=event, root=secrets.token_hex(3), attempt=attempt)
    delivery = made.after(DeliveryEvent.IGNORE, at, note=ignored) if ignored else made
    about = {"hook": hook.name, "event": event.kind, **({"attempt": attempt} if attempt > 1 else {})}
    return task.put(DELIVERIES, delivery, **about), True
