"""What users are notified of about the requests of promotions: votes that they could give, and ends without a run."""

from typing import Any

import pytest

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
