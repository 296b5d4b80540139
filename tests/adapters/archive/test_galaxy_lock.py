"""What `ansible-galaxy` installs is compared with `requirements.lock`, and it sees what is on a list only."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from orchestrator.adapters.archive import galaxy_lock
from orchestrator.adapters.archive.galaxy import Installer, SearchPaths, _asks_for
from orchestrator.adapters.archive.galaxy_lock import LockedContent, RequirementsLock
from orchestrator.adapters.archive.galaxy_process import GalaxyProcess
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.packing import GalaxyRule, Packing
from tests.archives import extract
from tests.galaxy_server import Galaxy, collection, galaxy

TASK = "- debug: {msg: hi}\n"


@dataclass(frozen=True)
class FolderGalaxy(GalaxyProcess):
    """Installs collections from archives in memory, the newest that is asked for, with what they need."""

    environ: Mapping[str, str] = field(default_factory=dict)
    server: Galaxy = field(default_factory=Galaxy)

    def install(self, kind: str, file: Path, named: Path, target: Path, scratch: Path) -> None:  # noqa: ARG002
        waiting = list(yaml.safe_load(file.read_text())[kind])
        while waiting:
            entry = waiting.pop(0)
            name, asked = (entry, "*") if isinstance(entry, str) else (entry["name"], entry.get("version", "*"))
            folder = target / "ansible_collections" / name.replace(".", "/")
            if folder.exists():
                continue
            found = self.server.published[name]
            wanted = SpecifierSet("" if asked == "*" else asked if asked[0] in "<>=" else f"=={asked}")
            version = max((v for v in found if Version(v) in wanted), key=Version)
            archive, needs = found[version]
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                extract(tar, folder)
            info = target / f"ansible_collections/{name}-{version}.info"
            info.mkdir()
            namespace, _, short = name.partition(".")
            (info / "GALAXY.yml").write_text(
                yaml.safe_dump({"namespace": namespace, "name": short, "server": "https://galaxy.test/"})
            )
            waiting += [{"name": need, "version": which} for need, which in needs.items()]


class Site:
    """A project with requirements, and a server."""

    def __init__(self, folder: Path) -> None:
        self.project, self.cache, self.server = folder / "project", folder / "cache", Galaxy()
        self.project.mkdir()

    def asks(self, text: str) -> None:
        (self.project / "requirements.yml").write_text(text)

    def install(self) -> Installer:
        installer = Installer(self.project, self.cache, FolderGalaxy(server=self.server))
        folder = installer(SearchPaths([self.project]))
        assert folder is not None
        self.folder = folder
        return installer

    def refused(self, code: str = "P223") -> str:
        with pytest.raises(OrchestratorError) as caught:
            self.install()
        assert caught.value.code == code, caught.value
        return caught.value.message

    @property
    def lock(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.project / "requirements.lock").read_text()))

    def versions(self) -> dict[str, str]:
        return {item["name"]: item["version"] for item in self.lock["collections"]}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.server.publish("demo.base", "1.0.0", {"roles/b/tasks/main.yml": TASK})
    made.server.publish("demo.tools", "1.0.0", {"roles/t/tasks/main.yml": TASK}, {"demo.base": ">=1.0.0"})
    made.asks("collections: [demo.tools]\n")
    return made


def test_the_first_build_writes_the_lock(site: Site) -> None:
    """With name, version, source and digest of everything that was installed, dependencies too; and it says so."""
    installer = site.install()
    assert [warning.code for warning in installer.warnings] == ["P225"]
    assert (site.lock["apiVersion"], site.lock["kind"]) == ("orchestrator/v1", "RequirementsLock")
    assert site.versions() == {"demo.base": "1.0.0", "demo.tools": "1.0.0"}
    assert {item["source"] for item in site.lock["collections"]} == {"https://galaxy.test/"}
    assert all(item["sha256"].startswith("sha256:") for item in site.lock["collections"])
    assert list(site.lock["requirements"]) == ["requirements.yml"]
    assert site.install().warnings == []


@pytest.mark.parametrize("again", [True, False])
def test_other_files_under_the_same_version_are_refused(site: Site, again: bool) -> None:
    """A server that changes what it has published is noticed, on this machine and on one without a cache."""
    site.install()
    before = (site.project / "requirements.lock").read_text()
    if again:
        shutil.rmtree(site.cache)
    else:
        site.cache.rename(site.cache.with_name("old"))
    site.server.publish("demo.tools", "1.0.0", {"roles/t/tasks/main.yml": "- shell: evil\n"}, {"demo.base": ">=1.0.0"})
    assert "collection demo.tools 1.0.0 has other files" in site.refused()
    assert (site.project / "requirements.lock").read_text() == before
    assert not [path for path in site.cache.iterdir() if path.is_dir()]


def test_the_locked_versions_are_asked_for(site: Site) -> None:
    """A newer version of a collection, or of one that it needs, does not come in without a word."""
    site.install()
    shutil.rmtree(site.cache)
    site.server.publish("demo.base", "1.1.0", {"roles/b/tasks/main.yml": "- debug:\n"})
    site.server.publish("demo.tools", "2.0.0", {"roles/t/tasks/main.yml": "- debug:\n"})
    assert site.install().warnings == []
    assert site.versions() == {"demo.base": "1.0.0", "demo.tools": "1.0.0"}


def test_a_cache_that_was_changed_is_installed_again(site: Site) -> None:
    """The cache is compared as well: an edited file never gets into a package."""
    site.install()
    file = site.folder / "collections/ansible_collections/demo/tools/roles/t/tasks/main.yml"
    file.write_text("- shell: evil\n")
    site.install()
    assert (site.folder / "collections/ansible_collections/demo/tools/roles/t/tasks/main.yml").read_text() == TASK


@pytest.mark.parametrize("change", ["added", "mode", "link", "dependency"])
def test_the_digest_covers_every_file(site: Site, tmp_path: Path, change: str) -> None:
    """Its name, content, mode and links, and what the collection says that it needs."""
    site.install()
    folder = site.folder / "collections/ansible_collections/demo/tools"
    if change == "added":
        (folder / "plugins").mkdir()
        (folder / "plugins/x.py").write_text("")
    elif change == "mode":
        (folder / "roles/t/tasks/main.yml").chmod(0o755)
    elif change == "link":
        (folder / "README.md").unlink()
        (folder / "README.md").symlink_to("roles")
    else:
        data = json.loads((folder / "MANIFEST.json").read_text())
        data["collection_info"]["dependencies"] = {"evil.evil": "*"}
        (folder / "MANIFEST.json").write_text(json.dumps(data))
    known = galaxy_lock.read_lock(site.project / "requirements.lock")
    assert known is not None
    assert known.differences(
        galaxy_lock.installed(site.folder, known.requirements, {"collections demo.tools": "https://galaxy.test/"})
    )


def test_what_a_machine_generates_does_not_count(site: Site) -> None:
    """The list of files that Ansible makes for a collection from Git differs from machine to machine."""
    site.install()
    folder = site.folder / "collections/ansible_collections/demo/tools"
    (folder / "FILES.json").write_text("{}")
    data = json.loads((folder / "MANIFEST.json").read_text())
    data["file_manifest_file"] = {}
    (folder / "MANIFEST.json").write_text(json.dumps(data))
    known = galaxy_lock.read_lock(site.project / "requirements.lock")
    found = galaxy_lock.installed(
        site.folder, {}, {f"collections demo.{name}": "https://galaxy.test/" for name in ("base", "tools")}
    )
    assert known is not None
    assert found.collections == known.collections


def test_another_wish_changes_the_lock(site: Site) -> None:
    """Requirements that ask for another version, or for more, are the operator's decision; the lock follows."""
    site.install()
    site.server.publish("demo.tools", "2.0.0", {"roles/t/tasks/main.yml": "- debug:\n"})
    site.asks("collections: [{name: demo.tools, version: '>=2.0.0'}]\n")
    assert [warning.code for warning in site.install().warnings] == ["P225"]
    assert site.versions()["demo.tools"] == "2.0.0"
    site.server.publish("demo.more", "1.0.0", {"x": "y"})
    site.asks("collections: [{name: demo.tools, version: '>=2.0.0'}, demo.more]\n")
    site.install()
    assert site.versions()["demo.more"] == "1.0.0"


