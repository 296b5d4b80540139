"""A freeze that begins during a run, on the real engines."""

import time
from collections.abc import Callable

import pytest

from tests.journeys.conftest import Project


def until(what: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.timeout(900)
def test_a_line_stop_during_a_run_holds_it_before_its_first_change_only(shop: Project) -> None:
    """A run that has changed nothing lets the environment go and continues later; one that has completes; a rollback is never held."""
    shop.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
    shop.replace("environments/production/Pulumi.yaml", "default: 4", "default: 1")
    shop.run("promote", "releases/1.0.0")
    shop.run("promote", "releases/1.1.0", "--to", "staging")

    held = shop.start("promote", "releases/1.1.0", "--to", "production")
    until(lambda: shop.status("production")["lease"] is not None)
    shop.run("line", "stop", "production", "-m", "incident 4711")
    until(lambda: shop.status("production")["lease"] is None)
    until(lambda: len(shop.status("production")["waiting"]) == 1)
    assert shop.releases("production") == {"web1": "1.0.0"}
    refused = shop.run("promote", "releases/1.1.0", "--to", "production", code=3)
    assert "incident 4711" in refused.err
    assert held.poll() is None
    shop.run("line", "resume", "production")
    assert held.wait(timeout=180) == 0, held.communicate()
    held.communicate()
    story = shop.story("production")
    notices = [notice["text"] for step in story["steps"] for notice in step["notices"]]
    assert any(text.startswith("held before") and "incident 4711" in text for text in notices)
    assert shop.releases("production") == {"web1": "1.1.0"}

    running = shop.start("rollback", "production", "--yes")
    shop.run("line", "stop", "--all", "-m", "incident 4712")
    assert running.wait(timeout=180) == 0, running.communicate()
    running.communicate()
    assert shop.releases("production") == {"web1": "1.0.0"}
