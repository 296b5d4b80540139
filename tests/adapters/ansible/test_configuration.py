"""The configuration of Ansible's processes: the same settings as by hand, and nothing of the machine."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.installed import ansible_settings, program
from orchestrator.adapters.ansible.resolution import InventoryResolver
from orchestrator.adapters.ansible.settings import CURRENT, OWN, SEALED, EffectiveSettings, Source
from orchestrator.adapters.testinfra.verifier import TestinfraVerifier
from orchestrator.domain.configuration import CODE, TRANSPORT, is_transport, working_folder
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory, variables_of
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import SuiteSpec
from orchestrator.hosts import loopback
from tests.adapters.ansible.conftest import COLLECTIONS, Stage, outcomes, staged

TYPES = {("defaults", "roles_path"): "pathspec", ("defaults", "log_path"): "path", ("defaults", "inventory"): "pathlist",
         ("defaults", "private_key_file"): "path"}  # fmt: skip


def effective(folder: Path, sealed: str, current: str | None, **own: Any) -> EffectiveSettings:
    """The settings out of a *sealed* and a *current* file and what the environment has as its *own*."""
    made = EffectiveSettings(TYPES)
    sources = Source(folder / "sealed", SEALED), Source(folder / "current", CURRENT)
    for source, text in zip(sources, (sealed, current), strict=True):
        source.folder.mkdir(exist_ok=True)
        if text is not None:
            (source.folder / "ansible.cfg").write_text(text)
    made.take(sources[0], transport=False)
    made.take(sources[1] if current is not None else sources[0], transport=True)
    made.own(AnsibleSettings(**own), folder)
    if current is not None:
        made.leave_out(sources[0])
    return made


# -- which setting comes from where -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("playbook", "files", "folder"),
    [
        ("site.yml", {"ansible.cfg"}, ""),
        ("ansible/site.yml", {"ansible.cfg", "ansible/ansible.cfg"}, "ansible"),
        ("ansible/playbooks/app/site.yml", {"ansible/ansible.cfg"}, "ansible"),
        ("ansible/site.yml", {"other/ansible.cfg"}, ""),
        ("./ansible//site.yml", {"ansible/ansible.cfg"}, "ansible"),
        ("ansible2/site.yml", {"ansible/ansible.cfg"}, ""),
    ],
)
def test_ansible_works_where_its_nearest_settings_are(playbook: str, files: set[str], folder: str) -> None:
    """The working folder is the nearest one at or above the playbook that has an `ansible.cfg`."""
    assert working_folder(playbook, files) == folder


def test_code_settings_are_sealed_and_transport_settings_are_the_operators(tmp_path: Path) -> None:
    """The package decides which code runs; the environment, then the project, decide how hosts are reached."""
    sealed = "[defaults]\nforks = 3\nhost_key_checking = False\nremote_user = packed\nremote_port = 1\n"
    current = "[defaults]\nforks = 9\nremote_user = project\nremote_port = 2\n[ssh_connection]\nretries = 4\n"
    made = effective(tmp_path, sealed, current, transport={"remote_port": 3})
    found = {item.name: (item.value, item.origin) for item in made.listed()}
    assert found == {
        "defaults.forks": ("3", SEALED),
        "defaults.remote_user": ("project", CURRENT),
        "defaults.remote_port": ("3", OWN),
        "ssh_connection.retries": ("4", CURRENT),
    }
    assert made.unused == ["host_key_checking", "remote_user", "remote_port"]


def test_without_a_project_the_sealed_file_gives_all_settings(tmp_path: Path) -> None:
    """A package that is run where no project is keeps its own transport settings."""
    made = effective(tmp_path, "[defaults]\nremote_user = packed\nforks = 3\n", None)
    assert [(item.name, item.origin) for item in made.listed()] == [
        ("defaults.forks", SEALED),
        ("defaults.remote_user", SEALED),
    ]


def test_relative_paths_keep_the_meaning_that_they_have_by_hand(tmp_path: Path) -> None:
    """A relative path is relative to the folder of the file that it stands in, wherever the effective file lies."""
    for name in ("sealed", "current"):
        (tmp_path / name).mkdir()
    for name in ("ssh.cfg", "pass", "known hosts"):
        (tmp_path / "current" / name).write_text("")
    made = effective(
        tmp_path,
        "[defaults]\nroles_path = roles:../shared:~/mine:/abs\nlog_path = logs/a.log\nfact_caching = jsonfile\n"
        "fact_caching_connection = .facts\n",
        "[defaults]\nprivate_key_file = keys/id\nvault_identity_list = dev@pass, prod@elsewhere\n"
        "[ssh_connection]\nssh_args = -F ssh.cfg -o 'UserKnownHostsFile=known hosts' -o ControlMaster=auto\n",
    )
    sealed, current = tmp_path / "sealed", tmp_path / "current"
    assert made.get(("defaults", "roles_path")) == f"{sealed}/roles:{tmp_path}/shared:~/mine:/abs"
    assert made.get(("defaults", "log_path")) == f"{sealed}/logs/a.log"
    assert made.get(("defaults", "fact_caching_connection")) == f"{sealed}/.facts"
    assert made.get(("defaults", "private_key_file")) == f"{current}/keys/id"
    assert made.get(("defaults", "vault_identity_list")) == f"dev@{current}/pass, prod@elsewhere"
    words = made.get(("ssh_connection", "ssh_args"))
    assert words == f"-F {current}/ssh.cfg -o 'UserKnownHostsFile={current}/known hosts' -o ControlMaster=auto"


def test_a_setting_that_may_be_a_password_is_shown_as_a_digest(tmp_path: Path) -> None:
    """A plan shows the names of password files, and no password."""
    made = effective(tmp_path, "[defaults]\nforks = 1\n[callback_x]\napi_token = hush\n", "[defaults]\n")
    assert "hush" not in str(made.listed())
    assert "hush" in made.text


def test_a_file_that_ansible_refuses_is_refused_by_its_path(tmp_path: Path) -> None:
    """An `ansible.cfg` with a setting twice is an error for Ansible, and for a plan."""
    with pytest.raises(OrchestratorError) as refused:
        effective(tmp_path, "[defaults]\nforks = 1\nforks = 2\n", None)
    assert refused.value.code == "D150"
    assert str(tmp_path / "sealed/ansible.cfg") in refused.value.message


def test_no_setting_is_in_both_lists() -> None:
    """A setting belongs to the package or to the operator, and the transport settings know their sections."""
    assert not set(CODE) & set(TRANSPORT)
    assert all(is_transport(section, key) for section, key in TRANSPORT.values())
    assert not any(is_transport("defaults", key) for key in CODE)


def test_a_name_that_is_no_transport_setting_is_refused() -> None:
    """`ansible.transport` of an environment takes transport settings and no code settings."""
    with pytest.raises(ValueError, match="'roles_path' is not a transport setting"):
        AnsibleSettings(transport={"roles_path": "x"})


# -- what Ansible is given ---------------------------------------------------------------------------------------------


def test_nothing_of_the_controller_reaches_ansible_but_what_is_declared(stage: Stage, tmp_path: Path) -> None:
    """Variables that change which code or tasks run are not passed on, and each is reported; a declared one counts."""
    home = tmp_path / "user"
    (home / ".ansible/roles/mine").mkdir(parents=True)
    (home / ".ansible.cfg").write_text("[defaults]\nforks = 99\n")
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "ANSIBLE_SKIP_TAGS": "firewall", "PYTHONPATH": "/x",
               "ANSIBLE_ACTION_PLUGINS": "/x", "PYTEST_ADDOPTS": "-x", "TOKEN": "hush", "OTHER": "o"}  # fmt: skip
    made = Configurations(environ, stage.folder, COLLECTIONS, tmp_path / "state")
    settings = AnsibleSettings(environment=("TOKEN",))
    play = made.of_play(stage.package, "plays/site.yml", settings)
    env = play.environment(tmp_path / "job", tmp_path / "control", 2)
    (tmp_path / "job").mkdir()
    (tmp_path / "job/ansible.cfg").write_bytes(play.config)
    words = [program("ansible-config"), "dump", "--only-changed", "--format", "json"]
    dumped = json.loads(subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout)
    given = {item["name"]: item["value"] for item in dumped if "name" in item}
    assert given["DEFAULT_FORKS"] == 2
    assert "TAGS_SKIP" not in given
    given.pop("CONFIG_FILE")
    places = [str(value) for value in given.values()]
    assert not [place for place in places if any(part in place for part in (".ansible", "'/x", "/usr/"))]
    assert env["TOKEN"] == "hush"
    assert not {"OTHER", "PYTHONPATH", "PYTEST_ADDOPTS", "ANSIBLE_SKIP_TAGS"} & set(env)
    notes = made.notes(stage.package, settings)
    names = ("ANSIBLE_ACTION_PLUGINS", "ANSIBLE_SKIP_TAGS", "PYTEST_ADDOPTS", "PYTHONPATH")
    assert notes[:4] == tuple(f"{name} is set here and is not passed on" for name in names)
    assert notes[4:] == tuple(
        f"{home}/{name} exists here and is not passed on" for name in (".ansible.cfg", ".ansible/roles")
    )
    document = made.document(stage.package, (), settings)
    assert document.environment == ("TOKEN",)
    assert "hush" not in str(document.to_json())
    other = Configurations({**environ, "TOKEN": "other"}, stage.folder, COLLECTIONS, tmp_path / "state")
    assert digest_of(other.document(stage.package, (), settings).to_json()) != digest_of(document.to_json())


# -- as by hand, on hosts ----------------------------------------------------------------------------------------------

SITE = """
- name: Say what arrived
  hosts: web
  gather_facts: false
  vars_files: ["{{ inventory_dir }}/more.yml"]
  roles: [{role: mine, tags: [firewall]}]
  tasks:
    - name: Write it down
      ansible.builtin.copy:
        content: "{{ [secret, colour, size, from_role, more, inventory_dir, inventory_file, ansible_host] | to_json }}"
        dest: "{{ host_root }}/seen.json"
        mode: "0600"
