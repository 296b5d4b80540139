"""A journey at a server: real engines, a server and its worker as processes, and the words of the folder."""

import pytest

from tests.journeys.conftest import Project, lay_small_shop


@pytest.mark.long
def test_a_release_goes_through_and_back_at_a_server(project: Project) -> None:
    """At a server of the folder a release is built, uploaded, planned, promoted and rolled back with the words of local mode."""
    project.is_served = True
    lay_small_shop(project)
    said = project.run("promote", "releases/1.0.0", "--to", "staging")
    assert "staging: 1.0.0 on web1" in said.out
    plan = project.run("plan", "releases/1.1.0", "--to", "staging", "--json").json
    assert plan["action"] == "promote"
    project.run("promote", "shop-1.1.0", "--to", "staging")
    assert project.releases("staging") == {"web1": "1.1.0"}
    project.run("rollback", "staging", "--yes")
    assert project.releases("staging") == {"web1": "1.0.0"}
    story = project.story("staging")
    assert (story["run"]["kind"], story["run"]["state"]) == ("rollback", "rolled back")
    document = project.run("show", story["run"]["id"], "--json").json
    assert document["run"]["id"] == story["run"]["id"]
    project.run("environment", "destroy", "staging", "--yes")
