"""The page of a run: what it does at the moment, what was approved, the rollback plan, and how it ended."""

import pytest

from orchestrator.domain.promotion import State
from orchestrator.domain.story import StepStory
from orchestrator.web.pages.shown_run import MOST, going_on
from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project whose promotions into production need one approval."""
    return Site(office, office.app())


def test_a_step_under_way_shows_its_hosts_with_their_tasks() -> None:
    """Of a step that has not ended are shown each host with its task, each resource that changes, or the tests so far."""
    step = StepStory("app.1", "app batch 1 of 2", "2026-01-01T00:00:00Z", {"hosts": ["a", "b"]})
    assert going_on(step).hosts == (("a", ""), ("b", ""))
    step.tasks["b"] = {"task": "restart\nthe service"}
    step.tasks["c"] = {"task": "copy"}
    assert going_on(step).hosts == (("a", ""), ("b", "restart"), ("c", "copy"))
    many = StepStory("app.1", "app", "2026-01-01T00:00:00Z", {"hosts": [f"h{n}" for n in range(MOST + 3)]})
    assert (len(going_on(many).hosts), going_on(many).more) == (MOST, 3)
    stack = StepStory("provision", "stack", "2026-01-01T00:00:00Z")
    stack.resources["u"] = {"urn": "u", "op": "create", "type": "aws:s3:Bucket", "name": "logs"}
    stack.resources["v"] = {"urn": "v", "op": "create", "type": "x:V", "name": "done", "status": "done"}
    assert going_on(stack).texts == ("create Bucket logs",)


def test_the_page_shows_the_approvals_and_the_way_back(office: RequestProject, site: Site) -> None:
    """A promotion that was approved has its votes on its page, its plan with the release before, and a button that leads to the confirmation."""
    for version in ("1.0.0", "1.1.0"):
        run = office.go("staging", version)
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    back = "/environments/staging/rollback"
    page = ann.get(f"/runs/{run.id}", **HTML).text
    main = page.split("<main")[1]
    assert "Back to shop 1.0.0" in main
    assert f'href="{back}"' in main
    assert f'href="{back}"' not in vic.get(f"/runs/{run.id}", **HTML).text
    assert f"/plans/{office.store.run(run.id).plan}" in main
    first = office.by("vic", "history")["runs"][-1]["id"]
    assert "There is no rollback target" in vic.get(f"/runs/{first}", **HTML).text
    assert f'href="{back}"' not in ann.get(f"/runs/{first}", **HTML).text, "another release runs there now"


def test_a_promotion_with_approvals_has_its_votes_on_its_page(office: RequestProject, site: Site) -> None:
    """Who approved, in which role and with which comment is on the page of the run, with the way to the request."""
    asked = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", asked, "-m", "looks good", "--yes")
    office.duties()
    assert office.execute(asked).ended
    page = site.signed_in("vic").get(f"/runs/{asked}", **HTML).text
    for words in ("looks good", "bob", f'href="/requests/{asked}"'):
        assert words in page.split("<main")[1], words


def test_a_run_that_went_back_shows_its_rollback(office: RequestProject, site: Site) -> None:
    """A promotion that failed shows the parts of its rollback, and has no further button."""
    office.go("staging", "1.0.0")
    office.packages.put(office.release("1.1.0"))
    run = office.request("staging", "1.1.0")
    office.world.faults.add(("deploy", "s1", "1.1.0"))
    assert office.execute(run.id).state is State.ROLLED_BACK
    main = site.signed_in("ann").get(f"/runs/{run.id}", **HTML).text.split("<main")[1]
    assert "Rollback of this run" in main
    assert "verified by" in main
    assert 'href="/environments/staging/rollback"' not in main
    assert "to come" not in main
