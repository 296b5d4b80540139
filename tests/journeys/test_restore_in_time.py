"""An environment as it was last Friday: its release and its infrastructure, by a plan that is shown first."""

from datetime import UTC, datetime

import pytest

from tests.journeys.conftest import Project

PRODUCTION = "environments/production/Pulumi.yaml"


@pytest.mark.timeout(900)
def test_an_environment_as_it_was(running: Project) -> None:
    """One release and one host later, production is put back to a time: what ran then, on the hosts that there were then, and never forward again."""
    running.put("1.0.0")
    then = datetime.now(UTC).isoformat(timespec="milliseconds")
    running.replace(PRODUCTION, "default: 2", "default: 3")
    try:
        running.run("promote", "releases/1.1.0")
        between = running.story("production")["run"]
        assert running.releases("production") == dict.fromkeys(("web1", "web2", "web3"), "1.1.0")

        said = running.run("restore", "production", "--at", then, code=2)
        assert "Plan: roll back to shop 1.0.0" in said.err
        assert "As of " in said.err
        assert "1 delete" in said.err
        assert "add --yes" in said.err
        running.run("restore", "production", "--at", then, "--yes")
        assert running.releases("production") == {"web1": "1.0.0", "web2": "1.0.0"}

        story = running.story("production")
        assert (story["run"]["kind"], story["run"]["state"]) == ("rollback", "rolled back")
        order = [step["name"] for step in story["steps"]]
        assert order.index("restore.deploy.1") < order.index("restore.stack") < order.index("verify.smoke.restored")
        refused = running.run("restore", "production", "--at", between["id"], "--yes", code=3)
        assert "shop 1.1.0 was rolled back in" in refused.err
        early = running.run("restore", "production", "--at", "2020-01-01", "--yes", code=6)
        assert "R204" in early.err
        confused = running.run("restore", "production", code=2)
        assert "restore ENV --at TIME" in confused.err
    finally:
        running.replace(PRODUCTION, "default: 3", "default: 2")
