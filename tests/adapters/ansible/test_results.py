"""Plays with the shapes that people write: what runs, how it ends, and what the result says, as by hand."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.environment import IsolationRule
from orchestrator.domain.plan import PendingHandler
from orchestrator.domain.step import StepResult
from orchestrator.hosts import loopback
from orchestrator.processes import command_line, family
from tests.adapters.ansible.conftest import FILES, Stage, named, outcomes, staged

MARK = "ansible.builtin.shell: echo mark >> {{ host_root }}/marks"
PLAYS = {
    "rescued.yml": f"""
- hosts: web
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - block:
        - ansible.builtin.command: "false"
          when: inventory_hostname == 'web1'
      rescue:
        - ansible.builtin.debug: {{msg: rescued}}
- hosts: web
  gather_facts: false
  tasks:
    - {MARK}
""",
    "local.yml": """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {dest: "{{ own }}/localhost", content: "{{ groups['web'] | join(' ') }}"}
    - ansible.builtin.add_host: {name: added, groups: later, ansible_connection: local,
        ansible_python_interpreter: "{{ ansible_playbook_python }}"}
    - ansible.builtin.assert: {that: fail_on != 'localhost', fail_msg: The load balancer does not respond}
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.shell: echo mark >> {{ host_root }}/marks
    - ansible.builtin.copy: {dest: "{{ own }}/delegated", content: "{{ hostvars['web2'].host_root }}"}
      delegate_to: localhost
    - local_action: {module: ansible.builtin.copy, dest: "{{ own }}/action", content: x}
- hosts: later
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {dest: "{{ own }}/added", content: x}
""",
    "guard.yml": f"""
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.meta: end_host
      when: inventory_hostname == only | default('web1')
    - ansible.builtin.meta: end_play
      when: all_of_it | default(false)
    - {MARK}
""",
    "serial.yml": f"""
- hosts: web
  gather_facts: false
  serial: 1
  tasks:
    - {MARK}
    - ansible.builtin.meta: end_batch
""",
    "prompt.yml": f"""
- hosts: web
  gather_facts: false
  vars_prompt:
    - {{name: taken, default: fine}}
    - {{name: colour, prompt: Which colour}}
  tasks:
    - {MARK}
""",
    "default.yml": """
- hosts: web
  gather_facts: false
  vars_prompt: [{name: taken, default: fine}]
  tasks:
    - ansible.builtin.assert: {that: taken == 'fine'}
""",
    "pause.yml": f"""
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.pause: {{seconds: 1}}
    - name: Confirm the drain
      ansible.builtin.pause: {{prompt: "Is the drain done?"}}
    - ansible.builtin.command: sleep 1
    - {MARK}
""",
    "reason.yml": """
- hosts: web
  gather_facts: false
  tasks:
    - name: Migrate
      ansible.builtin.shell: |
        echo working; echo 'Traceback' >&2; echo 'disk quota exceeded on /srv' >&2; exit 3
""",
    "writes.yml": """
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.fetch: {src: "{{ host_root }}/there", dest: fetched/, flat: false}
    - ansible.builtin.set_fact: {word: "{{ lookup('password', 'made/word length=12') }}"}
    - local_action: {module: ansible.builtin.copy, dest: "{{ playbook_dir }}/site.yml", content: "[]"}
    - local_action: {module: ansible.builtin.copy, dest: "{{ orchestrator_release.package_dir }}/plays/note", content: x}
""",
    "handled.yml": "- ansible.builtin.import_playbook: handling.yml\n",
    "handling.yml": """
- hosts: web
  gather_facts: false
  vars: {mode: "0644", flag: yes}
  tasks:
    - name: Configure
      ansible.builtin.copy: {dest: "{{ host_root }}/conf", content: "{{ flag }} {{ mode }}"}
      notify: [Restart it, hear]
    - name: Migrate
      ansible.builtin.assert: {that: not (broken | bool), fail_msg: The disk is full}
  handlers:
    - name: Restart it
      ansible.builtin.shell: echo mark >> {{ host_root }}/marks
    - name: Reload it
      listen: hear
      ansible.builtin.shell: echo mark >> {{ host_root }}/marks
