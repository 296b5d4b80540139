"""Use cases about notifications: the rules, what was sent, and what is sent again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from orchestrator.app.acting import Acting, Change, View, change, read_own, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.model import digest_of
from orchestrator.domain.moments import moment_text
from orchestrator.domain.notifications import (
    ChannelKind,
    Fact,
    FeedPlace,
    Notification,
    NotificationRule,
    RuleDraft,
    Target,
)
from orchestrator.domain.register import FEED_PLACES, NOTIFICATION_RULES, NOTIFICATIONS, USERS
from orchestrator.domain.standard_webhooks import new_secret
from orchestrator.register_ports import Records

RUNS = "runs"
"""The name of the place in the journal of runs."""
TEST = "notifications.test"
T = TypeVar("T")


class NotificationSources(Protocol):
    """What notifications need of the project."""

    def seal(self, rule: str, text: str) -> str:
        """*text* encrypted with the project key. Raises S150 and S151."""

    def open_sealed(self, rule: str, sealed: str) -> str:
        """What was sealed. Raises D170, D171, S150 and S151."""

    def feed_end(self) -> str:
        """The cursor of the newest journal entry; empty without one."""

    def check_target(self, channel: ChannelKind, address: str, *, private: bool) -> str:
        """What is shown of the target *address*. Raises N161 if it cannot be used."""

    def deliver(self, rule: NotificationRule, target: Target, notifications: tuple[Notification, ...]) -> None:
        """Send *notifications*, which have one message, to *target*. Raises N162 if that has failed."""


def target_of(sources: NotificationSources, rule: NotificationRule) -> Target:
    """The target of *rule*. Raises D170, D171, S150 and S151."""
    return Target.model_validate_json(sources.open_sealed(rule.name, rule.sealed))


@dataclass(frozen=True)
class NotificationFilter:
    """Which notifications are listed: in a *state*, and of a *rule*."""

    state: Literal["pending", "sent", "dead"] | None = None
    rule: str | None = None


@dataclass(frozen=True)
class NewRule:
    """A *rule*, and the *secret* of its signatures, which is shown once; empty if it is not new."""

    rule: NotificationRule
    secret: str


@forwarded
def add_notification_rule(acting: Acting, draft: RuleDraft, address: str, sources: NotificationSources) -> NewRule:
    """Add a rule that sends to *address*. Every user may add rules about what needs them. Raises A110 and N161.

    Another rule, one with a private address, and one for a chat service need the right to manage tokens.
    """

    def work(task: Change) -> NewRule:
        if task.records.get(NOTIFICATION_RULES, draft.name) is not None:
            raise OrchestratorError("N161", f"the rule {draft.name} exists already")
        made = _sealed(task, draft, Target(address=address), sources)
        if task.records.get(FEED_PLACES, RUNS) is None:
            task.put(FEED_PLACES, FeedPlace(name=RUNS, cursor=sources.feed_end()))
        return NewRule(task.put(NOTIFICATION_RULES, made.rule, event="add"), made.secret)

    return change(acting, Action.MANAGE_TOKENS, work, owner=draft.own_user)


@forwarded
def edit_notification_rule(
    acting: Acting, draft: RuleDraft, address: str, sources: NotificationSources, reason: str = ""
) -> NewRule:
    """Replace what the rule with the name of *draft* is about. An empty *address* keeps the target.

    The secret of a webhook stays as well. Facts from before the change are not sent. Raises A110, N145 and N161.
    """

    def work(task: Change, rule: NotificationRule) -> NewRule:
        target = target_of(sources, rule)
        if address or draft.channel is not rule.channel:
            kept = target.secret if draft.channel is rule.channel else ""
            target = Target(address=address, secret=kept)
        made = _sealed(task, draft, target, sources)
        times = {"created_at": rule.created_at, "created_by": rule.created_by}
        return NewRule(
            task.put(NOTIFICATION_RULES, made.rule.model_copy(update=times), event="edit"),
            "" if target.secret else made.secret,
        )

    return _change_rule(acting, draft.name, work, draft, reason)


@forwarded
def remove_notification_rule(acting: Acting, name: str, reason: str = "") -> NotificationRule:
    """Remove a rule. What it has not sent yet is not sent any more. Raises A110 and N145."""

    def work(task: Change, rule: NotificationRule) -> NotificationRule:
        task.remove(NOTIFICATION_RULES, rule, event="remove")
        return rule

    return _change_rule(acting, name, work, reason=reason)


@forwarded
def list_notification_rules(acting: Acting) -> tuple[NotificationRule, ...]:
    """The rules by name, without their targets."""

    def work(view: View) -> tuple[NotificationRule, ...]:
        return tuple(map(_without_target, view.records.all(NOTIFICATION_RULES)))

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_notification_rule(acting: Acting, name: str) -> NotificationRule:
    """One rule, without its target. Raises A110."""
    return read_register(acting, Action.VIEW, lambda view: _without_target(view.existing(NOTIFICATION_RULES, name)))


@forwarded
def list_notifications(
    acting: Acting,
    chosen: NotificationFilter | None = None,
    *,
    oldest_first: bool = False,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Notification]:
    """A page of the notifications, the newest first, or the oldest."""
    wanted = chosen or NotificationFilter()

    def work(view: View) -> Page[Notification]:
        rules = None if wanted.rule is None else frozenset({wanted.rule})
        return _page(view, wanted.state, rules, (oldest_first, cursor, limit))

    return read_register(acting, Action.READ_AUDIT, work)


@forwarded
def list_own_notifications(
    acting: Acting,
    chosen: NotificationFilter | None = None,
    *,
    oldest_first: bool = False,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Notification]:
    """A page of the notifications by the rules for the actor, the newest first, or the oldest."""
    wanted, name = chosen or NotificationFilter(), str(acting.actor)

    def work(view: View) -> Page[Notification]:
        own = {rule.name for rule in view.records.all(NOTIFICATION_RULES) if rule.own_user == name}
        rules = frozenset(own if wanted.rule is None else own & {wanted.rule})
        return _page(view, wanted.state, rules, (oldest_first, cursor, limit))

    return read_own(acting, work)


@forwarded
def retry_notification(acting: Acting, key: str) -> Notification:
    """Send a dead notification again, with the same id. Raises A110 and N163."""

    def owner(view: View) -> str | None:
        found = view.records.get(NOTIFICATIONS, key)
        rule = view.records.get(NOTIFICATION_RULES, found.rule) if found is not None else None
        return rule.own_user if rule is not None else None

    def work(task: Change) -> Notification:
        found = task.records.get(NOTIFICATIONS, key)
        if found is None:
            raise unknown("notification", key, [])
        if found.state != "dead":
            raise OrchestratorError("N163", f"the notification {key} is {found.state}")
        return task.put(NOTIFICATIONS, found.again(task.now.earliest), event="retry")

    return change(acting, Action.MANAGE_TOKENS, work, owner=read_own(acting, owner))


@forwarded
def test_notification_rule(acting: Acting, name: str) -> Notification:
    """Have a notification sent to the channel of a rule at once. Raises A110 and N145."""

    def work(task: Change, rule: NotificationRule) -> Notification:
        at = task.now.earliest
        id_ = digest_of([TEST, name, str(at)]).removeprefix("sha256:")[:32]
        text = f"a test of the rule {name}, requested by {task.acting.actor}"
        fact = Fact(id=id_, kind=TEST, at=at, about=f"rule {rule.name}", by=str(task.acting.actor), text=text)
        made = Notification(id=id_, message=id_, rule=rule.name, fact=fact, due_at=at)
        return task.put(NOTIFICATIONS, made, event="test")

    return _change_rule(acting, name, work)


def rule_version(rule: NotificationRule) -> str:
    """The digest of *rule* without its target: what a page shows of it."""
    return digest_of(_without_target(rule).to_json())


def unchanged_rule(name: str, version: str) -> Callable[[Records], None]:
    """A precondition of a change: the rule *name* has this *version*. Otherwise it raises N145."""

    def check(records: Records) -> None:
        found = records.get(NOTIFICATION_RULES, name)
        if found is None or rule_version(found) != version:
            raise OrchestratorError("N145", f"the rule {name} has changed since it was read")

    return check


# -- parts -------------------------------------------------------------------------------------------------------------


def _without_target(rule: NotificationRule) -> NotificationRule:
    return rule.model_copy(update={"sealed": ""})


def _change_rule(
    acting: Acting,
    name: str,
    work: Callable[[Change, NotificationRule], T],
    draft: RuleDraft | None = None,
    reason: str = "",
) -> T:
    """What *work* does with the rule *name*, which becomes *draft*. Its user needs no right, before and after that."""
    found = read_register(acting, Action.VIEW, lambda view: view.existing(NOTIFICATION_RULES, name))
    owners = {found.own_user, (draft or found).own_user}

    def whole(task: Change) -> T:
        rule = task.records.get(NOTIFICATION_RULES, name)
        if rule != found:
            raise OrchestratorError("N145", f"the rule {name} has changed meanwhile")
        return work(task, found)

    return change(acting, Action.MANAGE_TOKENS, whole, owner=owners.pop() if len(owners) == 1 else None, reason=reason)


def _sealed(task: Change, draft: RuleDraft, target: Target, sources: NotificationSources) -> NewRule:
    """The rule of *draft* with *target*, and the secret of a webhook, made if it has none. Raises A110 and N161."""
    directory = task.directory
    if draft.user is not None:
        task.existing(USERS, draft.user)
    if draft.role is not None and draft.role not in directory.roles:
        raise unknown("role", draft.role, sorted(directory.roles))
    shown = sources.check_target(draft.channel, target.address, private=draft.private)
    secret = (target.secret or new_secret()) if draft.channel is ChannelKind.WEBHOOK else ""
    sealed = sources.seal(draft.name, Target(address=target.address, secret=secret).model_dump_json())
    about = {"sealed": sealed, "shown": shown, "created_at": task.now.earliest, "created_by": str(task.acting.actor)}
    fields = {name: getattr(draft, name) for name in RuleDraft.model_fields}
    return NewRule(NotificationRule.model_validate({**fields, **about}), secret)


def _page(
    view: View, state: str | None, rules: frozenset[str] | None, place: tuple[bool, str | None, int]
) -> Page[Notification]:
    """A page of the notifications in *state* by *rules* (None: all) from the *place*: order, cursor and limit."""
    oldest_first, cursor, limit = place
    parts = [state] if state is not None else None
    if rules is None:
        return view.records.page(NOTIFICATIONS, parts, newest_first=not oldest_first, cursor=cursor, limit=limit)
    newest, more = not oldest_first, False
    found: list[Notification] = []
    for rule in sorted(rules):
        page = view.records.page(NOTIFICATIONS, parts, about=rule, newest_first=newest, cursor=cursor, limit=limit)
        found += page.items
        more = more or page.cursor is not None
    found.sort(key=lambda each: (moment_text(each.fact.at), each.id), reverse=newest)
    shown = found[:limit]
    ends = len(found) <= limit and not more
    return Page(items=tuple(shown), cursor=None if ends else f"{moment_text(shown[-1].fact.at)} {shown[-1].id}")
