"""A package holds what Ansible and pytest need, where they look for it, and nothing that is secret or left over."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.configuration import working_folder_of
from orchestrator.domain.errors import OrchestratorError

OWN = {
    "releases/shop/playbooks/deploy.yml": "- hosts: all\n",
    "releases/shop/tests/smoke/test_own.py": "def test_it(host): pass\n",
}


TRUSTING = {"server": "https://p", "query": "up", "below": 1, "ca": "certs/none.pem"}


def refused(code: str, work: Callable[[], object], match: str | None = None) -> None:
    with pytest.raises(OrchestratorError, match=match) as caught:
        work()
    assert caught.value.code == code


def test_a_package_holds_what_ansible_and_pytest_need(shop: Any) -> None:
    """The project's tree is in it at its own paths, the artifact in an area of its own, and nothing else."""
    assert shop.names() == [
        "artifacts/shop.tar.gz",
        "ansible.cfg",
        "playbooks/deploy.yml",
        "playbooks/vars/common.yml",
        "roles/web/files/run.sh",
        "roles/web/tasks/main.yml",
        "tests/conftest.py",
        "tests/smoke/test_web.py",
    ]


def test_a_release_with_its_own_playbooks_and_tests(shop: Any) -> None:
    """What lies beside the release is meant first, and keeps its own path, beside the project's own files."""
    shop.files(OWN)
    names = shop.names()
    assert {"releases/shop/playbooks/deploy.yml", "playbooks/deploy.yml", "tests/conftest.py"} < set(names)
    release = shop.build(replace=True).manifest.release
    assert release.steps[0].playbook == "releases/shop/playbooks/deploy.yml"
    assert release.verify[0].tests == "releases/shop/tests/smoke"


def test_roles_of_one_name_keep_their_own_places(shop: Any) -> None:
    """A role beside the release and one of the project are both in the package, and nothing is mixed."""
    shop.files({**OWN, "releases/shop/roles/web/tasks/main.yml": "[]\n"})
    root = Path(shop.kept().root)
    assert (root / "releases/shop/roles/web/tasks/main.yml").read_text() == "[]\n"
    assert (root / "roles/web/tasks/main.yml").read_text() == "- debug: {msg: hi}\n"


PLAN = '{"apiVersion": "orchestrator/v2", "kind": "Plan"}'
EARLIER_PLAN = '{"apiVersion": "orchestrator/v1", "kind": "Plan"}'


def test_every_place_that_ansible_reads_is_taken(shop: Any) -> None:
    """Variables, files, templates, tasks, modules and plugins beside the playbooks' folder come along."""
    places = ["group_vars/all.yml", "host_vars/a.yml", "vars/x.yml", "files/x", "templates/x.j2", "tasks/x.yml"]
    places += ["handlers/x.yml", "library/x.py", "module_utils/x.py", "filter_plugins/x.py", "vars_plugins/x.py"]
    places += ["doc_fragments_plugins/x.py", "collections/ansible_collections/a/b/galaxy.yml"]
    shop.files(dict.fromkeys(places, "x"))
    assert set(places) < set(shop.names())


def test_what_is_left_over_is_not_taken(shop: Any) -> None:
    """Version control, caches, editors' files and our own state never come along."""
    left = [".git/config", "__pycache__/x.py", ".venv/x", "x.retry", "x.pyc", "x~", ".x.swp", ".#x", ".orchestrator/x"]
    shop.files({f"playbooks/{name}": "x" for name in left})
    shop.files({f"roles/web/{name}": "x" for name in left})
    assert [name for name in shop.names() if any(name.endswith(ending) for ending in left)] == []


def test_a_playbook_at_the_projects_root_has_its_siblings(shop: Any) -> None:
    """`site.yml` may import other playbooks beside it; the files of the orchestrator are left out."""
    files = dict.fromkeys(["site.yml", "web.yml", "orchestrator.yaml", "plan.json.backup"], "x: 1\n")
    shop.files({**files, "plan.json": PLAN, "out/plan.json": PLAN, "old.json": EARLIER_PLAN, "app.json": "{}"})
    names = shop.names(steps=[{"name": "deploy", "playbook": "site.yml"}])
    assert [name for name in names if "/" not in name] == ["ansible.cfg", "app.json", "site.yml", "web.yml"]
    assert "out/plan.json" not in names


