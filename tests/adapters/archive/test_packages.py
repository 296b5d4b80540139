"""Packages are built reproducibly, and kept as they were sealed."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.archive.sealed import BLOCK, Member, header
from orchestrator.domain.errors import OrchestratorError


def refused(code: str, work: Callable[[], object], match: str | None = None) -> None:
    with pytest.raises(OrchestratorError, match=match) as caught:
        work()
    assert caught.value.code == code


def tree(folder: Path) -> dict[str, str]:
    """Every file below *folder* with its digest, mode and kind."""
    return {
        str(path.relative_to(folder)): f"{path.lstat().st_mode:o} "
        + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(folder.rglob("*"))
    }


# -- building ------------------------------------------------------------------------------------------------------


def test_two_builds_are_equal_byte_for_byte(shop: Any) -> None:
    """The same content at another place, time, umask and order of creation gives the same file."""
    first = shop.build()
    old = os.umask(0o077)
    try:
        elsewhere = shop.folder / "elsewhere/deeper"
        for path in sorted(shop.project.rglob("*"), reverse=True):
            if path.is_file():
                copy = elsewhere / path.relative_to(shop.project)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                copy.chmod(path.stat().st_mode & 0o700)
                os.utime(copy, (1, 1))
    finally:
        os.umask(old)
    shop.project, shop.source = elsewhere, elsewhere / "releases/shop/release.yaml"
    second = shop.build("b.release")
    assert Path(first.path).read_bytes() == Path(second.path).read_bytes()
    assert second.digest == second.manifest.digest == first.digest


BUILD = """
import sys
from pathlib import Path
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.domain.release import Release
folder, target = Path(sys.argv[1]), Path(sys.argv[2])
release = Release.from_json({"apiVersion": "orchestrator/v1", "kind": "Release", "name": "shop", "version": "1.0.0",
    "environments": ["staging"], "steps": [{"name": "deploy", "playbook": "playbooks/deploy.yml"}],
    "verify": [{"name": "smoke", "tests": "tests/smoke"}]})
SealedPackages(folder).build(folder, folder / "releases/shop/release.yaml", release, target)
"""


@pytest.mark.parametrize("hash_seed", ["0", "7"])
def test_a_build_does_not_depend_on_the_locale_or_the_process(shop: Any, hash_seed: str) -> None:
    """Names beyond ASCII come out the same where the locale knows them and where it does not."""
    shop.files({"roles/web/files/straße-日本.txt": "x"})
    built: list[bytes] = []
    for locale in ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"LC_ALL": "C.UTF-8"}):
        target = shop.folder / f"{len(built)}.release"
        env = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": hash_seed, **locale}
        subprocess.run([sys.executable, "-c", BUILD, shop.project, target], env=env, check=True, cwd=Path.cwd())
        built.append(target.read_bytes())
    assert built[0] == built[1]


def test_an_ordinary_tar_can_list_it(shop: Any) -> None:
    """The sealed file is a plain POSIX archive that every tar reads."""
    shop.build()
    with tarfile.open(shop.folder / "a.release") as archive:
        assert archive.getnames()[:2] == ["manifest.json", "artifacts/shop.tar.gz"]


def test_a_version_stands_for_one_content(shop: Any) -> None:
    """Building the same again is fine; another content under the same file name is refused, unless it is said."""
    first = shop.build()
    assert shop.build().digest == first.digest
    shop.files({"playbooks/deploy.yml": "- hosts: db\n"})
    refused("P106", shop.build)
    assert SealedPackages(shop.folder).read(Path(first.path)).digest == first.digest
    assert shop.build(replace=True).digest != first.digest


def test_what_cannot_be_written_leaves_nothing_behind(shop: Any) -> None:
    """When the target's folder is a file, the error says so, and no temporary file stays."""
    (shop.folder / "dist").write_text("a file")
    before = tree(shop.folder)
    refused("P112", lambda: shop.build("dist/a.release"))
    assert tree(shop.folder) == before


