"""Notifications: one for each fact and rule, sent with a stable id, retried, given up, and never to a private address unasked."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.adapters.memory.store import ManualClock
from orchestrator.adapters.memory.worker_calls import MemoryWorkerCalls
from orchestrator.adapters.notifications.channels import check_target, deliver
from orchestrator.app.acting import Change, change
from orchestrator.app.notification_duties import AT_ONCE, CollectFacts, SendDue, send_notifications
from orchestrator.app.notification_rules import (
    NewRule,
    NotificationFilter,
    add_notification_rule,
    edit_notification_rule,
    list_notification_rules,
    list_notifications,
    remove_notification_rule,
    retry_notification,
)
from orchestrator.app.notification_rules import test_notification_rule as send_test
from orchestrator.app.people import disable_user
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Binding
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.listing import FeedEntry
from orchestrator.domain.moments import Now, moment_text
from orchestrator.domain.notifications import (
    RETRIES,
    ChannelKind,
    Fact,
    Notification,
    NotificationRule,
    QuietHours,
    RuleDraft,
    Target,
)
from orchestrator.domain.promotion import State
from orchestrator.domain.register import BINDINGS, NOTIFICATIONS, OUTBOX, Message
from orchestrator.management.hooks.model import HookForm
from orchestrator.management.hooks.signatures import check_signature
from tests.app.desk import NOON, Desk
from tests.app.notification_receivers import HttpReceiver, NotificationProject, http_receiver, smtp_receiver

MINUTE = timedelta(minutes=1)


@dataclass
class Office:
    """A register with rules, and what sends by them."""

    desk: Desk = field(default_factory=Desk)
    project: NotificationProject = field(default_factory=NotificationProject)

    def __post_init__(self) -> None:
        self.project.clock = self.desk.clock

    def add(self, name: str, url: str, by: str = "root", **fields: Any) -> NewRule:
        draft = RuleDraft(**{"name": name, "channel": ChannelKind.WEBHOOK, "private": True, **fields})
        return add_notification_rule(self.desk.acting(by), draft, url, self.project)

    def tell(self, dedup: str, to: str = "viewer", **fields: Any) -> None:
        """Write a message to a user, as a use case does."""

        def work(task: Change) -> None:
            given = {"dedup": dedup, "at": task.now.earliest, "to": to, "kind": "review", "text": f"see {dedup}"}
            task.put(OUTBOX, Message.model_validate({**given, **fields}))

        change(replace(self.desk.acting("root"), actor=SYSTEM_ACTOR), Action.RUN_WORKER, work)

    def send(self) -> int:
        """What a worker does."""
        return send_notifications(replace(self.desk.acting("root"), actor=SYSTEM_ACTOR), self.project)

    def all(self) -> tuple[Notification, ...]:
        return self.desk.register.reading(lambda records: records.all(NOTIFICATIONS))


@pytest.fixture
def office() -> Office:
    """A register without rules."""
    return Office()


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """A server that receives webhooks."""
    with http_receiver() as found:
        yield found


def test_a_message_has_one_notification_for_each_rule_in_its_transaction(
    office: Office, receiver: HttpReceiver
) -> None:
    """A fact and the notifications of it are written together or not at all, and once for each rule."""
    rules: dict[str, dict[str, Any]] = {"all": {}, "mine": {"user": "viewer"}, "runs": {"events": ("run.*",)}}
    for name, more in rules.items():
        office.add(name, receiver.url, **more)
    office.tell("R-1")
    assert sorted((each.rule, each.fact.id) for each in office.all()) == [
        ("all", "message R-1"),
        ("mine", "message R-1"),
    ]
    office.tell("R-1", text="changed")
    office.tell("R-2", to="operator")
    assert [each.rule for each in office.all() if each.fact.id == "message R-2"] == ["all"]
    assert len(office.all()) == 3

    def broken(task: Change) -> None:
        given = {"dedup": "R-3", "at": NOON, "to": "viewer", "kind": "review", "text": "x"}
        task.put(OUTBOX, Message.model_validate(given))
        raise OrchestratorError("A110", "no")

    with pytest.raises(OrchestratorError):
        change(replace(office.desk.acting("root"), actor=SYSTEM_ACTOR), Action.RUN_WORKER, broken)
    assert len(office.all()) == 3


def test_a_webhook_is_signed_and_each_retry_has_the_same_id(office: Office, receiver: HttpReceiver) -> None:
    """A request that fails or redirects is sent again later with the same `webhook-id`; a redirect is not followed."""
    made = office.add("ops", receiver.url, link="https://releases.example.com")
    office.tell("R-1", environment="staging", path="/reviews/R-1", by="ann", object_state="open")
    receiver.statuses[:] = [500, 302]
    assert office.send() == 0
    assert office.send() == 0  # not due yet
    assert [(each.state, each.tries, each.error) for each in office.all()] == [
        ("pending", 1, "127.0.0.1 responds with the status 500")
    ]
    office.desk.clock.sleep(61)
    assert office.send() == 0
    office.desk.clock.sleep(5 * 60 + 1)
    assert office.send() == 1
    assert office.send() == 0
    assert [each.header("webhook-id") for each in receiver.received] == [office.all()[0].id] * 3
    last = receiver.received[-1]
    now = Now.at(office.desk.clock.now())
    assert check_signature(HookForm.GENERIC, made.secret, last, now) == f"id {office.all()[0].id}"
    body = json.loads(last.body)
    assert (body["type"], body["data"]["text"], body["data"]["link"], body["data"]["environment"]) == (
        "message.review",
        "see R-1",
        "https://releases.example.com/reviews/R-1",
        "staging",
    )
    assert (body["data"]["user"], body["data"]["by"], body["data"]["state"]) == ("viewer", "ann", "open")  # fmt: skip


def test_a_notification_that_cannot_be_delivered_is_dead_and_can_be_retried(
    office: Office, receiver: HttpReceiver
) -> None:
    """After the last pause it is given up; a user sends it again with the same id; a sent one is not sent again."""
    office.add("ops", receiver.url)
    office.tell("R-1")
    receiver.statuses[:] = [500] * (len(RETRIES) + 1)
    for pause in (*RETRIES, timedelta()):
        assert office.send() == 0
        office.desk.clock.sleep(pause.total_seconds() + 1)
    dead = list_notifications(office.desk.acting("auditor"), NotificationFilter("dead")).items
    assert [(each.state, each.tries) for each in dead] == [("dead", len(RETRIES) + 1)]
    assert office.send() == 0
    retry_notification(office.desk.acting("root"), dead[0].id)
    assert office.send() == 1
    assert {each.header("webhook-id") for each in receiver.received} == {dead[0].id}
    with pytest.raises(OrchestratorError, match="is sent"):
        retry_notification(office.desk.acting("root"), dead[0].id)


def test_a_digest_is_one_message_and_quiet_hours_are_kept(office: Office, receiver: HttpReceiver) -> None:
    """Facts of an hour are sent together with one id, and nothing is sent in quiet hours."""
    office.add("ops", receiver.url, digest="hourly", quiet=QuietHours(start="13:00", end="14:30"))
    office.tell("R-1")
    office.desk.clock.sleep(60)
    office.tell("R-2")
    assert {each.due_at for each in office.all()} == {NOON + timedelta(hours=2, minutes=30)}
    office.desk.clock.sleep(3 * 3600)
    assert office.send() == 2
    (only,) = receiver.received
    assert [each["text"] for each in json.loads(only.body)["data"]["facts"]] == ["see R-1", "see R-2"]
    assert {each.message for each in office.all()} == {only.header("webhook-id")}


def test_nothing_is_sent_late_in_quiet_hours(office: Office, receiver: HttpReceiver) -> None:
    """A retry that falls into quiet hours, and what was not sent before them, is sent at their end with the same id."""
    office.add("ops", receiver.url, quiet=QuietHours(start="12:02", end="14:30"))
    office.tell("R-1")
    receiver.statuses[:] = [500]
    assert office.send() == 0
    office.desk.clock.sleep(5 * 60)
    assert (office.send(), len(receiver.received)) == (0, 1)
    assert [(each.due_at, each.tries) for each in office.all()] == [(NOON + timedelta(hours=2, minutes=30), 1)]
    office.desk.clock.sleep(3 * 3600)
    assert office.send() == 1
    assert len({each.header("webhook-id") for each in receiver.received}) == 1


def test_a_new_rule_sends_nothing_of_an_earlier_one_with_its_name(office: Office, receiver: HttpReceiver) -> None:
    """What a removed rule has not sent is not sent by another one that gets its name, whether it waits or is retried."""
    office.add("ops", receiver.url, digest="hourly")
    office.tell("R-1")
    remove_notification_rule(office.desk.acting("root"), "ops")
    office.desk.clock.sleep(60)
    office.add("ops", receiver.url, digest="hourly")
    office.tell("R-2")
    office.desk.clock.sleep(3600)
    assert office.send() == 1
    assert [each["text"] for got in receiver.received for each in json.loads(got.body)["data"]["facts"]] == ["see R-2"]
    for pause in RETRIES:
        office.desk.clock.sleep(pause.total_seconds() + 1)
        assert office.send() == 0
    dead = next(each for each in office.all() if each.fact.id == "message R-1")
    assert (dead.state, dead.error) == ("dead", "the rule was removed")
    retry_notification(office.desk.acting("root"), dead.id)
    assert (office.send(), len(receiver.received)) == (0, 1)


@pytest.mark.parametrize(
    ("at", "end"), [("21:59", None), ("22:00", "07:00"), ("23:30", "07:00"), ("06:59", "07:00"), ("07:00", None)]
)
def test_quiet_hours_can_last_over_midnight(at: str, end: str | None) -> None:
    """A time in the quiet hours becomes their end, also on the next day; another time stays."""
    moment = datetime.fromisoformat(f"2026-11-29T{at}:00+00:00")
    found = QuietHours(start="22:00", end="07:00").end_after(moment)
    assert (f"{found:%H:%M}" if found != moment else None) == end
    assert moment <= found < moment + timedelta(days=1)


def test_mail_has_a_stable_id(office: Office) -> None:
    """A mail that the server refuses for now is sent again with the same `Message-ID`, and arrives once."""
    with smtp_receiver(refuses=1) as (port, mails):
        url = f"smtp://127.0.0.1:{port}?from=orchestrator@example.com&to=ann@example.com,bob@example.com"
        office.add("mail", url, channel=ChannelKind.MAIL)
        office.tell("R-1", text="see R-1\nBcc: eve@example.com")
        assert office.send() == 0
        office.desk.clock.sleep(61)
        assert (office.send(), office.send()) == (1, 0)
    (mail,) = mails
    assert mail["message-id"] == f"<{office.all()[0].id}@orchestrator>"
    body = str(mail.get_payload())
    assert body.splitlines() == ["see R-1", "Bcc: eve@example.com"]
    assert (mail["to"], mail["subject"], mail["bcc"]) == ("ann@example.com, bob@example.com", "see R-1", None)


def test_chat_services_are_reached_by_apprise(office: Office, receiver: HttpReceiver) -> None:
    """An address of Apprise is a channel, and its credentials are neither listed nor in the audit stream."""
    made = office.add("chat", f"json://user:pass-word@127.0.0.1:{receiver.port}/in", channel=ChannelKind.CHAT)
    office.tell("R-1")
    assert office.send() == 1
    assert json.loads(receiver.received[0].body)["message"] == "see R-1"
    assert made.rule.shown == "json://…"
    listed = list_notification_rules(office.desk.acting("viewer"))
    audit = office.desk.register.reading(lambda records: records.audit())
    assert "pass-word" not in repr((listed, audit))
    receiver.statuses[:] = [500]
    office.tell("R-2")
    assert office.send() == 0


PRIVATE = (
    "127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "0x7f.1",
    "2130706433", "localhost", "0.0.0.0", "[fd00::1]", "100.64.0.1", "[64:ff9b::7f00:1]",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_unless_they_are_allowed(host: str) -> None:
    """A target that is or leads to a private address is refused when the rule is made, in any form of the address."""
    for channel, url in (
        (ChannelKind.WEBHOOK, f"https://{host}/x"),
        (ChannelKind.MAIL, f"smtps://{host}?from=a@b&to=c@d"),
    ):
        with pytest.raises(OrchestratorError) as refused:
            check_target(channel, url, private=False)
        assert refused.value.code == "N161"


def test_the_address_is_checked_with_each_connection(receiver: HttpReceiver) -> None:
    """A name that leads to a private address later is refused when it is sent to, and nothing reaches it."""
    fact = Fact(id="f", kind="run.failed", at=NOON, about="r", text="x")
    about: dict[str, Any] = {"sealed": "", "shown": "", "created_at": NOON, "created_by": "root"}
    for channel, url in ((ChannelKind.WEBHOOK, receiver.url), (ChannelKind.MAIL, "smtp://localhost?from=a@b&to=c@d")):
        rule = NotificationRule(name="ops", channel=channel, **about)
        sent = Notification(id="n", message="n", rule="ops", fact=fact, due_at=NOON)
        with pytest.raises(OrchestratorError, match="may not connect") as refused:
            deliver(rule, Target(address=url, secret="whsec_eA=="), (sent,), ManualClock(NOON))
        assert refused.value.code == "N162"
    assert receiver.received == []


def test_users_add_rules_about_what_needs_them_only(office: Office, receiver: HttpReceiver) -> None:
    """A user without rights adds a rule for their own facts, but not for others, with a private target, or for a chat."""
    public = "https://93.184.216.34/x"
    office.add("own", public, by="viewer", user="viewer", private=False)
    refusals: tuple[dict[str, Any], ...] = ({"private": False}, {"user": "root", "private": False}, {"user": "viewer"})
    for number, more in enumerate(refusals):
        with pytest.raises(OrchestratorError) as refused:
            office.add(f"r-{number}", public, by="viewer", **more)
        assert refused.value.code == "A101"
    assert send_test(office.desk.acting("viewer"), "own").fact.kind == "notifications.test"
    with pytest.raises(OrchestratorError, match="tokens:manage"):
        send_test(office.desk.acting("operator"), "own")
    with pytest.raises(OrchestratorError, match="tokens:manage"):
        remove_notification_rule(office.desk.acting("operator"), "own")
    office.add("ops", receiver.url)
    send_test(office.desk.acting("root"), "ops")
    remove_notification_rule(office.desk.acting("viewer"), "own")
    office.send()
    assert [json.loads(each.body)["type"] for each in receiver.received] == ["notifications.test"]
    assert {each.error for each in office.all() if each.rule == "own"} == {"the rule was removed"}


def test_a_rule_is_about_a_user_or_a_role_and_may_leave_out_what_they_requested(
    office: Office, receiver: HttpReceiver
) -> None:
    """A message is for its user alone, also if another has caused it; roles count in the environment of the fact."""
    office.desk.write(BINDINGS, Binding(role="approver", to="user:auditor", environment="production"))
    office.add("mine", receiver.url, user="viewer")
    office.add("needed", receiver.url, user="viewer", needed_only=True)
    office.add("role", receiver.url, role="approver")
    office.tell("to-viewer", by="operator")
    office.tell("to-operator", to="operator", by="viewer")
    office.tell("here", to="auditor", environment="production")
    office.tell("there", to="auditor", environment="staging")

    def end(task: Change) -> None:
        task.record("run:r")
        task.notify(Fact(id="run", kind="run.failed", at=task.now.earliest, about="r", by="viewer", text="x"))

    change(replace(office.desk.acting("root"), actor=SYSTEM_ACTOR), Action.RUN_WORKER, end)
    sent = sorted((each.rule, each.fact.id.removeprefix("message ")) for each in office.all())
    assert sent == [("mine", "run"), ("mine", "to-viewer"), ("needed", "to-viewer"), ("role", "here")]
    disable_user(office.desk.acting("root"), "viewer")
    office.tell("later")
    assert not [each for each in office.all() if each.fact.id == "message later"]


@pytest.mark.parametrize("fields", [{"user": "viewer", "role": "approver"}, {"needed_only": True}, {"role": "nobody"}])
def test_a_rule_about_two_or_unknown_subjects_is_refused(office: Office, fields: dict[str, Any]) -> None:
    """A rule has a user or a role; only such a one can leave out requested facts; the role exists."""
    with pytest.raises((OrchestratorError, ValidationError)):
        office.add("x", "https://93.184.216.34/x", **fields)
    assert list_notification_rules(office.desk.acting("root")) == ()


def test_an_edit_keeps_the_secret_and_sends_nothing_old(office: Office, receiver: HttpReceiver) -> None:
    """A rule that is about more from now on sends no fact from before, and signs with the secret that it had."""
    made = office.add("ops", receiver.url, events=("run.*",))
    office.tell("R-1")
    draft = RuleDraft(name="ops", channel=ChannelKind.WEBHOOK, private=True)
    changed = edit_notification_rule(office.desk.acting("root"), draft, "", office.project)
    assert (changed.secret, changed.rule.created_at, changed.rule.shown) == (
        "",
        made.rule.created_at,
        "http://127.0.0.1",
    )
    office.tell("R-2")
    assert office.send() == 1
    (only,) = receiver.received
    assert check_signature(HookForm.GENERIC, made.secret, only, Now.at(office.desk.clock.now()))
    assert json.loads(only.body)["data"]["text"] == "see R-2"
    public = draft.model_copy(update={"private": False})
    with pytest.raises(OrchestratorError, match="private address"):
        edit_notification_rule(office.desk.acting("root"), public, "https://127.0.0.1/x", office.project)


def test_a_user_cannot_take_or_give_away_a_rule(office: Office) -> None:
    """Without a right a user changes no rule of another user or of all, and does not make their own one such a rule."""
    public = "https://93.184.216.34/x"
    office.add("own", public, by="viewer", user="viewer", private=False)
    office.add("ops", public, private=False)
    fields: dict[str, Any] = {"channel": ChannelKind.WEBHOOK, "user": "viewer"}
    viewer = office.desk.acting("viewer")
    assert edit_notification_rule(viewer, RuleDraft(name="own", **fields, digest="daily"), "", office.project)
    for draft in (
        RuleDraft(name="ops", **fields),
        RuleDraft(name="own", **{**fields, "user": "root"}),
        RuleDraft(name="own", **{**fields, "user": None}),
        RuleDraft(name="own", **fields, private=True),
        RuleDraft(name="own", **{**fields, "channel": ChannelKind.CHAT}),
    ):
        with pytest.raises(OrchestratorError) as refused:
            edit_notification_rule(viewer, draft, "json://93.184.216.34", office.project)
        assert refused.value.code == "A101", draft


@dataclass
class Journal:
    """A journal with the ends of *count* runs, each after one other entry."""

    count: int
    kind: Any = "promotion"

    def feed(self, *, cursor: str | None = None, limit: int = AT_ONCE) -> list[FeedEntry]:
        first = int(cursor or 0) + 1
        return [
            FeedEntry(
                cursor=f"{n}", at=moment_text(NOON + n * MINUTE), environment="staging", run=f"r{n}", seq=n, kind=kind
            )
            for n in range(first, min(first + limit, self.count * 2 + 1))
            for kind in ("ended" if n % 2 == 0 else "step.started",)
        ]

    def runs_named(self, ids: tuple[str, ...]) -> list[Run]:
        about: dict[str, Any] = {
            "environment": "staging",
            "state": State.FAILED,
            "message": "disk full\nat line 4",
            "by": "ann",
        }
        return [Run(id=each, root=each, kind=self.kind, **about) for each in ids]


def collected(office: Office, journal: Journal) -> list[str]:
    """What the duty does until nothing is left."""
    acting = replace(office.desk.acting("root"), actor=SYSTEM_ACTOR)
    duty, found = CollectFacts(journal, acting), list[str]()
    for _ in range(20):
        found += duty.do(acting, Now.at(NOON)) if duty.due(Now.at(NOON)) else ()
    return found


def test_old_runs_send_nothing_and_each_new_end_is_one_fact(office: Office, receiver: HttpReceiver) -> None:
    """With 1000 runs from before the first rule nothing is sent, also after restarts; each later end is sent once."""
    journal = Journal(1000)
    assert collected(office, journal) == []
    office.project.end = "2000"
    office.add("ops", receiver.url)
    assert collected(office, journal) == []
    journal.count = 1300
    assert len(collected(office, journal)) == 300
    assert collected(office, journal) == []
    facts = [each.fact for each in office.all()]
    assert (len(facts), len({each.id for each in facts})) == (300, 300)
    assert {(each.kind, each.by, each.state, each.cause, each.text) for each in facts} == {
        ("run.failed", "ann", "failed", "disk full", "promotion of promotion in staging failed: disk full")
    }
    office.add("later", receiver.url)
    assert collected(office, journal) == []
    journal.count, journal.kind = 1310, "rehearsal"
    assert collected(office, journal) == []


def test_one_process_sends_at_a_time(office: Office, receiver: HttpReceiver) -> None:
    """What is due becomes one call for a worker, and no second one while that has not ended."""
    office.add("ops", receiver.url)
    calls, acting = MemoryWorkerCalls(), replace(office.desk.acting("root"), actor=SYSTEM_ACTOR)
    duty, now = SendDue(calls, acting), Now.at(NOON + MINUTE)
    assert not duty.due(now)
    office.tell("R-1")
    assert duty.due(now)
    list(duty.do(acting, now))
    assert not duty.due(now)
    call = calls.take("worker", NOON + 2 * MINUTE)
    assert call is not None
    assert call.case == "notification_duties.send_notifications"
    calls.change(call.model_copy(update={"ended_at": NOON.astimezone(UTC)}))
    assert duty.due(now)
