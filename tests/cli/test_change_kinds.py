"""Kinds of change, risk, teams, deputies and builders, told as several users."""

from typing import Any

from orchestrator.domain.promotion import State
from tests.cli.request_project import PLACE, RequestProject, office

__all__ = ["office"]  # the fixture
URGENT = ("--emergency", "-m", "the shop is down", "--incident", "https://incidents.example/12")
DBA = """apiVersion: orchestrator/v1
kind: Access
roles: [{name: dba, actions: [view, approve]}]
bindings: [{role: dba, to: "user:dora"}]
"""
YEAR = ("--from", "2020-01-01T00:00:00Z", "--until", "2090-01-01T00:00:00Z")


def state(office: RequestProject, run: str) -> Any:
    return office.by("vic", "approvals", run)


def test_an_emergency_starts_with_its_own_quorum_and_is_reviewed(office: RequestProject) -> None:
    """An emergency needs one vote; those who were passed over get its reason, and their approval afterwards completes the review."""
    office.rule("approvals: {count: 2, by_kind: {emergency: {count: 1}}}\n")
    run = office.ask("1.0.0", *URGENT)["request"]["id"]
    assert office.by("bob", "approve", run)["state"] == "ready"
    assert office.duties()[-1].startswith(f"{run} started")
    assert office.execute(run).state is State.SUCCEEDED
    office.duties()
    mine = office.by("cid", "approvals", "--mine")
    assert [message["text"] for message in mine["messages"]] == [
        f"emergency {run} of shop 1.0.0 by ann: the shop is down (https://incidents.example/12)"
    ]
    assert [each["request"]["id"] for each in mine["requests"]] == [run]
    assert f"the review of the emergency {run} was due" not in office.tells("vic", "status", "staging")
    assert f"orchestrator approve {run}" in office.tells("vic", "status")
    assert state(office, run)["review"]["completed_at"] is None
    assert office.by("cid", "approve", run, "-m", "agreed")["review"]["completed_at"] is not None
    assert office.by("vic", "approvals")["requests"] == []


def test_a_waiting_request_becomes_an_emergency(office: RequestProject) -> None:
    """A promotion that waits and is requested again as an emergency needs the quorum of an emergency, and keeps its votes; as an ordinary one it needs the ordinary quorum."""
    office.rule("approvals: {count: 2, by_kind: {emergency: {count: 1}}}\n")
    run = office.ask("1.0.0")["request"]["id"]
    assert office.by("bob", "approve", run)["state"] == "waiting"
    later = ("--at", "2990-01-01T00:00:00Z")
    urgent = office.ask("1.0.0", *URGENT, *later)
    assert (urgent["request"]["id"], urgent["state"], urgent["request"]["kind"]) == (run, "ready", "emergency")
    assert office.ask("1.0.0")["state"] == "waiting"
    assert state(office, run)["approval"]["missing"] == 1


def test_an_overdue_review_refuses_the_next_ordinary_promotion(office: RequestProject) -> None:
    """While a review is overdue, an ordinary promotion is refused with the emergency's reason; an emergency and a rollback are not."""
    office.rule("approvals: {count: 2, by_kind: {emergency: {count: 1}}, review_within: 0s}\n")
    run = office.ask("1.0.0", *URGENT)["request"]["id"]
    office.by("bob", "approve", run)
    office.duties()
    office.execute(run)
    office.duties()
    office.packages.put(office.release("1.1.0"))
    code, text = office.refused("ann", "promote", "1.1.0", "--to", PLACE)
    assert (code, "the shop is down" in text) == ("A203", True)
    assert office.ask("1.1.0", *URGENT)["state"] == "waiting"
    office.by("cid", "approve", run)
    assert office.ask("1.2.0")["state"] == "waiting"


def test_an_emergency_is_explained(office: RequestProject) -> None:
    """An emergency without a reason or the link of its incident is an error of the command."""
    office.packages.put(office.release("1.0.0"))
    for words in (("--emergency",), ("--emergency", "-m", "down"), ("--emergency", "-m", " ", "--incident", "x")):
        assert office.by("ann", "promote", "1.0.0", "--to", PLACE, *words, code=2)["errors"], words


def test_a_standard_change_needs_no_vote(office: RequestProject) -> None:
    """A rule of the policy approves a change beforehand, and stricter rules of a level of risk apply when it is raised."""
    policy = (
        "policy:\n- {name: small, when: {packages: ['shop*'], level: [low]}, then: {kind: standard}}\n"
        "- {name: risky, when: {environments: ['prod*'], level: [high]}, then: {count: 2}}\n"
    )
    office.rule(project=policy)
    asked = office.ask("1.0.0", "--at", "2990-01-01T00:00:00Z")
    assert (asked["state"], asked["request"]["requirement"]["kind"], asked["level"]) == ("ready", "standard", "low")
    run = asked["request"]["id"]
    assert "= " in asked["arithmetic"]
    raised = office.by("bob", "raise-risk", run, "high", "-m", "the day before Christmas")
    assert (raised["state"], raised["level"]) == ("waiting", "high")
    assert raised["approval"]["reason"].startswith("waiting for 2 of 2 approvals")
    assert "set to high by bob: the day before Christmas" in raised["arithmetic"]
    assert office.refused("bob", "raise-risk", run, "medium", "-m", "no")[0] == "A206"
    assert office.refused("vic", "raise-risk", run, "high", "-m", "no")[0] == "A101"


