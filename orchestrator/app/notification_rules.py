"""Use cases about notifications: the rules, what was sent, and what is sent again."""

from dataclasses import dataclass
from typing import Protocol

from orchestrator.app.acting import Acting, Change, View, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.model import digest_of
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

RUNS = "runs"
"""The name of the place in the journal of runs."""
TEST = "notifications.test"


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
class NewRule:
    """A *rule*, and the *secret* of its signatures, which is shown once; empty for other channels."""

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
        if draft.user is not None:
            task.existing(USERS, draft.user)
        shown = sources.check_target(draft.channel, address, private=draft.private)
        secret = new_secret() if draft.channel is ChannelKind.WEBHOOK else ""
        sealed = sources.seal(draft.name, Target(address=address, secret=secret).model_dump_json())
        about = {"sealed": sealed, "shown": shown, "created_at": task.now.earliest}
        rule = NotificationRule.model_validate({**dict(draft), **about, "created_by": str(task.acting.actor)})
        if task.records.get(FEED_PLACES, RUNS) is None:
            task.put(FEED_PLACES, FeedPlace(name=RUNS, cursor=sources.feed_end()))
        return NewRule(task.put(NOTIFICATION_RULES, rule, event="add"), secret)

    plain = not draft.private and draft.channel is not ChannelKind.CHAT
    return change(acting, Action.MANAGE_TOKENS, work, owner=draft.user if plain else None)


@forwarded
def remove_notification_rule(acting: Acting, name: str, reason: str = "") -> NotificationRule:
    """Remove a rule. What it has not sent yet is not sent any more. Raises A110."""
    owner = read_register(acting, Action.VIEW, lambda view: view.existing(NOTIFICATION_RULES, name).user)

    def work(task: Change) -> NotificationRule:
        rule = task.existing(NOTIFICATION_RULES, name)
        task.remove(NOTIFICATION_RULES, rule, event="remove")
        return rule

    return change(acting, Action.MANAGE_TOKENS, work, owner=owner, reason=reason)


@forwarded
def list_notification_rules(acting: Acting) -> tuple[NotificationRule, ...]:
    """The rules by name, without their targets."""

    def work(view: View) -> tuple[NotificationRule, ...]:
        return tuple(rule.model_copy(update={"sealed": ""}) for rule in view.records.all(NOTIFICATION_RULES))

    return read_register(acting, Action.VIEW, work)


@forwarded
def list_notifications(
    acting: Acting, state: str | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[Notification]:
    """A page of the notifications, or of those in *state*, the newest first."""
    parts = [state] if state is not None else None
    return read_register(
        acting,
        Action.READ_AUDIT,
        lambda view: view.records.page(NOTIFICATIONS, parts, newest_first=True, cursor=cursor, limit=limit),
    )


@forwarded
def retry_notification(acting: Acting, key: str) -> Notification:
    """Send a dead notification again, with the same id. Raises A110 and N163."""

    def work(task: Change) -> Notification:
        found = task.records.get(NOTIFICATIONS, key)
        if found is None:
            raise OrchestratorError("A110", f"the notification {key} does not exist")
        if found.state != "dead":
            raise OrchestratorError("N163", f"the notification {key} is {found.state}")
        return task.put(NOTIFICATIONS, found.again(task.now.earliest), event="retry")

    return change(acting, Action.MANAGE_TOKENS, work)


@forwarded
def test_notification_rule(acting: Acting, name: str) -> Notification:
    """Have a notification sent to the channel of a rule at once. Raises A110."""
    owner = read_register(acting, Action.VIEW, lambda view: view.existing(NOTIFICATION_RULES, name).user)

    def work(task: Change) -> Notification:
        rule = task.existing(NOTIFICATION_RULES, name)
        at = task.now.earliest
        id_ = digest_of([TEST, name, str(at)]).removeprefix("sha256:")[:32]
        text = f"a test of the rule {name}, requested by {task.acting.actor}"
        fact = Fact(id=id_, kind=TEST, at=at, about=f"rule {rule.name}", by=str(task.acting.actor), text=text)
        made = Notification(id=id_, message=id_, rule=rule.name, fact=fact, due_at=at)
        return task.put(NOTIFICATIONS, made, event="test")

    return change(acting, Action.MANAGE_TOKENS, work, owner=owner)