""",
    "kept.yml": """
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {dest: "{{ host_root }}/word", content: "{{ lookup('password', 'made/word length=12') }}"}
""",
    "hang.yml": f"""
- hosts: web
  gather_facts: false
  tasks:
    - {MARK}
    - ansible.builtin.command: sleep 25
      when: inventory_hostname == 'web1'
""",
}


@pytest.fixture(scope="module")
def shapes(servers: tuple[Path, list[loopback.Host]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    files = {**FILES, **{f"plays/{name}": text for name, text in PLAYS.items()}}
    with staged(servers[1], tmp_path_factory.mktemp("shapes"), files) as stage:
        yield stage


@pytest.fixture
def stage(shapes: Stage) -> Stage:
    for host in shapes.hosts:
        (Path(host.root) / "marks").unlink(missing_ok=True)
    return shapes


def test_a_host_that_play_two_never_reached_is_unknown(stage: Stage) -> None:
    """A play that Ansible stops after a rescued failure is not good, and names the host that was left behind."""
    result = stage.deploy("rescued.yml", "r1", 1)
    assert not result.good
    assert named(result)["web2"].outcome == "unknown", result
    assert "did not complete" in named(result)["web2"].message


def _writing(folder: Path) -> dict[str, IsolationRule]:
    """The settings of an environment whose plays write to *folder* of the controller."""
    return {"isolation": IsolationRule(write=(str(folder),))}


def test_plays_on_localhost_and_added_hosts_run_in_a_batch(stage: Stage, tmp_path: Path) -> None:
    """Plays on localhost, on added hosts, and delegated tasks run with a batch as they do by hand."""
    own = {"own": str(tmp_path), "fail_on": ""}
    result = stage.deploy("local.yml", "r2", 1, limit=("web1",), extra_vars=own, settings=_writing(tmp_path))
    assert result.good, result
    assert [host.host for host in result.hosts] == ["web1"]
    assert not [entry for entry in stage.entries if entry.key == "r2.deploy.1:written"]
    assert stage.marks() == [1, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["action", "added", "delegated", "localhost"]
    assert (tmp_path / "localhost").read_text() == "web1 web2"
    assert (tmp_path / "delegated").read_text() == stage.hosts[1].root


def test_a_failure_on_localhost_fails_the_step(stage: Stage, tmp_path: Path) -> None:
    """A task that fails on localhost fails the step by name, and hosts that were not started are not touched."""
    own = {"own": str(tmp_path), "fail_on": "localhost"}
    result = stage.deploy("local.yml", "r3", 1, extra_vars=own, settings=_writing(tmp_path))
    assert (result.outcome, result.data["code"]) == ("failed", "D161")
    assert "localhost" in result.message
    assert "The load balancer does not respond" in result.message
    assert result.touched() == ()
    assert outcomes(result) == ["skipped", "skipped"]


def test_a_guard_means_that_there_is_nothing_to_do(stage: Stage) -> None:
    """A host that a guard ends, or all of them, had nothing to do: that is good."""
    one = stage.deploy("guard.yml", "r4", 1)
    assert outcomes(one) == ["skipped", "succeeded"], one
    assert named(one)["web1"].message == "nothing to do"
    assert stage.marks() == [0, 1]
    both = stage.deploy("guard.yml", "r5", 1, limit=("web1",))
    assert both.good, both
    every = stage.deploy("guard.yml", "r6", 1, extra_vars={"only": "", "all_of_it": True})
    assert every.good, every
    assert stage.marks() == [0, 1]
    assert stage.deploy("serial.yml", "r7", 1).good
    assert stage.marks() == [1, 2]


@pytest.mark.parametrize(
    ("playbook", "named_in_it"), [("prompt.yml", "colour (Which colour)"), ("pause.yml", "Confirm the drain")]
)
def test_a_prompt_ends_the_play_at_once(stage: Stage, playbook: str, named_in_it: str) -> None:
    """A playbook that asks for input ends at once, names the prompt, and does nothing that waits behind it."""
    since = time.monotonic()
    result = stage.deploy(playbook, f"p-{playbook}", 1, timeout=60.0)
    assert time.monotonic() - since < 20
    assert (result.outcome, result.data["code"]) == ("failed", "D160")
    assert named_in_it in result.message
    assert stage.marks() == [0, 0]


def test_the_default_of_a_prompt_is_taken(stage: Stage) -> None:
    """A `vars_prompt` with a default takes it, as Ansible does without a terminal."""
    assert stage.deploy("default.yml", "r8", 1).good


def test_a_failed_task_shows_its_reason(stage: Stage) -> None:
    """The message of a failed task is the last line of its reason, in one line."""
    result = stage.deploy("reason.yml", "r9", 1, limit=("web1",))
    assert result.message == "web1: Migrate: disk quota exceeded on /srv (exit code 3)"
    tasks = [entry for entry in stage.entries if entry.kind == "task" and entry.data["outcome"] == "failed"]
    assert tasks[-1].data["message"].startswith("disk quota exceeded on /srv (exit code 3)\n")


def test_what_a_play_writes_is_kept_with_its_job(stage: Stage) -> None:
    """A play writes into a copy: what it wrote is recorded and kept with the job, and the package stays as it is."""
    for host in stage.hosts:
        (Path(host.root) / "there").write_text("x")
    assert stage.package.root is not None
    kept = Path(stage.package.root)
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    result = stage.deploy("writes.yml", "r12", 1)
    assert (result.outcome, result.data["code"]) == ("failed", "D164"), result
    assert "add controller_files: [plays/made/]" in result.message
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before
    entry = next(entry for entry in stage.entries if entry.kind == "files" and entry.data["job"] == "r12.deploy.1")
    changes = {item["path"]: item["change"] for item in entry.data["files"]}
    assert changes["plays/site.yml"] == "changed"
    assert changes["plays/note"] == changes["plays/made/word"] == "new", changes
    assert len([path for path in changes if "fetched/web" in path]) == 2
    (told,) = [entry.data for entry in stage.entries if entry.key == "r12.deploy.1:written"]
    assert told["level"] == "warning"
    assert "and not in the project itself" in told["text"]
    assert "controller_files: [plays" in told["text"]
    folder = stage.folder / "state" / "jobs" / "r12.deploy.1"
    word = folder / "files/plays/made/word"
    assert (word.stat().st_mode & 0o777, len(word.read_text().strip())) == (0o600, 12)
    assert not (folder / "content").exists()
    assert stage.deploy("site.yml", "r13", 1).good


def test_declared_controller_files_are_kept_over_releases(stage: Stage) -> None:
    """Declared files come back in the next run; a restored release gets its own version, and a preview changes none."""
    for host in stage.hosts:
        (Path(host.root) / "there").write_text("x")
    declared: dict[str, Any] = {"controller_files": ("plays/made/",), "limit": ("web1",)}
    first, newer = stage.package, stage.package.model_copy(update={"digest": f"sha256:{'1' * 64}"})
    folder = stage.folder / "state" / "controller-files" / "test"

    def word(run: str, step: str = "deploy.1") -> str:
        result = stage.deploy("kept.yml", run, 1, step, **declared)
        assert result.good, result
        return (Path(stage.hosts[0].root) / "word").read_text()

    try:
        one = word("r18")
        assert word("r19") == one
        assert not [e for e in stage.entries if e.kind == "files" and e.data["job"].startswith(("r18.", "r19."))]
        (made,) = folder.glob("000001-*/plays/made/word")
        assert made.stat().st_mode & 0o777 == 0o600
        stage.package = newer
        assert word("r20") == one
        (made,) = folder.glob("000002-*/plays/made/word")
        made.write_text("another\n")
        assert word("r21") == "another"
        stage.package = first
        assert word("r22", "restore.deploy.1") == one
        assert word("r23") == one
    finally:
        stage.package = first


def test_handlers_that_did_not_run_are_run_by_the_next_attempt(stage: Stage) -> None:
    """Handlers that were notified before a task failed run in the next attempt, once, and only on their hosts."""
    for host in stage.hosts:
        (Path(host.root) / "conf").unlink(missing_ok=True)
    failed = stage.deploy("handled.yml", "r14", 1, limit=("web1",), extra_vars={"broken": True})
    assert failed.message == "web1: Migrate: The disk is full"
    pending = tuple(PendingHandler.from_json(item) for item in failed.data["handlers"])
    assert [(item.host, item.handler) for item in pending] == [("web1", "Restart it"), ("web1", "hear")]
    again = stage.deploy("handled.yml", "r15", 1, pending=pending, extra_vars={"broken": True}, limit=("web1",))
    assert again.data["handlers"] == failed.data["handlers"]
    good = stage.deploy("handled.yml", "r16", 1, pending=pending, extra_vars={"broken": False}, limit=("web1",))
    assert good.good, good
    assert "handlers" not in good.data
    assert stage.marks() == [2, 0]
    assert (Path(stage.hosts[0].root) / "conf").read_text() == "True 0644"
    elsewhere = tuple(item.model_copy(update={"play": 7}) for item in pending)
    refused = stage.deploy("handled.yml", "r17", 1, pending=elsewhere, extra_vars={"broken": False})
    assert (refused.outcome, refused.data["code"]) == ("failed", "D163")
    assert "'Restart it' on web1" in refused.message
    assert refused.touched() == ()


def test_an_encrypted_key_is_named(stage: Stage, tmp_path: Path) -> None:
    """A key that needs a passphrase ends the connection at once, and the host's message names the prompt."""
    key = tmp_path / "locked"
    shutil.copyfile(Path(stage.hosts[0].folder).parent / "client_key", key)
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(key)], check=True)
    result = stage.deploy("default.yml", "r11", 1, extra_vars={}, settings={"extra_vars": {
        "ansible_ssh_private_key_file": str(key), "ansible_ssh_common_args": "-o StrictHostKeyChecking=no "
        "-o ControlMaster=no -o ControlPath=none -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"}})  # fmt: skip
    assert outcomes(result) == ["unknown", "unknown"]
    assert f"Enter passphrase for key '{key}'" in result.message


