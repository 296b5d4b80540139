"""What a playbook needs is in the package, wherever the project keeps it, or the build says what is not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.archive.checks import Declared
from orchestrator.adapters.archive.gather import gather
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.archive.proof import Proof
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.packing import Packing
from orchestrator.folders import collections_folder

CONFIGURED = {
    "ansible.cfg": "[defaults]\nroles_path = provision/roles:/etc/ansible/roles\ncollections_path = vendor\n"
    "filter_plugins = provision/filters\nlibrary=./provision/modules\ncallback_plugins=\n",
    "playbooks/deploy.yml": "- hosts: all\n  gather_facts: false\n  roles: [web, demo.tools.hello]\n  tasks:\n"
    '    - mine:\n    - ansible.builtin.debug: {msg: "{{ 1 | twice }}"}\n',
    "provision/roles/web/tasks/main.yml": "- debug: {msg: hi}\n",
    "provision/filters/twice.py": "class FilterModule:\n    def filters(self): return {'twice': lambda x: x * 2}\n",
    "provision/modules/mine.py": "#!/usr/bin/python\n",
    "vendor/ansible_collections/demo/tools/galaxy.yml": "namespace: demo\nname: tools\nversion: 1.0.0\n",
    "vendor/ansible_collections/demo/tools/roles/hello/tasks/main.yml": "[]\n",
}  # fmt: skip
REFERENCES = {
    "playbooks/deploy.yml": """
- ansible.builtin.import_playbook: ../common/before.yml
- hosts: all
  vars_files: [../common/shop.yml, [../common/none.yml, ../common/else.yml]]
  roles: [../shared/roles/db]
  tasks:
    - include_tasks: ../common/t.yml
    - ansible.builtin.include_vars: {file: ../common/vars.yml}
    - template: src=../common/a.j2 dest=/tmp/a
    - copy: {src: ../common/tree/, dest: /tmp/b}
    - copy: {src: ../somewhere, dest: /tmp/b, remote_src: true}
    - script: ../common/run.sh --now
    - include_tasks: "../{{ which }}.yml"
    - block: [{import_tasks: ../common/deep/x.yml}]
