"""S14: another user of the machine takes names in the temporary folder that all users share, before we do or between two uses.

Each work is done twice. During the first one every name is recorded that appears in the shared folder. Before the second one
the other user has all these names, which is more than anybody can guess.
"""

import ctypes
import os
import random
import shutil
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from unittest import mock

from orchestrator.adapters.ansible import control
from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.control import ControlSockets
from orchestrator.adapters.ansible.deployer import AnsibleDeployer
from orchestrator.adapters.ansible.resolution import InventoryResolver
from orchestrator.adapters.ansible.shared_files import SharedFiles
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.artifacts.folder import FolderObjects
from orchestrator.adapters.artifacts.packages import SharedPackages
from orchestrator.adapters.artifacts.verified import VerifiedArtifacts
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.testinfra import suite_job
from orchestrator.adapters.testinfra.verifier import TestinfraVerifier
from orchestrator.domain.context import Context
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.plan import PlaySpec, SuiteSpec
from orchestrator.domain.release import Package, Release
from orchestrator.domain.step import StepResult
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.isolator import NONE
from tests.adapters.ansible.conftest import COLLECTIONS
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S14", "names in shared temporary folders that another user has taken"

OFF = {"ORCHESTRATOR_JOB_ISOLATION": "off"}  # an isolated process has temporary folders of its own
OTHER = 65534  # the user and the group of what was taken, where this process may give files away
CREATED = 0x100 | 0x80  # IN_CREATE, IN_MOVED_TO
OLD = 3 * 86400  # seconds: such folders of connections are tidied away
RELEASE = {
    "apiVersion": "orchestrator/v1",
    "kind": "Release",
    "name": "shop",
    "version": "1.0.0",
    "environments": ["test"],
    "steps": [{"name": "deploy", "playbook": "site.yml"}],
    "verify": [{"name": "smoke", "tests": "tests"}],
}
FILES = {
    "orchestrator.yaml": "",
    "release.yaml": "",
    "hosts.ini": "one ansible_connection=local\n",
    "site.yml": "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.command: 'true'\n",
    "tests/test_it.py": "def test_it(tmp_path):\n    (tmp_path / 'file').write_text('x')\n",
}


# -- what others have taken --------------------------------------------------------------------------------------------


def _socket(place: Path, _yard: Yard) -> None:
    handle = os.open(place.parent, os.O_RDONLY)  # the path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{handle}/{place.name}")
    os.close(handle)


def _full(place: Path, _yard: Yard) -> None:
    place.mkdir()
    (place / "file").write_text("of another user")
    (place / "socket").touch()


THINGS: dict[str, Callable[[Path, Yard], object]] = {
    "a file": lambda place, _yard: place.write_text("of another user"),
    "an empty folder": lambda place, _yard: place.mkdir(),
    "a folder with files": _full,
    "a link to a folder": lambda place, yard: place.symlink_to(yard.outside),
    "a link to a file": lambda place, yard: place.symlink_to(yard.outside / "project.key"),
    "a link to nothing": lambda place, yard: place.symlink_to(yard.outside / "new"),
    "a named pipe": lambda place, _yard: os.mkfifo(place),
    "a socket": _socket,
}


def _taken(place: Path, thing: str, yard: Yard) -> None:
    THINGS[thing](place, yard)
    for path in [place, *(place.iterdir() if place.is_dir() and not place.is_symlink() else ())]:
        if not path.is_symlink():
            path.chmod(0o777)
        with suppress(PermissionError):
            os.chown(path, OTHER, OTHER, follow_symlinks=False)


def _about(folder: Path) -> set[tuple[str, int, int, int]]:
    """Everything below *folder*; links are not followed."""
    found = [folder, *(path for path in folder.rglob("*"))] if folder.is_dir() and not folder.is_symlink() else [folder]
    seen = [(str(path), path.lstat()) for path in found if os.path.lexists(path)]
    return {
        (name, about.st_mode, about.st_uid, about.st_size if about.st_mode & 0o100000 else 0) for name, about in seen
    }


# -- what is done ------------------------------------------------------------------------------------------------------

