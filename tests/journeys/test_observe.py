"""What runs on hosts is asked of them: on request, and when a restored backup turns out to be older than they are."""

import pytest

from tests.journeys.conftest import Project


@pytest.mark.timeout(900)
def test_a_restored_backup_is_older_than_the_hosts(running: Project) -> None:
    """After an older backup was restored, `observe` and `promote` notice by the hosts' fences that the journal is behind, take the hosts' word, and the promotion ends right."""
    running.put("1.0.0")
    running.run("backup", "older.backup")
    running.run("promote", "releases/1.1.0")
    newer = {host["release"]["digest"] for host in running.status("production")["hosts"]}
    running.run("restore", "older.backup", "--yes")
    assert set(running.releases("production").values()) == {"1.0.0"}

    said = running.run("observe", "staging")
    assert "the store was older than the hosts" in said.err
    assert f"unknown {next(iter(newer))[7:19]}" in said.out
    (host,) = running.status("staging")["hosts"]
    assert host["truth"] == "seen"
    assert {host["release"]["digest"]} == newer

    promoted = running.run("promote", "releases/1.2.0")
    assert promoted.err.count("the store was older than the hosts") == 1
    assert set(running.releases("production").values()) == {"1.2.0"}
    assert running.run("observe", "production", "--json").json["changed"] == {}


def test_a_host_that_is_gone_is_unknown(running: Project) -> None:
    """A host that does not answer is shown as unknown (exit 1), a promotion is refused because of it (exit 3), and a person's decision is kept with name and reason."""
    from orchestrator.hosts import loopback

    running.put("1.0.0")
    running.run("promote", "releases/1.1.0", "--to", "staging")
    variables = running.variables("production")
    name = sorted(variables)[-1]
    port = int(variables[name]["ansible_port"])
    address = str(variables[name]["ansible_host"])
    mine = [host for host in loopback.recorded(running.state) if (host.address, host.port) == (address, port)]
    assert len(mine) == 1
    loopback.stop(mine[0])
    try:
        said = running.run("observe", "production", code=1)
        assert name in said.err
        assert "R161" in said.err
        assert "R160" in running.run("promote", "releases/1.1.0", "--to", "production", code=3).err
        why = "its console shows it"
        running.run("accept", "production", name, "--release", "1.0.0", "-m", why)
        host = next(host for host in running.status("production")["hosts"] if host["host"] == name)
        assert (host["truth"], host["release"]["version"]) == ("assumed", "1.0.0")
        story = running.story("production")
        assert why in story["steps"][-1]["message"]
    finally:
        loopback.start(mine[0])
    running.run("observe", "production")
    running.run("accept", "production", name, "--release", "none", "-m", "no", code=3)
