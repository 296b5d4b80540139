"""The story of the demo, from the first release to the one that comes back by itself."""

import json
import urllib.request
from pathlib import Path

import jsonschema
import pytest

from orchestrator.hosts import loopback
from orchestrator.processes import is_alive
from tests.journeys.conftest import ROOT, Project


@pytest.mark.core
def test_a_bad_release_comes_back_by_itself(shop: Project) -> None:
    """Two releases go through staging into production; the third breaks on a host of the second batch and is taken back where it was."""
    shop.replace("environments/production/__main__.py", '"web1": {"shop_tax"', '"web2": {"shop_tax"')
    shop.replace("releases/1.2.0/release.yaml", "batches: [1, 100%]", "batches: [1, 1, 100%]")

    shop.run("promote", "releases/1.0.0")
    assert shop.releases("production") == dict.fromkeys(("web1", "web2", "web3", "web4"), "1.0.0")
    shop.run("promote", "releases/1.1.0")
    page = urllib.request.urlopen(f"{_url(shop, 'web1')}/version", timeout=10).read().decode()
    assert page == "1.1.0"

    order = urllib.request.Request(f"{_url(shop, 'web1')}/kettle", method="POST")
    assert urllib.request.urlopen(order, timeout=10).status == 201

    said = shop.run("promote", "releases/1.2.0", code=4)
    assert said.err.count("rolled back: shop 1.1.0 is restored in production") == 1
    assert "production: 1.1.0 on web1, web2, web3, web4" in said.out
    assert shop.releases("staging") == {"web1": "1.2.0", "web2": "1.2.0"}
    assert shop.releases("production") == dict.fromkeys(("web1", "web2", "web3", "web4"), "1.1.0")

    story = shop.story("production")
    assert story["run"]["state"] == "rolled back"
    steps = {step["name"]: step for step in story["steps"]}
    assert [host["host"] for host in steps["restore.deploy"]["hosts"]] == ["web1", "web2"]
    assert steps["verify.smoke.deploy.2"]["outcome"] == "failed"
    failing = [test for test in steps["verify.smoke.deploy.2"]["tests"] if test["outcome"] == "failed"]
    assert [(test["host"], test["where"]) for test in failing] == [("web2", "tests/smoke/test_shop.py:30")]
    assert steps["verify.smoke.restored"]["outcome"] == "succeeded"
    assert 0 < story["recovery_seconds"] < 60
    by_run = {host["host"]: host["run"] for host in shop.status("production")["hosts"]}
    assert by_run["web1"] == by_run["web2"] == story["run"]["id"]
    assert by_run["web3"] == by_run["web4"] != story["run"]["id"]

    for words in (("status",), ("matrix",), ("show", story["run"]["id"]), ("plan", "1.2.0", "--to", "production")):
        name = {"show": "run"}.get(words[0], words[0])
        schema = json.loads((ROOT / "docs/schemas" / f"{name}.json").read_text())
        jsonschema.validate(shop.run(*words, "--json").json, schema)

    orders = urllib.request.urlopen(f"{_url(shop, 'web1')}/orders", timeout=10).read().decode()
    assert "kettle" in orders

    hosts = loopback.recorded(shop.state)
    running = [process for host in hosts for process in loopback.processes(host)]
    for environment in ("production", "staging"):
        shop.run("environment", "destroy", environment, "--yes")
    assert len(hosts) == 6
    assert len(running) >= 12  # a server and a shop on each
    assert not [process for process in running if is_alive(process)]
    assert not any(Path(host.folder).exists() for host in hosts)


def _url(project: Project, host: str) -> str:
    variables = project.variables("production")[host]
    return f"http://{variables['ansible_host']}:{variables['app_port']}"