"""


SUITE = """
import json


def test_variables(host) -> None:
    about = host.ansible.get_variables()
    expected = json.loads(host.file(about["host_root"] + "/seen.json").content_string)
    assert [about["secret"], about["colour"], about["size"]] == expected[:3]
    assert host.check_output("echo here") == "here"
"""


@dataclass
class Plain:
    """A project as people write it, whose settings are in `ansible/ansible.cfg`, and the same work by hand."""

    stage: Stage
    folder: Path

    def by_hand(self, *words: str) -> str:
        """What a program of Ansible prints when it is started in the folder of the project's settings."""
        env = {name: os.environ[name] for name in ("HOME", "PATH", "USER", "LANG") if name in os.environ}
        argv = [program(words[0]), *words[1:]]
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def plain(servers: tuple[Path, list[loopback.Host]], tmp_path: Path) -> Iterator[Plain]:
    """One host whose port, user, key and known hosts are in the settings, and a vaulted variable in a whole file."""
    host = servers[1][0]
    about = host.variables()
    known = str(about["ansible_ssh_common_args"])
    folder = tmp_path / "project"
    (folder / "ansible").mkdir(parents=True)
    (folder / "ansible/vault pass").write_text("open sesame\n")
    files = {
        "ansible/ansible.cfg": (
            f"[defaults]\nremote_port = {about['ansible_port']}\nremote_user = {about['ansible_user']}\n"
            f"private_key_file = {about['ansible_ssh_private_key_file']}\nvault_password_file = vault pass\n"
            f"roles_path = our-roles\ninventory_ignore_extensions = ~, .orig\ninventory = hosts\n"
            f"[ssh_connection]\nssh_args = {known} -o ControlMaster=no\n"
        ),
        "ansible/site.yml": SITE,
        "ansible/our-roles/mine/tasks/main.yml": "- ansible.builtin.set_fact: {from_role: role}\n",
        "ansible/hosts": (
            f"[everything:children]\nweb\n[web]\nweb1 base={host.address.rpartition('.')[0]} "
            f"ansible_host='{{{{ base }}}}.{host.address.rpartition('.')[2]}' host_root={host.root} "
            f"ansible_remote_tmp={host.root}/.ansible/tmp ansible_python_interpreter={about['ansible_python_interpreter']}\n"
        ),
        "ansible/group_vars/web/plain.yml": "colour: blue\n",
        "ansible/group_vars/everything.yml": "colour: red\nsize: large\n",
        "ansible/more.yml": "more: beside the inventory\n",
        "tests/test_smoke.py": SUITE,
        "app/file.txt": "1.0.0\n",
    }
    (folder / "ansible/group_vars/web").mkdir(parents=True)
    secret = folder / "ansible/group_vars/web/secret.yml"
    secret.write_text("secret: from the vault\n")
    words = [
        program("ansible-vault"),
        "encrypt",
        "--vault-password-file",
        str(folder / "ansible/vault pass"),
        str(secret),
    ]
    subprocess.run(words, check=True, capture_output=True)
    steps = ({"name": "deploy", "playbook": "ansible/site.yml"},)
    include = ("ansible/our-roles", "ansible/ansible.cfg")
    with staged([host], folder, files, {"ANSIBLE_SKIP_TAGS": "firewall"}, steps=steps, include=include) as made:
        yield Plain(made, folder / "ansible")


