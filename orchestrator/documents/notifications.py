"""The documents that the commands of notifications print with `--json`, as models."""

from typing import Literal

from orchestrator.documents.head import Document
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.notifications import Notification, RuleDraft


class ShownRule(RuleDraft):
    """A rule without its target, of which only *shown* is not secret."""

    shown: str
    created_at: Moment
    created_by: str


class NotificationRuleDocument(Document):
    """`orchestrator notifications rule remove --json`."""

    kind: Literal["NotificationRule"]
    rule: ShownRule


class NewNotificationRuleDocument(Document):
    """`orchestrator notifications rule add --json`: the *secret* of a webhook is not shown again."""

    kind: Literal["NewNotificationRule"]
    rule: ShownRule
    secret: str


class NotificationRulesDocument(Document):
    """`orchestrator notifications rule list --json`."""

    kind: Literal["NotificationRules"]
    rules: tuple[ShownRule, ...]


class NotificationDocument(Document):
    """`orchestrator notifications test --json` and `retry --json`."""

    kind: Literal["Notification"]
    notification: Notification


class NotificationsDocument(Document):
    """`orchestrator notifications list --json`, the newest first."""

    kind: Literal["Notifications"]
    notifications: tuple[Notification, ...]
    cursor: str | None


MODELS: dict[str, type[Model]] = {
    "notification-rule": NotificationRuleDocument,
    "new-notification-rule": NewNotificationRuleDocument,
    "notification-rules": NotificationRulesDocument,
    "notification": NotificationDocument,
    "notifications": NotificationsDocument,
}
