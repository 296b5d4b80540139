"""Walks and removals below folders that other processes wrote."""

import ast
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import file_system, trees

ROOT = Path(__file__).resolve().parents[1]
DEEP = 1500  # levels: more than functions can call themselves, and more than a path can name
MEMORY = Path("/dev/shm")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where the system has one: a disk needs seconds to remove thousands of folders."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    trees.discard(folder)


def deep(top: Path, name: str = "d" * 20, levels: int = DEEP, content: bytes = b"deep") -> None:
    """Make folders below *top*, one in the other, with a file in the last one."""
    top.mkdir(exist_ok=True)
    at = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    handle = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at)
    os.write(handle, content)
    os.close(handle)
    os.close(at)


def test_folders_deeper_than_paths_are_walked_and_removed(place: Path) -> None:
    """What no path can name is found, read and removed, where the functions of Python end with an error."""
    deep(place / "top")
    with pytest.raises((RecursionError, OSError)):
        shutil.rmtree(place / "top")
    trees.remove(place / "top")
    deep(place / "top")
    (place / "top/beside").write_text("b")
    found = [(each.length, os.read(each.open(), 9)) for each in trees.entries(place / "top")]
    assert found == [(len("beside"), b"b"), (DEEP * 21 + 4, b"deep")]
    trees.remove(place / "top")
    assert not (place / "top").exists()


def test_nothing_but_folders_is_entered(tmp_path: Path) -> None:
    """Links, pipes, sockets and devices are found and not opened; what a link leads to stays."""
    top, other = tmp_path / "top", tmp_path / "other"
    top.mkdir()
    other.mkdir()
    (other / "file").write_text("it stays")
    (top / "linked").symlink_to(other)
    (top / "lost").symlink_to("nowhere")
    (top / ("n" * 255)).write_text("long")
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(top / "socket"))
        found = {each.name: (each.is_file, each.is_link) for each in trees.entries(top)}
    kinds = {"linked": (False, True), "lost": (False, True), "pipe": (False, False), "socket": (False, False)}
    assert found == {"n" * 255: (True, False), **kinds}
    assert list(trees.entries(top / "linked")) == list(trees.entries(tmp_path / "nothing")) == []
    for name in ("linked/file", "pipe/x", "../other/file", "nothing"):
        with trees.entry(top, name) as each:
            assert each is None
    with trees.entry(top, "pipe") as each, pytest.raises(OSError):
        assert each is not None
        each.open()
    trees.remove(top / "linked")
    trees.remove(top)
    trees.discard(top)
    assert (other / "file").read_text() == "it stays"


CLOSED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from orchestrator import trees
os.chdir(sys.argv[2])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.makedirs("top/closed/more")
open("top/closed/more/file", "w").close()
def close():
    for path in ("top/closed/more", "top/closed", "top"):
        os.chmod(path, 0)
close()
print([each.name for each in trees.entries("top")], [each.name for each in trees.entries("top", opens=True)])
close()
trees.remove("top")
print(os.listdir("."))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_folders_that_are_closed_to_their_owner_are_opened() -> None:
    """A process without the rights of root walks and removes folders that its own jobs have closed."""
    with trees.temporary_folder("trees-") as folder:  # pytest's own folders are closed to other users
        os.chown(folder, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", CLOSED, str(ROOT), folder], capture_output=True, text=True
        )
    assert (done.stdout, done.stderr) == ("[] ['closed/more/file']\n[]\n", "")


