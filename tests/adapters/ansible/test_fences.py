"""Fences and ledgers over real SSH: around ordinary playbooks, and in the collection."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.ledger import records_itself
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.hosts import loopback
from orchestrator.processes import command_line, family, tagged
from tests.adapters.ansible.conftest import FILES, Stage, named, outcomes, staged
from tests.shared_hosts import state_in


def test_an_ordinary_playbook_is_claimed_and_recorded(stage: Stage) -> None:
    """Around a user's playbook each host gets its fence and two lines, and none of it shows as the user's work."""
    result = stage.deploy("site.yml", "r1", 3)
    assert outcomes(result) == ["succeeded", "succeeded"]
    assert [host.changed for host in result.hosts] == [1, 1]
    assert stage.marks() == [1, 1]
    assert [(line["step"], line["outcome"], line["fence"]) for line in stage.lines(1)] == [
        ("deploy.1", "began", 3), ("deploy.1", "done", 3),
    ]  # fmt: skip
    assert {entry.data["task"] for entry in stage.entries} == {"Leave a mark", "Fail where it is wanted"}


def test_an_older_fence_stops_before_anything_of_the_users(stage: Stage) -> None:
    """When one host has seen a newer fence, an ordinary playbook does nothing on any host."""
    assert stage.deploy("site.yml", "r5", 5, limit=("web2",)).good
    result = stage.deploy("site.yml", "r4", 4)
    assert outcomes(result) == ["skipped", "failed"]
    assert result.data == {"code": "D140", "refused": ["web2"]}
    assert "refused: fence 4 is older than 5" in result.message
    assert result.touched() == ()
    assert stage.marks() == [0, 1]


@pytest.mark.parametrize("ledger", [True, False])
def test_the_collection_refuses_by_itself(stage: Stage, ledger: bool) -> None:
    """A playbook of the collection's modules has nothing around it: they refuse an older fence, and keep the ledger."""
    settings = {"ledger": ledger}
    assert stage.deploy("deploy.yml", "r5", 5, settings=settings).good
    result = stage.deploy("deploy.yml", "r4", 4, settings=settings)
    assert outcomes(result) == ["failed", "failed"]
    assert result.data == {"code": "D140", "refused": ["web1", "web2"]}
    assert "fence 4 is older than 5" in result.message
    assert "" not in {line["part"] for line in stage.lines(0)}
    assert stage.marks() == [1, 1]


def test_tokens_have_one_width_on_a_host(stage: Stage) -> None:
    """What a shell has written a module compares as a number, and the other way round: beyond 2^31, and with 15 digits."""
    width = 10**15
    for playbook, run, token, good in (
        ("site.yml", "r1", 2**31 + 1, True),
        ("deploy.yml", "r2", 2**31, False),
        ("deploy.yml", "r3", width - 1, True),
        ("site.yml", "r4", width - 2, False),
        ("site.yml", "r5", width, False),
        ("deploy.yml", "r6", width, False),
    ):
        result = stage.deploy(playbook, run, token, limit=("web1",))
        assert (result.good, result.data.get("code", "")) == (good, "" if good else "D140"), (playbook, token)
    assert (Path(stage.hosts[0].root) / ".orchestrator/fence").read_text() == f"{width - 1}\n"


def test_an_invalid_state_makes_its_host_unknown(stage: Stage) -> None:
    """A host whose state names no digest, and whose fence has too many digits, is not believed; the other one is."""
    assert stage.deploy("deploy.yml", "r1", 1).good
    own = Path(stage.hosts[0].root) / ".orchestrator"
    state = json.loads((own / "state.json").read_text())
    state["current"]["digest"] = "sha256:x"
    (own / "state.json").write_text(json.dumps(state))
    (own / "fence").write_text("9" * 16 + "\n")
    seen: list[Entry] = []
    asked = stage.deployer.inspect((), stage.inventory, stage.context("r2", 2), "r2.require", seen.append)
    bad, good = named(asked)["web1"], named(asked)["web2"]
    assert (bad.outcome.value, bad.release, bad.fence) == ("succeeded", None, 1)
    assert bad.invalid == "its release is not a digest: 'sha256:x' (D181)"
    assert (good.invalid, good.release) == ("", stage.package.digest)
    assert [entry.data["text"] for entry in seen] == [f"web1: {bad.invalid}"]
    assert stage.deploy("deploy.yml", "r3", 3).good


OWN = "- hosts: web\n  gather_facts: false\n  tasks:\n    - orchestrator.release.deploy: {keep: 5}\n      when: true\n"


