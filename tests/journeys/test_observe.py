"""What runs on hosts is asked of them: on request, and when a restored backup turns out to be older than they are."""

from pathlib import Path

import pytest

from orchestrator.hosts import loopback
from tests.journeys.conftest import AGAIN, Project
from tests.passphrase import passphrase


@pytest.mark.rare
@pytest.mark.timeout(900)
def test_a_restored_backup_is_older_than_the_hosts(running: Project) -> None:
    """After an older backup was restored, `observe` and `promote` notice by the hosts' fences that the journal is behind, take the hosts' word, and the promotion ends right."""
    running.put("1.0.0")
    secret = passphrase(running.root.parent)
    running.run("backup", "older.backup", *secret)
    running.run("promote", "releases/1.1.0", *AGAIN)
    newer = {host["release"]["digest"] for host in running.status("production")["hosts"]}
    running.run("restore", "older.backup", "--yes", *secret)
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


@pytest.mark.rare
def test_a_host_that_is_gone_is_unknown(running: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not answer is shown as unknown (exit 1), a promotion is refused because of it (exit 3), and a person's decision is kept with name and reason; once it answers, the promotion goes on."""
    running.put("1.0.0")
    running.run("promote", "releases/1.1.0", "--to", "staging")
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(running.state))
    stack, name = _last_host(running)
    host = loopback.find_host(stack, name)
    assert host is not None
    loopback.end_processes(host)
    try:
        said = running.run("observe", "production", code=1)
        assert f"the release of {name} is unknown" in said.err
        assert "R160" in running.run("promote", "releases/1.1.0", "--to", "production", code=3).err
        running.run("environment", "override", "production", name, "--release", "1.0.0", "-m", "its console shows it")
        known = next(item for item in running.status("production")["hosts"] if item["host"] == name)
        assert (known["truth"], known["release"]["version"]) == ("assumed", "1.0.0")
        assert "its console shows it" in running.story("production")["steps"][-1]["message"]
    finally:
        loopback.start(stack, name)
    running.run("observe", "production")
    refused = running.run("environment", "override", "production", name, "--release", "none", "-m", "no", code=3)
    assert "R162" in refused.err
    running.run("promote", "releases/1.1.0", "--to", "production", *AGAIN)
    assert set(running.releases("production").values()) == {"1.1.0"}


@pytest.mark.rare
def test_a_service_that_is_another_one_is_named(running: Project) -> None:
    """Where `environment.yaml` says how, each host's running service is asked for its version: one that is not the release's is shown beside it, and is no host that runs the release."""
    running.put_in_production("1.0.0")
    file = running.root / "environments/production/environment.yaml"
    before = file.read_text()
    try:
        for version, shown in (("1.0.0", False), ("0.9.9", True)):
            ask = "echo {{ 'VERSION' if inventory_hostname == 'web2' else '1.0.0' }}".replace("VERSION", version)
            file.write_text(f'{before.partition("ansible:")[0]}\nansible: {{serves: "{ask}"}}\n')
            said = running.run("observe", "production")
            assert ("its service reports 0.9.9" in said.err) is shown
            assert ("1.0.0 (serves 0.9.9)" in running.run("status", "production").out) is shown
            told = {host["host"]: host["serves"] for host in running.status("production")["hosts"]}
            assert told == {"web1": "1.0.0", "web2": version}
    finally:
        file.write_text(before)
    running.run("observe", "production")
    assert "serves" not in running.run("status", "production").out


def test_a_hand_on_the_host_is_seen_and_undone(running: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `current` link moved by hand is what `observe` tells, and a release whose file was edited on a host never becomes current again as it is: the next promotion puts both right."""
    running.put_in_production("1.0.0")
    running.put("1.1.0")
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(running.state))
    stack, name = _last_host(running)
    host = loopback.find_host(stack, name)
    assert host is not None
    current = Path(host.root) / "current"
    newer = current.resolve()
    older = next(path for path in newer.parent.iterdir() if path.name.startswith("shop-1.0.0"))
    edited = next(path for path in sorted(older.rglob("*.py")) if not path.is_symlink())
    was = edited.read_text()
    current.unlink()
    current.symlink_to(f"releases/{older.name}")
    edited.write_text("raise SystemExit('edited by hand')\n")

    running.run("observe", "production")
    assert running.releases("production")[name] == "1.0.0"
    running.run("promote", "releases/1.1.0", "--to", "production", *AGAIN)
    assert current.resolve() == newer
    running.run("rollback", "production", "--to", "1.0.0", "--yes")
    assert set(running.releases("production").values()) == {"1.0.0"}
    assert (current / edited.relative_to(older)).read_text() == was


def _last_host(project: Project) -> tuple[str, str]:
    """The stack and the name of one host of production."""
    name = max(host["host"] for host in project.status("production")["hosts"])
    (folder,) = [Path(host.folder) for host in loopback.recorded(project.state) if host.name == name]
    return folder.parent.name, name
