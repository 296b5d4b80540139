"""Use cases that add and remove hooks, and what a worker does for a delivery."""

from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, View, change, read_register, unknown
from orchestrator.app.forwarding import accepted_by, forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.powers import powers_of_credential, powers_of_scopes
from orchestrator.domain.access.principals import Actor, ActorKind, Scope
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES
from orchestrator.domain.register import SERVICE_ACCOUNTS
from orchestrator.domain.release import PackageRef
from orchestrator.domain.standard_webhooks import new_secret
from orchestrator.management.hooks.model import Delivery, Hook, HookDraft
from orchestrator.management.hooks.ports import HookSources
from orchestrator.management.hooks.state import DELIVERY_TABLE, DeliveryEvent
from orchestrator.management.hooks.store import DELIVERIES, HOOKS

COMMITS = frozenset({"push", "tag"})
"""The events that report a commit."""
WITHOUT_CHECKOUT = (
    "clone the repository into the folder of the server and of each worker, or use `--form generic --on release` "
    "for packages that a CI job builds with `orchestrator --server URL build`"
)


@dataclass(frozen=True)
class NewHook:
    """A *hook* with the text of its *secret*, which is shown once."""

    hook: Hook
    secret: str


@forwarded
def add_hook(acting: Acting, draft: HookDraft, sources: HookSources) -> NewHook:
    """Add a hook. Its secret is a credential of its service account, as a token is. Raises A110, G701 and G703."""

    def work(task: Change) -> NewHook:
        if task.records.get(HOOKS, draft.name) is not None:
            raise OrchestratorError("G701", f"the hook {draft.name} exists already")
        _check_account(task, draft)
        _check_target(draft, sources)
        secret = new_secret()
        about = {"sealed": sources.seal(draft.name, secret), "created_at": task.now.earliest}
        hook = Hook.model_validate({**dict(draft), **about, "created_by": str(task.acting.actor)})
        return NewHook(task.put(HOOKS, hook, event="add", account=hook.account, then=hook.then), secret)

    return change(acting, Action.MANAGE_TOKENS, work)


@forwarded
def edit_hook(acting: Acting, draft: HookDraft, sources: HookSources, reason: str = "") -> Hook:
    """Replace what the hook with the name of *draft* does. Its secret and its deliveries stay.

    Raises A110, G701 and G703.
    """

    def work(task: Change) -> Hook:
        hook = task.existing(HOOKS, draft.name)
        _check_account(task, draft)
        _check_target(draft, sources)
        fields = {name: getattr(draft, name) for name in HookDraft.model_fields}
        changed = task.put(HOOKS, hook.model_copy(update=fields), event="edit", account=draft.account, then=draft.then)
        return changed.model_copy(update={"sealed": ""})

    return change(acting, Action.MANAGE_TOKENS, work, reason=reason)


def _check_account(task: Change, draft: HookDraft) -> None:
    account = task.existing(SERVICE_ACCOUNTS, draft.account)
    if not account.is_active:
        raise OrchestratorError("G701", f"the service account {account.name} is disabled")
    actions = (Action.BUILD,) if draft.then == "build" else (Action.BUILD, Action.PROMOTE)
    owner, scopes = Actor(name=account.name, kind=ActorKind.SERVICE_ACCOUNT), (Scope(actions=actions),)
    held = powers_of_credential(owner, scopes, task.acting.project, task.directory, task.now)
    task.require_giving({*powers_of_scopes(scopes), *held})


def _check_target(draft: HookDraft, sources: HookSources) -> None:
    fault = sources.build_fault() if COMMITS & set(draft.events) else ""
    if fault:
        raise OrchestratorError("G703", f"the hook cannot build commits: {fault}", hint=WITHOUT_CHECKOUT)
    names, entries = sources.release_names(), sources.entry_environments()
    if draft.release not in names:
        raise unknown("release", draft.release, sorted(names))
    if draft.environment is None:
        return
    if draft.then == "build":
        raise OrchestratorError("G701", "a hook that builds has no environment")
    if draft.environment not in entries:
        first = ", ".join(entries)
        raise OrchestratorError("G701", f"{draft.environment} is not the first environment of a path ({first})")


@forwarded
def remove_hook(acting: Acting, name: str, reason: str = "") -> Hook:
    """Remove a hook with its secret. Its deliveries stay listed; those that wait fail. Raises A110."""

    def work(task: Change) -> Hook:
        hook = task.existing(HOOKS, name)
        task.remove(HOOKS, hook, event="remove")
        return hook

    return change(acting, Action.MANAGE_TOKENS, work, reason=reason)


def _require_builder(acting: Acting, delivery: str, sources: HookSources) -> None:
    """Return if the actor is the service account that may build *delivery*. Raises A101, A110 and G702."""
    del sources
    read_register(acting, Action.BUILD, lambda view: _own_delivery(view, delivery))


@accepted_by(_require_builder)
@forwarded
def build_delivery(acting: Acting, delivery: str, sources: HookSources) -> Delivery:
    """Build what *delivery* reports, as the service account of its hook, in a worker. Raises A101, A110 and G702.

    A build that another worker has left unfinished is repeated.
    """
    started, hook = change(acting, Action.BUILD, lambda task: _started(task, delivery))
    if started.has_ended or started.package is not None:
        return started
    try:
        package = sources.build(acting.actor, hook.release, started.event)
    except OrchestratorError as error:
        if error.code in STORE_FAILURES:
            raise
        note = f"{error.message} ({error.code})"
        return change(acting, Action.BUILD, lambda task: _ended(task, delivery, DeliveryEvent.FAIL, note))
    event = DeliveryEvent.FINISH_BUILD if hook.then == "promote" else DeliveryEvent.COMPLETE
    return change(acting, Action.BUILD, lambda task: _ended(task, delivery, event, package=package))


def _own_delivery(view: View, key: str) -> tuple[Delivery, Hook]:
    """The delivery *key*, and its hook, for the actor. Raises A110 and G702."""
    delivery = view.existing(DELIVERIES, key)
    hook = view.existing(HOOKS, delivery.hook)
    if view.acting.actor.principal != hook.actor.principal:
        raise OrchestratorError("G702", f"the delivery {key} is for {hook.account}, and for no other actor")
    return delivery, hook


def _started(task: Change, key: str) -> tuple[Delivery, Hook]:
    delivery, hook = _own_delivery(task, key)
    if not delivery.event.commit or not DELIVERY_TABLE.allows(delivery.state, DeliveryEvent.BUILD):
        return delivery, hook
    building = delivery.after(DeliveryEvent.BUILD, task.now.earliest)
    return task.put(DELIVERIES, building, event="build", commit=delivery.event.commit), hook


def _ended(task: Change, key: str, event: DeliveryEvent, note: str = "", package: PackageRef | None = None) -> Delivery:
    delivery = task.existing(DELIVERIES, key)
    if not DELIVERY_TABLE.allows(delivery.state, event):  # another worker was first
        return delivery
    ended = delivery.after(event, task.now.earliest, note=note, package=package)
    return task.put(DELIVERIES, ended, event=event.value)