def test_pytest_configuration_and_modules_above_a_suite_come_along(shop: Any) -> None:
    """`conftest.py` may import a module beside it, and a suite is often a Python package."""
    shop.files({"tests/helpers.py": "", "tests/__init__.py": "", "pytest.ini": "[pytest]\n", "setup.py": ""})
    names = shop.names(verify=[{"name": "smoke", "tests": "tests/smoke/test_web.py"}])
    assert {"tests/helpers.py", "tests/__init__.py", "pytest.ini", "tests/conftest.py"} < set(names)


def test_paths_of_the_packaged_release_are_names_in_it(shop: Any) -> None:
    """However a path was written, the package's own release has its one name below `content/`."""
    shop.files({"playbooks/undo.yml": "[]\n", "docs/x.md": "x"})
    package = shop.build(
        steps=[{"name": "deploy", "playbook": "./playbooks//deploy.yml", "undo": "playbooks/./undo.yml"}],
        verify=[{"name": "smoke", "tests": "tests/smoke/"}],
        watch={"for": "1m", "tests": "./tests/smoke"},
        include=["./docs/"],
    )
    release = package.manifest.release
    assert (release.steps[0].playbook, release.steps[0].undo) == ("playbooks/deploy.yml", "playbooks/undo.yml")
    assert release.watch
    assert (release.verify[0].tests, release.watch.tests, release.include) == ("tests/smoke", "tests/smoke", ("docs",))
    assert (release.artifacts[0].path, release.artifacts[0].name) == ("releases/shop/dist/shop.tar.gz", "shop.tar.gz")
    assert package.manifest.artifact(release.artifacts[0]).name == "artifacts/shop.tar.gz"


def test_certificates_of_gates_are_packed(shop: Any) -> None:
    """The file that a gate trusts is in the package, by its one name."""
    shop.files({"certs/ca.pem": "PEM"})
    query = {"server": "https://p", "query": "up", "below": 1, "ca": "./certs//ca.pem"}
    package = shop.build(watch={"for": "1m", "gates": [{"name": "gate", "prometheus": query}]})
    assert package.manifest.release.certificates() == ["certs/ca.pem"]
    assert "certs/ca.pem" in [file.path.removeprefix("content/") for file in package.manifest.files]


@pytest.mark.parametrize(
    "changes",
    [
        {"artifacts": [{"path": "dist/none.tar.gz"}]},
        {"steps": [{"name": "deploy", "playbook": "playbooks/none.yml"}]},
        {"steps": [{"name": "deploy", "playbook": "playbooks/deploy.yml", "undo": "playbooks/none.yml"}]},
        {"verify": [{"name": "smoke", "tests": "tests/none"}]},
        {"watch": {"for": "1m", "tests": "tests/none"}},
        {"watch": {"for": "1m", "gates": [{"name": "gate", "tests": "tests/none"}]}},
        {"watch": {"for": "1m", "gates": [{"name": "gate", "prometheus": TRUSTING}]}},
        {"include": ["none"]},
    ],
)
def test_what_is_missing_is_named(shop: Any, changes: dict[str, object]) -> None:
    """Each path that leads to nothing is refused with that path."""
    refused("P101", lambda: shop.build(**changes), match="none")


@pytest.mark.parametrize("path", [".", "./", ".orchestrator", ".git/config", "releases/../..".replace("..", ".")])
def test_what_is_no_part_of_a_release_is_refused(shop: Any, path: str) -> None:
    """Neither the whole project nor our own state can be included."""
    shop.files({".orchestrator/pulumi/passphrase": "secret", ".git/config": "x"})
    if path.startswith("releases"):
        assert shop.names(include=[path])
    else:
        refused("P105", lambda: shop.build(include=[path]))


def test_folders_for_files_are_refused(shop: Any) -> None:
    """An artifact and a playbook are files."""
    refused("P102", lambda: shop.build(artifacts=[{"path": "dist"}]), match="dist")
    refused("P102", lambda: shop.build(steps=[{"name": "deploy", "playbook": "playbooks"}]), match="playbooks")


# -- links and other things ----------------------------------------------------------------------------------------


def test_links_inside_the_project_are_packed_as_links(shop: Any) -> None:
    """A linked file and a linked folder (`playbooks/roles -> ../roles` is common) are links in the package too."""
    shop.files({"shared/motd": "hello"})
    (shop.project / "roles/web/files/motd").symlink_to("../../../shared/motd")
    (shop.project / "playbooks/roles").symlink_to("../roles")
    root = Path(shop.kept().root)
    assert (root / "playbooks/roles").readlink() == Path("../roles")
    assert (root / "playbooks/roles/web/files/motd").read_text() == "hello"