def test_a_level_of_risk_adds_a_quorum(office: RequestProject) -> None:
    """`by_risk` adds its quorum for its level only, with its own roles, and `status` says which vote is missing and who can give it."""
    with office.acting("root"):
        office.say("people", "add", "dora")
        office.tokens["dora"] = office.json("token", "create", "--for", "dora")["token"]
        (office.folder / "access.yaml").write_text(DBA)
        office.say("access", "apply", "-f", "access.yaml")
    office.rule("approvals: {count: 1, roles: [approver], by_risk: {high: {count: 1, roles: [dba]}}}\n")
    run = office.ask("1.0.0")["request"]["id"]
    assert state(office, run)["approval"]["reason"].startswith("waiting for 1 of 1 approval (role approver)")
    office.by("cid", "raise-risk", run, "high", "-m", "a new index")
    assert office.by("bob", "approve", run)["state"] == "waiting"
    assert "waiting for 1 of 1 approval (role dba): can be given by dora" in office.tells("vic", "status")
    assert state(office, run)["approval"]["void"] == {}
    assert office.by("dora", "approve", run)["state"] == "ready"


def test_rules_that_become_stricter_count_for_what_waits(office: RequestProject) -> None:
    """A request that waits needs what the rules require now; loosening them does not let it start."""
    run = office.ask("1.0.0")["request"]["id"]
    office.rule("approvals: {count: 2}\n")
    office.by("bob", "approve", run)
    assert state(office, run)["state"] == "waiting"
    office.rule("approvals: {count: 1}\n")
    assert office.duties() == []
    assert office.by("cid", "approve", run)["state"] == "ready"


def test_distinct_teams(office: RequestProject) -> None:
    """Two approvers of one team count once, and a user without a team does not count."""
    office.rule("approvals: {count: 2, distinct_teams: true}\n")
    with office.acting("root"):
        for name in ("bob", "cid"):
            office.say("people", "edit", name, "--team", "red")
    run = office.ask("1.0.0")["request"]["id"]
    for name in ("bob", "cid"):
        office.by(name, "approve", run)
    seen = state(office, run)["approval"]
    assert (seen["missing"], list(seen["void"].values())) == (1, ["another approver is of the same team"])
    with office.acting("root"):
        office.say("people", "edit", "cid", "--team", "blue")
    assert office.duties()[0].startswith(f"{run} is ready")


def test_a_deputy_votes_for_the_absent_user(office: RequestProject) -> None:
    """The deputy of an absent approver votes with that right, and `can-i` names it with its end; without an absence an operator does not."""
    run = office.ask("1.0.0")["request"]["id"]
    assert office.refused("olga", "approve", run)[0] == "A101"
    assert office.by("olga", "can-i", "approve", PLACE, code=3)["rule"] == "no binding"
    with office.acting("root"):
        office.say("away", "--user", "cid", "--deputy", "olga", *YEAR)
    may = office.by("vic", "can-i", "approve", PLACE, "--as", "olga")
    assert (may["rule"], may["until"][:10]) == ("deputy", YEAR[3][:10])
    assert "as the deputy of cid: user:cid has approver" in may["reason"]
    assert not office.by("olga", "can-i", "promote", PLACE, code=3)["allowed"]
    voted = office.by("olga", "approve", run)
    assert (voted["state"], voted["votes"][0]["deputy_for"]) == ("ready", "cid")


def test_a_deputy_does_not_vote_for_the_requester(office: RequestProject) -> None:
    """The right of a user who requested the promotion is not used by a deputy."""
    with office.acting("root"):
        office.say("access", "grant", "approver", "user:ann")
        office.say("away", "--user", "ann", "--deputy", "olga", *YEAR)
    run = office.ask("1.0.0")["request"]["id"]
    code, text = office.refused("olga", "approve", run)
    assert (code, "the user requested the promotion" in text) == ("A204", True)


def test_a_builder_does_not_approve(office: RequestProject) -> None:
    """With `not_builder` the vote of the user who built the package is refused, and a package of an unknown builder cannot be requested."""
    office.rule("approvals: {count: 1, not_builder: true}\n")
    package = office.packages.put(office.release("1.0.0"))
    code, text = office.refused("ann", "promote", "1.0.0", "--to", PLACE)
    assert (code, "who built shop 1.0.0 is not recorded" in text) == ("A202", True)
    office.built(package.digest, "bob")
    run = office.ask("1.0.0")["request"]["id"]
    assert state(office, run)["request"]["builder"] == "bob"
    code, text = office.refused("bob", "approve", run)
    assert (code, "the user built the package" in text) == ("A204", True)
    assert office.by("cid", "approve", run)["state"] == "ready"
