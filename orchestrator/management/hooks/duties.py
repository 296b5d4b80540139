"""What follows from deliveries: builds are given to workers, and promotions are requested. Each happens once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, change, read_own
from orchestrator.app.scheduler import do_each
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES
from orchestrator.domain.moments import Now
from orchestrator.domain.register import OPEN
from orchestrator.domain.text import with_reason
from orchestrator.management.hooks.model import Delivery
from orchestrator.management.hooks.ports import HookExecutions
from orchestrator.management.hooks.state import DELIVERY_TABLE, DeliveryEvent
from orchestrator.management.hooks.store import DELIVERIES, HOOKS


@dataclass
class FollowDeliveries:
    """The scheduler's duty."""

    acting: Acting
    executions: HookExecutions
    name: str = "hooks"

    def due(self, now: Now) -> bool:
        """Whether a delivery waits for something."""
        del now
        return read_own(self.acting, lambda view: bool(view.records.all(DELIVERIES, OPEN)))

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do it."""
        del now
        waiting = acting.register.reading(lambda records: records.all(DELIVERIES, OPEN))
        yield from do_each(waiting, lambda each: self._follow(acting, each), lambda each: each.id)

    def _follow(self, acting: Acting, delivery: Delivery) -> Iterator[str]:
        hook = acting.register.reading(lambda records: records.get(HOOKS, delivery.hook))
        if hook is None:
            yield _end(acting, delivery, DeliveryEvent.FAIL, note=f"the hook {delivery.hook} was removed")
            return
        try:
            if delivery.event.commit and delivery.package is None:
                failure = self.executions.request_build(hook, delivery)
                if failure:
                    yield _end(acting, delivery, DeliveryEvent.FAIL, note=failure)
                return
            found = self.executions.promote(hook, delivery)
        except OrchestratorError as error:
            if error.code in STORE_FAILURES:
                raise
            yield _end(acting, delivery, DeliveryEvent.FAIL, note=f"{error.message} ({error.code})")
            return
        fields = {"package": found.package, "run_request": found.run_request, "note": found.note}
        yield _end(acting, delivery, DeliveryEvent.COMPLETE, **fields)


def _end(acting: Acting, delivery: Delivery, event: DeliveryEvent, **fields: object) -> str:
    def work(task: Change) -> Delivery:
        current = task.existing(DELIVERIES, delivery.id)
        if not DELIVERY_TABLE.allows(current.state, event):
            return current
        ended = current.after(event, task.now.earliest, **fields)
        return task.put(DELIVERIES, ended, event=event.value)

    after = change(acting, Action.PROMOTE, work)
    return with_reason(f"the delivery {after.id} of {after.hook} is {after.state}", after.note)