def test_another_wish_does_not_hide_other_files(site: Site) -> None:
    """A change of the requirements is no way in for another content of a version that is locked."""
    site.install()
    site.server.publish("demo.base", "1.0.0", {"roles/b/tasks/main.yml": "- shell: evil\n"})
    site.server.publish("demo.more", "1.0.0", {"x": "y"})
    site.asks("collections: [demo.tools, demo.more]\n")
    assert "demo.base 1.0.0 has other files" in site.refused()


def test_a_new_dependency_is_refused(site: Site) -> None:
    """The requirements are the same, so nothing new may come."""
    site.install()
    shutil.rmtree(site.cache)
    site.server.publish("evil.evil", "1.0.0", {"x": "y"})
    site.server.published["demo.base"]["1.0.0"] = (site.server.published["demo.base"]["1.0.0"][0], {"evil.evil": "*"})
    assert "collection evil.evil 1.0.0 is not in it" in site.refused()


def test_an_entry_that_was_removed_is_written_anew(site: Site) -> None:
    """The remedy that the error names."""
    site.install()
    shutil.rmtree(site.cache)
    site.server.publish("demo.tools", "1.0.0", {"roles/t/tasks/main.yml": "- debug:\n"}, {"demo.base": ">=1.0.0"})
    site.refused()
    (site.project / "requirements.lock").unlink()
    assert [warning.code for warning in site.install().warnings] == ["P225"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "packaging==24.0\n",
        "kind: RequirementsLock\n",
        "[1]",
        "a: [",
        "apiVersion: orchestrator/v1\nkind: RequirementsLock\nrequirements: {}\nextra: 1\n",
    ],
)
def test_a_file_of_another_tool_is_not_a_lock(site: Site, text: str) -> None:
    """It is named, and never overwritten."""
    (site.project / "requirements.lock").write_text(text)
    site.refused("P224")
    assert (site.project / "requirements.lock").read_text() == text


