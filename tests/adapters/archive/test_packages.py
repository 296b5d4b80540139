"""Packages are built reproducibly, read strictly, and kept as they were sealed."""

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.archive.names import check_name
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.archive.sealed import BLOCK, Member, header
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package, Release


def release(**changes: object) -> Release:
    data = {
        "apiVersion": "orchestrator/v1",
        "kind": "Release",
        "name": "shop",
        "version": "1.0.0",
        "environments": ["staging"],
        "artifacts": [{"path": "dist/shop.tar.gz"}],
        "steps": [{"name": "deploy", "playbook": "playbooks/deploy.yml"}],
        "verify": [{"name": "smoke", "tests": "tests/smoke"}],
        **changes,
    }
    return Release.from_json(data)


def project(folder: Path) -> Path:
    """A project as a team would have it; returns its release.yaml."""
    files = {
        "playbooks/deploy.yml": "- hosts: all\n  roles: [web]\n",
        "playbooks/vars/common.yml": "a: 1\n",
        "roles/web/tasks/main.yml": "- debug: {msg: hi}\n",
        "roles/web/files/run.sh": "#!/bin/sh\n",
        "ansible.cfg": "[defaults]\n",
        "tests/conftest.py": "",
        "tests/smoke/test_web.py": "def test_it(host): pass\n",
        "releases/shop/release.yaml": "",
        "releases/shop/dist/shop.tar.gz": "data" * 1000,
        "roles/web/tasks/__pycache__/x.pyc": "junk",
        "README.md": "not needed",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "roles/web/files/run.sh").chmod(0o755)
    return folder / "releases/shop/release.yaml"


def build(folder: Path, name: str = "a.release") -> Package:
    source = project(folder / "project")
    return SealedPackages(folder / "kept").build(folder / "project", source, release(), folder / name)


def test_a_package_holds_what_ansible_and_pytest_need(tmp_path: Path) -> None:
    """Playbooks, roles, configuration, suites with their conftest and artifacts are in it, and nothing else."""
    names = [file.path for file in build(tmp_path).manifest.files]
    assert names == [
        "ansible.cfg",
        "artifacts/shop.tar.gz",
        "playbooks/deploy.yml",
        "playbooks/vars/common.yml",
        "roles/web/files/run.sh",
        "roles/web/tasks/main.yml",
        "tests/conftest.py",
        "tests/smoke/test_web.py",
    ]


def test_two_builds_are_equal_byte_for_byte(tmp_path: Path) -> None:
    """The same content at another place, time and umask gives the same file."""
    build(tmp_path)
    old = os.umask(0o077)
    try:
        shutil.copytree(tmp_path / "project", tmp_path / "elsewhere/project")
    finally:
        os.umask(old)
    other = SealedPackages(tmp_path / "kept").build(
        tmp_path / "elsewhere/project",
        tmp_path / "elsewhere/project/releases/shop/release.yaml",
        release(),
        tmp_path / "b.release",
    )
    assert (tmp_path / "a.release").read_bytes() == (tmp_path / "b.release").read_bytes()
    assert other.manifest.digest == other.digest


def test_an_ordinary_tar_can_list_it(tmp_path: Path) -> None:
    """The sealed file is a plain POSIX archive that every tar reads."""
    build(tmp_path)
    with tarfile.open(tmp_path / "a.release") as archive:
        assert archive.getnames()[:2] == ["manifest.json", "content/ansible.cfg"]


def test_a_kept_package_is_there_file_by_file(tmp_path: Path) -> None:
    """Keeping unpacks every file with its mode; doing it twice changes nothing."""
    package = build(tmp_path)
    packages = SealedPackages(tmp_path / "kept")
    packages.keep(tmp_path / "a.release")
    kept = packages.keep(tmp_path / "a.release")
    assert kept.digest == package.digest
    assert os.access(f"{kept.root}/roles/web/files/run.sh", os.X_OK)
    assert [ref.version for ref, _ in packages.known()] == ["1.0.0"]


def _append(path: Path) -> None:
    path.write_text("changed")


def _extra(path: Path) -> None:
    (path.parent / "extra.yml").write_text("x")


def _link(path: Path) -> None:
    text = path.read_text()
    path.unlink()
    (path.parent.parent.parent / "real").write_text(text)
    path.symlink_to("../../real")


