"""A calendar that a user subscribes to: the secret address, and what is in it."""

from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.access.principals import PrincipalName
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment


class CalendarAddress(Model):
    """The address of the calendar of *user*: the hash of its secret, never the secret."""

    sha256: Digest
    user: PrincipalName
    created_at: Moment


@dataclass(frozen=True)
class FeedItem:
    """Something at a time, such as a booking. *uid* stays the same, and *sequence* rises with each change of it."""

    uid: str
    sequence: int
    title: str
    start: datetime
    end: datetime
    description: str = ""
    environments: tuple[str, ...] = ()


@dataclass(frozen=True)
class CalendarFeed:
    """The *rules* and the *items* that a user may view. *stamp* is a time that stays the same."""

    rules: tuple[CalendarRule, ...]
    items: tuple[FeedItem, ...]
    stamp: datetime
