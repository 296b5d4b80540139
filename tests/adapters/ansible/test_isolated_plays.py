"""What the code of a package can reach of the controller while its plays run."""

import contextlib
import errno
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.domain.context import Outputs
from orchestrator.domain.environment import IsolationRule
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.hosts import loopback
from tests.adapters.ansible.conftest import Stage, staged

pytestmark = pytest.mark.engines
SECRET = "the key of production"
SECRETS = ("shop/state/passphrase", "shop/keys/production.pem", "home/.netrc", "home/.ssh/id_ed25519")
WORD = "hush-hush-hush"
PRINT = hashlib.sha1(WORD.encode()).hexdigest()
NAP = "86398.75"  # seconds: a number by which a process of these tests is known

PEEK = """
import json, os, subprocess

FOUND = {}


def attempt(name, action):
    try:
        FOUND[name] = str(action())
    except Exception as error:
        FOUND[name] = type(error).__name__


class FilterModule:
    def filters(self):
        return {"peek": self.peek}

    def peek(self, paths):
        for path in paths:
            attempt(path, lambda: open(path).read())
            attempt("cat " + path, lambda: subprocess.check_output(["cat", path], stderr=subprocess.DEVNULL).decode())
            attempt("write " + path, lambda: open(path + ".new", "w"))
        attempt("agent", lambda: os.environ["SSH_AUTH_SOCK"])
        attempt("processes", lambda: len([name for name in os.listdir("/proc") if name.isdigit()]))
        return FOUND
"""

DAEMONS = f"""
- hosts: web[0]
  gather_facts: false
  tasks:
    - ansible.builtin.shell: |
        env -i setsid sh -c 'sleep {NAP} & sleep {NAP} &' >/dev/null 2>&1 &
        sleep 0.5
        grep -qzx '{NAP[:-1]}[{NAP[-1]}]' /proc/[0-9]*/cmdline
      delegate_to: localhost
"""

PEEKING = """
- hosts: web[0]
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{ paths | peek | to_json }}"
        dest: "{{ playbook_dir }}/report.json"
      delegate_to: localhost
"""

FILES = {
    "plays/site.yml": PEEKING,
    "plays/where.yml": (
        "- hosts: web\n  gather_facts: false\n  tasks:\n    - ansible.builtin.assert:\n"
        '        that: ["playbook_dir == expected + \'/plays\'", "orchestrator_release.package_dir == expected"]\n'
    ),
    "plays/daemons.yml": DAEMONS,
    "plays/absolute.yml": (
        "- hosts: web[0]\n  gather_facts: false\n  vars: {ansible_connection: local}\n  tasks:\n"
        '    - ansible.builtin.file: {path: "{{ expected }}/deployed", state: directory}\n      when: makes\n'
        '    - ansible.builtin.copy: {dest: "{{ expected }}/deployed/app.conf", content: new}\n'
    ),
    "plays/slow.yml": (
        "- hosts: web[0]\n  gather_facts: false\n  tasks:\n"
        f"    - ansible.builtin.assert: {{that: [\"orchestrator_secrets.password | hash == '{PRINT}'\"], quiet: true}}\n"
        "      no_log: true\n    - ansible.builtin.raw: sleep 3\n"
    ),
    "plays/needs.yml": (
        "- hosts: web[0]\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.debug: {msg: \"{{ lookup('ansible.builtin.file', needed) }}\"}\n"
    ),
    "plays/filter_plugins/peek.py": PEEK,
    "tests/test_smoke.py": "def test_nothing():\n    pass\n",
    "app/file.txt": "1.0.0\n",
}


@pytest.fixture
def isolated(servers: tuple[Path, list[loopback.Host]], tmp_path: Path, isolation: None) -> Iterator[Stage]:
    """A project whose plays are isolated, with secrets in its state folder, beside its keys, and in a home folder."""
    environ = {"HOME": str(tmp_path / "home"), "SSH_AUTH_SOCK": str(tmp_path / "home/agent")}
    with staged(servers[1], tmp_path / "shop", FILES, environ) as made:
        for name in (*SECRETS, "needed"):  # after the build: they are files of the controller, and not of the package
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(SECRET)
        yield made


def secrets(stage: Stage) -> list[str]:
    return [str(stage.folder.parent / name) for name in SECRETS]


def report(stage: Stage, job: str) -> dict[str, str]:
    """What the filter of the package reported, in the file that its play wrote."""
    return dict(json.loads((stage.jobs.folder(job) / "files/plays/report.json").read_text()))


