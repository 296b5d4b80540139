"""Plays over real SSH: release data is text, secrets stay secret, and what hosts say is tamed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.control import ControlSockets
from orchestrator.adapters.ansible.deployer import AnsibleDeployer
from orchestrator.domain.context import Outputs
from orchestrator.domain.environment import IsolationRule
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.step import StepResult
from orchestrator.engine.jobs import LocalJobs
from orchestrator.hosts import loopback
from orchestrator.processes import _parents, command_line, family, is_alive, tagged
from tests.adapters.ansible.conftest import COLLECTIONS, FILES, Stage, named, outcomes, staged

SECRET = "hush-4711-hush"

EVERYTHING = """
- name: Everything at once
  hosts: web
  gather_facts: false
  tasks:
    - name: Tell what has arrived
      ansible.builtin.copy:
        content: "{{ [word, nested, step_word, extra_word, orchestrator_release.vars, orchestrator_outputs] | to_json }}"
        dest: "{{ host_root }}/seen.json"
        mode: "0600"
    - name: Tell the environment
      ansible.builtin.copy:
        content: "{{ lookup('ansible.builtin.pipe', 'env') }}"
        dest: "{{ host_root }}/environment"
        mode: "0600"
    - name: Use a secret
      ansible.builtin.copy:
        content: "{{ orchestrator_secrets.token }}"
        dest: "{{ host_root }}/secret"
        mode: "0600"
      no_log: true
    - name: Write what a terminal would obey
      ansible.builtin.shell: printf '\\033[31mred\\007 \\033]0;title\\007\\342\\200\\256over\\n' ; exit 7
      ignore_errors: true
    - name: Talk much
      ansible.builtin.shell: seq 1 50000; exit 1
      ignore_errors: true
    - name: Try
      block:
        - name: Fail for a moment
          ansible.builtin.command: "false"
      rescue:
        - name: Put it right
          ansible.builtin.command: "true"
"""

CALLBACK = """
import pathlib

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "mine"

    def v2_playbook_on_stats(self, stats):
        pathlib.Path("{flag}").write_text("called")
"""


def _template(flag: Path, number: int) -> str:
    return "{{ lookup('ansible.builtin.pipe', 'touch " + str(flag) + str(number) + "') }}"


@dataclass
class Told:
    """What one play with everything in it has left behind."""

    folder: Path
    result: StepResult
    entries: list[Entry]
    seen: list[Any]
    environment: str
    secret: str
    command_lines: str
    job: Path
    sent: list[Any]


@pytest.fixture(scope="module")
def told(servers: tuple[Path, list[loopback.Host]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """One play, looked at from all sides."""
    folder = tmp_path_factory.mktemp("told")
    flag = folder / "ran"
    words = [_template(flag, number) for number in range(5)]
    nested = {"list": [words[1], {"deep": words[1]}], "number": 3, "plain": "{% if x %}"}
    release_vars = {"word": words[0], "nested": nested}
    files = {
        **FILES,
        "plays/everything.yml": EVERYTHING,
        "ansible.cfg": "[defaults]\ncallback_plugins = callbacks\ncallbacks_enabled = mine\n",
        "callbacks/mine.py": CALLBACK.replace("{flag}", str(folder / "callback")),
    }
    environ = {"NOT_ALLOWED": "not-allowed-value", "ALLOWED": "allowed-value"}
    include = ("plays", "ansible.cfg", "callbacks")
    with staged(servers[1][:1], folder / "project", files, environ, vars=release_vars, include=include) as stage:
        stage.isolation = IsolationRule(
            write=(str(folder),)
        )  # a template that is evaluated, and the callback, write to it
        lines: set[str] = set()
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(lines, done))
        watcher.start()
        try:
            result = stage.deploy(
                "everything.yml",
                "r1",
                1,
                vars={"step_word": words[2]},
                extra_vars={"extra_word": words[3]},
                settings={"environment": ("ALLOWED",)},
                outputs=Outputs({"url": words[4]}, {"token": SECRET}),
            )
        finally:
            done.set()
            watcher.join()
        root = Path(stage.hosts[0].root)
        seen = root / "seen.json"
        yield Told(
            folder=folder,
            result=result,
            entries=stage.entries,
            seen=json.loads(seen.read_text()) if seen.exists() else [],
            environment=(root / "environment").read_text() if seen.exists() else "",
            secret=(root / "secret").read_text() if seen.exists() else "",
            command_lines="\n".join(lines),
            job=stage.jobs.folder("r1.deploy.1"),
            sent=[words[0], nested, words[2], words[3], release_vars, {"url": words[4]}],
        )


def _watch(lines: set[str], done: threading.Event) -> None:
    """Gather the command lines of all processes until *done*."""
    while not done.wait(0.05):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue


def test_release_data_arrives_as_text(told: Told) -> None:
    """Templates in a release's variables, nested, of steps, extra ones and outputs arrive as written, and none ran."""
    assert told.result.good, told.result
    assert told.seen == told.sent
    assert not list(told.folder.glob("ran*"))