""",
    "common/before.yml": "- hosts: all\n  tasks: []\n",
    "common/shop.yml": "a: 1\n",
    "common/none.yml": "a: 1\n",
    "common/else.yml": "a: 1\n",
    "common/t.yml": "- include_tasks: deep/y.yml\n- copy: {src: inner.txt, dest: /x}\n",
    "common/inner.txt": "x",
    "common/vars.yml": "a: !vault x\n",
    "common/a.j2": "x",
    "common/tree/a/b": "x",
    "common/run.sh": "x",
    "common/deep/x.yml": "[]\n",
    "common/deep/y.yml": "- include_tasks: z.yml\n",
    "common/deep/z.yml": "- include_tasks: y.yml\n",
    "common/unused.yml": "[]\n",
    "shared/roles/db/tasks/main.yml": "- include_tasks: more.yml\n- template: {src: db.j2, dest: /x}\n",
    "shared/roles/db/tasks/more.yml": "- include_tasks: ../../../../common/far.yml\n",
    "shared/roles/db/templates/db.j2": "x",
    "common/far.yml": "[]\n",
}


class Warned:
    """A build with what it warned of."""

    def __init__(self, shop: Any, *, collections: Path | None = None, proof: Any = lambda _package: ()) -> None:
        self.warnings: list[OrchestratorError] = []
        self._shop = shop
        shop.packages = SealedPackages(shop.folder / "kept", shop.folder / "cache", collections, proof)

    def build(self, **changes: object) -> Any:
        release = self._shop.release

        target = self._shop.folder / "a.release"
        return self._shop.packages.build(
            self._shop.project, self._shop.source, release(**changes), target, warn=self.warnings.append
        )


def proof() -> Proof:
    return Proof(collections_folder(), os.environ)


def names(package: Any) -> set[str]:
    return {file.path for file in package.manifest.files}


@pytest.mark.engines
@pytest.mark.parametrize("beside", [False, True])
def test_what_ansible_cfg_names_is_packed_where_it_says(shop: Any, beside: bool) -> None:
    """Roles, collections, filters and modules in folders of the project's own choice run from the package alone."""
    shop.files(CONFIGURED)
    if beside:
        shop.files({"releases/shop/playbooks/deploy.yml": CONFIGURED["playbooks/deploy.yml"]})
    package = Warned(shop, proof=proof()).build()
    assert "vendor/ansible_collections/demo/tools/galaxy.yml" in names(package)
    assert {"provision/roles/web/tasks/main.yml", "provision/modules/mine.py"} < names(package)
    root = shop.packages.keep(Path(package.path)).root
    argv = [sys.executable, "-m", "ansible", "playbook", "--syntax-check", "-i", "localhost,", "playbooks/deploy.yml"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.engines
@pytest.mark.usefixtures("not_isolated")  # the plugin writes down what it finds
def test_the_syntax_check_has_no_credentials(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins of the project that Ansible loads for the syntax check find no agent, no token, and an empty home folder."""
    seen = tmp_path / "seen.json"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/id").write_text("private")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("SSH_AUTH_SOCK", "KRB5CCNAME", "VAULT_TOKEN", "VAULT_ADDR"):
        monkeypatch.setenv(name, "secret")
    plugin = "import json, os\nfrom ansible.plugins.lookup import LookupBase\nclass LookupModule(LookupBase):\n"
    plugin += "    def run(self, terms, variables=None, **words):\n"
    plugin += f"        json.dump(dict(os.environ), open({str(seen)!r}, 'w'))\n        return ['tasks.yml']\n"
    playbook = "- hosts: all\n  tasks:\n  - import_tasks: \"{{ lookup('spy') }}\"\n"
    shop.files({"playbooks/deploy.yml": playbook, "playbooks/lookup_plugins/spy.py": plugin})
    shop.files({"playbooks/tasks.yml": "- debug: {msg: x}\n"})
    Warned(shop, proof=proof()).build()
    found = json.loads(seen.read_text())
    assert not {name for name, value in found.items() if value == "secret"}
    assert found["HOME"] != str(tmp_path / "home")
    assert not (Path(found["HOME"]) / "id").exists()


def test_relative_paths_are_followed(shop: Any) -> None:
    """What playbooks name is packed although it is left out by default, and what that names, and nothing else of it."""
    moved = {name.replace("common/", "docs/"): text.replace("common/", "docs/") for name, text in REFERENCES.items()}
    shop.files(moved)
    warned = Warned(shop)
    assert set(moved) - names(warned.build()) == {"docs/unused.yml"}
    assert warned.warnings == []


def test_a_path_out_of_the_project_is_refused(shop: Any) -> None:
    """What lies outside cannot be packed: the place of the reference is named."""
    (shop.folder / "outside.yml").write_text("[]\n")
    shop.files({"playbooks/deploy.yml": "- hosts: all\n  tasks:\n    - include_tasks: ../../outside.yml\n"})
    with pytest.raises(OrchestratorError, match=r"outside\.yml") as caught:
        shop.build()
    assert caught.value.code == "P105"
    assert str(caught.value.where) == "playbooks/deploy.yml:3:22"


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("../docs/{{ name }}.conf", "docs"),  # left out by default
        ("../docs/{{ name }}/x.conf", "docs"),
        ("{{ playbook_dir }}/../docs/{{ name }}", "docs"),
        ("{{ playbook_dir }}/../docs/app.conf", "docs"),
        ("{{ where }}/app.conf", "docs"),
        ("{{ where }}docs/app.conf", "docs"),
        ("../left/{{ name }}", "left"),  # left out by a pattern
        ("{{ where }}/left/deep/{{ name }}", None),
        ("../ignored/{{ name }}", "ignored"),  # left out by Git
        ("../docs/", None),
        ("files/{{ name }}.conf", None),
        ("{{ where }}/kept.conf", None),  # one that is packed fits
        ("{{ inventory_dir }}/app.conf", None),
        ("{{ name }}", None),
        ("{{ name }}.conf", None),
        ("none/{{ name }}", None),
        ("{% if a %}../docs/x{% endif %}", None),
        ("/docs/{{ name }}", None),
        ("{{ unclosed", None),
    ],
)
def test_a_templated_path_into_a_folder_that_is_left_out_is_a_warning(shop: Any, path: str, folder: str | None) -> None:
    """The build names the folder of which nothing is packed, where the known part of the path lies in it."""
    playbook = f"- hosts: all\n  tasks:\n    - copy: {{dest: /tmp/x, src: '{path}'}}\n"
    files = (
        "docs/app.conf",
        "docs/kept.conf",
        "playbooks/files/kept.conf",
        "left/deep/x",
        "ignored/x",
        ".orchestratorignore",
    )
    shop.files({**dict.fromkeys(files, "x"), ".orchestratorignore": "ignored/", "playbooks/deploy.yml": playbook})
    packing = Packing(exclude=("left/",))
    warned = gather(shop.project, shop.source, shop.release(), packing=packing).warnings
    assert [(error.code, error.message.partition(" can lead to ")[2].partition("/,")[0]) for error in warned] == (
        [("P124", folder)] if folder else []
    )


def test_a_path_to_nothing_is_a_warning(shop: Any) -> None:
    """The task may never run, so that the package is built; the place is named all the same."""
    shop.files({"playbooks/deploy.yml": "- hosts: all\n  tasks:\n    - include_tasks: ../none.yml\n"})
    warned = Warned(shop)
    warned.build()
    assert [(error.code, str(error.where)) for error in warned.warnings] == [("P111", "playbooks/deploy.yml:3:22")]


WRITERS = [
    "fetch: {src: /etc/hostname, dest: generated.txt, flat: true}",
    "fetch: {src: /etc/hostname, dest: '{{ playbook_dir }}/files/'}",
    "copy: {content: x, dest: '{{ playbook_dir }}/generated.txt'}, delegate_to: localhost",
    "lineinfile: {path: playbooks/generated.txt, line: x, create: true}, connection: local",
    "local_action: ansible.builtin.copy content=x dest=generated.txt",
    "shell: date > generated.txt, delegate_to: 127.0.0.1",
    "copy: {content: x, dest: '{{ out }}/generated.txt'}, delegate_to: localhost",
]
ELSEWHERE = [
    "fetch: {src: /generated.txt, dest: other.txt, flat: true}",
    "copy: {content: x, dest: generated.txt}",
    "copy: {content: x, dest: '{{ out }}'}, delegate_to: localhost",
    "stat: {path: generated.txt}, delegate_to: localhost",
]


def _warned_with(shop: Any, playbook: str) -> list[str]:
    shop.files({"playbooks/deploy.yml": playbook})
    (shop.folder / "a.release").unlink(missing_ok=True)
    warned = Warned(shop)
    warned.build()
    return [error.code for error in warned.warnings]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_an_earlier_task_writes_on_the_controller_is_not_missing(shop: Any, writer: str) -> None:
    """A file is not warned of if an earlier task of the playbook writes it on the controller; a later one is too late."""
    first = f"- hosts: web\n  tasks:\n  - {{{writer}}}\n"
    then = "- hosts: all\n  tasks:\n  - copy: {src: generated.txt, dest: /tmp/a}\n"
    assert _warned_with(shop, first + then) == []
    assert _warned_with(shop, then + first) == ["P111"]
    assert _warned_with(shop, f"{then}  - {{{writer}}}\n") == ["P111"]


@pytest.mark.parametrize("writer", ELSEWHERE)
def test_a_file_that_is_written_elsewhere_is_missing(shop: Any, writer: str) -> None:
    """A file is warned of if the earlier tasks write it on hosts, or write another file, or nothing."""
    then = "  - copy: {src: generated.txt, dest: /tmp/a}\n"
    assert _warned_with(shop, f"- hosts: web\n  tasks:\n  - {{{writer}}}\n{then}") == ["P111"]


@pytest.mark.parametrize(("second", "codes"), [(("fetched/",), []), ((), ["P111"])])
def test_a_controller_file_that_every_environment_keeps_is_not_missing(
    shop: Any, second: tuple[str, ...], codes: list[str]
) -> None:
    """A file is not warned of if every environment of the release declares it as a controller file."""
    kept = (Declared("a", "a.yaml", controller_files=("fetched/",)), Declared("b", "b.yaml", controller_files=second))
    shop.files({"playbooks/deploy.yml": "- hosts: all\n  tasks:\n  - copy: {src: ../fetched/x, dest: /tmp/a}\n"})
    found: list[OrchestratorError] = []
    packages = SealedPackages(shop.folder / "kept", declared=lambda _names: kept)
    packages.build(shop.project, shop.source, shop.release(), shop.folder / "b.release", warn=found.append)
    assert [error.code for error in found] == codes


def test_a_link_out_behind_a_path_is_refused(shop: Any) -> None:
    """A reference is no way around the rule for links."""
    (shop.folder / "outside.yml").write_text("[]\n")
    shop.files(
        {"playbooks/deploy.yml": "- hosts: all\n  tasks:\n    - include_tasks: ../common/x.yml\n", "common/y": ""}
    )
    (shop.project / "common/x.yml").symlink_to(shop.folder / "outside.yml")
    with pytest.raises(OrchestratorError) as caught:
        shop.build()
    assert caught.value.code == "P103"


# -- our own collection --------------------------------------------------------------------------------------------

DEPLOY = "- hosts: all\n  tasks:\n    - orchestrator.release.deploy: {keep: 1}\n"
OURS = "ansible_collections/orchestrator/release/"


def test_our_collection_is_packed_when_it_is_named(shop: Any) -> None:
    """What was verified is what runs: the package has the collection, with its version and digest in the manifest."""
    warned = Warned(shop, collections=collections_folder())
    assert not [name for name in names(warned.build()) if name.startswith(OURS)]
    (shop.folder / "a.release").unlink()
    shop.files({"playbooks/deploy.yml": DEPLOY})
    package = warned.build()
    assert {OURS + "plugins/action/deploy.py", OURS + "galaxy.yml", OURS + "LICENSE"} < names(package)
    collection = package.manifest.collection
    assert (collection.name, collection.version) == ("orchestrator.release", "0.1.0")
    assert collection.digest.startswith("sha256:")


def test_a_projects_own_copy_of_our_collection_comes_first(shop: Any) -> None:
    """A project that brings the collection keeps its version."""
    own = "collections/ansible_collections/orchestrator/release"
    shop.files({"playbooks/deploy.yml": DEPLOY, f"{own}/galaxy.yml": "version: 0.0.7\n"})
    package = Warned(shop, collections=collections_folder()).build()
    assert package.manifest.collection.version == "0.0.7"
    assert [name for name in names(package) if OURS in name] == [f"collections/{OURS}galaxy.yml"]


# -- the proof -----------------------------------------------------------------------------------------------------


@pytest.mark.engines
def test_our_collection_is_found_in_the_package_alone(shop: Any) -> None:
    """A playbook that uses it is proved without the copy that this program has, also with a search path of its own."""
    shop.files({"playbooks/deploy.yml": DEPLOY, "ansible.cfg": "[defaults]\ncollections_path = vendor\n"})
    warned = Warned(shop, collections=collections_folder(), proof=proof())
    warned.build()
    assert [error.code for error in warned.warnings] == []


@pytest.mark.engines
@pytest.mark.parametrize(
    ("playbook", "code", "said"),
    [
        ("- hosts: all\n  roles: [nowhere]\n", "P113", "'nowhere' was not found"),
        ("- hosts: all\n  tasks: [{import_tasks: none.yml}]\n", "P113", "none.yml"),
        ("- hosts: all\n  tasks: [{nobody.knows.this: }]\n", "P113", "nobody.knows.this"),
        ("- hosts: all\n  tsks: []\n", "P113", "tsks"),
        ("- hosts: all\n  tasks: [{import_tasks: '{{ unknown_variable }}.yml'}]\n", "P115", "undefined"),
    ],
)
def test_a_package_that_cannot_run_is_not_built(shop: Any, playbook: str, code: str, said: str) -> None:
    """A role, task file or module that is not there, or a wrong key, ends the build; what nobody can know yet does not."""
    shop.files({"playbooks/deploy.yml": playbook})
    warned = Warned(shop, proof=proof())
    if code == "P113":
        with pytest.raises(OrchestratorError, match=said) as caught:
            warned.build()
        assert caught.value.code == code
        assert not (shop.folder / "a.release").exists()
    else:
        warned.build()
        assert [error.code for error in warned.warnings] == [code]
        assert said in warned.warnings[0].message


@pytest.mark.engines
def test_a_project_needs_no_configuration(shop: Any) -> None:
    """Without an `ansible.cfg` the package is proved by Ansible's own defaults, and not by this machine's."""
    (shop.project / "ansible.cfg").unlink()
    warned = Warned(shop, proof=proof())
    warned.build()
    assert warned.warnings == []


@pytest.mark.engines
def test_what_only_this_machine_has_ends_the_build(
    shop: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that is installed for this user is not in the package, and no run is given it."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ansible/roles/nowhere/tasks").mkdir(parents=True)
    (home / ".ansible/roles/nowhere/tasks/main.yml").write_text("[]\n")
    monkeypatch.setenv("HOME", str(home))
    shop.files({"playbooks/deploy.yml": "- hosts: all\n  roles: [nowhere]\n"})
    with pytest.raises(OrchestratorError) as refused:
        Warned(shop, proof=proof()).build()
    assert refused.value.code == "P114"


@pytest.mark.engines
def test_a_playbook_is_checked_in_the_folder_of_its_settings(shop: Any) -> None:
    """Beside `ansible/ansible.cfg` the paths of that file count, as with `cd ansible && ansible-playbook deploy.yml`."""
    shop.files(
        {
            "ansible/ansible.cfg": "[defaults]\nroles_path = our-roles\ninventory_ignore_extensions = ~, .orig\n",
            "ansible/our-roles/mine/tasks/main.yml": "[]\n",
            "ansible/deploy.yml": "- hosts: all\n  roles: [mine]\n",
        }
    )
    step = {"name": "deploy", "playbook": "ansible/deploy.yml"}
    warned = Warned(shop, proof=proof())
    warned.build(steps=[step])
    assert warned.warnings == []


@pytest.mark.engines
def test_no_password_is_needed_to_build(shop: Any) -> None:
    """Vault files and password files that stay outside of the package are a note, and keep nothing from being built."""
    vault = "$ANSIBLE_VAULT;1.1;AES256\n3030\n"
    files = {
        "ansible.cfg": "[defaults]\nvault_password_file = .pass\nvault_identity_list = a@ask.sh\n",
        "ask.sh": "exit 1",
    }
    shop.files({**files, "playbooks/group_vars/all/vault.yml": vault, ".pass": "x"})
    (shop.project / "ask.sh").chmod(0o755)
    shop.files({"playbooks/deploy.yml": "- hosts: all\n  vars_files: [group_vars/all/vault.yml]\n  roles: [web]\n"})
    warned = Warned(shop, proof=proof())
    warned.build()
    assert {error.code for error in warned.warnings} <= {"P115"}
