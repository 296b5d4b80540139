"""Lists of notifications by rule: every page in order, nothing twice and nothing left out, on each adapter."""

import itertools
from datetime import timedelta
from typing import Literal

import pytest

from orchestrator.app.notification_rules import NotificationFilter, list_notifications, list_own_notifications
from orchestrator.domain.moments import moment_text
from orchestrator.domain.notifications import ChannelKind, Fact, Notification, NotificationRule
from orchestrator.domain.register import NOTIFICATION_RULES, NOTIFICATIONS
from orchestrator.register_ports import Register
from tests.app.desk import NOON, Desk
from tests.management.test_implementation_use_cases import opened, register

__all__ = ["opened", "register"]  # the fixtures
STATES: tuple[Literal["sent"] | None, ...] = (None, "sent")
RULES = {"mail": "viewer", "chat": "viewer", "ops": None, "other": "viewer"}


@pytest.fixture
def desk(register: Register) -> Desk:
    """A register with 24 notifications of three rules, of which some are of the same moment; one rule has none."""
    made = Desk(register)
    about = {"channel": ChannelKind.WEBHOOK, "sealed": "x", "shown": "x", "created_at": NOON, "created_by": "root"}
    for name, user in RULES.items():
        made.write(NOTIFICATION_RULES, NotificationRule.model_validate({**about, "name": name, "user": user}))
    for number in range(24):
        rule, at = ("mail", "chat", "ops")[number % 3], NOON + timedelta(minutes=number // 4)
        key = f"{(number * 7) % 24:032x}"
        fact = Fact(id=key, kind="run.ended", at=at, about=f"run {number}", by="ann", text="x")
        state: Literal["sent", "pending"] = "sent" if number % 2 else "pending"
        made.write(NOTIFICATIONS, Notification(id=key, message=key, rule=rule, fact=fact, due_at=at, state=state))
    return made


def test_pages_of_own_notifications_are_complete(desk: Desk) -> None:
    """The pages of the notifications by the rules of a user have all of them in order, and no others."""
    every = desk.register.reading(lambda records: records.all(NOTIFICATIONS))
    for oldest_first, state, rule in itertools.product((False, True), STATES, (None, "mail", "other")):
        mine = {rule} if rule else {name for name, user in RULES.items() if user == "viewer"}
        wanted = [each for each in every if each.rule in mine and state in {None, each.state}]
        wanted.sort(key=lambda each: (moment_text(each.fact.at), each.id), reverse=not oldest_first)
        for limit in (1, 3, 8, 50):
            assert pages(desk, NotificationFilter(state, rule), oldest_first, limit) == wanted, (state, rule, limit)
        if rule:
            page = list_notifications(
                desk.acting("auditor"), NotificationFilter(state, rule), oldest_first=oldest_first
            )
            assert list(page.items) == wanted


def pages(desk: Desk, chosen: NotificationFilter, oldest_first: bool, limit: int) -> list[Notification]:
    """All pages of the notifications by the rules of a user."""
    found, cursor, viewer = list[Notification](), None, desk.acting("viewer")
    while True:
        page = list_own_notifications(viewer, chosen, oldest_first=oldest_first, cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found
