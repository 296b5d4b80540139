"""Notifications: which facts are sent to which channel, and when. Facts are transitions, and never states."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.access.principals import PrincipalName
from orchestrator.domain.calendar.rules import EnvironmentPattern
from orchestrator.domain.calendar.zones import ZoneName, to_utc, wall_clock
from orchestrator.domain.model import Model, Name, digest_of
from orchestrator.domain.moments import Moment, moment_text

RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
EventPattern = Annotated[str, StringConstraints(pattern=r"^[a-z*][a-z.*-]{0,60}$")]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
RETRIES = tuple(timedelta(minutes=each) for each in (1, 5, 30, 120, 480, 1440))
"""The pauses after each failed attempt. After the last one the notification is dead."""
DIGESTS = {"hourly": timedelta(hours=1), "daily": timedelta(days=1)}
ID_DIGITS = 32
LONGEST_ERROR = 300


RolesOf = Callable[[str, str | None], frozenset[str]]
"""The roles of a user in an environment; None: in any."""


class ChannelKind(StrEnum):
    """How notifications are sent."""

    WEBHOOK = "webhook"
    """A request that is signed by Standard Webhooks."""
    MAIL = "mail"
    CHAT = "chat"
    """Any service that Apprise knows, by its address."""


class Fact(Model):
    """A transition that users hear of.

    *kind* is its event, such as `run.failed`, and *about* its object. *to* is the user that it needs, if it is
    one. *by* is who requested or caused it. *text* is what happened as a sentence, with its *state* and one *cause*.
    *path* leads to its page.
    """

    id: str
    kind: str
    at: Moment
    about: str
    environment: str = ""
    to: str = ""
    by: str = ""
    text: str
    state: str = ""
    cause: str = ""
    path: str = ""

    def concerned(self, *, needed_only: bool = False) -> str:
        """The user whom it is about: the one that it needs; otherwise the one who requested it. Empty if none is."""
        return self.to if self.to or needed_only else self.by


class QuietHours(Model):
    """The wall-clock times in *zone* from *start* to *end*, which may be on the next day, in which nothing is sent."""

    start: TimeOfDay
    end: TimeOfDay
    zone: ZoneName = "UTC"

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.start == self.end:
            raise ValueError("must not start and end at the same time")
        return self

    def end_after(self, at: datetime) -> datetime:
        """*at*, or the end of the quiet time that contains it."""
        wall = wall_clock(at, self.zone)
        clock = f"{wall:%H:%M}"
        overnight = self.start > self.end
        inside = clock >= self.start or clock < self.end if overnight else self.start <= clock < self.end
        if not inside:
            return at
        hour, minute = map(int, self.end.split(":"))
        ending = wall.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return to_utc(ending + timedelta(days=1) if ending <= wall else ending, self.zone)


class RuleDraft(Model):
    """What a rule is about: the *events* and the *environment* whose facts go to its *channel*.

    With *user* only what needs that user, or was requested by them, is sent; with *role* likewise for the users with
    that role in the environment. *needed_only* leaves out what they have requested. With *digest* facts are collected.
    *private* lets the target have a private address. *link* is the address of the server, for links.
    """

    name: RuleName
    events: Annotated[tuple[EventPattern, ...], Field(min_length=1)] = ("*",)
    environment: EnvironmentPattern = "*"
    user: PrincipalName | None = None
    role: Name | None = None
    needed_only: bool = False
    channel: ChannelKind
    digest: Literal["none", "hourly", "daily"] = "none"
    quiet: QuietHours | None = None
    private: bool = False
    link: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s]{1,300})?$")] = ""

    @model_validator(mode="after")
    def _has_one_subject(self) -> Self:
        if self.user is not None and self.role is not None:
            raise ValueError("is for a user or for a role, and not for both")
        if self.needed_only and self.user is None and self.role is None:
            raise ValueError("needed_only belongs to a user or a role")
        return self

    @property
    def own_user(self) -> str | None:
        """The user whose own rule it is, who needs no right for it: not with a private target or a chat service."""
        return None if self.private or self.channel is ChannelKind.CHAT else self.user

    @property
    def subject(self) -> str:
        """Whose facts are sent, in words."""
        whose = self.user or (f"users with the role {self.role}" if self.role else "all")
        return f"{whose}, only what needs them" if self.needed_only else whose

    def is_about(self, fact: Fact, roles_of: "RolesOf") -> bool:
        """Whether *fact* is sent. *roles_of* are the roles of a user in an environment."""
        place = not fact.environment or fnmatchcase(fact.environment, self.environment)
        if not place or not any(fnmatchcase(fact.kind, pattern) for pattern in self.events):
            return False
        user = fact.concerned(needed_only=self.needed_only)
        if self.role is not None:
            return bool(user) and self.role in roles_of(user, fact.environment or None)
        return self.user is None or user == self.user


class NotificationRule(RuleDraft):
    """A rule whose target is *sealed* with the project key. *shown* is the part of the target that is not secret."""

    sealed: str
    shown: str
    created_at: Moment
    created_by: str

    def not_quiet(self, at: datetime) -> datetime:
        """*at*, or the end of the quiet hours that contain it."""
        return self.quiet.end_after(at) if self.quiet is not None else at

    def notification(self, fact: Fact, roles_of: "RolesOf") -> "Notification | None":
        """What is sent of *fact*; None if it is from before the rule, or the rule is not about it."""
        if fact.at < self.created_at or not self.is_about(fact, roles_of):
            return None
        due = fact.at
        group = ""
        if self.digest != "none":
            due = _next(due, DIGESTS[self.digest])
            group = f"{self.name} {moment_text(due)}"
        due = self.not_quiet(due)
        id_ = _id(self.name, fact.id)
        message = _id("digest", group) if group else id_
        return Notification(id=id_, message=message, rule=self.name, fact=fact, due_at=due)


class Notification(Model):
    """A *fact* for the channel of a *rule*. *message* is the id that the receiver gets, also with each retry.

    Notifications of one digest have one *message*. *tries* counts the attempts that have failed.
    """

    id: str
    message: str
    rule: str
    fact: Fact
    state: Literal["pending", "sent", "dead"] = "pending"
    due_at: Moment
    tries: int = Field(default=0, ge=0)
    error: str = ""
    ended_at: Moment | None = None

    def sent(self, at: datetime) -> "Notification":
        """The notification after it was sent."""
        return self.model_copy(update={"state": "sent", "error": "", "ended_at": at})

    def failed(self, at: datetime, error: str) -> "Notification":
        """The notification after an attempt that has failed: it is retried later, or is dead."""
        fields = {"tries": self.tries + 1, "error": error[:LONGEST_ERROR]}
        if self.tries >= len(RETRIES):
            return self.model_copy(update={**fields, "state": "dead", "ended_at": at})
        return self.model_copy(update={**fields, "due_at": at + RETRIES[self.tries]})

    def again(self, at: datetime) -> "Notification":
        """The notification, which is due again *at* a moment, with the same id."""
        return self.model_copy(update={"state": "pending", "tries": 0, "due_at": at, "ended_at": None})


class Target(Model):
    """Where a rule sends to: an *address*, and for webhooks the *secret* of signatures. It is stored encrypted."""

    address: str
    secret: str = ""


class FeedPlace(Model):
    """How far the journal was read for notifications: all entries up to *cursor*."""

    name: str
    cursor: str


def notifications_of(rules: Iterable[NotificationRule], fact: Fact, roles_of: RolesOf) -> Iterator[Notification]:
    """One notification of *fact* for each of the *rules* that is about it."""
    return (found for rule in rules if (found := rule.notification(fact, roles_of)) is not None)


def _next(at: datetime, step: timedelta) -> datetime:
    """The first full *step* of the day (UTC) after *at*."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + ((at - day) // step + 1) * step


def _id(*parts: str) -> str:
    return digest_of(list(parts)).removeprefix("sha256:")[:ID_DIGITS]
