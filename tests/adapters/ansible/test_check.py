"""Check mode on real hosts: what it saw, and by name what it could not; and what covers the user's own inventories."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.plan import StepPreview
from tests.adapters.ansible.conftest import Stage

MIXED = """
- hosts: web
  gather_facts: false
  tasks:
    - name: A file with content
      ansible.builtin.copy: {content: "one\\n", dest: "{{ host_root }}/told", mode: "0600"}
    - name: A template
      ansible.builtin.template: {src: text.j2, dest: "{{ host_root }}/made", mode: "0600"}
    - name: A command
      ansible.builtin.command: touch {{ host_root }}/never
    - name: A shell
      ansible.builtin.shell: touch {{ host_root }}/never
    - name: A raw command
      ansible.builtin.raw: touch {{ host_root }}/never
    - name: A secret command
      ansible.builtin.command: touch {{ host_root }}/never
      no_log: true
    - name: A command that nobody wants
      ansible.builtin.command: touch {{ host_root }}/never
      when: false
    - name: A command that would have run on another host
      ansible.builtin.shell: touch {{ host_root }}/never
      when: inventory_hostname == 'elsewhere'
"""


def write(stage: Stage, name: str, text: str) -> str:
    """Put a playbook beside the package's own, as another build of it would have."""
    stage.add("text.j2", "made\n")
    stage.add(name, text)
    return name


def check(stage: Stage, playbook: str, job: str = "plan.check", **more: Any) -> StepPreview:
    context = stage.context("plan", 0)
    play = stage.play(playbook, **more)
    return stage.deployer.check(play, stage.package, stage.inventory, context, job, stage.entries.append)


def test_commands_are_named_as_not_to_be_seen(stage: Stage) -> None:
    """Commands that check mode leaves out are opaque by name, those which a condition leaves out are not, and none has run."""
    preview = check(stage, write(stage, "mixed.yml", MIXED))
    assert preview.opaque == ("A command", "A shell", "A raw command", "A secret command")
    assert [host.tasks for host in preview.hosts] == [("A file with content", "A template")] * 2
    assert preview.unseen == ()
    assert not any((Path(host.root) / "never").exists() for host in stage.hosts)


def test_the_same_plan_twice_is_the_same(stage: Stage) -> None:
    """What check mode says twice in a row is equal to the letter, differences with temporary files among it."""
    write(stage, "mixed.yml", MIXED)
    first, second = check(stage, "mixed.yml", "one.check"), check(stage, "mixed.yml", "two.check")
    assert "+one" in first.diff
    assert "+made" in first.diff
    assert first == second


BROKEN = {
    "a syntax error": ("- hosts: web\n  tasks:\n    - name: [\n", "could not run the playbook"),
    "an unknown module": ("- hosts: web\n  gather_facts: false\n  tasks:\n    - no_such_module: {}\n", "could not run the playbook"),
    "a missing role": ("- hosts: web\n  gather_facts: false\n  roles: [no_such_role]\n", "could not run the playbook"),
    "a broken file": ("- hosts: web\n  gather_facts: false\n  vars_files: [text.j2]\n  tasks: [{ansible.builtin.ping: {}}]\n", "text.j2"),
    "a missing playbook": ("- ansible.builtin.import_playbook: no_such_playbook.yml\n", "no_such_playbook.yml"),
    "no host": ("- hosts: elsewhere\n  gather_facts: false\n  tasks: []\n", "matched none of the hosts"),
    "one host only": ("- hosts: web1\n  gather_facts: false\n  tasks: [{ansible.builtin.ping: {}}]\n", "web2: the playbook leaves it out"),
}  # fmt: skip


@pytest.mark.parametrize("which", BROKEN)
def test_what_check_mode_cannot_look_at_is_said(stage: Stage, which: str) -> None:
    """A playbook that does not even start, and hosts that it leaves out, are said in the preview and not passed over."""
    text, said = BROKEN[which]
    preview = check(stage, write(stage, "broken.yml", text))
    assert said in " ".join(preview.unseen)


def test_a_task_that_misses_a_file_of_variables_is_named(stage: Stage) -> None:
    """Ansible passes over a file of variables that is not there; the task that wants them is named as failed, with its play."""
    text = "- hosts: web\n  gather_facts: false\n  vars_files: [no_such_file.yml]\n  tasks:\n    - name: Wants it\n      ansible.builtin.debug: {msg: '{{ from_file }}'}\n"
    preview = check(stage, write(stage, "missing.yml", text))
    assert preview.failed == ("Wants it",)


def test_a_host_that_is_away_is_said(stage: Stage) -> None:
    """A host that does not answer is named in the preview, and the others are still looked at."""
    there = stage.inventory.hosts["web2"]
    away = {**there, "ansible_host": "127.91.0.9"}
    stage.inventory = stage.inventory.model_copy(update={"hosts": {**stage.inventory.hosts, "web2": away}})
    preview = check(stage, write(stage, "mixed.yml", MIXED))
    assert len(preview.unseen) == 1
    assert preview.unseen[0].startswith("web2: ")
    assert preview.hosts[0].changes == 2


# -- the user's own inventories ------------------------------------------------------------------------------------


def resolved(stage: Stage, folder: Path) -> Inventory:
    own = Inventory(hosts={"web1": {"from_stack": 1}}, groups={"web": Group(hosts=("web1",))})
    return stage.deployer.resolve(own.model_copy(update={"files": (str(folder / "hosts.ini"),)}))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's inventory, with variables in it and beside it, one of them in a vault."""
    folder = tmp_path / "inventories"
    for name, text in {
        "hosts.ini": "[web]\nweb1 colour=blue\n",
        "group_vars/web.yml": "size: 1\n",
        "host_vars/web1.yml": "depth: 1\n",
        "group_vars/all/secret.yml": "password: !vault |\n" + _vaulted("one", tmp_path),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _vaulted(text: str, folder: Path) -> str:
    """The value as Ansible's vault writes it, under the password `secret`."""
    key = folder / "vault-key"
    key.write_text("secret")
    words = [
        str(Path(sys.executable).parent / "ansible-vault"),
        "encrypt_string",
        "--vault-password-file",
        str(key),
        text,
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder)
    key.unlink()
    return "\n".join(f"  {line.strip()}" for line in done.stdout.splitlines()[1:]) + "\n"


@pytest.mark.parametrize("name", ["hosts.ini", "group_vars/web.yml", "host_vars/web1.yml", "group_vars/all/secret.yml"])
def test_a_changed_variable_changes_the_digest(stage: Stage, own: Path, name: str) -> None:
    """A variable in the user's inventory, or in the files beside it, is covered by the inventory's digest, and not kept."""
    before = resolved(stage, own)
    assert before == resolved(stage, own)
    text = (own / name).read_text()
    (own / name).write_text(
        "password: !vault |\n" + _vaulted("two", own.parent)
        if "vault" in text
        else text.replace("blue", "red").replace("1\n", "2\n")
    )
    after = resolved(stage, own)
    assert after.digest != before.digest
    assert after.hosts_only() == before.hosts_only()
    kept = json.dumps(before.to_json())
    assert not any(word in kept for word in ("blue", "size", "depth", "password", "ANSIBLE_VAULT"))