@pytest.mark.parametrize("tamper", [_append, Path.unlink, _extra, _link])
def test_a_kept_file_that_was_touched_is_refused(tmp_path: Path, tamper: Callable[[Path], None]) -> None:
    """A changed, missing, additional or linked file of the unpacked package is found by name."""
    build(tmp_path)
    packages = SealedPackages(tmp_path / "kept")
    kept = packages.keep(tmp_path / "a.release")
    tamper(Path(str(kept.root)) / "playbooks/deploy.yml")
    with pytest.raises(OrchestratorError, match=r"deploy.yml|extra.yml|real") as caught:
        packages.fetch(kept.digest)
    assert caught.value.code == "P303"


def test_a_link_that_leads_out_is_not_packed(tmp_path: Path) -> None:
    """A role's file that points outside of its tree is refused."""
    source = project(tmp_path / "project")
    (tmp_path / "project/roles/web/files/evil").symlink_to("/etc/passwd")
    with pytest.raises(OrchestratorError) as caught:
        SealedPackages(tmp_path).build(tmp_path / "project", source, release(), tmp_path / "a.release")
    assert caught.value.code == "P103"
    assert not (tmp_path / "a.release").exists()


@given(position=st.integers(0, 20_000), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_is_found(sealed: bytes, position: int, bit: int) -> None:
    """Whatever bit is flipped, the file is refused, or its digest is another one."""
    data = bytearray(sealed)
    data[position % len(data)] ^= 1 << bit
    assert _refused(bytes(data))


@given(length=st.integers(0, 20_000))
@settings(max_examples=60, deadline=None)
def test_any_cut_is_found(sealed: bytes, length: int) -> None:
    """A file that ends early is refused, wherever it was cut."""
    assert _refused(sealed[: length % len(sealed)])


def _refused(data: bytes) -> bool:
    from orchestrator.adapters.archive.sealed import Reader

    try:
        for _, chunks in (reader := Reader(io.BytesIO(data))).files():
            for _ in chunks:
                pass
    except OrchestratorError:
        return True
    return reader.digest != ORIGINAL[0]


ORIGINAL: list[str] = []


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("sealed")
    ORIGINAL[:] = [build(folder).digest]
    return (folder / "a.release").read_bytes()


def _tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def _second(sealed: bytes, block: bytes) -> bytes:
    """The archive with the header of its second member replaced."""
    at = BLOCK + int(sealed[124:135], 8)
    at += -at % BLOCK
    return sealed[:at] + block + sealed[at + BLOCK :]


NAMES = [
    "../x", "/etc/passwd", "a/../../x", "a//b", "./a", "a/.", "a/", "..", "", "C:\\x", "a\\b", "-rf", "a/-x",
    "a\x01b", "a\nb", "a\x1b[2Jb", "a\u202eb", "a\u200bb", "cafe\u0301", "x" * 241, "a/" + "y" * 201, "\u2028", "\ue000x",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_not_canonical_are_refused(name: str) -> None:
    """No name that could mean another file anywhere passes."""
    with pytest.raises(OrchestratorError) as caught:
        check_name(name)
    assert caught.value.code == "P203"


KINDS = {
    "symbolic link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE, "pipe": tarfile.FIFOTYPE, "folder": tarfile.DIRTYPE, "contiguous": tarfile.CONTTYPE,
    "pax header": b"x", "global pax header": b"g", "GNU long name": b"L", "GNU long link": b"K", "GNU sparse": b"S",
    "old regular": b"\0", "socket": b"s", "volume": b"V", "multi-volume": b"M", "dump": b"D", "vendor": b"Z",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_regular_file_is_refused(sealed: bytes, kind: str) -> None:
    """No special entry passes, whichever it is."""
    info = _info("content/ansible.cfg", KINDS[kind], link="/etc/passwd")
    block = info.tobuf(tarfile.USTAR_FORMAT)[:BLOCK]
    assert _code(_second(sealed, block)) in {"P212", "P202", "P203"}


def _mutations() -> dict[str, Callable[[bytes], bytes]]:
    plain = header(Member("content/ansible.cfg", 11, executable=False))

    def changed(at: int, data: bytes, *, fix: bool = True) -> Callable[[bytes], bytes]:
        block = plain[:at] + data + plain[at + len(data) :]
        if fix:
            block = block[:148] + b" " * 8 + block[156:]
            block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
        return lambda sealed: _second(sealed, block)

    other = header(Member("content/other", 11, executable=False))
    return {
        "setuid": changed(100, b"0004755"),
        "world-writable": changed(100, b"0000666"),
        "an owner": changed(108, b"0001750"),
        "a group": changed(116, b"0001750"),
        "a time": changed(136, b"14000000000"),
        "a negative size": changed(124, b"-0000000001"),
        "a base-256 size": changed(124, b"\x80\0\0\0\0\0\0\0\0\0\x0b"),
        "a size with spaces": changed(124, b"         13"),
        "a huge size": changed(124, b"77777777777"),
        "a wrong checksum": changed(148, b"000000\0 ", fix=False),
        "no magic": changed(257, b"\0" * 8),
        "GNU magic": changed(257, b"ustar  \0"),
        "an owner's name": changed(265, b"root"),
        "a device number": changed(329, b"0000001"),
        "data in the padding of the header": changed(500, b"hidden"),
        "data behind the name": changed(60, b"\0hidden"),
        "another name": lambda sealed: _second(sealed, other),
        "an absolute name": lambda sealed: _second(sealed, _info("/etc/x").tobuf(tarfile.USTAR_FORMAT)[:BLOCK]),
        "data behind the end": lambda sealed: sealed + b"x",
        "zeros behind the end": lambda sealed: sealed + b"\0" * BLOCK,
        "an end too early": lambda sealed: _second(sealed, b"\0" * BLOCK),
        "nothing": lambda _sealed: b"",
        "a gzip": lambda _sealed: b"\x1f\x8b" + b"\0" * 600,
        "a zip": lambda _sealed: b"PK\x03\x04" + b"\0" * 600,
        "text": lambda _sealed: b"hello " * 200,
        "an ordinary tar": lambda _sealed: _tar((_info("x"), b"data")),
        "a GNU tar": lambda _sealed: _tar((_info("n" * 150), b"data"), form=tarfile.GNU_FORMAT),
        "a pax tar": lambda _sealed: _tar((_info("é" * 80), b"data"), form=tarfile.PAX_FORMAT),
        "a manifest that is no JSON": lambda _sealed: _tar((_info("manifest.json"), b"{")),
        "a manifest of something else": lambda _sealed: _tar((_info("manifest.json"), b'{"a":1}')),
        "an unknown file at the end": lambda sealed: sealed[: -2 * BLOCK] + other + b"x" * BLOCK + b"\0" * (2 * BLOCK),
        "padding with something in it": lambda sealed: sealed.replace(b"[defaults]\n\0", b"[defaults]\nX"),
    }


MUTATIONS = _mutations()


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_hostile_archives_are_refused_with_nothing_written(sealed: bytes, mutation: str, tmp_path: Path) -> None:
    """Each is refused by a code of its family, and the store stays as it was."""
    path = tmp_path / "evil.release"
    path.write_bytes(MUTATIONS[mutation](sealed))
    with pytest.raises(OrchestratorError) as caught:
        SealedPackages(tmp_path / "kept").keep(path)
    assert caught.value.code.startswith("P2")
    assert sorted(tmp_path.rglob("*")) == [path]


def _code(data: bytes) -> str:
    from orchestrator.adapters.archive.sealed import Reader

    with pytest.raises(OrchestratorError) as caught:
        for _, chunks in Reader(io.BytesIO(data)).files():
            for _ in chunks:
                pass
    return caught.value.code


@pytest.mark.parametrize(
    "names", [["a", "A"], ["é", "É"], ["straße", "STRASSE"], ["a", "a/b"], ["x/y", "X/z"], ["ﬁ", "fi"]]
)
def test_two_names_for_one_file_are_refused(names: list[str], tmp_path: Path) -> None:
    """Names that differ only in case or form, and files that are also folders, never stand together."""
    from orchestrator.adapters.archive.names import check_together

    with pytest.raises(OrchestratorError) as caught:
        check_together(names)
    assert caught.value.code == "P204"


_PART = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1, max_size=12)
_TREE = st.dictionaries(st.lists(_PART, min_size=1, max_size=4).map("/".join), st.binary(max_size=2000), max_size=8)


@given(tree=_TREE)
@settings(max_examples=30, deadline=None)
def test_every_tree_comes_out_as_it_went_in(tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever files a role holds, they are unpacked equal."""
    folder = tmp_path_factory.mktemp("tree")
    source = project(folder / "project")
    wanted = {name: data for name, data in tree.items() if not any(other.startswith(name + "/") for other in tree)}
    for name, data in wanted.items():
        path = folder / "project/roles/web/templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    packages = SealedPackages(folder / "kept")
    packages.build(folder / "project", source, release(), folder / "a.release")
    kept = Path(str(packages.keep(folder / "a.release").root))
    assert {name: (kept / "roles/web/templates" / name).read_bytes() for name in wanted} == wanted
