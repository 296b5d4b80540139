"""A staging that is made for a promotion, and gone after it, whatever becomes of that."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.journeys.conftest import Project, lay_shop

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("ephemeral")]
FILE, PROGRAM = "environments/staging/environment.yaml", "environments/staging/__main__.py"
RULE = "ephemeral: {ttl: 4h}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """The shop with one host in an ephemeral staging, and one in production."""
    made = Project(tmp_path_factory.mktemp("ephemeral") / "project", env=store())
    made.root.mkdir()
    try:
        lay_shop(made)
        made.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
        made.replace("environments/production/Pulumi.yaml", "default: 4", "default: 1")
        made.replace("environments/production/__main__.py", '"7,5"', '"7.5"')
        made.replace(FILE, "pulumi:", f"{RULE}\npulumi:")
        yield made
    finally:
        made.clean()


def there(shop: Project) -> dict[str, bool]:
    """The stacks that have hosts on this machine, and whether all of them are alive."""
    hosts: list[dict[str, Any]] = shop.run("hosts", "list", "--json").json["hosts"]
    return {host["stack"]: all(item["alive"] for item in hosts if item["stack"] == host["stack"]) for host in hosts}


@pytest.mark.rare
def test_it_is_gone_after_its_promotion(shop: Project) -> None:
    """A release goes through a staging that is there only for it, into production, which counts what was verified there."""
    plan = shop.run("plan", "releases/1.0.0", "--to", "staging", "--no-check")
    assert "staging is made for this promotion and destroyed after it, within 4h" in plan.out
    shop.run("promote", "releases/1.0.0")
    assert there(shop) == {"production-production": True}
    assert shop.releases("production") == {"web1": "1.0.0"}
    assert shop.status("staging")["hosts"] == []
    assert shop.status("staging")["release"]["version"] == "1.0.0"
    names = [step["name"] for step in shop.story("staging")["steps"]]
    assert names.index("claim") < names.index("provision") < names.index("verify.smoke.environment")
    assert names[-1] == "dispose"
    said = shop.run("promote", "releases/1.0.0").out
    assert "already runs in every environment that it declares, and is verified" in said


def test_it_is_gone_after_a_kill(shop: Project) -> None:
    """After `kill -9` its hosts are still there, a reaper leaves them their time, and one that is asked for them destroys them by going on with the run."""
    process = shop.start("promote", "releases/1.1.0", "--to", "staging")
    run = shop.reaches(process, "staging", "deploy.1")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert there(shop)["staging-staging"]
    assert shop.run("environment", "reap", "--json").json["reaped"] == []
    [reaped] = shop.run("environment", "reap", "staging", "--json").json["reaped"]
    assert (reaped["run"], reaped["by"], reaped["gone"]) == (run, run, True)
    assert "staging-staging" not in there(shop)
    assert shop.story("staging")["run"]["state"] == "rolled back"
    assert shop.status("staging")["lease"] is None


def test_each_release_has_its_own_and_a_worker_reaps_it(shop: Project) -> None:
    """With a stack for each release, one that failed is kept for a look, keeps no other release out, and a worker destroys it when its time is over."""
    shop.replace(FILE, RULE, "ephemeral: {ttl: 1s, per: release, keep_on_failure: true}")
    shop.replace(PROGRAM, '"7.5"', '"7,5"')
    said = shop.run("promote", "releases/1.2.0", "--to", "staging", code=5)
    assert "staging is kept for inspection until" in said.err
    [mine] = [stack for stack in there(shop) if stack.startswith("staging-")]
    assert mine.startswith("staging-staging-1.2.0-")
    assert "created has expired: orchestrator environment reap staging" in shop.run("status").err
    shop.replace(PROGRAM, '"7,5"', '"7.5"')
    shop.run("promote", "releases/1.1.0", "--to", "staging")
    assert there(shop)[mine]
    shop.run("worker", "--once")
    assert not [stack for stack in there(shop) if stack.startswith("staging-")]
    assert shop.status("staging")["last_run"]["kind"] == "reap"
    assert shop.run("environment", "reap").out.startswith("no ephemeral environment is left")