@pytest.mark.engines
def test_one_configuration_for_inventory_inspection_and_plays_as_by_hand(plain: Plain) -> None:
    """Settings in the project's `ansible.cfg` work wherever Ansible is started: vault, port, user, key, arguments."""
    stage = plain.stage
    listed = json.loads(plain.by_hand("ansible-inventory", "--list"))
    stage.inventory = stage.deployer.resolve(Inventory(files=(str(plain.folder / "hosts"),)))
    assert list(stage.inventory.hosts) == list(listed["_meta"]["hostvars"])
    seen = stage.deployer.inspect((), stage.inventory, stage.context("r1", 1), "r1.require", stage.entries.append)
    assert outcomes(seen) == ["succeeded"], seen.message
    plain.by_hand("ansible-playbook", "site.yml")
    file = Path(stage.hosts[0].root) / "seen.json"
    expected = file.read_text()
    file.unlink()
    assert json.loads(expected)[:5] == ["from the vault", "blue", "large", "role", "beside the inventory"]
    play = stage.play("site.yml").model_copy(update={"playbook": "ansible/site.yml"})
    result = stage.deployer.deploy(play, stage.package, stage.inventory, stage.context("r1", 1), "r1.deploy.1", print)
    assert outcomes(result) == ["succeeded"], result.message
    assert file.read_text() == expected
    suite = SuiteSpec(name="smoke", tests="tests", timeout=120.0)
    verifier = TestinfraVerifier(stage.jobs, os.environ, stage.deployer.resolver)
    tested = verifier.verify(suite, stage.package, stage.inventory, stage.context("r1", 1), "r1.verify", print)
    assert tested.outcome.value == "succeeded", tested.message
    job = stage.jobs.folder("r1.deploy.1")
    assert not (job / "home").exists()
    assert not (job / "tmp").exists()


