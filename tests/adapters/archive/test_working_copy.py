"""The copy of a package's content for a job: all of what was sealed, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.adapters.archive.unpacked import content_as, link_as
from orchestrator.adapters.archive.working_copy import copy_content
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Area, Package, PackageFile
from tests.flow.test_promotion import release
from tests.sealed import sealed


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A sealed tree with an executable file, an empty one, a large one, a link, and a name that is no ASCII."""
    root = tmp_path / "content"
    (root / "roles/web").mkdir(parents=True)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "roles/web/empty.yml").write_text("")
    (root / "roles/web/grün.bin").write_bytes(os.urandom(3 * 2**20 + 1))
    (root / "current.yml").symlink_to("roles/web/empty.yml")
    made = sealed(root, release("1.0.0"))
    files = tuple(link_as("roles/web/empty.yml", f) if f.path == "current.yml" else f for f in made.manifest.files)
    return made.model_copy(update={"manifest": made.manifest.model_copy(update={"files": files})})


def tree(folder: Path) -> dict[str, object]:
    """Each path below *folder* with its mode and content."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[path.relative_to(folder).as_posix()] = (path.lstat().st_mode, content)
    return found


def test_a_copy_is_what_was_sealed(package: Package, tmp_path: Path) -> None:
    """Content, modes and links are those of the package, and what an interrupted attempt left is replaced."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/left").write_text("x")
    assert package.root is not None
    assert tree(copy_content(package, tmp_path / "copy")) == tree(Path(package.root))


def _fifo(root: Path) -> None:
    (root / "run.sh").unlink()
    os.mkfifo(root / "run.sh", 0o755)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "run.sh").write_text("#!/bin/zz\n"),
        lambda root: (root / "run.sh").write_text("#!/bin/sh\nmore\n"),
        lambda root: (root / "run.sh").chmod(0o644),
        lambda root: (root / "run.sh").unlink(),
        lambda root: (root / "roles/web/new.yml").write_text("x"),
        lambda root: (root / "roles/other").mkdir(),
        lambda root: ((root / "current.yml").unlink(), (root / "current.yml").symlink_to("run.sh")),
        lambda root: ((root / "current.yml").unlink(), (root / "current.yml").write_text("")),
        lambda root: ((root / "run.sh").rename(root.parent / "s"), (root / "run.sh").symlink_to(root.parent / "s")),
        _fifo,
        lambda root: ((root / "roles").rename(root.parent / "r"), (root / "roles").symlink_to(root.parent / "r")),
    ],
    ids=["changed", "longer", "mode", "gone", "added", "folder", "link", "no link", "a link", "fifo", "linked folder"],
)
def test_a_changed_package_has_no_copy(package: Package, tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Any change of the kept package is refused, and no part of a copy stays."""
    assert package.root is not None
    change(Path(package.root))
    with pytest.raises(OrchestratorError) as refusal:
        copy_content(package, tmp_path / "copy")
    assert refusal.value.code == "P303"
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("area", ["artifacts", "collection", "requirements"])
@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_what_lies_beside_the_tree_is_verified_for_each_copy(
    package: Package, tmp_path: Path, area: Area, change: str
) -> None:
    """A change of an artifact, an installed role or our collection between two jobs is refused by the second."""
    file = tmp_path / area / "roles/base.yml"
    file.parent.mkdir(parents=True)
    file.write_text("- ping:\n")
    with file.open("rb") as data:
        about = content_as(data, PackageFile(path="roles/base.yml", area=area, size=0, sha256="0" * 64))
    files = (*package.manifest.files, about)
    package = package.model_copy(update={"manifest": package.manifest.model_copy(update={"files": files})})
    copy_content(package, tmp_path / "first")
    if change == "changed":
        file.write_text("- fail:\n")
    elif change == "added":
        file.with_suffix(".pyc").write_bytes(b"compiled")
    else:
        file.unlink()
    with pytest.raises(OrchestratorError) as refusal:
        copy_content(package, tmp_path / "second")
    assert refusal.value.code == "P303"
    assert not (tmp_path / "second").exists()
