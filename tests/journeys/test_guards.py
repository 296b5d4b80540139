"""A release that was rolled back does not come again by itself."""

import time

import pytest

from tests.journeys.conftest import Project

PROGRAM = "environments/production/__main__.py"


@pytest.mark.timeout(900)
def test_it_does_not_come_again_by_itself(shop: Project) -> None:
    """A queued promotion of a release that has just been rolled back is refused, another release may go, and with a reason, which the journal keeps, so may this one."""
    shop.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
    shop.replace("environments/production/Pulumi.yaml", "default: 4", "default: 1")
    shop.run("promote", "releases/1.0.0")
    shop.run("promote", "releases/1.2.0", "--to", "staging")

    first = shop.launch("promote", "releases/1.2.0", "--to", "production")
    deadline = time.monotonic() + 60
    while shop.status("production")["lease"] is None:
        assert time.monotonic() < deadline
        assert first.poll() is None, first.communicate()
        time.sleep(0.2)
    second = shop.run("promote", "releases/1.2.0", "--to", "production", "--wait", "4m", code=3)
    assert first.wait(timeout=120) == 4, first.communicate()
    first.communicate()
    bad = shop.run("history", "production", "--json").json["runs"][1]["id"]
    assert f"shop 1.2.0 was rolled back in production by {bad}" in second.err
    assert shop.releases("production") == {"web1": "1.0.0"}
    assert shop.story("production")["run"]["state"] == "failed"
    plan = shop.run("plan", "releases/1.2.0", "--to", "production", "--no-check")
    assert "--allow-rolled-back -m WHY" in plan.out
    assert "need -m WHY" in shop.run("promote", "releases/1.2.0", "--allow-rolled-back", code=2).err

    shop.run("promote", "releases/1.1.0")
    assert shop.releases("production") == {"web1": "1.1.0"}

    shop.replace(PROGRAM, '"7,5"', '"7.5"')
    why = "the tax of web1 was written with a comma"
    shop.run("promote", "releases/1.2.0", "--to", "production", "--allow-rolled-back", "-m", why)
    assert shop.releases("production") == {"web1": "1.2.0"}
    story = shop.story("production")
    notices = [notice for step in story["steps"] for notice in step["notices"] if notice.get("override_reason")]
    assert [(notice["override_reason"], notice["of"]) for notice in notices] == [(why, bad)]