@pytest.mark.engines
def test_an_inspection_that_failed_as_a_whole_leaves_every_host_unknown(stage: Stage) -> None:
    """An `ansible.cfg` that Ansible cannot use says nothing about hosts: each is unknown, for that reason."""
    (stage.folder / "ansible.cfg").write_text("[defaults]\nremote_port = many\n")
    seen = stage.deployer.inspect((), stage.inventory, stage.context("r1", 1), "r1.require", stage.entries.append)
    assert outcomes(seen) == ["unknown", "unknown"]
    assert seen.data["code"] == "D151"
    assert "many" in seen.message


@pytest.mark.engines
def test_a_variable_in_a_group_and_in_one_above_it_has_the_value_that_ansible_gives_it(stage: Stage) -> None:
    """Gates, suites and playbooks see the value of the nearest group, whatever the order of the groups is."""
    own = stage.inventory.hosts["web1"]
    groups = {
        "web": Group(hosts=("web1",), vars={"colour": "of the group"}),
        "zone": Group(children=("web",), vars={"colour": "of the zone", "size": "large"}),
    }
    found = stage.deployer.resolve(Inventory(hosts={"web1": own}, groups=groups))
    assert found.digest == Inventory(hosts={"web1": own}, groups=groups).digest
    variables = variables_of(found, "web1")
    assert (variables["colour"], variables["size"], variables["host_root"]) == (
        "of the group",
        "large",
        own["host_root"],
    )


