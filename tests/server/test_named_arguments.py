"""What a client sends to use cases names what the server keeps: the rights are those for what is then changed."""

from typing import Any

import pytest

from orchestrator.app.access import grant
from orchestrator.app.people import add_user
from orchestrator.domain.access.principals import Binding, User
from orchestrator.domain.journal import Run
from orchestrator.ports.lists import each_request
from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.site import Browser, Site

__all__ = ["office"]  # the fixture
WAVES = "waves: [{name: both, environments: [[staging], [production]]}]\n"
BOTH = {"name": "both", "environments": [["staging"], ["production"]]}


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server on which nothing needs approvals, and dora promotes in staging only."""
    office.rule("", project=WAVES)
    made = Site(office, office.app())
    add_user(made.root, User(name="dora"))
    grant(made.root, Binding(role="release-manager", to="user:dora", environment="staging"))
    return made


def called(browser: Browser, case: str, **arguments: Any) -> tuple[int, str]:
    """The status of the call of a use case, and its code."""
    done = browser.post(f"/api/v1/use-cases/{case}", {"arguments": arguments})
    return done.status_code, done.json().get("code", "")


def promotion(office: RequestProject, **more: Any) -> dict[str, Any]:
    """The request for a promotion of a kept package into staging, as a client sends it."""
    package = office.packages.put(office.release("1.0.0"))
    fields = {"root": "", "kind": "promotion", "targets": ["staging"], "by": "", "plan": None, "wait": 60.0}
    return {**fields, "release": package.ref.to_json(), "retry": None, "parameters": {}, **more}


def test_a_run_is_controlled_with_the_right_in_its_own_environment(office: RequestProject, site: Site) -> None:
    """A client names a run by its id: it cannot say that the run is in an environment where it has rights."""
    run = Run(id="abc123-production", root="abc123", kind="promotion", environment=PLACE)
    office.store.create(run)
    dora, ann = site.signed_in("dora"), site.signed_in("ann")
    forged = {**run.to_json(), "environment": "staging"}
    assert called(dora, "control.request", run=forged, verb="abort", why="")[0] == 422
    assert called(dora, "control.request", run=run.id, verb="abort", why="") == (403, "A101")
    assert called(dora, "submissions.retry", run=run.id, step=None, queue="default") == (403, "A101")
    assert office.store.run(run.id).control == ""
    assert called(ann, "control.request", run=run.id, verb="abort", why="")[0] == 200
    assert office.store.run(run.id).control == "abort"


def test_a_promotion_in_waves_needs_the_right_in_each_of_its_environments(office: RequestProject, site: Site) -> None:
    """The rights are those in all environments of the waves, also if a client names fewer targets."""
    request = promotion(office, parameters={"waves": {"rollout": BOTH, "plans": {}}})
    assert called(site.signed_in("dora"), "submissions.submit", request=request, queue="default") == (403, "A101")
    assert list(each_request(office.store)) == []
    assert called(site.signed_in("ann"), "submissions.submit", request=request, queue="default")[0] == 200


def test_a_request_has_the_waves_package_and_definition_of_the_server(office: RequestProject, site: Site) -> None:
    """Waves of another content, a kept digest under another name, and a chosen project definition are refused."""
    ann, parameters = site.signed_in("ann"), {"waves": {"rollout": {**BOTH, "max_failures": 2}, "plans": {}}}
    right = promotion(office)
    for wrong in (
        {"parameters": parameters},
        {"release": {**right["release"], "name": "other"}},
        {"definition": f"sha256:{'0' * 64}"},
    ):
        given = called(ann, "submissions.submit", request={**right, **wrong}, queue="default")
        assert given == (422, "N110"), wrong
    assert list(each_request(office.store)) == []
    assert called(ann, "submissions.submit", request=right, queue="default")[0] == 200
