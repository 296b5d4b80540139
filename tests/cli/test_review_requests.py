"""Reviews of promotions that were requested: their votes and waits, and emergencies that succeeded."""

from tests.cli.request_project import PLACE, RequestProject, office

__all__ = ["office"]  # the fixture


def test_a_review_has_the_votes_of_the_request(office: RequestProject) -> None:
    """The review of a requested promotion has its votes and its wait for them, also if its plan was made again."""
    run = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", run)
    office.duties()
    office.execute(run)
    office.duties()
    facts = office.by("ann", "review", "open", run)["review"]["facts"]
    assert [text.partition(" at ")[0] for text in facts["approvals"]] == ["approve by bob"]
    assert facts["waits"][0]["kind"] == "approval"
    second = office.ask("1.1.0")["request"]["id"]
    office.by("bob", "approve", second)
    office.world.stacks[PLACE].append("p4")
    office.duties()
    office.execute(second)
    office.duties()
    office.by("cid", "approve", second)
    office.duties()
    again = office.by("vic", "approvals", second)["request"]["run"]
    assert again != second
    office.execute(again)
    office.duties()
    facts = office.by("ann", "review", "open", again)["review"]["facts"]
    assert [text.partition(" at ")[0] for text in facts["approvals"]] == ["approve by bob", "approve by cid"]


def test_an_emergency_that_succeeded_is_reviewed(office: RequestProject) -> None:
    """A worker opens the review of an emergency that was promoted with fewer votes, although it succeeded."""
    office.rule("approvals: {count: 2, by_kind: {emergency: {count: 1}}}\n")
    why = ("--emergency", "-m", "the shop is down", "--incident", "https://incidents.example/1")
    run = office.ask("1.0.0", *why)["request"]["id"]
    office.by("bob", "approve", run)
    office.duties()
    office.execute(run)
    told = office.duties()
    assert f"the review of {run} was opened: emergency" in told
    assert office.by("ann", "review", "show", run)["review"]["kind"] == "emergency"