def test_nothing_that_the_digest_does_not_cover_is_accepted(shop: Any) -> None:
    """Beside the digest there is room for the Git revision in one exact form, and for nothing else."""
    path = Path(shop.build().path)
    good = path.read_bytes()[: -2 * BLOCK]
    commit = "a" * 40
    plain = b'{"commit":"%s","dirty":true}' % commit.encode()

    def attached(name: str, data: bytes) -> None:
        block = header(Member(f"attachments/{name}", len(data), executable=False))
        path.write_bytes(good + block + data + b"\0" * (-len(data) % BLOCK) + b"\0" * (2 * BLOCK))

    attached("revision.json", plain)
    read = shop.packages.read(path)
    assert read.revision is not None
    assert (read.digest, read.revision.commit, read.revision.dirty) == (shop.build().digest, commit, True)
    for name, data in {"signature.json": b"{}", "more/x": b"", "x.pyc": b"x"}.items():
        attached(name, data)
        refused("P219", lambda: shop.packages.read(path))
    for data in (b"{}", plain + b" ", plain.replace(b"true", b"1"), plain.replace(b"a", b"A"), b"x" * 2000):
        attached("revision.json", data)
        refused("P219", lambda: shop.packages.read(path))


# -- keeping -------------------------------------------------------------------------------------------------------


