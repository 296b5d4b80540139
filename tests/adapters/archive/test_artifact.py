"""Artifacts are unpacked on hosts as they were packed, the same from every archive, or the build says why not."""

import importlib.util
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.archive.artifact import is_unpacked
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Artifact
from tests.adapters.ansible.test_remote import REMOTE

Entry = tuple[str, str, int, str]  # its name, its kind, its mode, and its content or where it leads
Writer = Callable[[Path, list[Entry]], None]
TYPES = {
    "file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE,
    "pipe": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE,
}  # fmt: skip
GOOD: list[Entry] = [
    ("bin/run", "file", 0o4755, "#!/bin/sh\n"),
    ("etc/secret", "file", 0o600, "x"),
    ("etc/current", "link", 0o777, "secret"),
    ("var/empty", "folder", 0o750, ""),
    ("lib", "link", 0o777, "var/empty/../../bin"),
    ("./README", "file", 0o644, "x"),
]


def tar(path: Path, entries: list[Entry]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, mode, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode = TYPES[kind], mode
            info.linkname = content if "link" in kind else ""
            info.size = len(content.encode()) if kind == "file" else 0
            archive.addfile(info, io.BytesIO(content.encode()))


def zipped(path: Path, entries: list[Entry]) -> None:
    kinds = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "link": stat.S_IFLNK}
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind, mode, content in entries:
            info = zipfile.ZipInfo(f"{name}/" if kind == "folder" else name)
            info.external_attr = (kinds[kind] | mode) << 16
            archive.writestr(info, content)


def on_host(path: Path, target: Path, name: str = "app.tar.gz", wanted: bool | None = None) -> str | None:
    """Unpack as a host does; why not, or None."""
    spec = importlib.util.spec_from_file_location("remote", REMOTE)
    assert spec is not None
    assert spec.loader is not None
    remote: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(remote)
    target.mkdir()
    try:
        remote.unpack(str(path), str(target), name, wanted)
    except remote.Failed as failure:
        return str(failure)
    return None


def at_build(path: Path) -> str | None:
    """Whether the build takes the archive; why not, or None."""
    try:
        assert is_unpacked(Artifact(path="app.tar.gz"), path)
    except OrchestratorError as error:
        return f"{error.code}: {error.message}"
    return None


