"""S19: servers of roles and collections that change their mind, edited caches and locks, and what `ansible-galaxy` sees."""

import io
import json
import random
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from orchestrator.adapters.archive import galaxy_lock, galaxy_process
from orchestrator.adapters.archive.galaxy import Installer, SearchPaths
from orchestrator.adapters.archive.galaxy_lock import RequirementsLock
from orchestrator.adapters.archive.galaxy_process import GalaxyProcess
from orchestrator.domain.errors import OrchestratorError
from tests.archives import extract
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.galaxy_server import Galaxy

LINE, ABOUT = "S19", "what ansible-galaxy installs and sees"

TASK, EVIL = "- debug: {msg: hi}\n", "- shell: evil\n"
SOURCE = "https://galaxy.example/"


@dataclass(frozen=True)
class Folder(GalaxyProcess):
    """Installs what a *server* in memory has, as `ansible-galaxy` does it: collections with what they need, and roles."""

    environ: Mapping[str, str] = field(default_factory=dict)
    server: Galaxy = field(default_factory=Galaxy)
    roles: dict[str, dict[str, str]] = field(default_factory=dict)
    source: str = SOURCE

    def install(self, kind: str, file: Path, named: Path, target: Path, scratch: Path) -> None:  # noqa: ARG002
        for entry in yaml.safe_load(file.read_text())[kind]:
            if kind == "roles":
                self._role(entry, target)
            else:
                self._collection(entry if isinstance(entry, dict) else {"name": entry}, target)

    def _role(self, entry: dict[str, Any], target: Path) -> None:
        for name, text in self.roles[entry["name"]].items():
            path = target / entry["name"] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _collection(self, entry: dict[str, Any], target: Path) -> None:
        name, found = entry["name"], self.server.published[entry["name"]]
        folder = target / "ansible_collections" / name.replace(".", "/")
        if folder.exists():
            return
        version = entry["version"] if entry.get("version") in found else max(found)
        archive, needs = found[version]
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            extract(tar, folder)
        info = target / f"ansible_collections/{name}-{version}.info"
        info.mkdir()
        namespace, _, short = name.partition(".")
        about = {"namespace": namespace, "name": short, "server": self.source}
        (info / "GALAXY.yml").write_text(yaml.safe_dump(about))
        for need in needs:
            self._collection({"name": need}, target)


class Site:
    """A project with a lock that one build has written."""

    def __init__(self, yard: Yard) -> None:
        self.project, self.cache, self.server = yard.inside / "project", yard.inside / "cache", Galaxy()
        self.project.mkdir()
        self.source = SOURCE
        self.roles = {"own.role": {"tasks/main.yml": TASK, "meta/.galaxy_install_info": "version: 1.0.0\n"}}
        self.server.publish("demo.base", "1.0.0", {"roles/b/tasks/main.yml": TASK})
        self.tools({"roles/t/tasks/main.yml": TASK})
        text = "collections: [demo.tools]\nroles: [{name: own.role}]\n"
        (self.project / "requirements.yml").write_text(text)
        self.files = _files(self.install())

    def tools(self, files: dict[str, str], version: str = "1.0.0", needs: dict[str, str] | None = None) -> None:
        self.server.publish("demo.tools", version, files, {"demo.base": "*"} if needs is None else needs)

    def install(self) -> Path:
        folder = Installer(self.project, self.cache, Folder(server=self.server, roles=self.roles, source=self.source))(
            SearchPaths([self.project])
        )
        assert folder is not None
        return folder

    @property
    def installed(self) -> Path:
        return next(path for path in self.cache.iterdir() if path.is_dir())

    @property
    def lock(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.project / "requirements.lock").read_text()))

    def write_lock(self, data: Any) -> None:
        (self.project / "requirements.lock").write_text(yaml.safe_dump(data))


# -- what is changed ---------------------------------------------------------------------------------------------------


def _published(**files: str) -> Callable[[Site], object]:
    plain = {"roles/t/tasks/main.yml": TASK}
    return lambda site: site.tools({**plain, **{name.replace("__", "/"): text for name, text in files.items()}})


