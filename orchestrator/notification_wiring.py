"""The parts of a project that are about notifications."""

import base64
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.app.front_end import ApplicationParts
    from orchestrator.app.notification_rules import NotificationSources
    from orchestrator.app.scheduler import Duty
    from orchestrator.domain.notifications import ChannelKind, Notification, NotificationRule, Target

    Base = ApplicationParts
else:
    Base = object


class NotificationParts(Base):
    """What `App` has of notifications. Each part is made when it is first used."""

    @cached_property
    def notification_sources(self) -> "NotificationSources":
        """The project, as notifications need it."""
        return ProjectNotificationSources(self)

    def notification_duties(self) -> "tuple[Duty, ...]":
        """Facts become notifications, and what is due is sent."""
        from orchestrator.app.notification_duties import CollectFacts, SendDue

        return CollectFacts(self.store, self.acting), SendDue(self.worker_calls, self.acting)


class ProjectNotificationSources:
    """The `NotificationSources` of a project: its key, its journal and the channels."""

    def __init__(self, app: "ApplicationParts") -> None:
        self._app = app

    def seal(self, rule: str, text: str) -> str:
        """The text, encrypted."""
        return base64.b64encode(self._app.keys.encrypt(text.encode(), _about(rule))).decode()

    def open_sealed(self, rule: str, sealed: str) -> str:
        """What was sealed."""
        return self._app.keys.decrypt(base64.b64decode(sealed), _about(rule)).decode()

    def feed_end(self) -> str:
        """The cursor of the newest journal entry."""
        return self._app.store.feed_end() or ""

    def check_target(self, channel: "ChannelKind", address: str, *, private: bool) -> str:
        """What is shown of the target."""
        from orchestrator.adapters.notifications.channels import check_target

        return check_target(channel, address, private=private)

    def deliver(self, rule: "NotificationRule", target: "Target", notifications: "tuple[Notification, ...]") -> None:
        """Send them."""
        from orchestrator.adapters.notifications.channels import deliver

        deliver(rule, target, notifications, self._app.clock)


def _about(rule: str) -> str:
    """What an encrypted target belongs to."""
    return f"notification-rule/{rule}"