def test_a_release_may_link_to_its_project(shop: Any) -> None:
    """A playbook and a suite that are reached through a link are in the package, with the link."""
    (shop.project / "releases/shop/playbooks").symlink_to("../../playbooks")
    (shop.project / "releases/shop/tests").symlink_to("../../tests")
    package = shop.build()
    assert package.manifest.release.steps[0].playbook == "releases/shop/playbooks/deploy.yml"
    found = {file.path: file.link for file in package.manifest.files}
    assert (found["releases/shop/tests"], found["tests/smoke/test_web.py"]) == ("../../tests", None)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../outside", "ABSOLUTE"])
@pytest.mark.parametrize("place", ["roles/web/files/evil", "releases/shop/dist/evil", "playbooks/evil"])
def test_a_link_that_leads_out_is_refused_by_name(shop: Any, target: str, place: str) -> None:
    """A link out of the project, or an absolute one, is refused wherever it lies, and named."""
    (shop.folder / "outside").write_text("x")
    (shop.project / place).symlink_to(target if target != "ABSOLUTE" else shop.project / "ansible.cfg")
    with pytest.raises(OrchestratorError, match="evil") as caught:
        shop.build(artifacts=[{"path": "dist/evil"}] if "dist" in place and target != "ABSOLUTE" else [])
    assert caught.value.code in {"P101", "P103"}
    assert not (shop.folder / "a.release").exists()


def test_a_link_that_leads_out_through_another_link_is_refused(shop: Any) -> None:
    """Links are followed one by one, as the system does it: `..` counts from where a link leads to."""
    shop.files({"a/b/c/file": "x"})
    (shop.project / "a/b/c/up").symlink_to("../../..")
    (shop.project / "a/b/c/out").symlink_to("up/../outside")
    refused("P103", shop.build, match="out")


def test_an_artifact_behind_a_link_out_is_refused(shop: Any) -> None:
    """What lies behind such a link is refused too."""
    (shop.folder / "outside").mkdir()
    (shop.folder / "outside/x.tar").write_text("x")
    (shop.project / "build").symlink_to(shop.folder / "outside")
    refused("P103", lambda: shop.build(artifacts=[{"path": "build/x.tar"}]), match="build/x.tar")


def test_a_link_to_a_parent_is_a_link_and_a_circle_is_refused(shop: Any) -> None:
    """A link to its own parent is nothing special; one that leads to itself is refused."""
    (shop.project / "roles/web/files/loop").symlink_to("..")
    assert "roles/web/files/loop" in shop.names()
    (shop.project / "roles/web/files/itself").symlink_to("itself")
    refused("P103", lambda: shop.build("b.release"), match="itself")


def test_a_link_to_what_is_not_packed_is_a_warning(shop: Any) -> None:
    """As in a checkout the link leads to nothing; the build names it and what it leads to."""
    (shop.project / "roles/web/files/nowhere").symlink_to("none")
    (shop.project / "roles/web/files/readme").symlink_to("../../../README.md")
    warnings: list[OrchestratorError] = []
    target = shop.folder / "a.release"
    shop.packages.build(shop.project, shop.source, shop.release(), target, warn=warnings.append)
    assert [warning.code for warning in warnings] == ["P120", "P120"]
    assert "roles/web/files/none" in warnings[0].message


def test_a_pipe_is_refused(shop: Any) -> None:
    """What is neither file nor folder is named; nothing waits for it."""
    os.mkfifo(shop.project / "roles/web/files/pipe")
    refused("P104", shop.build, match="pipe")


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", "cafe\u0301".encode(), b"-rf", b"a:b\\c"])
def test_names_that_are_not_the_same_everywhere_are_refused(shop: Any, name: bytes) -> None:
    """Such a file has to be renamed before it can be packed."""
    (shop.project / "roles/web/files" / os.fsdecode(name)).write_text("x")
    refused("P203", shop.build)


def test_names_that_differ_only_in_case_are_refused(shop: Any) -> None:
    """They would be one file on other systems."""
    shop.files({"roles/web/files/a": "1", "roles/web/files/A": "2"})
    refused("P204", shop.build)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(shop: Any) -> None:
    """A file of another user is refused by name."""
    (shop.project / "roles/web/files/run.sh").chmod(0)
    refused("P109", shop.build, match="run.sh")