def test_a_template_in_an_output_is_text(servers: tuple[Path, list[loopback.Host]], tmp_path: Path) -> None:
    """A variable of a host that comes from a cloud arrives as written, unless the environment has templates evaluated."""
    task = 'ansible.builtin.copy: {content: "{{ cloud }}", dest: "{{ host_root }}/cloud"}'
    files = {**FILES, "plays/cloud.yml": f"- hosts: web\n  gather_facts: false\n  tasks:\n    - {task}\n"}
    word = _template(tmp_path / "ran", 1) + "{{ inventory_hostname }}"
    with staged(servers[1][:1], tmp_path / "project", files, {}, include=("plays",)) as stage:
        stage.isolation = IsolationRule(write=(str(tmp_path),))
        (name,) = stage.inventory.hosts
        hosts = {name: {**stage.inventory.hosts[name], "cloud": word}}
        for number, (evaluated, expected) in enumerate([(False, word), (True, name)], 1):
            stage.inventory = stage.inventory.model_copy(update={"hosts": hosts, "templates": evaluated})
            assert stage.deploy("cloud.yml", f"r{number}", number).good
            assert (Path(stage.hosts[0].root) / "cloud").read_text() == expected
            assert (tmp_path / "ran1").exists() is evaluated


def test_secrets_stay_secret(told: Told) -> None:
    """A secret output reaches the task that uses it, and no command line, event, result or file left behind."""
    assert told.secret == SECRET
    assert "ansible-playbook" in told.command_lines
    assert SECRET not in told.command_lines
    assert SECRET not in str(told.result.to_json())
    assert SECRET not in str([entry.to_json() for entry in told.entries])
    left = [path for path in told.folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert left == []


def test_what_ansible_prints_is_its_jobs_output(told: Told) -> None:
    """What Ansible prints by hand is in the job's output, which is kept within bounds, and in no other file."""
    printed = (told.job / "output.log").read_text(errors="replace")
    assert "PLAY RECAP" in printed
    assert "TASK [Talk much]" in printed
    assert [path.name for path in told.job.rglob("*") if path.is_file() and b"PLAY RECAP" in path.read_bytes()] == [
        "output.log"
    ]


def test_the_environment_is_allow_listed(told: Told) -> None:
    """Ansible's process has the variables that are allowed, and no others of ours."""
    assert "ALLOWED=allowed-value" in told.environment.splitlines()
    assert "not-allowed-value" not in told.environment


def test_what_hosts_say_is_tamed(told: Told) -> None:
    """No control byte of a host reaches an event or a message, and 50,000 lines of output stay small."""
    text = json.dumps([entry.to_json() for entry in told.entries]) + json.dumps(told.result.to_json())
    for control in ("\\u001b", "\\u0007", "\\u202e", "\\u009b"):
        assert control not in text
    assert len(text) < 100_000
    assert (told.job / "events.jsonl").stat().st_size < 200_000
    message = next(
        entry.data["message"] for entry in told.entries if entry.data.get("task", "").startswith("Write what")
    )
    assert "red over" in message


def test_what_was_ignored_or_rescued_is_no_failure(told: Told) -> None:
    """Tasks that may fail, and tasks that were rescued, are told as they ended, and the host has come through."""
    assert outcomes(told.result) == ["succeeded"]
    assert told.result.hosts[0].message == ""
    ended = {entry.data["task"]: entry.data["outcome"] for entry in told.entries if entry.kind == "task"}
    assert ended["Talk much"] == ended["Fail for a moment"] == "failed"
    assert ended["Put it right"] == "changed"


def test_the_users_callbacks_are_called(told: Told) -> None:
    """A callback plugin that the project's `ansible.cfg` enables works as by hand."""
    assert (told.folder / "callback").read_text() == "called"


def test_a_changed_host_key_stops_before_anything_is_sent(stage: Stage) -> None:
    """A host with another key than the known one is unknown and untouched, and the others come through."""
    host = stage.hosts[1]
    wrong, made = Path(host.folder) / "wrong_hosts", stage.folder / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made)], check=True)
    key = " ".join(made.with_suffix(".pub").read_text().split()[:2])
    wrong.write_text(f"[{host.address}]:{host.port} {key}\n")
    arguments = f"-o UserKnownHostsFile={wrong} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
    changed = {**stage.inventory.hosts["web2"], "ansible_ssh_common_args": arguments}
    stage.inventory = Inventory(hosts={**stage.inventory.hosts, "web2": changed}, groups=stage.inventory.groups)
    result = stage.deploy("site.yml", "r1", 1)
    assert outcomes(result) == ["succeeded", "unknown"]
    assert not named(result)["web2"].touched
    assert "host key" in named(result)["web2"].message.lower()
    assert stage.marks() == [1, 0]
    assert stage.lines(1) == []


