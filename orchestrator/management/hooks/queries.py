"""What users see of hooks and deliveries. No secret is among it."""

from collections.abc import Iterator

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, authorize
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.register import OPEN
from orchestrator.management.hooks.decisions import COMMITS
from orchestrator.management.hooks.model import Delivery, Hook, HookFinding, HookTest
from orchestrator.management.hooks.ports import HookSources
from orchestrator.management.hooks.state import DeliveryState
from orchestrator.management.hooks.store import DELIVERIES, HOOKS


def _without_secret(hook: Hook) -> Hook:
    return hook.model_copy(update={"sealed": ""})


@forwarded
def list_hooks(acting: Acting) -> tuple[Hook, ...]:
    """The hooks, by name."""
    return read_register(acting, Action.VIEW, lambda view: tuple(map(_without_secret, view.records.all(HOOKS))))


@forwarded
def show_hook(acting: Acting, name: str) -> Hook:
    """One hook. Raises A110."""
    return read_register(acting, Action.VIEW, lambda view: _without_secret(view.existing(HOOKS, name)))


@forwarded
def list_deliveries(
    acting: Acting,
    hook: str | None = None,
    *,
    state: DeliveryState | None = None,
    oldest_first: bool = False,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Delivery]:
    """A page of the deliveries, the newest first, or the oldest. With *hook* or *state* a page may have fewer rows."""
    parts = [OPEN, hook] if hook is not None else None

    def work(view: View) -> Page[Delivery]:
        page = view.records.page(DELIVERIES, parts, newest_first=not oldest_first, cursor=cursor, limit=limit)
        chosen = tuple(each for each in page.items if hook in {None, each.hook} and state in {None, each.state})
        return Page[Delivery](items=chosen, cursor=page.cursor)

    return read_register(acting, Action.VIEW, work)


@forwarded
def test_hook(acting: Acting, name: str, sources: HookSources) -> HookTest:
    """What a delivery to the hook *name* would meet: its account, its rights, its release and the repository.

    Nothing is sent, built or promoted. Raises A110.
    """

    def work(view: View) -> HookTest:
        hook = view.existing(HOOKS, name)
        return HookTest(hook=hook.name, findings=tuple(_findings(view, hook, sources)))

    return read_register(acting, Action.VIEW, work)


def _findings(view: View, hook: Hook, sources: HookSources) -> Iterator[HookFinding]:
    release = f"the release {hook.release}"
    known = hook.release in sources.release_names()
    yield HookFinding(holds=known, text=release if known else f"{release} is not in the project, and is not kept")
    needed: list[tuple[Action, str | None]] = [(Action.VIEW, None)]
    if COMMITS & set(hook.events):
        needed.append((Action.BUILD, None))
        fault = sources.checkout_fault()
        yield HookFinding(holds=not fault, text=fault or "the folder of the project is a Git checkout with a remote")
    if hook.then == "promote":
        entries = sources.entry_environments()
        wanted = hook.environment or next(iter(entries), None)
        is_entry = wanted in entries
        text = f"it promotes to {wanted}" if is_entry else f"{wanted} is not the first environment of a path"
        yield HookFinding(holds=is_entry, text=text)
        needed.append((Action.PROMOTE, wanted))
    for action, environment in needed:
        target = Target(view.acting.project, environment)
        verdict = authorize(hook.actor, action, target, view.directory, view.now)
        yield HookFinding(holds=verdict.allowed, text=verdict.reason)