def test_a_kept_package_is_there_file_by_file(shop: Any) -> None:
    """Keeping unpacks every file with its mode; doing it twice changes nothing."""
    first = shop.kept()
    before = tree(shop.folder / "kept")
    kept = shop.packages.keep(shop.folder / "a.release")
    assert (kept, tree(shop.folder / "kept")) == (first, before)
    assert stat.S_IMODE(Path(kept.root, "roles/web/files/run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE(Path(kept.root, "roles/web/tasks/main.yml").stat().st_mode) == 0o644
    assert [ref.version for ref, _ in shop.packages.known()] == ["1.0.0"]


def _extra(path: Path) -> None:
    (path.parent / "extra.yml").write_text("x")


def _link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def _link_out(path: Path) -> None:
    outside = path.parents[4] / "outside.yml"
    path.rename(outside)
    path.symlink_to(outside)


def _folder_link(path: Path) -> None:
    path.parent.rename(path.parents[4] / "moved")
    path.parent.symlink_to(path.parents[4] / "moved")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


TAMPERINGS: dict[str, Callable[[Path], object]] = {
    "changed": lambda path: path.write_text("changed"),
    "same size, other content": lambda path: path.write_text(path.read_text().replace("web", "wab")),
    "empty": lambda path: path.write_text(""),
    "removed": Path.unlink,
    "a further file": _extra,
    "a further empty folder": lambda path: (path.parent / "roles").mkdir(),
    "a file that is executable now": lambda path: path.chmod(0o755),
    "compiled Python": lambda path: (path.parent / "__pycache__").mkdir(),
    "a name that is not UTF-8": lambda path: Path(os.fsdecode(bytes(path.parent) + b"/\xff")).touch(),
    "a link to a file beside it": _link,
    "a link that leads out": _link_out,
    "its folder is a link": _folder_link,
    "a pipe": _pipe,
    "a folder in its place": _folder,
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_kept_file_that_was_touched_is_refused(shop: Any, tampering: str) -> None:
    """Whatever was done to one unpacked file or beside it, it is found by name, and not silently put right."""
    kept = shop.kept()
    TAMPERINGS[tampering](Path(kept.root) / "playbooks/deploy.yml")
    for work in (lambda: shop.packages.fetch(kept.digest), lambda: shop.packages.keep(Path(shop.folder / "a.release"))):
        refused("P303", work, match="playbooks")


def test_the_refusal_of_a_touched_file_says_how_to_restore_it(shop: Any) -> None:
    """The hint names the folder to remove; after that the package is unpacked again, as it was sealed."""
    kept = shop.kept()
    home = Path(kept.root).parent
    (Path(kept.root) / "playbooks/deploy.yml").write_text("- hosts: none\n")
    with pytest.raises(OrchestratorError) as refusal:
        shop.packages.fetch(kept.digest)
    assert f"remove {home}:" in str(refusal.value.hint)
    shutil.rmtree(home)
    assert shop.packages.fetch(kept.digest).digest == kept.digest


def test_a_kept_folder_that_is_a_link_is_refused(shop: Any) -> None:
    """The whole unpacked folder cannot be exchanged for another place either."""
    root = Path(shop.kept().root)
    for folder in (root, root.parent):
        folder.rename(shop.folder / "moved")
        folder.symlink_to(shop.folder / "moved")
        refused("P303", lambda: shop.packages.fetch("sha256:" + root.parent.name))
        folder.unlink()
        (shop.folder / "moved").rename(folder)
    assert shop.packages.fetch("sha256:" + root.parent.name).root == str(root)


def test_an_unpacked_folder_that_is_gone_is_made_again(shop: Any) -> None:
    """The sealed file is what counts; its files can be unpacked again at any time."""
    kept = shop.kept()
    before = tree(Path(kept.root))
    shutil.rmtree(Path(kept.root).parent)
    assert shop.packages.fetch(kept.digest) == kept.model_copy(update={"attachments": ()})
    assert tree(Path(kept.root)) == before


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 4096])
def test_a_damaged_sealed_file_is_skipped_refused_and_replaced(shop: Any, damage: bytes) -> None:
    """A kept file that rotted is no known package, cannot be fetched, and is put right by keeping a good one."""
    kept = shop.kept()
    Path(kept.path).write_bytes(damage)
    assert shop.packages.known() == []
    with pytest.raises(OrchestratorError):
        shop.packages.fetch(kept.digest)
    assert shop.packages.keep(shop.folder / "a.release") == kept


def test_another_package_under_the_name_is_refused(shop: Any) -> None:
    """The digest in the file's name is not believed."""
    kept = shop.kept()
    other = Path(shop.build("b.release", version="2.0.0").path)
    shutil.copy(other, kept.path)
    refused("P302", lambda: shop.packages.fetch(kept.digest))
    refused("P301", lambda: shop.packages.fetch("sha256:" + "0" * 64))


def test_what_a_crash_left_behind_is_removed(shop: Any) -> None:
    """A half unpacked folder of a process that died is never taken for a package, and goes away."""
    (shop.folder / "kept/.unpacking-dead/content").mkdir(parents=True)
    shop.kept()
    assert not list((shop.folder / "kept").glob(".unpacking-*"))


def test_many_processes_keep_one_package(shop: Any) -> None:
    """Six at once: each ends well, and there is one whole copy."""
    path = Path(shop.build().path)
    script = "import sys; from pathlib import Path; from orchestrator.adapters.archive.packages import SealedPackages\n"
    script += "print(SealedPackages(Path(sys.argv[1])).keep(Path(sys.argv[2])).digest)"
    argv = [sys.executable, "-c", script, str(shop.folder / "kept"), str(path)]
    started = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = {process.communicate(timeout=60)[0].strip() for process in started}
    assert said == {shop.packages.read(path).digest}
    assert len(shop.packages.known()) == 1


@pytest.mark.parametrize("kind", ["missing", "a folder", "a pipe"])
def test_what_is_no_file_is_not_read(shop: Any, kind: str) -> None:
    """No file, a folder and a pipe (which would wait for ever) are refused at once."""
    path = shop.folder / "x.release"
    {"missing": lambda _: None, "a folder": Path.mkdir, "a pipe": os.mkfifo}[kind](path)
    refused("P200", lambda: shop.packages.read(path))


def test_memory_stays_small_whatever_the_size(shop: Any) -> None:
    """A package of 48 MiB is built, kept and fetched within 12 MiB of memory."""
    with (shop.project / "releases/shop/dist/shop.tar.gz").open("wb") as file:
        file.truncate(48 * 1024 * 1024)
    tracemalloc.start()
    try:
        shop.kept()
        assert tracemalloc.get_traced_memory()[1] < 12 * 1024 * 1024
    finally:
        tracemalloc.stop()


_PART = st.text(st.characters(codec="utf-8", categories=["Ll", "Nd", "Lo", "Zs", "So"]), min_size=1, max_size=12)
_TREE = st.dictionaries(
    st.lists(_PART, min_size=1, max_size=4).map("/".join),
    st.tuples(
        st.binary(max_size=2000).filter(lambda data: not data.startswith(b"version https://git-lfs")), st.booleans()
    ),
    max_size=8,
)


@given(files=_TREE)
@settings(max_examples=40, deadline=None)
def test_every_tree_comes_out_as_it_went_in(
    files: dict[str, tuple[bytes, bool]], tmp_path_factory: pytest.TempPathFactory, new_shop: Callable[[Path], Any]
) -> None:
    """Whatever files a role holds, they are unpacked equal, or refused by a name's code."""
    shop = new_shop(tmp_path_factory.mktemp("tree"))
    wanted = {name: file for name, file in files.items() if not any(other.startswith(name + "/") for other in files)}
    for name, (data, executable) in wanted.items():
        path = shop.project / "roles/web/templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if executable else 0o644)
    try:
        root = Path(shop.kept().root) / "roles/web/templates"
    except OrchestratorError as error:
        if error.code not in {"P203", "P204", "P205"}:
            raise
        return
    unpacked = {name: root / name for name in wanted}
    assert {name: (path.read_bytes(), os.access(path, os.X_OK)) for name, path in unpacked.items()} == wanted