def test_reserved_names_are_refused_before_anything_runs(stage: Stage) -> None:
    """A step's variables, extra ones too, may not replace the release's own or Ansible's: D111, and no play starts."""
    for more in (
        {"vars": {"orchestrator_release": 1}},
        {"extra_vars": {"orchestrator_outputs": 1}},
        {"extra_vars": {"ansible_host": "x"}},
    ):
        with pytest.raises(OrchestratorError) as error:
            stage.deploy("site.yml", "r1", 1, **more)
        assert error.value.code == "D111"
    assert not stage.jobs.folder("r1.deploy.1").exists()


def test_a_play_that_hangs_is_ended_with_all_it_started(stage: Stage) -> None:
    """At its time limit a play is errored, hosts where it was at work are unknown, and no process of it is left."""
    began = time.monotonic()
    result = stage.deploy("slow.yml", "r1", 1, timeout=15.0, limit=("web1",), settings={"ledger": False})
    assert time.monotonic() - began < 60
    assert (result.outcome, result.data) == ("errored", {"code": "D130", "how": "timeout"})
    assert result.message.startswith("ansible ran longer than 15 s and was stopped (timeout of the step ")
    assert outcomes(result) == ["unknown"]
    assert result.touched() == ("web1",)
    assert not tagged(f"ORCHESTRATOR_JOB={stage.jobs.folder('r1.deploy.1')}")