@pytest.mark.parametrize(
    ("text", "itself"),
    [
        (OWN, True),
        (OWN + "    - orchestrator.release.probe:\n      args: {url: x}\n", True),
        (OWN + "    - ansible.builtin.command: date\n", False),
        (OWN + "    - block: []\n", False),
        (OWN + "      delegate_to: elsewhere\n", False),
        (OWN + "      notify: Restart\n", False),
        (OWN + "      register: !vault x\n", False),
        (OWN + "  roles: [web]\n", False),
        (OWN + "- import_playbook: other.yml\n", False),
        (OWN + "- hosts: web\n", False),
        (OWN.replace("keep: 5", "root: /srv"), False),
        (OWN.replace("keep: 5", "release: {}"), False),
        (OWN.replace("{keep: 5}", "keep=5"), False),
        (OWN.replace("when: true", "args: {root: /srv}"), False),
        ("- hosts: web\n  tasks: []\n", False),
        ("[]", False),
        ("}", False),
    ],
)
def test_a_playbook_records_itself_when_it_has_only_the_collections_modules(
    tmp_path: Path, text: str, itself: bool
) -> None:
    """Only a playbook that has nothing but the collection's modules, with their own fence and root, is left alone."""
    playbook = tmp_path / "site.yml"
    playbook.write_text(text)
    assert records_itself(playbook) is itself


def test_the_ledger_can_be_switched_off(stage: Stage) -> None:
    """With `ledger: false` nothing is left on hosts by an ordinary playbook."""
    assert stage.deploy("site.yml", "r1", 1, settings={"ledger": False}).good
    assert not (Path(stage.hosts[0].root) / ".orchestrator").exists()


def test_a_second_attempt_leaves_out_who_is_done(stage: Stage) -> None:
    """Hosts that came through keep what was done, only the others do it again, and all are told as touched."""
    first = stage.deploy("site.yml", "r1", 1, extra_vars={"fail_on": "web2"})
    assert outcomes(first) == ["succeeded", "failed"]
    second = stage.deploy("site.yml", "r1", 1, step="deploy.1~2")
    assert outcomes(second) == ["succeeded", "succeeded"]
    assert stage.marks() == [1, 2]
    assert named(second)["web1"].message == "already done, by the ledger of the host"
    assert second.touched() == ("web1", "web2")
    third = stage.deploy("site.yml", "r1", 1, step="deploy.1~3")
    assert outcomes(third) == ["succeeded", "succeeded"]
    assert stage.marks() == [1, 2]


def test_another_run_does_it_again(stage: Stage) -> None:
    """What one run has done does not count for another, nor for another step."""
    stage.deploy("site.yml", "r1", 1)
    assert stage.deploy("site.yml", "r2", 2, step="deploy.1~2").good
    assert stage.deploy("site.yml", "r2", 2, step="restore.deploy~2").good
    assert stage.marks() == [3, 3]


def test_a_host_that_is_gone_does_not_hold_up_the_others(stage: Stage) -> None:
    """One unreachable host is unknown and untouched, and the others come through, as by hand."""
    gone = {**stage.inventory.hosts["web2"], "ansible_port": 9}
    stage.inventory = Inventory(hosts={**stage.inventory.hosts, "web2": gone}, groups=stage.inventory.groups)
    result = stage.deploy("site.yml", "r1", 1)
    assert outcomes(result) == ["succeeded", "unknown"]
    assert result.touched() == ("web1",)
    assert stage.lines(0)[-1]["outcome"] == "done"


def test_tags_do_not_leave_out_the_ledger(stage: Stage) -> None:
    """Neither `--tags` nor `--skip-tags`, whatever they name, lets a playbook work without its claim."""
    cases: list[dict[str, Any]] = [
        {"tags": ("fast",)},
        {"skip_tags": ("slow",)},
        {"skip_tags": ("always",)},
        {"tags": ("fast",), "skip_tags": ("always",)},
    ]
    for number, tags in enumerate(cases, start=1):
        assert stage.deploy("tagged.yml", f"r{number}", number, **tags).good
        assert stage.lines(0)[-1]["run"] == f"r{number}"
    assert stage.marks() == [4, 4]


def test_what_lies_beside_the_playbook_is_found(stage: Stage) -> None:
    """Roles, group variables, filters and collections beside a playbook work as by hand, also under an odd path."""
    result = stage.deploy("beside.yml", "r1", 1)
    assert result.good, result