def written(paths: list[str]) -> list[Path]:
    """What was written beside *paths*; it is removed, since one of them is a file of the machine."""
    found = [path for path in map(Path, (f"{path}.new" for path in paths)) if path.exists()]
    for path in found:
        path.unlink()
    return found


def holding(folder: Path, word: str) -> Iterator[Path]:
    """The files below *folder* that have *word* in them; those that end meanwhile do not count."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(OSError):
                if path.is_file() and word.encode() in path.read_bytes():
                    yield path


def napping() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and NAP.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("check", [False, True])
def test_code_of_a_package_reads_no_secret_of_the_controller(isolated: Stage, check: bool) -> None:
    """A filter of a package, in a play and in check mode, reads and writes nothing of the state, of keys and of the home."""
    paths = [*secrets(isolated), "/etc/shadow"]
    if check:
        play, context = isolated.play("site.yml", extra_vars={"paths": paths}), isolated.context("r1", 1)
        isolated.deployer.check(
            play, isolated.package, isolated.inventory, context, "r1.check", isolated.entries.append
        )
        text = "\n".join(path.read_text() for path in isolated.jobs.folder("r1.check").glob("*.jsonl"))
        assert written(paths) == []
        assert SECRET not in text
        return
    result = isolated.deploy("site.yml", "r1", 1, extra_vars={"paths": paths})
    assert result.good, result.message
    assert written(paths) == []
    found = report(isolated, "r1.deploy.1")
    assert not [name for name, text in found.items() if SECRET in text]
    assert found["agent"] == "KeyError"
    assert int(found["processes"]) < 20


def test_paths_of_a_play_are_those_by_hand(isolated: Stage) -> None:
    """`playbook_dir` and the folder of the package are below the path of the project, as in a run by hand."""
    result = isolated.deploy("where.yml", "r1", 1, extra_vars={"expected": str(isolated.folder)})
    assert result.good, result.message


def test_no_process_of_a_play_is_left(isolated: Stage) -> None:
    """Processes that a play starts on the controller, without a session and an environment, end with it. Ansible has no warning."""
    result = isolated.deploy("daemons.yml", "r1", 1)
    assert result.good, result.message
    assert napping() == []
    assert "remote_tmp" not in (isolated.jobs.folder("r1.deploy.1") / "output.log").read_text()


def test_secret_outputs_are_never_on_the_disk(isolated: Stage) -> None:
    """While a play uses a secret output, no file of the project, the state folder or the temporary folder has it."""
    found, done = list[str](), threading.Event()

    def look() -> None:
        while not done.is_set():
            found.extend(map(str, holding(isolated.folder, WORD)))
            for folder in Path(tempfile.gettempdir()).glob("orchestrator-*"):
                found.extend(map(str, holding(folder, WORD)))
            time.sleep(0.05)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        result = isolated.deploy("slow.yml", "r1", 1, outputs=Outputs({}, {"password": WORD}))
    finally:
        done.set()
        watcher.join()
    assert result.good, result.message
    assert found == []


def test_what_a_play_needs_is_declared(isolated: Stage) -> None:
    """A play that needs a file of the controller fails with the line to add, and works with it."""
    needed = str(isolated.folder.parent / "needed")
    failed = isolated.deploy("needs.yml", "r1", 1, extra_vars={"needed": needed})
    assert not failed.good
    assert f"add isolation: {{read: [{needed}]}} to the environment.yaml of test (I110)" in failed.message
    context = isolated.context("r2", 2)
    from orchestrator.domain.environment import EnvironmentSettings

    settings = EnvironmentSettings(**{**dict(context.settings), "isolation": IsolationRule(read=(needed,))})
    from dataclasses import replace

    play = isolated.play("needs.yml", extra_vars={"needed": needed})
    context = replace(context, settings=settings)
    result = isolated.deployer.deploy(
        play, isolated.package, isolated.inventory, context, "r2.deploy.1", isolated.entries.append
    )
    assert result.good, result.message


def test_a_script_that_isolation_breaks_is_explained(isolated: Stage) -> None:
    """A script that fails without a file is explained, also where Ansible takes the text of the script for hosts."""
    script = isolated.folder / "inventories/hosts.sh"
    script.parent.mkdir()
    needed = isolated.folder.parent / "needed"
    script.write_text(f"#!/bin/sh\ncat<{needed}\n")
    script.chmod(0o755)
    with pytest.raises(OrchestratorError) as refused:
        isolated.deployer.resolve(Inventory(files=(str(script),)))
    assert refused.value.code == "D104"
    assert f"isolation: {{read: [{needed}]}}" in str(refused.value.hint)


def test_a_script_of_an_inventory_reads_no_secret(isolated: Stage) -> None:
    """A script of an inventory finds its own files, and neither keys of others nor the state folder."""
    script = isolated.folder / "inventories/hosts.py"
    script.parent.mkdir()
    peeked = json.dumps(secrets(isolated))
    script.write_text(
        "#!/usr/bin/env python3\nimport json, os\n"
        f"seen = [path for path in {peeked} if os.path.exists(path)]\n"
        "print(json.dumps({'web': {'hosts': ['web1'], 'vars': {'seen': seen}}, '_meta': {'hostvars': {}}}))\n"
    )
    script.chmod(0o755)
    found = isolated.deployer.resolve(Inventory(files=(str(script),)))
    assert found.listing is not None
    assert found.listing["_meta"]["hostvars"]["web1"]["seen"] == []


def test_a_script_that_needs_more_is_told_so(isolated: Stage) -> None:
    """A script of an inventory that fails because of isolation names the line to add."""
    needed, script = isolated.folder.parent / "needed", isolated.folder / "inventories/hosts.py"
    script.parent.mkdir()
    script.write_text(f"#!/usr/bin/env python3\nimport sys\n\nsys.stdout.write(open('{needed}').read())\n")
    script.chmod(0o755)
    with pytest.raises(OrchestratorError) as refused:
        isolated.deployer.resolve(Inventory(files=(str(script),)))
    assert refused.value.code == "D104"
    assert str(needed) in str(refused.value.hint)


def test_a_file_that_is_written_in_the_project_is_reported(isolated: Stage) -> None:
    """An absolute path of the project leads to the copy, and the run reports it; with the line that it names, to the project."""
    deployed, line = isolated.folder / "deployed", "isolation: {write: [deployed]}"
    own: dict[str, Any] = {"expected": str(isolated.folder), "makes": True}
    deployed.mkdir()
    assert isolated.deploy("absolute.yml", "r31", 1, limit=("web1",), extra_vars=own).good
    assert list(deployed.iterdir()) == []
    (told,) = [entry.data["text"] for entry in isolated.entries if entry.key == "r31.deploy.1:written"]
    assert "1 file in its copy of the project, and not in the project itself: deployed/app.conf" in told
    assert line in told
    refused = isolated.deploy("absolute.yml", "r32", 1, limit=("web1",), extra_vars={**own, "makes": False})
    assert not refused.good
    assert f"add isolation: {{write: [{deployed}]}}" in refused.message, refused.message
    settings = {"isolation": IsolationRule.from_json(yaml.safe_load(line)["isolation"])}
    done = isolated.deploy("absolute.yml", "r33", 1, limit=("web1",), extra_vars=own, settings=settings)
    assert done.good, done.message
    assert (deployed / "app.conf").read_text() == "new"
    assert not [entry for entry in isolated.entries if entry.key == "r33.deploy.1:written"]


SLOW = """
- hosts: web
  gather_facts: false
  tasks:
    - name: Wait
      ansible.builtin.pause:
        seconds: 2
    - name: Write what the next task reads
      ansible.builtin.copy:
        content: one
        dest: "{{ lookup('ansible.builtin.env', 'HOME') }}/one"
      delegate_to: localhost
      run_once: true
    - name: Read it
      ansible.builtin.debug:
        msg: "{{ lookup('ansible.builtin.file', lookup('ansible.builtin.env', 'HOME') ~ '/one') }}"
"""


def test_a_play_continues_when_the_process_that_follows_it_fails(isolated: Stage) -> None:
    """A process that can open no more files leaves a running play whole: the next process gets its result."""

    def fail(entry: Entry) -> None:
        raise OSError(errno.EMFILE, "no more files")

    isolated.add("slow.yml", SLOW)
    play, context = isolated.play("slow.yml"), isolated.context("r1", 1)
    with pytest.raises(OSError, match="no more files"):
        isolated.deployer.deploy(play, isolated.package, isolated.inventory, context, "r1.deploy.1", fail)
    assert not (isolated.jobs.folder("r1.deploy.1") / "outcome.json").exists()
    result = isolated.deploy("slow.yml", "r1", 1)
    assert result.good, result.message
    assert not (isolated.jobs.folder("r1.deploy.1") / "home").exists()
