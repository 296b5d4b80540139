"""What users are notified of about the requests of promotions: votes that they could give, and ends without a run."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.domain.register import NOTIFICATIONS, OUTBOX, REQUESTS
from orchestrator.register_ports import Changes
from orchestrator.wiring import App
from tests.cli.request_project import PLACE, RequestProject, office

__all__ = ["office"]  # the fixture
URL = "https://93.184.216.34/in"


@pytest.fixture
def heard(office: RequestProject) -> RequestProject:
    """The project with a rule for all facts, and one for what needs bob."""
    office.by("root", "notifications", "rule", "add", "all", "--webhook", URL)
    office.by("root", "notifications", "rule", "add", "bobs", "--webhook", URL, "--for", "bob", "--needed-only")
    return office


def facts(project: RequestProject, rule: str) -> list[tuple[str, str]]:
    """The events that a rule was given, oldest first, each with the user whom it needs."""
    sent: list[dict[str, Any]] = project.by("root", "notifications", "list", "--rule", rule)["notifications"]
    found = [each["fact"] for each in sent]
    return [(fact["kind"], fact["to"]) for fact in sorted(found, key=lambda fact: (fact["at"], fact["id"]))]


def test_each_approver_is_notified_once_that_a_vote_is_missing(heard: RequestProject) -> None:
    """Each user who could vote is notified of a request, once for each plan and each vote that no longer counts; the requester is not."""
    run = heard.ask("1.0.0")["request"]["id"]
    assert facts(heard, "all") == [("approval.needed", "bob"), ("approval.needed", "cid")]
    heard.ask("1.0.0")
    heard.duties()
    assert facts(heard, "bobs") == [("approval.needed", "bob")]
    heard.by("bob", "approve", run)
    assert len(facts(heard, "all")) == 2
    heard.by("bob", "withdraw", run, "--vote")
    assert facts(heard, "bobs") == [("approval.needed", "bob")] * 2
    heard.by("cid", "approve", run)
    heard.world.stacks[PLACE].append("p4")
    heard.duties()
    heard.execute(run)
    heard.duties()
    assert facts(heard, "bobs") == [("approval.needed", "bob")] * 3
    text = heard.by("root", "notifications", "list", "--rule", "bobs")["notifications"][0]["fact"]["text"]
    assert text == "shop 1.0.0 needs your approval for production, requested by ann"


def test_the_requester_is_notified_of_an_end_without_a_run(heard: RequestProject) -> None:
    """The requester is notified of a rejection with its reason, and of nothing that they have done themselves."""
    run = heard.ask("1.0.0")["request"]["id"]
    heard.by("cid", "reject", run, "-m", "not before the audit")
    ended = [each for each in facts(heard, "all") if each[0].startswith("request.")]
    assert ended == [("request.rejected", "")]
    heard.ask("1.1.0")
    heard.ask("1.2.0")
    assert [each for each in facts(heard, "all") if each[0].startswith("request.")] == ended


def test_a_new_rule_sends_nothing_of_requests_that_wait(office: RequestProject) -> None:
    """A rule that is added while a request waits sends nothing about it, whatever process looks at the request later."""
    run = office.ask("1.0.0")["request"]["id"]
    office.by("root", "notifications", "rule", "add", "all", "--webhook", URL)
    office.duties()
    office.by("cid", "approve", run)
    assert facts(office, "all") == []


class LaterClock(SystemClock):
    """The clock of this machine, *ahead* of it."""

    ahead = timedelta(0)

    def now(self) -> str:
        """The time."""
        return moment_text(parse_moment(super().now()) + self.ahead)


def reminders(project: RequestProject, hours: float = 0) -> list[str]:
    """Whom the scheduler reminds of votes after this time."""
    with project.patch.context() as patch:
        patch.setattr(LaterClock, "ahead", timedelta(hours=hours))
        patch.setattr(App, "clock", LaterClock())
        return [text.split()[1] for text in project.duties() if "reminded" in text]


def test_approvers_are_reminded_once_of_a_vote_that_is_missing_for_a_day(heard: RequestProject) -> None:
    """A promotion that has waited for a day reminds each user who could vote once, by one message and one notification, and a rehearsal reminds nobody."""
    run = heard.ask("1.0.0")["request"]["id"]
    assert reminders(heard, 23.9) == []
    app = heard.app()

    def write(request: RunRequest) -> None:
        entry = {"project": "demo", "at": request.requested_at, "action": "test", "object": "request"}

        def work(changes: Changes) -> None:
            changes.put(REQUESTS, request)
            changes.record(record_by(Actor(name="test"), **entry))

        app.register.changing("test", work)

    request = app.register.reading(lambda records: records.get(REQUESTS, run))
    assert request is not None
    write(request.model_copy(update={"rehearsal": True}))
    assert reminders(heard, 25) == []
    write(request)
    assert reminders(heard, 25) == ["bob", "cid"]
    assert [reminders(heard, hours) for hours in (25, 60)] == [[], []]
    sent = [each.fact for each in app.register.reading(lambda records: records.all(NOTIFICATIONS))]
    found = sorted((fact.to, fact.text) for fact in sent if fact.kind == "message.approval")
    text = "shop 1.0.0 still needs your approval for production, requested by ann"
    assert found == [("bob", text)] * 2 + [("cid", text)], "one for each rule that is about it"
    messages = app.register.reading(lambda records: records.all(OUTBOX))
    assert [(each.to, each.path) for each in messages] == [("bob", f"/requests/{run}"), ("cid", f"/requests/{run}")]
    app.register.close()
