"""What a release requires of hosts is measured by Ansible over SSH, shown, and blocks a promotion before any change."""

import socket
from pathlib import Path

import pytest

from tests.adapters.ansible.test_requirements import certificate
from tests.journeys.conftest import Project
from tests.journeys.releases import lay_release, ledgers


@pytest.mark.timeout(900)
def test_requirements_block_before_any_change(
    running: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate, a port, an endpoint and a fact are measured on each host; the one that is not met blocks, and is named with both values."""
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(running.state))
    running.put_in_production("1.0.0")
    file = certificate(tmp_path, 20)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        wanted = {
            "cpu": 1,
            "ports": {"listening": [port]},
            "certificates": [{"file": str(file), "days_left": 10}],
            "endpoints": [f"tcp://127.0.0.1:{port}"],
            "facts": [{"fact": "ansible_facts.system", "is": "Linux"}],
        }
        good = lay_release(running, "1.1.1", requirements=[wanted])
        bad = lay_release(
            running, "1.1.2", requirements=[{**wanted, "certificates": [{"file": str(file), "days_left": 30}]}]
        )
        said = running.run("requirements", good, "--in", "staging", "--json").json
        (report,) = said["reports"]
        assert (report["met"], [len(host["checks"]) for host in report["hosts"]]) == (True, [5])
        shown = running.run("plan", good, "--to", "staging", "--no-check")
        assert f"certificate {file} >= 10 days left: 20 days left on web1" in " ".join(shown.out.split())
        running.run("promote", good, "--to", "staging")

        before = ledgers(running, "staging")
        refused = running.run("promote", bad, "--to", "staging", code=None)
        assert "D106" in refused.err + refused.out
        assert f"certificate {file} is 20 days left, required is >= 30 days left" in " ".join(
            (refused.err + refused.out).split()
        )
        table = running.run("requirements", bad, "--in", "staging", code=1).out
        assert ("20 days left" in table, "not met" in table) == (True, True)
    closed = running.run("requirements", good, "--in", "staging", "--json", code=1).json["reports"][0]["hosts"][0]
    states = {check["what"]: check["state"] for check in closed["checks"]}
    assert [what for what, state in states.items() if state == "not met"] == [
        f"port {port} listening",
        f"endpoint tcp://127.0.0.1:{port}",
    ]
    assert ledgers(running, "staging") == before
    assert running.releases("staging") == {"web1": "1.1.1"}
