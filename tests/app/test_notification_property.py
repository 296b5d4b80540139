"""Property: whatever is commanded and whenever processes die, each fact has one notification for each rule about it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.app.acting import Acting, Change, change
from orchestrator.app.notification_duties import CollectFacts, send_notifications
from orchestrator.app.notification_rules import (
    add_notification_rule,
    edit_notification_rule,
    remove_notification_rule,
    retry_notification,
)
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.listing import FeedEntry
from orchestrator.domain.moments import Now
from orchestrator.domain.notifications import ChannelKind, Notification, NotificationRule, RuleDraft, Target
from orchestrator.domain.promotion import State
from orchestrator.domain.register import NOTIFICATION_RULES, NOTIFICATIONS, OUTBOX, Message
from tests.app.desk import Desk
from tests.app.notification_receivers import NotificationProject

RULES, USERS = ("one", "two"), ("viewer", "operator")
COMMANDS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(RULES), st.sampled_from((None, *USERS))),
    st.tuples(st.just("edit"), st.sampled_from(RULES), st.sampled_from((None, *USERS))),
    st.tuples(st.just("remove"), st.sampled_from(RULES), st.none()),
    st.tuples(st.just("message"), st.sampled_from(("m1", "m2", "m3")), st.sampled_from(USERS)),
    st.tuples(st.just("end"), st.sampled_from(("r1", "r2")), st.sampled_from(USERS)),
    st.tuples(st.sampled_from(("collect", "send", "refuse", "retry", "wait")), st.none(), st.none()),
)
DEATHS = st.sampled_from((None, None, None, "before", "after", "sent"))
"""When the process of a command dies: before or after it has committed, or after the receiver has the message."""


class DiedError(Exception):
    """The process of a command was killed."""


class MortalRegister(MemoryRegister):
    """A register whose process dies before or after the next transaction."""

    death: str | None = None

    def changing(self, by: str, work: Any, fence: int | None = None) -> Any:
        """The transaction, or what a killed process leaves of it."""
        death, self.death = self.death, None
        if death == "before":
            raise DiedError
        done = super().changing(by, work, fence)
        if death == "after":
            raise DiedError
        return done


@dataclass
class Receiver(NotificationProject):
    """A project whose receiver keeps what it gets. It refuses, or the sender dies when it has got a message."""

    refuses: bool = False
    dies: bool = False
    got: list[tuple[str, str, str]] = field(default_factory=list)

    def deliver(self, rule: NotificationRule, target: Target, notifications: tuple[Notification, ...]) -> None:
        assert target.secret
        if self.refuses:
            raise OrchestratorError("N162", "no")
        self.got += [(rule.name, each.fact.id, each.message) for each in notifications]
        if self.dies:
            self.dies = False
            raise DiedError


@dataclass
class Journal:
    """The ends of runs, and the notices between them."""

    entries: list[FeedEntry] = field(default_factory=list)

    def end(self, run: str, at: str) -> str:
        for kind in ("notice", "ended"):
            number = len(self.entries) + 1
            about: dict[str, Any] = {"cursor": f"{number}", "at": at, "environment": "staging", "run": run}
            self.entries.append(FeedEntry(**about, seq=number, kind=kind))
        return f"run {run} {len(self.entries)}"

    def feed(self, *, cursor: str | None = None, limit: int = 200) -> list[FeedEntry]:
        return self.entries[int(cursor or 0) :][:limit]

    def runs_named(self, names: tuple[str, ...]) -> list[Run]:
        about: dict[str, Any] = {"environment": "staging", "state": State.FAILED, "kind": "promotion", "message": "x"}
        return [Run(id=each, root=each, by="viewer", **about) for each in names]


@dataclass
class World:
    """A project with rules, what happens in it, and what must have been sent of it."""

    register: MortalRegister = field(default_factory=MortalRegister)
    project: Receiver = field(default_factory=Receiver)
    journal: Journal = field(default_factory=Journal)
    expected: set[tuple[str, str]] = field(default_factory=set)
    """The rule and the fact of each notification that must exist."""
    changed: dict[str, str] = field(default_factory=dict)
    """When each rule was changed last."""

    def __post_init__(self) -> None:
        self.desk = Desk(self.register)
        self.project.clock = self.desk.clock

    @property
    def system(self) -> Acting:
        return replace(self.desk.acting("root"), actor=SYSTEM_ACTOR)

    def rows(self) -> tuple[Notification, ...]:
        return self.register.reading(lambda records: records.all(NOTIFICATIONS))

    def rules(self) -> tuple[NotificationRule, ...]:
        return self.register.reading(lambda records: records.all(NOTIFICATION_RULES))

    def is_kept(self, dedup: str) -> bool:
        return self.register.reading(lambda records: records.get(OUTBOX, dedup)) is not None

    def note_message(self, dedup: str, to: str, *, before: bool) -> None:
        """Expect what the rules send of a message, if it was written by this command."""
        if self.is_kept(dedup) and not before:
            self.expected |= {(each.name, f"message {dedup}") for each in self.rules() if each.user in {None, to}}

    def note_ends(self) -> None:
        """Expect what rules send of the ends of runs since they were changed last."""
        for end in self.journal.entries:
            users = {None, "viewer"} if end.kind == "ended" else set()
            for rule in self.rules():
                if rule.user in users and self.changed[rule.name] < end.at:
                    self.expected.add((rule.name, f"run {end.run} {end.seq}"))

    def message(self, name: str, to: str) -> None:
        given = {"dedup": f"{name} {to}", "to": to, "kind": "train", "text": name}

        def work(task: Change) -> None:
            if task.records.get(OUTBOX, given["dedup"]) is None:
                task.put(OUTBOX, Message.model_validate({**given, "at": task.now.earliest}))

        change(self.system, Action.RUN_WORKER, work)

    def collect(self) -> None:
        duty = CollectFacts(self.journal, self.system)  # a new process each time
        if duty.due(Now.at(self.desk.clock.now())):
            list(duty.do(self.system, Now.at(self.desk.clock.now())))

    def do(self, verb: str, name: Any, user: Any) -> None:
        """One command, as a process of its own."""
        root, draft = self.desk.acting("root"), RuleDraft(name=name or "x", channel=ChannelKind.WEBHOOK, user=user)
        self.project.refuses = verb == "refuse"
        if name in RULES:
            self.changed[name] = self.desk.clock.now()
        commands: dict[str, Callable[[], object]] = {
            "add": lambda: add_notification_rule(root, draft, "https://93.184.216.34/x", self.project),
            "edit": lambda: edit_notification_rule(root, draft, "", self.project),
            "remove": lambda: remove_notification_rule(root, name),
            "message": lambda: self.message(name, user),
            "end": lambda: self.journal.end(name, self.desk.clock.now()),
            "collect": self.collect,
            "send": lambda: send_notifications(self.system, self.project),
            "refuse": lambda: send_notifications(self.system, self.project),
            "retry": lambda: [retry_notification(root, row.id) for row in self.rows() if row.state == "dead"],
            "wait": lambda: self.desk.clock.sleep(2 * 24 * 3600),
        }
        commands[verb]()


@settings(deadline=None)
@given(st.lists(st.tuples(COMMANDS, DEATHS), max_size=25))
def test_no_fact_has_a_second_notification(steps: list[tuple[tuple[str, Any, Any], str | None]]) -> None:
    """After any commands and deaths, each fact has one row for each rule about it, and reaches a receiver with one id."""
    world, seen = World(), dict[tuple[str, str], str]()
    for (verb, name, user), death in steps:
        world.desk.clock.sleep(1)
        known = world.is_kept(f"{name} {user}")
        world.register.death, world.project.dies = None if death == "sent" else death, death == "sent"
        with contextlib.suppress(DiedError, OrchestratorError):
            world.do(verb, name, user)
        world.register.death, world.project.dies = None, False
        if verb == "message":
            world.note_message(f"{name} {user}", user, before=known)
        rows = {(row.rule, row.fact.id): row.id for row in world.rows()}
        assert len(rows) == len(world.rows())
        assert rows.items() >= seen.items()
        seen = rows
    for _ in range(12):  # nothing dies any more
        world.desk.clock.sleep(2 * 24 * 3600)
        world.do("collect", None, None)
        world.do("send", None, None)
    world.note_ends()
    rows = {(row.rule, row.fact.id): row.state for row in world.rows()}
    arrived = {(rule, fact): message for rule, fact, message in world.project.got}
    left = {rule.name for rule in world.rules()}
    assert len(rows) == len(world.rows())
    assert rows.keys() >= world.expected
    assert len({*world.project.got}) == len(arrived)
    assert {pair for pair, state in rows.items() if state == "sent"} <= arrived.keys()
    assert {state for (rule, _), state in rows.items() if rule in left} <= {"sent", "dead"}