@pytest.mark.parametrize("part", ["the playbook", "its worker"])
def test_nothing_of_a_play_outlives_its_step(stage: Stage, part: str) -> None:
    """When ansible-playbook or its worker is killed the step is not good, tells its host as touched, and no process of it works on."""
    job = f"ORCHESTRATOR_JOB={stage.jobs.folder('r1.deploy.1')}"

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not (at_work := [one for one in tagged(job) if command_line(one).endswith("&& sleep 0'")]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        above = _parents()
        worker = above[at_work[0]]
        os.kill(worker if part == "its worker" else above[worker], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = stage.deploy("slow.yml", "r1", 1, limit=("web1",), settings={"ledger": False})
    killer.join()
    assert not result.good
    assert result.touched() == ("web1",)
    assert [one for one in tagged(job) if not command_line(one).endswith("[mux]")] == []


def test_a_batch_is_what_the_flow_says(stage: Stage) -> None:
    """A play touches the hosts of its batch only, whatever the playbook's own pattern; a preview touches none."""
    preview = stage.deployer.check(
        stage.play("site.yml"), stage.package, stage.inventory, stage.context("r0", 1), "r0.check", stage.entries.append
    )
    assert [host.host for host in preview.hosts] == ["web1", "web2"]
    assert stage.marks() == [0, 0]
    result = stage.deploy("site.yml", "r1", 1, limit=("web2",))
    assert [host.host for host in result.hosts] == ["web2"]
    assert stage.marks() == [0, 1]


def test_what_the_killed_left_is_taken_away(tmp_path: Path) -> None:
    """The next play takes away folders for connections that nobody has used for days, and none that somebody may."""
    name = f"orc-{os.geteuid()}-"
    old, new, used, others = (
        tmp_path / f"{prefix}{end}" for prefix, end in ((name, "1"), (name, "2"), (name, "3"), ("orc-4294967294-", "4"))
    )
    for folder in (old, new, used, others):
        folder.mkdir()
    (used / "socket").touch()
    for folder in (old, used, others):
        os.utime(folder, (0, time.time() - 3 * 86400))
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    deployer = AnsibleDeployer(LocalJobs(tmp_path), tmp_path / "state", COLLECTIONS, environ, tmp_path)
    mine = deployer.control.folder()
    assert sorted(tmp_path.glob("orc-*")) == sorted([mine, new, used, others])


def test_nobody_else_can_know_the_folder_of_connections(tmp_path: Path) -> None:
    """The folder has a name that does not follow from what others know, and that the next process finds again."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    one, other = (ControlSockets(tmp_path / name, "staging", environ) for name in ("one", "other"))
    assert one.path == ControlSockets(tmp_path / "one", "staging", environ).path
    assert ControlSockets(tmp_path / "one", "production", environ).path not in {one.path, other.path}
    shutil.rmtree(tmp_path / "one")
    assert ControlSockets(tmp_path / "one", "staging", environ).path != one.path
    assert (tmp_path / "one/connections").stat().st_mode & 0o077 == 0


def eventually(what: Callable[[], bool], patience: float = 30.0) -> bool:
    """Whether *what* becomes true in *patience* seconds."""
    deadline = time.monotonic() + patience
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return what()


@pytest.mark.usefixtures("not_isolated")
def test_connections_of_a_process_that_was_killed_are_closed_by_the_next_one(stage: Stage, tmp_path: Path) -> None:
    """A process that is killed with its job leaves masters of ssh behind; the next play of another one ends them."""
    with tempfile.TemporaryDirectory() as folder:  # a short path, and no other process looks there
        environ = {**os.environ, "XDG_RUNTIME_DIR": folder}
        stage.deployer, other = (
            AnsibleDeployer(stage.jobs, tmp_path / own, COLLECTIONS, environ, tmp_path, own) for own in ("own", "other")
        )
        left = stage.deployer.control.path

        def masters() -> list[int]:
            return [one for one in _parents() if command_line(one).startswith(f"ssh: {left}/")]

        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                stage.deploy("slow.yml", "r1", 1, settings={"ledger": False})
            os._exit(0)
        try:
            assert eventually(lambda: len(masters()) == 2)
        finally:
            killed = [one for one in family([child]) if one not in masters()]
            for number, process in product((signal.SIGSTOP, signal.SIGKILL), killed):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            os.waitpid(child, 0)
        assert len(masters()) == 2
        assert eventually(lambda: not any(map(is_alive, killed)))
        other.control.folder()
        try:
            assert not left.exists()
            assert eventually(lambda: not masters())
        finally:
            other.close()


@pytest.mark.usefixtures("not_isolated")
def test_connections_end_with_their_play(stage: Stage) -> None:
    """A play leaves no master of ssh behind when it has ended: it is a process of the job as well."""
    left = stage.deployer.control.path
    assert stage.deploy("site.yml", "r1", 1, settings={"ledger": False}).good
    assert [one for one in _parents() if command_line(one).startswith(f"ssh: {left}/")] == []


@pytest.mark.usefixtures("not_isolated")
def test_who_ends_first_cuts_nobody_off(servers: tuple[Path, list[loopback.Host]], tmp_path: Path) -> None:
    """Connections are closed by whom they belong to: a play of another environment goes on over its own."""
    files = {**FILES, "plays/while.yml": FILES["plays/slow.yml"].replace("sleep 300", "sleep 3")}
    with staged(servers[1], tmp_path, files) as stage:
        mine, theirs = (
            AnsibleDeployer(stage.jobs, tmp_path / "state", COLLECTIONS, dict(os.environ), tmp_path, own)
            for own in ("staging", "production")
        )
        results: list[StepResult] = []
        stage.deployer = mine
        going_on = threading.Thread(target=lambda: results.append(stage.deploy("while.yml", "r1", 1)))
        try:
            going_on.start()
            until = time.monotonic() + 60
            while not list(mine.control.folder().iterdir()) and time.monotonic() < until:
                time.sleep(0.05)
            theirs.control.folder()
            theirs.close()
            going_on.join()
            assert outcomes(results[0]) == ["succeeded", "succeeded"]
        finally:
            going_on.join()
            mine.close()