# -- secrets -------------------------------------------------------------------------------------------------------


def test_passwords_and_keys_that_ansible_is_told_of_stay_outside(shop: Any) -> None:
    """The files that `ansible.cfg` names for them are never packed; a script that asks for one is no secret."""
    configuration = "vault_password_file = playbooks/.vault\nprivate_key_file=files/key\n"
    configuration += "vault_identity_list = dev@files/dev, prod@files/ask\n"
    shop.files({"ansible.cfg": "[defaults]\n" + configuration})
    shop.files(dict.fromkeys(["playbooks/.vault", "files/key", "files/dev", "files/ask", "files/other"], "x"))
    (shop.project / "files/ask").chmod(0o755)
    names = shop.names()
    assert [name for name in names if name.startswith("files/")] == ["files/ask", "files/other"]
    assert "playbooks/.vault" not in names


def test_encrypted_files_stay_encrypted(shop: Any) -> None:
    """A vault file is packed as it is."""
    text = "$ANSIBLE_VAULT;1.1;AES256\n3030\n"
    shop.files({"group_vars/all/vault.yml": text})
    shop.build()
    root = Path(shop.packages.keep(shop.folder / "a.release").root)
    assert (root / "group_vars/all/vault.yml").read_text() == text


# -- the engines ---------------------------------------------------------------------------------------------------

PROJECT = {
    "ansible.cfg": "[defaults]\nroles_path = roles\n",
    "playbooks/deploy.yml": """
- hosts: all
  gather_facts: false
  vars_files: [../vars/shop.yml, vars/own.yml]
  roles: [web]
  tasks:
    - ansible.builtin.import_tasks: ../tasks/more.yml
""",
    "playbooks/vars/own.yml": "own: from beside the playbook\n",
    "playbooks/group_vars/all.yml": 'group: from group_vars\ncomma: ", "\n',
    "vars/shop.yml": "shop: from vars\n",
    "tasks/more.yml": "- ansible.builtin.copy: {content: '{{ [own, shop, group, one | twice] | join(comma) }}', dest: '{{ out }}.more', mode: '0644'}\n",
    "roles/web/defaults/main.yml": "one: 1\n",
    "roles/web/tasks/main.yml": "- ansible.builtin.template: {src: t.j2, dest: '{{ out }}', mode: '0644'}\n",
    "roles/web/templates/t.j2": "{{ shop }}\n",
    "filter_plugins/twice.py": "class FilterModule:\n    def filters(self): return {'twice': lambda x: x * 2}\n",
    "tests/conftest.py": "import helpers\n",
    "tests/helpers.py": "ANSWER = 42\n",
    "tests/smoke/test_web.py": "import helpers\n\ndef test_it(host): assert host.file('/').is_directory and helpers.ANSWER\n",
}


@pytest.mark.engines
@pytest.mark.parametrize("beside", [False, True])
def test_ansible_runs_from_the_package_alone(shop: Any, beside: bool) -> None:
    """With the sources gone, the playbook finds roles, templates, variables, tasks, filters and configuration."""
    shutil.rmtree(shop.project / "roles/web")
    base = "releases/shop/" if beside else ""
    shop.files({base + name: text for name, text in PROJECT.items()})
    package = shop.kept()
    playbook = package.manifest.release.steps[0].playbook
    root = f"{package.root}/{working_folder_of(package, playbook)}"
    shutil.rmtree(shop.project)
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "playbooks/deploy.yml"]
    argv += ["-e", f"out={shop.folder}/out", "-e", f"ansible_python_interpreter={sys.executable}"]
    env = {**os.environ, "ANSIBLE_CONFIG": f"{root}/ansible.cfg", "PYTHONDONTWRITEBYTECODE": "1"}
    env["ANSIBLE_FILTER_PLUGINS"] = f"{root}/filter_plugins"
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (shop.folder / "out.more").read_text() == "from beside the playbook, from vars, from group_vars, 2"
    assert (shop.folder / "out").read_text() == "from vars\n"
    assert shop.packages.fetch(package.digest)


@pytest.mark.engines
def test_pytest_runs_from_the_package_alone(shop: Any) -> None:
    """With the sources gone, the suite finds its conftest and the modules beside it, and leaves nothing behind."""
    shop.files(PROJECT)
    root = shop.kept().root
    shutil.rmtree(shop.project)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hosts=local://", "tests/smoke"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
    assert shop.packages.fetch("sha256:" + Path(root).parent.name)