def test_several_processes_may_remove_the_same(tmp_path: Path) -> None:
    """Removals of the same folders at the same time end without an error, and nothing is left."""
    for number in range(300):
        (tmp_path / f"top/{number % 7}/{number}/x").mkdir(parents=True)
        (tmp_path / f"top/{number % 7}/{number}/x/file").touch()
    errors: list[BaseException] = []

    def remove() -> None:
        try:
            trees.remove(tmp_path / "top")
        except BaseException as error:  # noqa: BLE001 - whatever it is
            errors.append(error)

    threads = [threading.Thread(target=remove) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert not (tmp_path / "top").exists()


def test_folders_of_users_are_walked_in_order(tmp_path: Path, place: Path) -> None:
    """The walk of a user's folders is that of `os.walk` with sorted names, and goes where that one ends."""
    for name in ("b/x/1", "a/2", "a/y/3", "4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a")
    assert [at.removeprefix(str(tmp_path)) for at, _, _ in trees.walk(tmp_path)] == ["", "/a", "/a/y", "/b", "/b/x"]
    assert next(trees.walk(tmp_path))[1:] == (["a", "b", "link"], ["4"])
    assert [path.name for path in file_system.files_of(tmp_path)] == ["4", "2", "3", "1"]
    deep(place / "deep", "d")
    assert sum("file" in names for _, _, names in trees.walk(place / "deep")) == 1


def test_files_are_read_within_bounds(tmp_path: Path) -> None:
    """A file that is too large is refused, and so are a pipe and a device; the end of a file is read alone."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"the end")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "small").write_bytes(b"one\ntwo")
    for path in (tmp_path / "large", tmp_path / "pipe", Path("/dev/zero"), tmp_path / "nothing"):
        with pytest.raises(OSError):
            file_system.read_bounded(path, 1000)
    assert file_system.read_bounded(tmp_path / "small", 7) == b"one\ntwo"
    assert file_system.read_end(tmp_path / "large", 7) == "the end"
    assert file_system.read_end(tmp_path / "pipe", 7) == file_system.read_end(tmp_path / "nothing", 7) == ""
    assert list(file_system.lines_of(tmp_path / "small")) == [b"one", b"two"]
    assert list(file_system.lines_of(tmp_path / "pipe")) == []


# -- the kind ---------------------------------------------------------------------------------------------------------

OTHER_WAYS = {"rmtree", "rglob", "copytree", "fwalk", "walk", "TemporaryDirectory"}
"""Functions that call themselves for each level, or follow paths; `walk` of other modules than `os` is none of them."""

REASONS = {
    "adapters/ansible/playbook_reader.py": "the files of a package, whose names have at most 240 bytes",
    "adapters/archive/checks.py": "the files of a package, whose names have at most 240 bytes",
    "adapters/archive/placeholder.py": "the files of a package, whose names have at most 240 bytes",
    "adapters/pulumi/engine.py": "sources of the engine, which Go verifies",
    "hosts/sshd.py": "packages of the distribution, whose signatures are verified",
    "isolation/system.py": "/etc, which belongs to root",
}
"""The modules that use them all the same, and who wrote the folders that they walk."""


def other_ways(tree: ast.Module) -> Iterator[str]:
    """Each use of one of these functions in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in OTHER_WAYS:
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr != "walk" or owner == "os":
                yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and node.module in {"os", "shutil", "tempfile"}:
            yield from (alias.name for alias in node.names if alias.name in OTHER_WAYS)
        if isinstance(node, ast.Constant) and node.value == "**/*":
            yield "**"


def test_folders_that_others_wrote_are_walked_in_one_way() -> None:
    """Only modules with a reason walk or remove folders in another way; each reason is needed."""
    found = set()
    for path in sorted((ROOT / "orchestrator").rglob("*.py")):
        name = path.relative_to(ROOT / "orchestrator").as_posix()
        if not name.startswith(("ansible/", "templates/")):  # these run on hosts, or are copied into projects
            found |= {name} if any(other_ways(ast.parse(path.read_text()))) else set()
    assert found == set(REASONS)


def test_each_other_way_is_found() -> None:
    """The search finds each function that walks in another way, and no other one."""
    ways = ["shutil.rmtree(x)", "path.rglob('*')", "os.walk(x)", "from os import walk", "tempfile.TemporaryDirectory()"]
    assert all(any(other_ways(ast.parse(way))) for way in ways)
    assert not any(any(other_ways(ast.parse(way))) for way in ["ast.walk(x)", "app.walk(x)", "trees.walk(x)"])