def test_a_lock_that_cannot_be_written_is_a_warning(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build goes on; a later build has nothing to compare with, and the warning says so."""

    def full(_file: Path, _lock: RequirementsLock) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(galaxy_lock, "write_lock", full)
    (warning,) = site.install().warnings
    assert warning.code == "P225"
    assert "Read-only" in warning.message


def test_no_password_gets_into_the_lock() -> None:
    """The address of a repository may have a user and a password; the lock has the address only."""
    for source in ("https://me:secret@example.org/x.git", "git+https://token@example.org/x.git"):
        assert galaxy_lock.plain_source(source).endswith("https://example.org/x.git")


def test_the_lock_is_not_part_of_a_package(shop: Any) -> None:
    """So writing it changes no digest; a file of another tool with its name is packed."""
    lock = RequirementsLock(
        requirements={}, roles=(LockedContent(name="a", version="1", source="x", sha256=f"sha256:{'0' * 64}"),)
    )
    galaxy_lock.write_lock(shop.project / "requirements.lock", lock)
    assert "requirements.lock" not in shop.names()
    shop.files({"requirements.lock": "packaging==24.0\n"})
    assert "requirements.lock" in shop.names()


@pytest.mark.parametrize(("entry", "version", "fits"), [
    ("demo.tools", "1.0.0", True), ("demo.tools:1.0.0", "1.0.0", True), ("demo.tools:1.0.0", "1.0.1", False),
    ({"name": "demo.tools", "version": ">=1.0.0,<2.0.0"}, "1.5.0", True), ({"name": "demo.tools", "version": ">=2"}, "1.5.0", False),
    ({"name": "demo.tools", "version": "*"}, "1.0.0-beta.1", True), ({"name": "demo.tools", "version": "==1.0.0"}, "1.0.0", True),
    ({"name": "demo.tools", "version": "main"}, "1.0.0", False), ({"name": "demo.tools"}, "", False),
])  # fmt: skip
def test_a_locked_version_is_asked_for_where_it_fits(entry: Any, version: str, fits: bool) -> None:
    """Conditions are those of Ansible; what cannot be compared is left to the server."""
    assert _asks_for(entry, version) is fits


def test_the_process_sees_what_is_on_the_list(tmp_path: Path) -> None:
    """No token, no agent, no home folder, no setting of the machine, unless the project names a variable."""
    environ = {
        "HOME": "/home/me", "SSH_AUTH_SOCK": "/x", "VAULT_TOKEN": "canary", "AWS_SECRET_ACCESS_KEY": "canary", "LANG": "en_US.UTF-8",
        "ANSIBLE_CONFIG": "/etc/own.cfg", "ANSIBLE_GALAXY_SERVER_HUB_TOKEN": "canary", "https_proxy": "http://proxy", "PATH": "/bin",
        "PYTHONPATH": "/evil", "GIT_SSH_COMMAND": "evil", "PULUMI_CONFIG_PASSPHRASE": "canary",
    }  # fmt: skip
    env = GalaxyProcess(environ).environment(tmp_path, tmp_path / "scratch")
    assert "canary" not in str(env.values())
    assert set(env) == {
        "ANSIBLE_CONFIG", "ANSIBLE_GALAXY_CACHE_DIR", "ANSIBLE_HOME", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_NOCOLOR", "GIT_TERMINAL_PROMPT",
        "HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "https_proxy",
    }  # fmt: skip
    assert env["HOME"] == str(tmp_path / "scratch/home")
    assert env["LANG"] == "en_US.UTF-8"
    declared = ("ANSIBLE_GALAXY_SERVER_HUB_TOKEN", "SSH_AUTH_SOCK", "HOME", "ANSIBLE_CONFIG")
    env = GalaxyProcess(environ, declared).environment(tmp_path, tmp_path / "scratch")
    assert (env["ANSIBLE_GALAXY_SERVER_HUB_TOKEN"], env["SSH_AUTH_SOCK"], env["HOME"]) == ("canary", "/x", "/home/me")
    assert env["ANSIBLE_CONFIG"] == str(tmp_path / "scratch/ansible.cfg")


def test_settings_are_those_of_the_project(tmp_path: Path) -> None:
    """The `ansible.cfg` beside the requirements, else that of the project; never one of the machine."""
    project, folder = tmp_path / "project", tmp_path / "project/deploy"
    folder.mkdir(parents=True)
    process = GalaxyProcess({}, project=project)
    assert process.environment(folder, tmp_path / "s")["ANSIBLE_CONFIG"] == str(tmp_path / "s/ansible.cfg")
    (project / "ansible.cfg").touch()
    assert process.environment(folder, tmp_path / "s")["ANSIBLE_CONFIG"] == str(project / "ansible.cfg")
    (folder / "ansible.cfg").touch()
    assert process.environment(folder, tmp_path / "s")["ANSIBLE_CONFIG"] == str(folder / "ansible.cfg")


# -- with Ansible itself


@pytest.fixture
def server() -> Iterator[Galaxy]:
    with galaxy() as made:
        made.publish("demo.base", "1.0.0", {"roles/b/tasks/main.yml": TASK})
        made.publish("demo.tools", "1.0.0", {"roles/t/tasks/main.yml": TASK}, {"demo.base": ">=1.0.0"})
        yield made


@pytest.mark.engines
def test_a_galaxy_server_that_changes_a_version_is_refused(
    shop: Any, server: Galaxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed by `ansible-galaxy` from a server: the lock has its address, and locked versions are asked for."""
    shop.files({"requirements.yml": "collections: [demo.tools]\n", "ansible.cfg": f"[galaxy]\nserver = {server.url}\n"})
    shop.build()
    lock = galaxy_lock.read_lock(shop.project / "requirements.lock")
    assert lock is not None
    assert {item.name: (item.version, item.dependencies) for item in lock.collections} == {
        "demo.base": ("1.0.0", ()), "demo.tools": ("1.0.0", ("demo.base",)),
    }  # fmt: skip
    assert all(item.source.startswith(server.url) for item in lock.collections)
    (shop.folder / "cache").rename(shop.folder / "old")
    server.publish("demo.base", "1.1.0", {"roles/b/tasks/main.yml": "- debug:\n"})
    server.publish("demo.tools", "1.5.0", {"roles/t/tasks/main.yml": "- debug:\n"})
    assert Path(shop.build("b.release").path).read_bytes() == (shop.folder / "a.release").read_bytes()
    (shop.folder / "cache").rename(shop.folder / "older")
    server.publish("demo.tools", "1.0.0", {"roles/t/tasks/main.yml": "- shell: evil\n"}, {"demo.base": ">=1.0.0"})
    with pytest.raises(OrchestratorError) as caught:
        shop.build("c.release")
    assert caught.value.code == "P223"
    assert "demo.tools 1.0.0 has other files" in caught.value.message


@pytest.mark.engines
def test_a_server_gets_no_token_of_this_machine(shop: Any, server: Galaxy) -> None:
    """A token is sent if the project declares the variable, and not otherwise."""
    config = f"[galaxy]\nserver_list = hub\n[galaxy_server.hub]\nurl = {server.url}\n"
    shop.files({"requirements.yml": "collections: [demo.base]\n", "ansible.cfg": config})
    environ = {**os.environ, "ANSIBLE_GALAXY_SERVER_HUB_TOKEN": "canary"}
    shop.packages = SealedPackages(shop.folder / "kept", shop.folder / "cache", environ=environ)
    shop.build()
    assert server.seen
    assert "canary" not in str(server.seen)
    packing = Packing(galaxy=GalaxyRule(environment=("ANSIBLE_GALAXY_SERVER_HUB_TOKEN",)))
    shop.packages = SealedPackages(shop.folder / "kept", shop.folder / "cache2", environ=environ, packing=packing)
    shop.build("b.release")
    assert "canary" in str(server.seen)


@pytest.mark.engines
def test_local_archives_are_locked_as_well(shop: Any) -> None:
    """Collections and roles from files beside the project, by relative paths: also when the lock is there."""
    (shop.project / "vendor").mkdir()
    (shop.project / "vendor/demo-tools-1.0.0.tar.gz").write_bytes(collection("demo.tools", "1.0.0", {"x": "y"}))
    shop.files({"requirements.yml": "collections: [{name: ./vendor/demo-tools-1.0.0.tar.gz, type: file}]\n"})
    shop.build()
    lock = galaxy_lock.read_lock(shop.project / "requirements.lock")
    assert lock is not None
    assert [(item.name, item.source) for item in lock.collections] == [
        ("demo.tools", "./vendor/demo-tools-1.0.0.tar.gz")
    ]
    (shop.folder / "cache").rename(shop.folder / "old")
    assert Path(shop.build("b.release").path).read_bytes() == (shop.folder / "a.release").read_bytes()
    (shop.project / "vendor/demo-tools-1.0.0.tar.gz").write_bytes(collection("demo.tools", "1.0.0", {"x": "z"}))
    with pytest.raises(OrchestratorError) as caught:
        shop.build("c.release")
    assert caught.value.code == "P223"