def _role(name: str, text: str | None) -> Callable[[Site], object]:
    def work(site: Site) -> None:
        if text is None:
            site.roles["own.role"].pop(name)
        else:
            site.roles["own.role"][name] = text

    return work


def _needs(site: Site) -> None:
    site.server.publish("evil.evil", "1.0.0", {"x": "y"})
    archive, _ = site.server.published["demo.base"]["1.0.0"]
    site.server.published["demo.base"]["1.0.0"] = (archive, {"evil.evil": "*"})


def _swap(site: Site) -> None:
    site.server.published["demo.tools"]["1.0.0"] = site.server.published["demo.base"]["1.0.0"]


def _only_newer(name: str) -> Callable[[Site], object]:
    def work(site: Site) -> None:
        _, needs = site.server.published[name].pop("1.0.0")
        site.server.publish(name, "9.9.9", {"roles/t/tasks/main.yml": EVIL}, needs)

    return work


SERVER: dict[str, Callable[[Site], object]] = {
    "another task": lambda site: site.tools({"roles/t/tasks/main.yml": EVIL}),
    "a task in another case": lambda site: site.tools({"roles/T/tasks/main.yml": TASK}),
    "a task that is gone": lambda site: site.tools({}),
    "a plugin that is added": _published(plugins__modules__x="evil"),
    "a callback that is added": _published(plugins__callback__x="evil"),
    "a hidden file": _published(**{".hidden": "evil"}),
    "an empty file": _published(empty=""),
    "a file with blanks at its end": lambda site: site.tools({"roles/t/tasks/main.yml": TASK + " "}),
    "other line ends": lambda site: site.tools({"roles/t/tasks/main.yml": TASK.replace("\n", "\r\n")}),
    "another description": lambda site: site.tools({"roles/t/tasks/main.yml": TASK, "README.md": "evil"}),
    "another need in the archive": lambda site: site.tools({"roles/t/tasks/main.yml": TASK}, needs={}),
    "a new need": _needs,
    "the content of another collection": _swap,
    "a newer version only": _only_newer("demo.tools"),
    "a newer need only": _only_newer("demo.base"),
    "another need's task": lambda site: site.server.publish("demo.base", "1.0.0", {"roles/b/tasks/main.yml": EVIL}),
    "another server": lambda site: setattr(site, "source", "https://evil.example/"),
    "another scheme of the server": lambda site: setattr(site, "source", SOURCE.replace("https", "http")),
    "another task of a role": _role("tasks/main.yml", EVIL),
    "a file that is added to a role": _role("library/x.py", "evil"),
    "a file of a role that is gone": _role("tasks/main.yml", None),
    "another version of a role": _role("meta/.galaxy_install_info", "version: 9.9.9\n"),
    "a role without a version": _role("meta/.galaxy_install_info", "evil"),
}


def _edit(name: str, change: Callable[[Path], object]) -> Callable[[Site], object]:
    return lambda site: change(site.installed / name)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _added(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "x").touch()