def test_a_playbook_for_nobody_is_told_so(stage: Stage) -> None:
    """Our own tasks do not make a playbook that matches no host look like one that has worked."""
    result = stage.deploy("nobody.yml", "r1", 1)
    assert (result.outcome.value, result.data["code"]) == ("failed", "D102")


def test_hosts_without_a_shell_are_left_alone(stage: Stage) -> None:
    """A host with a connection that has no POSIX shell is not claimed, and the playbook runs there as by hand."""
    windows = {**stage.inventory.hosts["web2"], "ansible_shell_type": "powershell"}
    stage.inventory = Inventory(hosts={**stage.inventory.hosts, "web2": windows}, groups=stage.inventory.groups)
    result = stage.deploy("nobody.yml", "r1", 1, limit=("web1", "web2"))
    assert result.data["code"] == "D102"
    assert stage.lines(0)
    assert not stage.lines(1)


def test_hosts_are_asked_for_their_fence(stage: Stage) -> None:
    """`require` tells the newest fence of each host, and what its ledger has for the run that asks."""
    stage.deploy("site.yml", "r1", 7)
    asked = stage.deployer.inspect((), stage.inventory, stage.context("r1.plan", 8), "r1.plan", stage.entries.append)
    assert [host.fence for host in asked.hosts] == [7, 7]
    assert [line["outcome"] for line in asked.data["ledger"]["web1"]] == ["began", "done"]
    other = stage.deployer.inspect((), stage.inventory, stage.context("r2.plan", 8), "r2.plan", stage.entries.append)
    assert "ledger" not in other.data


def test_a_module_that_is_killed_on_its_host_is_made_good(stage: Stage) -> None:
    """After `kill -9` of the module on one host, a second attempt does that host again and leaves the other out."""
    (Path(stage.hosts[1].root) / "slow").touch()
    killer = threading.Thread(target=_kill_module, args=(stage,))
    killer.start()
    first = stage.deploy("deploy.yml", "r1", 1)
    killer.join()
    assert outcomes(first)[0] == "succeeded"
    assert outcomes(first)[1] in {"failed", "unknown"}
    assert stage.lines(1)[-1]["outcome"] == "began"
    (Path(stage.hosts[1].root) / "slow").unlink()
    second = stage.deploy("deploy.yml", "r1", 1, step="deploy.1~2")
    assert outcomes(second) == ["succeeded", "succeeded"]
    assert [host.release for host in second.hosts] == [stage.package.digest] * 2
    assert stage.marks() == [1, 2]


@pytest.mark.parametrize("ledger", [True, False])
def test_a_host_that_is_lost_at_its_first_task_is_touched(stage: Stage, *, ledger: bool) -> None:
    """A host that dies while its first task works is unknown and told as touched, though nothing was ever heard of it."""
    host = stage.hosts[1]
    (Path(host.root) / "slow").touch()

    def end_it() -> None:
        deadline = time.monotonic() + 60
        while stage.marks()[1] == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        loopback.end_processes(host)

    killer = threading.Thread(target=end_it)
    killer.start()
    try:
        result = stage.deploy("deploy.yml", "r1", 1, settings={"ledger": ledger})
    finally:
        killer.join()
        with state_in(Path(host.folder).parents[2]):
            loopback.start("test", host.name)
    assert outcomes(result) == ["succeeded", "unknown"]
    assert result.touched() == ("web1", "web2")


def _kill_module(stage: Stage) -> None:
    """Wait until the module on the second host restarts its service, and kill it with its children."""
    host, deadline = stage.hosts[1], time.monotonic() + 60
    while stage.marks()[1] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in family([process for process in tagged(host.mark) if "orchestrator_remote" in command_line(process)]):
        os.kill(process, signal.SIGKILL)


def test_what_is_put_back_is_sent_only_to_who_lacks_it(
    servers: tuple[Path, list[loopback.Host]], tmp_path: Path
) -> None:
    """A release on its way forward goes along at once; one that is put back is asked for first."""
    files = {**FILES, "app/file.txt": "large " * 60_000}
    with staged(servers[1], tmp_path, files) as stage:
        assert stage.deploy("deploy.yml", "r1", 1, limit=("web1",)).good
        back = stage.deploy("deploy.yml", "r2", 2, step="restore.deploy")
        assert outcomes(back) == ["succeeded", "succeeded"]
        for host in stage.hosts:
            assert (Path(host.root) / "current" / "file.txt").stat().st_size == 360_000