@pytest.mark.engines
def test_a_host_is_reached_where_ansible_reaches_it(stage: Stage) -> None:
    """Older names of variables, templates and variables of the environment count as they do for Ansible."""
    own = {"ansible_host": "127.0.0.9", "ansible_port": 22, "ansible_ssh_common_args": "-o ProxyJump=x"}
    hosts: dict[str, dict[str, Any]] = {
        "plain": own,
        "older": {**own, "ansible_ssh_port": 2022, "ansible_ssh_host": "127.0.0.8"},
        "template": {"ansible_host": "127.0.0.{{ last }}", "last": 7},
        "local": {"ansible_connection": "local"},
    }
    context = replace(stage.context("r1", 1), vars={"ansible_port": 2200})
    resolver = stage.deployer.resolver
    found = resolver.connections(Inventory(hosts=hosts, templates=True), context)
    assert {host: (way.kind, way.host, way.port, way.proxied) for host, way in found.items()} == {
        "plain": ("ssh", "127.0.0.9", 22, True),
        "older": ("ssh", "127.0.0.8", 2022, True),
        "template": ("ssh", "127.0.0.7", 2200, False),
        "local": ("local", "local", 2200, False),
    }
    alone = resolver.connections(Inventory(hosts={"plain": own}), context)["plain"]
    assert replace(alone, options=found["plain"].options) == found["plain"]
    assert not alone.options


PLUGIN = """
DOCUMENTATION = "name: listed\\nshort_description: One host\\noptions: {plugin: {description: The name}}"

from ansible.plugins.inventory import BaseInventoryPlugin


class InventoryModule(BaseInventoryPlugin):
    NAME = "own.hosts.listed"

    def verify_file(self, path):
        return True

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        inventory.add_host("from_plugin")
"""


@pytest.mark.engines
def test_inventories_have_declared_variables_and_the_plugins_of_the_project(tmp_path: Path) -> None:
    """A script sees what the environment declares, and an inventory plugin is found in the project's collections."""
    collection = "collections/ansible_collections/own/hosts"
    files = {
        "ansible.cfg": "[defaults]\nforks = 2\n",
        "inventories/script.sh": """#!/bin/sh\necho "{\\"web\\": {\\"hosts\\": [\\"$PREFIX-1\\"]}}"\n""",
        "inventories/own.yml": "plugin: own.hosts.listed\n",
        f"{collection}/galaxy.yml": "namespace: own\nname: hosts\nversion: 1.0.0\n",
        f"{collection}/plugins/inventory/listed.py": PLUGIN,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "inventories/script.sh").chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PREFIX": "declared"}
    resolver = InventoryResolver(Configurations(environ, tmp_path, COLLECTIONS, tmp_path / "state"))
    inventory = Inventory(files=tuple(str(tmp_path / f"inventories/{name}") for name in ("script.sh", "own.yml")))
    found = resolver.hosts(inventory, AnsibleSettings(environment=("PREFIX",)))
    assert set(found.hosts) == {"declared-1", "from_plugin"}


def test_the_settings_are_those_that_ansible_lists(tmp_path: Path) -> None:
    """The settings, read without starting Ansible, are those that `ansible-config list` prints."""
    (tmp_path / "ansible.cfg").touch()
    words = [program("ansible-config"), "list", "--format", "json"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    listed = json.loads(subprocess.run(words, env=env, capture_output=True, check=True).stdout)
    shape = ("env", "ini", "type")
    theirs = {name: [about.get(key) for key in shape] for name, about in listed.items()}
    ours = {name: [about.get(key) for key in shape] for name, about in ansible_settings().items()}
    assert {name: ours.get(name) for name, found in theirs.items() if any(found[:2])} == {
        name: found for name, found in theirs.items() if any(found[:2])
    }