def _linked(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("/etc")


TOOLS, OWN = "collections/ansible_collections/demo/tools", "roles/own.role"
CACHE: dict[str, Callable[[Site], object]] = {
    "an edited task": _edit(f"{TOOLS}/roles/t/tasks/main.yml", lambda path: path.write_text(EVIL)),
    "a task of another mode": _edit(f"{TOOLS}/roles/t/tasks/main.yml", lambda path: path.chmod(0o755)),
    "a task that is a link": _edit(f"{TOOLS}/roles/t/tasks/main.yml", _link),
    "a task that is gone": _edit(f"{TOOLS}/roles/t/tasks/main.yml", lambda path: path.unlink()),
    "a file that is added": _edit(f"{TOOLS}/evil.py", lambda path: path.write_text("evil")),
    "an edited list of needs": _edit(
        f"{TOOLS}/MANIFEST.json", lambda path: path.write_text(path.read_text().replace("demo.base", "evil.base"))
    ),
    "an edited version": _edit(
        f"{TOOLS}/MANIFEST.json", lambda path: path.write_text(path.read_text().replace('"1.0.0"', '"9.9.9"'))
    ),
    "a list that is none": _edit(f"{TOOLS}/MANIFEST.json", lambda path: path.write_text("[")),
    "a collection that is added": _edit("collections/ansible_collections/evil/evil", _added),
    "a collection that is gone": _edit(TOOLS, shutil.rmtree),
    "an edited role": _edit(f"{OWN}/tasks/main.yml", lambda path: path.write_text(EVIL)),
    "a role that is added": _edit("roles/evil", _added),
    "a role that is a link": _edit(OWN, _linked),
    "an edited source": lambda site: next(site.cache.glob("*.sources.json")).write_text(
        json.dumps({"collections demo.tools": "https://evil.example/"})
    ),
}


def _field(kind: str, field: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data[kind][0].update({field: value})


LOCK: dict[str, Callable[[dict[str, Any]], object]] = {
    "another digest": _field("collections", "sha256", "sha256:" + "0" * 64),
    "a digest that is none": _field("collections", "sha256", "md5:0"),
    "another version": _field("collections", "version", "9.9.9"),
    "another source": _field("collections", "source", "https://evil.example/"),
    "another name": _field("collections", "name", "evil.evil"),
    "a number as a version": _field("collections", "version", 1.0),
    "a line end in a source": _field("collections", "source", "a\nb"),
    "an unknown field": _field("collections", "evil", "x"),
    "another digest of a role": _field("roles", "sha256", "sha256:" + "0" * 64),
    "another source of a role": _field("roles", "source", "https://evil.example/"),
    "another kind": lambda data: data.update(kind="Evil"),
    "another version of the file": lambda data: data.update(apiVersion="orchestrator/v9"),
    "no requirements": lambda data: data.pop("requirements"),
    "requirements that are a list": lambda data: data.update(requirements=[]),
    "an entry that is gone": lambda data: data["collections"].pop(),
    "a role that is gone": lambda data: data["roles"].pop(),
    "collections that are a text": lambda data: data.update(collections="x"),
    "an unknown part": lambda data: data.update(evil=[]),
}

SEEN = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET", "GOOGLE_APPLICATION_CREDENTIALS", "GITHUB_TOKEN",
    "GITLAB_TOKEN", "CI_JOB_TOKEN", "NPM_TOKEN", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "VAULT_TOKEN", "VAULT_ADDR",
    "ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_GALAXY_TOKEN_PATH", "ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_COLLECTIONS_PATH",
    "ANSIBLE_ROLES_PATH", "ANSIBLE_LIBRARY", "ORCHESTRATOR_PROJECT_KEY_FILE", "ORCHESTRATOR_PASSPHRASE_FILE",
    "ORCHESTRATOR_STATE", "SSH_AUTH_SOCK", "SSH_ASKPASS", "KRB5CCNAME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME",
    "LD_PRELOAD", "LD_LIBRARY_PATH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT", "BASH_ENV",
    "ENV", "PROMPT_COMMAND", "EDITOR", "PAGER", "DATABASE_URL", "PGPASSWORD", "KUBECONFIG", "DOCKER_CONFIG", "NETRC",
    "CURL_HOME", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
OWN_SETTINGS = ("HOME", "ANSIBLE_CONFIG", "ANSIBLE_HOME", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_GALAXY_CACHE_DIR")


def cases(seed: int) -> Iterator[Case]:
    """Every change of a server, a cache and a lock, and every variable that must not be seen."""
    found = [
        Case(f"{what}, {how}", partial(_server, change, keep))
        for what, change in SERVER.items()
        for how, keep in {"without a cache": False, "with other requirements": True}.items()
    ]
    found += [Case(f"{what} in the cache", partial(_cache, change)) for what, change in CACHE.items()]
    found += [Case(f"{what} in the lock", partial(_lock, change)) for what, change in LOCK.items()]
    found += [Case(f"{name} in the environment", partial(_seen, name)) for name in SEEN]
    found += [Case(f"{name} of the operator", partial(_setting, name)) for name in OWN_SETTINGS]
    random.Random(seed).shuffle(found)
    yield from found


def _compared(site: Site, before: Mapping[str, Any]) -> Outcome:
    """Install again. HELD if it is refused, or if what is installed is what the lock said before."""
    try:
        folder = site.install()
    except OrchestratorError as error:
        if error.code not in {"P223", "P224", "P107"}:
            raise
        return HELD
    sources = {item["source"] for item in before["collections"]} == {
        item["source"] for item in site.lock["collections"]
    }
    changed = sorted(str(name) for name, _ in _files(folder) ^ site.files)
    return HELD if not changed and sources else Outcome(accepted=f"installed: {changed or 'from elsewhere'}"[:300])


def _files(folder: Path) -> set[tuple[str, bytes]]:
    """The installed files, as far as Ansible does not generate them; the product's own digests do not matter here."""
    return {
        (str(path.relative_to(folder)), str(path.readlink()).encode() if path.is_symlink() else path.read_bytes())
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.name not in {"MANIFEST.json", "FILES.json"}
    }


def _server(change: Callable[[Site], object], other: bool, yard: Yard) -> Outcome:
    site = Site(yard)
    before = site.lock
    shutil.rmtree(site.cache)
    change(site)
    if other:  # requirements that ask for more excuse no other content
        file = site.project / "requirements.yml"
        site.server.publish("demo.more", "1.0.0", {"x": "y"})
        file.write_text("collections: [demo.tools, demo.more]\nroles: [{name: own.role}]\n")
        return _compared_but(site, before, {"demo.more", "evil.evil"})
    return _compared(site, before)


def _compared_but(site: Site, before: Mapping[str, Any], new: set[str]) -> Outcome:
    """As `_compared`, where the requirements ask for more: versions that the lock has must have their content."""
    try:
        site.install()
    except OrchestratorError as error:
        return HELD if error.code in {"P223", "P224", "P107"} else Outcome(accepted=error.code)
    old = {item["name"]: (item["version"], item["sha256"]) for item in [*before["collections"], *before["roles"]]}
    now = site.lock
    changed = [
        item["name"]
        for item in [*now["collections"], *now["roles"]]
        if item["name"] not in new
        and item["version"] == old[item["name"]][0]
        and item["sha256"] != old[item["name"]][1]
    ]
    return Outcome(accepted=f"other files of {changed}") if changed else HELD


def _cache(change: Callable[[Site], object], yard: Yard) -> Outcome:
    site = Site(yard)
    before = site.lock
    change(site)
    return _compared(site, before)


def _lock(change: Callable[[dict[str, Any]], object], yard: Yard) -> Outcome:
    site = Site(yard)
    before, data = site.lock, site.lock
    change(data)
    site.write_lock(data)
    return _compared(site, before)


def _environment(name: str, yard: Yard) -> dict[str, str]:
    folder, scratch = yard.inside / "project", yard.inside / "scratch"
    folder.mkdir()
    return GalaxyProcess({"PATH": "/bin", name: yard.canary}, (), folder).environment(folder, scratch)


def _seen(name: str, yard: Yard) -> Outcome:
    return yard.learned(json.dumps(_environment(name, yard)))


def _setting(name: str, yard: Yard) -> Outcome:
    env = _environment(name, yard)
    inside = str(yard.inside)
    wrong = [key for key in OWN_SETTINGS if not env[key].startswith(inside)]
    return yard.learned(json.dumps(env)) or (Outcome(accepted=f"{wrong}") if wrong else HELD)


# -- the defences ------------------------------------------------------------------------------------------------------


def _uncompared() -> AbstractContextManager[None]:
    return replaced(RequirementsLock, "differences", lambda _self, _new: [])


def _every_variable() -> AbstractContextManager[None]:
    return replaced(galaxy_process, "CREDENTIALS", set())


DEFENCES: dict[str, Defence] = {
    "comparison": _uncompared,
    "digest": lambda: replaced(galaxy_lock, "_files_digest", lambda _path, _kind: "sha256:" + "0" * 64),
    "list of variables": _every_variable,
    "comparison of new content": lambda: replaced(Installer, "_compare", lambda _self, _lock, _new: None),
}
