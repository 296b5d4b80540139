"""The tree in a package is the project as Git would check it out, less what does not belong to a release."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.packing import Packing

ENVIRONMENT = "apiVersion: orchestrator/v1\nkind: Environment\nname: staging\n"


def git(folder: Path, *words: str) -> str:
    """What a Git command prints, with a user of its own and no settings of this machine."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", *settings, *words]
    return subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout.strip()


def committed(folder: Path) -> str:
    """Make *folder* a repository with one commit of all that is not ignored; the commit."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return git(folder, "rev-parse", "HEAD")


def refused(code: str, work: Callable[[], object], match: str | None = None) -> OrchestratorError:
    with pytest.raises(OrchestratorError, match=match) as caught:
        work()
    assert caught.value.code == code
    return caught.value


def test_files_beside_an_imported_playbook_are_packed(shop: Any) -> None:
    """Variables, roles, files and plugins beside a playbook that another one imports are where they are by hand."""
    beside = [
        "group_vars/all.yml",
        "host_vars/web1/x.yml",
        "roles/own/tasks/main.yml",
        "files/a",
        "filter_plugins/f.py",
    ]
    shop.files({"site.yml": "- import_playbook: plays/app.yml\n", "plays/app.yml": "- hosts: all\n"})
    shop.files({f"plays/{name}": "x: 1\n" for name in beside})
    names = shop.names(steps=[{"name": "deploy", "playbook": "site.yml"}])
    assert {f"plays/{name}" for name in beside} < set(names)


def test_what_a_suite_imports_is_packed(shop: Any) -> None:
    """Modules in parent folders, libraries that pytest's settings name, and data files are part of the tree."""
    files = ["tests/common/util.py", "lib/helpers.py", "pyproject.toml", "tests/data.json"]
    shop.files(dict.fromkeys(files, ""))
    assert set(files) < set(shop.names())


def test_the_tree_is_what_git_would_check_out(shop: Any) -> None:
    """Tracked and unignored files are packed, ignored and deleted ones are not, whatever the rules of Git are."""
    shop.files({".gitignore": "*.log\n/releases/shop/dist/\nroles/*/private\n", "playbooks/.gitignore": "!keep.log\n"})
    shop.files({"playbooks/a.log": "x", "playbooks/keep.log": "x", "roles/web/private/key": "x", "gone.yml": "x"})
    committed(shop.project)
    shop.files({"playbooks/new.yml": "[]\n", "playbooks/new.log": "x"})
    (shop.project / "gone.yml").unlink()
    assert [name for name in shop.names() if not name.startswith(("roles/", "tests/"))] == [
        "artifacts/shop.tar.gz",
        "ansible.cfg",
        "playbooks/.gitignore",
        "playbooks/deploy.yml",
        "playbooks/keep.log",
        "playbooks/new.yml",
        "playbooks/vars/common.yml",
    ]


def test_the_revision_is_recorded_beside_the_digest(shop: Any) -> None:
    """The package names its commit and whether the project was dirty; the digest depends on the content alone."""
    without = shop.build("without.release")
    commit = committed(shop.project)
    clean = shop.build("clean.release")
    assert (clean.revision.commit, clean.revision.dirty) == (commit, False)
    shop.files({"docs/x.md": "not packed"})
    dirty = shop.build("dirty.release")
    assert (dirty.revision.commit, dirty.revision.dirty) == (commit, True)
    assert without.revision is None
    assert without.digest == clean.digest == dirty.digest


def test_a_project_in_a_folder_of_a_repository_is_packed_alone(shop: Any) -> None:
    """Rules of the repository's root apply, and nothing outside of the project's folder is packed."""
    (shop.folder / ".gitignore").write_text("*.tmp\nkept\ncache\n")
    (shop.folder / "other.yml").write_text("x")
    shop.files({"playbooks/x.tmp": "x"})
    committed(shop.folder)
    names = shop.names()
    assert "playbooks/deploy.yml" in names
    assert not [name for name in names if "tmp" in name or "other" in name]


def test_a_project_that_its_repository_ignores_is_packed_as_without_git(shop: Any) -> None:
    """A project in a folder that a repository around it ignores is not empty."""
    (shop.folder / ".gitignore").write_text("*\n")
    git(shop.folder, "init", "-q")
    package = shop.build()
    assert "playbooks/deploy.yml" in {file.path for file in package.manifest.files}
    assert package.revision is None


def test_checked_out_submodules_are_packed_as_files(shop: Any) -> None:
    """Files of a submodule are part of the tree; one that is not checked out is a warning."""
    other = shop.folder / "other"
    (other / "tasks").mkdir(parents=True)
    (other / "tasks/main.yml").write_text("[]\n")
    (other / "x.log").write_text("x")
    (other / ".gitignore").write_text("*.log\n")
    committed(other)
    git(shop.project, "init", "-q")
    git(shop.project, "submodule", "add", "-q", str(other), "roles/other")
    committed(shop.project)
    names = shop.names()
    assert "roles/other/tasks/main.yml" in names
    assert not [name for name in names if name.endswith((".log", ".git"))]
    git(shop.project, "submodule", "deinit", "-q", "-f", "roles/other")
    warnings: list[OrchestratorError] = []
    target = shop.folder / "b.release"
    shop.packages.build(shop.project, shop.source, shop.release(), target, warn=warnings.append)
    assert [(warning.code, "roles/other" in warning.message) for warning in warnings] == [("P121", True)]


