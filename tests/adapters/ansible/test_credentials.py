"""Files with passwords and keys that settings of Ansible name: found to be missing without a look at their content."""

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.credentials import missing_keys, missing_passwords
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.release import Release
from tests.adapters.ansible.conftest import COLLECTIONS
from tests.sealed import sealed

RELEASE = {
    "apiVersion": "orchestrator/v1",
    "kind": "Release",
    "name": "shop",
    "version": "1.0.0",
    "steps": [{"name": "deploy", "playbook": "deploy.yml", "undo": "nothing"}],
    "environments": ["staging"],
    "verify": [{"name": "smoke", "tests": "tests"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a project."""
    made = tmp_path / "project"
    made.mkdir()
    return made


def configurations(folder: Path, config: str = "") -> Configurations:
    (folder / "ansible.cfg").write_text(config)
    return Configurations(dict(os.environ), folder, COLLECTIONS, folder / ".orchestrator")


def passwords(folder: Path, config: str = "", **own: Any) -> dict[str, tuple[str, str]]:
    """What is missing for a package in *folder* with this `ansible.cfg`: by place, what and why."""
    content = folder.parent / "content"
    content.mkdir()
    (content / "deploy.yml").write_text("- hosts: all\n")
    package = sealed(content, Release.from_json(RELEASE))
    found = missing_passwords(configurations(folder, config), package, (), AnsibleSettings(**own))
    return {os.path.relpath(each.place, folder): (each.what, each.why) for each in found}


@pytest.mark.parametrize(
    ("config", "own", "expected"),
    [
        ("vault_password_file = vault", {}, {"vault": "vault_password_file of the project's ansible.cfg names it"}),
        ("become_password_file = b", {}, {"b": "become_password_file of the project's ansible.cfg names it"}),
        ("vault_identity_list = dev@here, prod@there, test@prompt", {},
         {"there": "vault_identity_list of the project's ansible.cfg names it"}),
        ("", {"vault_ids": ("prod@there",)}, {"there": "vault_identity_list of environment.yaml names it"}),
        ("", {"transport": {"vault_password_file": "own"}}, {"own": "vault_password_file of environment.yaml names it"}),
        ("vault_password_file = here", {}, {}),
        ("vault_password_file = program", {}, {}),
        ("private_key_file = key", {}, {}),
    ],
)  # fmt: skip
def test_files_with_passwords(folder: Path, config: str, own: dict[str, Any], expected: dict[str, str]) -> None:
    """A file with a password that a setting names is missing if it does not exist, and neither a question nor a program is."""
    (folder / "here").write_text("correct horse")
    (folder / "program").write_text("#!/bin/sh\necho correct horse\n")
    (folder / "program").chmod(0o700)
    found = passwords(folder, f"[defaults]\n{config}\n", **own)
    assert {name: why for name, (_, why) in found.items()} == expected
    assert all(what == f"{name} does not exist" for name, (what, _) in found.items())


def test_a_link_of_a_pushed_definition(folder: Path) -> None:
    """A link to a file that this machine does not have names the place where the file belongs."""
    (folder / "vault").symlink_to(folder.parent / "home/vault")
    assert list(passwords(folder, "[defaults]\nvault_password_file = vault\n")) == ["../home/vault"]


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    """What exists and cannot be read is missing with the reason."""
    (folder / "vault").mkdir()
    ((what, _),) = passwords(folder, "[defaults]\nvault_password_file = vault\n").values()
    assert what == "vault cannot be read (Is a directory)"


def test_keys_of_hosts(tmp_path: Path) -> None:
    """The key of a host is that of `extra_vars`, of its variables, or of the settings; only those that do not exist are named, each once."""
    (tmp_path / "there").write_text("a key")
    hosts = {
        "web1": {"ansible_ssh_private_key_file": "own"},
        "web2": {"ansible_private_key_file": "own"},
        "web3": {"ansible_ssh_private_key_file": str(tmp_path / "there")},
        "web4": {"ansible_ssh_private_key_file": "{{ key }}"},
        "web5": {},
    }
    inventory = Inventory(hosts=hosts, groups={"web": Group(hosts=tuple(hosts))})
    made = configurations(tmp_path, "[defaults]\nprivate_key_file = shared\n")
    found = missing_keys(made, inventory, AnsibleSettings(), tuple(hosts))
    assert [(Path(each.place).name, each.why) for each in found] == [
        ("own", "the inventory names it for web1, web2"),
        ("shared", "private_key_file of the project's ansible.cfg names it for web5"),
    ]
    over = AnsibleSettings(extra_vars={"ansible_ssh_private_key_file": "over"})
    (only,) = missing_keys(made, inventory, over, ("web3",))
    assert only.why == "ansible.extra_vars of environment.yaml names it for web3"