def tree(folder: Path) -> dict[str, tuple[str, str]]:
    """Every file, folder and link, with its mode and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = f"{stat.S_IMODE(path.lstat().st_mode):o}"
        content = os.fspath(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(folder))] = ("link" if path.is_symlink() else mode, content)
    return found


def test_tar_and_zip_give_the_same(tmp_path: Path) -> None:
    """Links are made, modes are kept without set-id, empty folders exist: from a tar as from a zip."""
    found = []
    for name, write in (("a.tar.gz", tar), ("a.zip", zipped)):
        write(tmp_path / name, GOOD)
        assert at_build(tmp_path / name) is None
        assert on_host(tmp_path / name, tmp_path / f"{name}.d") is None
        found.append(tree(tmp_path / f"{name}.d"))
    assert found[0] == found[1]
    assert found[0]["bin/run"] == ("755", "#!/bin/sh\n")
    assert found[0]["etc/secret"] == ("600", "x")
    assert found[0]["etc/current"] == ("link", "secret")
    assert found[0]["var/empty"] == ("750", "")


def test_hard_links_of_a_tar_are_files(tmp_path: Path) -> None:
    """Two names of one file come out as two files of the same content."""
    tar(tmp_path / "a.tar", [("a", "file", 0o644, "x"), ("b/c", "hard link", 0o644, "a")])
    assert at_build(tmp_path / "a.tar") is None
    assert on_host(tmp_path / "a.tar", tmp_path / "d") is None
    assert (tmp_path / "d/b/c").read_text() == "x"


@pytest.mark.parametrize(
    "entries",
    [
        [("../a", "file", 0o644, "x")],
        [("/a", "file", 0o644, "x")],
        [("a", "file", 0o644, "x"), ("a", "file", 0o644, "y")],
        [("a", "file", 0o644, "x"), ("./a", "file", 0o644, "x")],
        [("a", "file", 0o644, "x"), ("a/b", "file", 0o644, "x")],
        [("a/b", "file", 0o644, "x"), ("a", "file", 0o644, "x")],
        [("a", "link", 0o777, "/etc"), ("b", "file", 0o644, "x")],
        [("a", "link", 0o777, "..")],
        [("d/e/up", "link", 0o777, "../.."), ("out", "link", 0o777, "d/e/up/../x")],
        [("a", "link", 0o777, "b"), ("a/x", "file", 0o644, "x"), ("b", "folder", 0o755, "")],
        [("a", "link", 0o777, "a")],
        [("a", "hard link", 0o644, "../b")],
        [("a", "hard link", 0o644, "b")],
        [("a", "pipe", 0o644, "")],
        [("a", "device", 0o644, "")],
    ],
)
def test_what_no_host_could_unpack_ends_the_build(tmp_path: Path, entries: list[Entry]) -> None:
    """Names and links that lead out, names twice, devices: refused at build, and by a host as well."""
    writers = [tar, zipped] if all(kind in {"file", "folder", "link"} for _, kind, _, _ in entries) else [tar]
    for number, write in enumerate(writers):
        write(tmp_path / f"{number}.bin", entries)
        assert str(at_build(tmp_path / f"{number}.bin")).startswith("P122")
        assert on_host(tmp_path / f"{number}.bin", tmp_path / f"{number}.d") is not None


NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "./a", "b/./c", "../a", "a//b", "/a", "d/e", "."])
TARGETS = st.sampled_from(["a", "..", "../a", "b/../a", "/a", "a/b", ".", "c"])
MEMBERS = st.lists(
    st.one_of(
        st.tuples(NAMES, st.just("file"), st.just(0o644), st.just("x")),
        st.tuples(NAMES, st.just("folder"), st.just(0o755), st.just("")),
        st.tuples(NAMES, st.sampled_from(["link", "hard link"]), st.just(0o777), TARGETS),
    ),
    min_size=1,
    max_size=5,
)


@given(entries=MEMBERS)
@settings(max_examples=150, deadline=None)
def test_what_the_build_takes_every_host_unpacks(
    entries: list[Entry], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever members an archive has: a failure on a host is a failure at build."""
    folder = tmp_path_factory.mktemp("archive")
    tar(folder / "a.tar", entries)
    if at_build(folder / "a.tar") is None:
        assert on_host(folder / "a.tar", folder / "d") is None
        assert not list(folder.glob("[!ad]*"))


@pytest.mark.parametrize("name", ["app.pyz", "shop.jar", "x.whl", "x.war"])
def test_archives_that_are_used_as_they_are_stay_whole(tmp_path: Path, name: str) -> None:
    """A Python or Java archive is a file on hosts, unless `unpack: true` says otherwise."""
    zipped(tmp_path / name, GOOD)
    assert not is_unpacked(Artifact(path=name), tmp_path / name)
    assert is_unpacked(Artifact(path=name, unpack=True), tmp_path / name)
    assert on_host(tmp_path / name, tmp_path / "d", name, wanted=False) is None
    assert [path.name for path in (tmp_path / "d").iterdir()] == [name]


def test_the_package_says_what_is_unpacked(shop: Any) -> None:
    """The manifest has `unpack` for each artifact; one that is no archive and has to be unpacked ends the build."""
    tar(shop.project / "releases/shop/dist/a.tgz", GOOD)
    package = shop.build(artifacts=[{"path": "dist/shop.tar.gz"}, {"path": "dist/a.tgz"}])
    assert [artifact.unpack for artifact in package.manifest.release.artifacts] == [False, True]
    with pytest.raises(OrchestratorError, match="neither a tar nor a zip") as caught:
        shop.build("b.release", artifacts=[{"path": "dist/shop.tar.gz", "unpack": True}])
    assert caught.value.code == "P122"