def test_a_repository_that_git_cannot_read_is_refused(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignored files cannot get into a package because Git is not installed or fails."""
    (shop.project / ".git").write_text("gitdir: /nowhere\n")
    refused("P119", shop.build, match="nowhere")
    (shop.project / ".git").unlink()
    committed(shop.project)
    monkeypatch.setenv("PATH", str(shop.folder))
    refused("P119", shop.build, match="no git program")


def test_without_git_a_file_says_what_is_ignored(shop: Any) -> None:
    """`.orchestratorignore` has the syntax of `.gitignore`."""
    shop.files({".orchestratorignore": "*.log\n!keep.log\n/data/\n", "a/x.log": "", "keep.log": "", "data/x": ""})
    shop.files({"playbooks/data/x": ""})
    assert {"keep.log", "playbooks/data/x"} == {name for name in shop.names() if "log" in name or "data" in name}


# -- what is left out, and what is named -----------------------------------------------------------------------------


def test_what_does_not_belong_to_a_release_is_left_out(shop: Any) -> None:
    """Environments with programs and inventories, other releases, documentation and CI files are not packed."""
    left = [
        "environments/staging/__main__.py", "environments/staging/group_vars/all.yml", "infra/Pulumi.yaml", "infra/x.py",
        "inventory/hosts.ini", "releases/other/release.yaml", "releases/other/playbooks/x.yml", "docs/a.txt", "NOTES.md",
        ".github/workflows/ci.yml", ".gitlab-ci.yml", "Jenkinsfile", "orchestrator.yaml", "dist/old-1.0.tar.gz",
        "build/other.bin",
    ]  # fmt: skip
    shop.files(dict.fromkeys(left, "x"))
    shop.files({"environments/staging/environment.yaml": f"{ENVIRONMENT}program: ../../infra\n"})
    shop.files({"environments/prod/environment.yaml": "inventory: {files: [inventory/hosts.ini]}\nprogram: null\n"})
    shop.files({"releases/other/release.yaml": "artifacts: [{path: build/other.bin}]\n"})
    shop.files({"inventory/group_vars/all.yml": "x", "playbooks/docs/a.md": "x"})
    names = shop.names()
    assert [name for name in names if name in left] == []
    assert {"inventory/group_vars/all.yml", "playbooks/docs/a.md"} < set(names)


def test_a_program_at_the_root_does_not_take_the_project_with_it(shop: Any) -> None:
    """If the project's root is the Pulumi program, only the program's own files are left out."""
    shop.files({"environments/staging/environment.yaml": f"{ENVIRONMENT}program: ../..\n", "site.yml": "[]\n"})
    shop.files(dict.fromkeys(["Pulumi.yaml", "Pulumi.staging.yaml", "__main__.py"], "x"))
    assert [name for name in shop.names() if "/" not in name] == ["ansible.cfg", "site.yml"]


def test_what_is_left_out_by_default_is_packed_when_it_is_named(shop: Any) -> None:
    """A suite below `docs/` and a file that a role copies from an environment belong to the release."""
    shop.files({"environments/staging/environment.yaml": ENVIRONMENT, "environments/staging/motd": "x"})
    shop.files({"roles/web/tasks/main.yml": "- copy: {src: ../../../environments/staging/motd, dest: /etc/motd}\n"})
    shop.files({"docs/tests/test_it.py": "", "docs/tests/__pycache__/x.pyc": ""})
    names = shop.names(verify=[{"name": "smoke", "tests": "docs/tests"}])
    assert {"docs/tests/test_it.py", "environments/staging/motd"} < set(names)
    assert "environments/staging/environment.yaml" not in names


@pytest.mark.parametrize(
    ("playbook", "named"),
    [
        ("- hosts: all\n  vars_files: [secret/vars.yml]\n", "'secret/vars.yml'"),
        ("- hosts: all\n  roles: [hidden]\n", "the role 'hidden'"),
        ("- hosts: all\n  tasks: [{include_role: {name: hidden}}]\n", "the role 'hidden'"),
        ("- import_playbook: secret/vars.yml\n", "'secret/vars.yml'"),
    ],
)
def test_a_named_file_that_git_ignores_ends_the_build(shop: Any, playbook: str, named: str) -> None:
    """The message has the place and the remedy; `include` is one."""
    shop.files({".gitignore": "secret\nhidden\n/releases/shop/dist/\n", "playbooks/secret/vars.yml": "a: 1\n"})
    shop.files({"playbooks/deploy.yml": playbook, "roles/hidden/tasks/main.yml": "[]\n"})
    committed(shop.project)
    error = refused("P116", shop.build, match=named)
    assert "Git ignores it" in error.message
    assert error.where is not None
    assert error.where.file == "playbooks/deploy.yml"
    names = shop.names(include=["playbooks/secret", "roles/hidden"])
    assert {"playbooks/secret/vars.yml", "roles/hidden/tasks/main.yml"} < set(names)


def test_an_ignored_playbook_or_suite_ends_the_build(shop: Any) -> None:
    """What `release.yaml` names is in the package, or the build says why not; an artifact may be ignored."""
    shop.files({".gitignore": "local*\ndist\n", "playbooks/local.yml": "[]\n", "tests/local/test_x.py": ""})
    committed(shop.project)
    refused(
        "P116", lambda: shop.build(steps=[{"name": "deploy", "playbook": "playbooks/local.yml"}]), match="local.yml"
    )
    refused("P116", lambda: shop.build(verify=[{"name": "smoke", "tests": "tests/local"}]), match="tests/local")
    assert "artifacts/shop.tar.gz" in shop.names()


def test_patterns_of_the_project_and_the_release_leave_files_out(shop: Any) -> None:
    """`package.exclude` has the syntax of `.gitignore`; a file that is named cannot be excluded."""
    shop.packages = SealedPackages(shop.folder / "kept", packing=Packing(exclude=("/app/", "*.psd", "!keep.psd")))
    shop.files(dict.fromkeys(["app/x.py", "a.psd", "keep.psd", "drafts/x", "roles/web/app/x"], "x"))
    names = shop.names(package={"exclude": ["drafts/"]})
    assert {"keep.psd", "roles/web/app/x"} == {
        name for name in names if "psd" in name or "app" in name or "dra" in name
    }
    error = refused("P116", lambda: shop.build(package={"exclude": ["playbooks/"]}), match="package.exclude")
    assert "deploy.yml" in error.message


@pytest.mark.parametrize(("limit", "named"), [({"max_files": 20}, "30 files"), ({"max_size": "1MiB"}, "1.5 MiB")])
def test_a_tree_that_is_too_large_is_refused(shop: Any, limit: dict[str, Any], named: str) -> None:
    """The message has the limit and the largest folders; artifacts do not count."""
    shop.packages = SealedPackages(shop.folder / "kept", packing=Packing(**limit))
    assert shop.build("a.release")
    shop.files({f"data/many/{number}": "x" * 50 * 1024 for number in range(30)})
    error = refused("P117", lambda: shop.build("b.release"), match=r"data/many/ \(")
    assert named in error.message.partition("largest folders: ")[2].partition(")")[0]


def test_a_pointer_of_git_lfs_is_refused(shop: Any) -> None:
    """A file of which Git LFS left only the pointer would be deployed as that pointer."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n"
    shop.files({"roles/web/files/big.bin": pointer})
    assert refused("P118", shop.build, match=r"big\.bin").hint == "run git lfs pull"
    shop.files({"roles/web/files/big.bin": "x", "releases/shop/dist/shop.tar.gz": pointer})
    refused("P118", shop.build, match=r"shop\.tar\.gz")


# -- requirements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignored", [False, True])
def test_requirements_that_are_installed_in_the_project_are_packed_from_there(shop: Any, *, ignored: bool) -> None:
    """What `ansible-galaxy` has put into a configured path is not fetched again, also if Git ignores it."""
    shop.files({"ansible.cfg": "[defaults]\nroles_path = vendor/roles:roles\ncollections_path = vendor\n"})
    shop.files({"requirements.yml": "roles: [{name: acme.motd}]\ncollections: [{name: demo.tools}]\n"})
    shop.files(
        {"vendor/roles/acme.motd/tasks/main.yml": "[]\n", "vendor/roles/acme.motd/meta/.galaxy_install_info": ""}
    )
    shop.files({"vendor/ansible_collections/demo/tools/galaxy.yml": "x", "vendor/roles/needed/tasks/main.yml": "[]\n"})
    shop.files({"playbooks/deploy.yml": "- hosts: all\n  roles: [acme.motd, web]\n"})
    shop.files({".gitignore": "/releases/shop/dist/\n" + "/vendor/\n" * ignored})
    committed(shop.project)
    names = shop.names()
    roles, collections = ("requirements/roles", "requirements/collections") if ignored else ("vendor/roles", "vendor")
    assert {f"{roles}/acme.motd/tasks/main.yml", f"{roles}/needed/tasks/main.yml"} < set(names)
    assert f"{collections}/ansible_collections/demo/tools/galaxy.yml" in names
    assert not [name for name in names if "install_info" in name]


def test_a_role_name_with_a_slash_is_no_path(shop: Any) -> None:
    """`common/users` is a role below a roles path, and causes no warning."""
    shop.files({"ansible.cfg": "[defaults]\nroles_path = provision/roles\n"})
    shop.files({"provision/roles/common/users/tasks/main.yml": "- include_tasks: more.yml\n"})
    shop.files({"provision/roles/common/users/tasks/more.yml": "[]\n"})
    shop.files({"playbooks/deploy.yml": "- hosts: all\n  roles: [common/users, {role: common/users}]\n"})
    warnings: list[OrchestratorError] = []
    target = shop.folder / "a.release"
    shop.packages.build(shop.project, shop.source, shop.release(), target, warn=warnings.append)
    assert warnings == []