Work = Callable[[Path], None]


def _project(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "project"


def _built(folder: Path) -> tuple[SealedPackages, Package]:
    project, packages = _project(folder), SealedPackages(folder / "kept", folder / "cache")
    target = folder / f"{len(list(folder.iterdir()))}.release"
    return packages, packages.build(project, project / "release.yaml", Release.from_json(RELEASE), target)


def _connections(folder: Path) -> None:
    sockets = ControlSockets(folder / "state", "staging", os.environ)
    about = sockets.folder().lstat()
    assert about.st_uid == os.geteuid()
    assert not about.st_mode & 0o077
    sockets.close()


def _connections_of_two(folder: Path) -> None:
    """Of two processes of one project: the second one finds the folder of the first one, and closes it."""
    one, other = (ControlSockets(folder / "state", "staging", os.environ) for _ in range(2))
    assert one.folder() == other.folder()
    one.close()
    assert ControlSockets(folder / "state", "production", os.environ).folder() != one.path
    other.close()


def _build(folder: Path) -> None:
    packages, package = _built(folder)
    packages.keep(Path(package.path))


def _share(folder: Path) -> None:
    packages, package = _built(folder)
    (folder / "store").mkdir(exist_ok=True)
    artifacts = VerifiedArtifacts(FolderObjects(folder / "store"))
    SharedPackages(packages, artifacts).keep(Path(package.path))
    shutil.rmtree(folder / "kept")
    assert SharedPackages(packages, artifacts).fetch(package.digest) is not None


def _controller_files(folder: Path) -> None:
    (folder / "store").mkdir(exist_ok=True)
    (folder / "file").write_text("x")
    shared = SharedFiles(VerifiedArtifacts(FolderObjects(folder / "store")), MemoryKeys())
    name = f"{len(list((folder / 'store').rglob('*'))):06}-{'a' * 12}"
    shared.put("shop/test", name, {"of": "x"}, {"file": folder / "file"})
    assert shared.get("shop/test", name) == ({"of": "x"}, {"file": b"x"})


def _jobs(folder: Path) -> LocalJobs:
    return LocalJobs(folder / "state/jobs", isolator=lambda: NONE)


def _inventory(folder: Path) -> None:
    project = _project(folder)
    deployer = AnsibleDeployer(_jobs(folder), folder / "state", COLLECTIONS, dict(os.environ), project)
    found = deployer.resolve(Inventory(files=(str(project / "hosts.ini"),)))
    deployer.close()
    assert list(found.hosts) == ["one"]


LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
HOSTS = Inventory(hosts={"one": LOCAL}, groups={"web": Group(hosts=("one",))})


def _play(folder: Path) -> None:
    packages, package = _built(folder)
    kept, project = packages.keep(Path(package.path)), folder / "project"
    deployer = AnsibleDeployer(_jobs(folder), folder / "state", COLLECTIONS, dict(os.environ), project)
    spec = PlaySpec(step="deploy", playbook="site.yml", hosts="all", limit=("one",), timeout=28.0)
    context, key = Context(run="r1", environment="test", project="shop", fence=1), f"r1.{time.monotonic_ns()}"
    result = deployer.deploy(spec, kept, HOSTS, context, key, lambda _entry: None)
    deployer.close()
    assert result.good, result.message


def verified_suite(folder: Path, package: Package, project: Path) -> StepResult:
    """The result of the suite of *package* on a host that is this machine, without isolation."""
    resolver = InventoryResolver(Configurations(dict(os.environ), project, COLLECTIONS, folder / "state"))
    verifier = TestinfraVerifier(_jobs(folder), dict(os.environ), resolver, persistent=False)
    spec, context = SuiteSpec(name="smoke", tests="tests", timeout=28.0), Context(run="r1", environment="test")
    key = f"r1.{time.monotonic_ns()}"
    return verifier.verify(spec, package, HOSTS, context, key, lambda _entry: None)


def _suite(folder: Path) -> None:
    packages, package = _built(folder)
    result = verified_suite(folder, packages.keep(Path(package.path)), folder / "project")
    assert result.good, result.message


WORKS: dict[str, Work] = {
    "the connections of plays": _connections,
    "the connections of two processes": _connections_of_two,
    "a build": _build,
    "a shared package": _share,
    "shared controller files": _controller_files,
    "an inventory": _inventory,
    "a play": _play,
    "a suite": _suite,
}


# -- the attempts ------------------------------------------------------------------------------------------------------


@contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    """A temporary folder for this process and its children, in which everyone may make files, as in `/tmp`."""
    folder.mkdir()
    folder.chmod(0o1777)
    env = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    with (
        mock.patch.dict(os.environ, {**env, **OFF, "TMPDIR": str(folder)}, clear=True),
        replaced(tempfile, "tempdir", str(folder)),
    ):
        yield


@contextmanager
def _names(folder: Path) -> Iterator[set[str]]:
    """The names that appear in *folder* meanwhile, also of what is removed again."""
    kernel, found = ctypes.CDLL(None), set[str]()
    handle = kernel.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    kernel.inotify_add_watch(handle, os.fsencode(folder), CREATED)
    try:
        yield found
    finally:
        with suppress(BlockingIOError):
            while data := os.read(handle, 1 << 16):
                while data:
                    size = struct.unpack_from("iIII", data)[3]
                    found.add(data[16 : 16 + size].rstrip(b"\0").decode())
                    data = data[16 + size :]
        os.close(handle)


def _first(work: Work, folder: Path, _end: ExitStack) -> tuple[Path, set[str]]:
    """The work done once: its folder, and the names that it has used."""
    (folder / "work").mkdir()
    with _temporary(folder / "tmp"), _names(folder / "tmp") as names:
        work(folder / "work")
    return folder / "work", names


def _again(what: str, thing: str, yard: Yard) -> Outcome:
    """The work done again, when another user has every name of the first time."""
    folder, names = yard.shared.part(f"taken-{what.replace(' ', '-')}", partial(_first, WORKS[what]))
    names = names | {f"pytest-of-{user}" for user in ("root", "unknown")}
    return _judged(WORKS[what], folder, names, thing, yard)


def _judged(work: Work, folder: Path, names: set[str], thing: str, yard: Yard, age: float = 0) -> Outcome:
    place = yard.inside / "tmp"
    with _temporary(place):
        for name in names:
            _taken(place / name, thing, yard)
            os.utime(place / name, (time.time() - age,) * 2, follow_symlinks=False)
        before = {name: _about(place / name) for name in names}
        work(folder)
        changed = [name for name in names if _about(place / name) != before[name]]
    return Outcome(written=tuple(changed)) if changed else HELD


def _like_ours(thing: str, age: float, yard: Yard) -> Outcome:
    """Names such as those of our folders of connections, which are tidied away when they are left behind."""
    names = {f"orc-{os.geteuid()}-{word}" for word in ("0123456789ab", "x", "")}
    return _judged(_connections, yard.inside, names, thing, yard, age)


def cases(seed: int) -> Iterator[Case]:
    """Each work with each thing that another user may put in its way, and such things in the place of old folders."""
    found = [Case(f"{thing} in the way of {what}", partial(_again, what, thing)) for what in WORKS for thing in THINGS]
    for thing in THINGS:
        for when, age in {"a new": 0.0, "an old": OLD}.items():
            found.append(Case(f"{thing} as {when} folder of connections", partial(_like_ours, thing, age)))
    random.Random(seed).shuffle(found)
    yield from found


# -- the defences ------------------------------------------------------------------------------------------------------


def _anyones() -> AbstractContextManager[None]:
    return replaced(ControlSockets, "_is_ours", lambda _self: True)


DEFENCES: dict[str, Defence] = {
    "the owner of a folder": _anyones,
    "names": lambda: replaced(control, "_word", lambda _state, _apart: "0"),
    "another name": lambda: replaced(control, "_forget", lambda _state, _apart: None),
    "the folder of a suite": lambda: replaced(suite_job, "_own_temporary", lambda _folder: {}),
}