def test_a_host_that_stops_responding_is_given_up(stage: Stage) -> None:
    """A connection is given up after the time that the environment sets, and the host is *unknown*."""
    stage.deployer.close()  # connections that are open keep the time that they were opened with
    stopped: list[int] = []
    results: list[StepResult] = []
    marks = Path(stage.hosts[0].root) / "marks"
    waiting = threading.Thread(
        target=lambda: results.append(stage.deploy("hang.yml", "r10", 1, settings={"unresponsive": "3s"}))
    )
    try:
        waiting.start()
        stopped = _stop_servers(stage.hosts[0], marks)
        since = time.monotonic()
        waiting.join(20)
        assert time.monotonic() - since < 19
        assert named(results[0])["web1"].outcome == "unknown", results[0]
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
        waiting.join()


def _stop_servers(host: loopback.Host, marks: Path) -> list[int]:
    """Stop every process of a host's ssh server once the playbook has worked there."""
    until = time.monotonic() + 30
    while not marks.exists() and time.monotonic() < until:
        time.sleep(0.05)
    server = int((Path(host.folder) / "sshd.pid").read_text())
    found = [process for process in family([server]) if "sshd" in command_line(process)]
    for process in found:
        os.kill(process, signal.SIGSTOP)
    return found


def test_modules_of_the_package_do_not_replace_those_of_python(
    servers: tuple[Path, list[loopback.Host]], tmp_path: Path
) -> None:
    """Files of the project named like modules of Python are no part of the process that starts Ansible."""
    shadows = {f"{name}.py": "raise RuntimeError('not of Python')\n" for name in ("json", "queue", "threading", "yaml")}
    with staged(servers[1], tmp_path, FILES | shadows) as stage:
        assert stage.package.root is not None
        assert (Path(stage.package.root) / "queue.py").is_file()
        result = stage.deploy("tagged.yml", "r30", 1)
        assert result.good, result
