"""The page of a plan: what `orchestrator plan` prints, and the votes for it."""

import pytest

from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project whose promotions into production need one approval."""
    return Site(office, office.app())


def test_a_plan_is_read_and_approved_on_its_page(office: RequestProject, site: Site) -> None:
    """The page shows every part of the plan, and an approver who did not request it approves it there."""
    office.packages.put(office.release("1.0.0"))
    printed = office.by("ann", "plan", "1.0.0", "--to", PLACE)
    ann, bob, vic = site.signed_in("ann"), site.signed_in("bob"), site.signed_in("vic")
    path = f"/plans/{printed['digest']}"
    page = vic.get(path).text
    for words in ("Infrastructure", "Rollback plan", "Verdicts", "Tests", printed["arithmetic"], printed["digest"]):
        assert words in page, words
    for step in printed["steps"]:
        assert step["play"]["playbook"] in page
        assert all(host in page for batch in step["batches"] or () for host in batch)
    assert 'value="approve"' not in bob.get(path).text
    asked = ann.post("/api/v1/requests", {"plan": printed["digest"]}).json()["request"]
    assert path in ann.get(f"/requests/{asked['id']}").text
    shown = {
        name: 'value="approve"' in browser.get(path).text
        for name, browser in (("ann", ann), ("bob", bob), ("vic", vic))
    }
    assert shown == {"ann": False, "bob": True, "vic": False}
    vote = {"decision": "approve", "plan": asked["plan"], "rendered": asked["rendered"]}
    assert bob.form(f"/requests/{asked['id']}/votes", **vote).status_code == 303
    assert office.by("vic", "approvals")["requests"][0]["state"] == "ready"
    document = vic.get(f"/api/v1/plans/{printed['digest'].removeprefix('sha256:')[:12]}").json()
    assert {name: document[name] for name in document if name in printed} == {
        name: printed[name] for name in printed if name in document
    }
    assert document.keys() >= printed.keys() - {"calendar", "authentication"}


def test_the_page_of_a_run_that_has_not_started_leads_to_its_request(office: RequestProject, site: Site) -> None:
    """A request has no run yet: its address as a run leads to it, and its page repeats what changes until it has ended."""
    asked = office.ask("1.0.0")["request"]["id"]
    vic = site.signed_in("vic")
    answer = vic.get(f"/runs/{asked}", **HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/requests/{asked}")
    for part, words in (("all", "waiting"), ("facts", "No votes yet.")):
        shown = vic.get(f"/requests/{asked}?part={part}", **HTML).text
        assert words in shown
        assert "every 3s" in shown
        assert "<html" not in shown
    assert vic.get(f"/requests/{asked}?part=vote", **HTML).status_code == 422
    office.by("ann", "withdraw", asked)
    assert "every 3s" not in vic.get(f"/requests/{asked}", **HTML).text
    assert vic.get("/runs/none-staging", **HTML).status_code == 404


def test_a_plan_is_named_by_its_digest_alone(office: RequestProject, site: Site) -> None:
    """A path, a pattern or a short beginning is not a plan: the server reads kept plans, and no other file."""
    vic = site.signed_in("vic")
    (office.folder / "abcdef0123").write_text("{}")
    for name in ("abcdef0123", "*", "..%2f..%2fetc", "sha256:", "ab", "sha256:%2a", "f" * 65):
        for prefix in ("/plans/", "/api/v1/plans/"):
            answer = vic.get(f"{prefix}{name}", **HTML)
            assert (name, answer.status_code) == (name, 404)
    assert "R121" in vic.get("/plans/abcdef0123", **HTML).text


def test_a_blocked_plan_says_why_on_its_page(office: RequestProject, site: Site) -> None:
    """The page of a plan that may not be executed names the reason, with its code."""
    office.go("staging", "1.0.0")
    office.packages.put(office.release("1.1.0"))
    hosts = [state["host"] for state in office.by("ann", "plan", "1.1.0", "--to", "staging")["current_hosts"]]
    office.world.gone |= set(hosts)
    digest = office.by("ann", "plan", "1.1.0", "--to", "staging")["digest"]
    page = site.signed_in("vic").get(f"/plans/{digest}").text
    assert "Cannot be executed" in page
    assert "/errors/" in page
