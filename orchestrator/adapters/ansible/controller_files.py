"""The copy of a package's content that a play runs in, and the files that the play wrote there.

The kept package is never written to. Files that a play wrote in its copy (logs, fact caches, fetched and generated
files) are kept in the folder of the job, and later plays do not see them.
"""

import filecmp
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.kept_files import KeptFiles
from orchestrator.adapters.archive.working_copy import copy_content
from orchestrator.domain.release import Package

CONTENT = "content"
KEPT = "files"
LISTING = "files.json"
PASSWORD = 1024  # bytes of a file with a generated password, at the most
SOURCES = (".yml", ".yaml", ".j2", ".json", "")
LOOKUP = re.compile(rb"(lookup|query|q)\(\s*[\"'](ansible\.builtin\.)?password[\"']|with_password\b")
MOST = 100 * 2**20  # bytes of written files that are kept with a job


def lay_copy(package: Package, folder: Path) -> Path:
    """The copy of the content of *package* for the job in *folder*; made unless the job was started before."""
    copy = folder / CONTENT
    if not (folder / "job.json").exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy_content(package, copy)
    return copy


def collect(package: Package, folder: Path, kept: KeptFiles) -> list[dict[str, Any]]:
    """Keep the files that the play of the job in *folder* wrote in its copy, remove the copy, and list them.

    Files that are *kept* for the environment are left out. Each has its *path*, its *change* (`new`, `changed`,
    `removed`), its *size*, and whether it is *kept*; a new file may be marked as a *password*.
    """
    listing, copy = folder / LISTING, folder / CONTENT
    if listing.exists():
        shutil.rmtree(copy, ignore_errors=True)
        return list(json.loads(listing.read_text(encoding="utf-8")))
    if package.root is None or not copy.is_dir() or copy.is_symlink():
        return []
    _remove(folder / KEPT)  # the play may have put something there
    _remove(listing.with_name(f"{LISTING}.new"))
    found = _written(Path(package.root), copy, folder / "job.json")
    written = sorted((item for item in found if not kept.covers(item["path"])), key=lambda item: str(item["path"]))
    for item in written:
        if item["change"] == "new" and _is_password(copy / item["path"]):
            item["password"] = True
    room = MOST
    for item in written:
        item["kept"] = item["change"] != "removed" and item["size"] <= room and _keep(copy, folder / KEPT, item["path"])
        room -= item["size"] if item["kept"] else 0
    new = listing.with_name(f"{LISTING}.new")
    new.write_text(json.dumps(written), encoding="utf-8")
    new.chmod(0o600)
    new.replace(listing)
    shutil.rmtree(copy, ignore_errors=True)
    return written


def _remove(path: Path) -> None:
    """Remove *path*, whatever it is; what a link leads to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _written(kept: Path, copy: Path, started: Path) -> Iterator[dict[str, Any]]:
    """The files of *copy* that differ from *kept*. Files not touched since *started* was written are not compared."""
    since = started.stat().st_ctime_ns if started.exists() else 0
    found = set()
    for path in _files(copy):
        name = path.relative_to(copy).as_posix()
        found.add(name)
        about, before = path.lstat(), kept / name
        if not os.path.lexists(before):
            yield {"path": name, "change": "new", "size": about.st_size}
        elif about.st_ctime_ns >= since and not _same(before, path):
            yield {"path": name, "change": "changed", "size": about.st_size}
    for path in _files(kept):
        name = path.relative_to(kept).as_posix()
        if name not in found:
            yield {"path": name, "change": "removed", "size": 0}


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (Path(place) / name for name in [*names, *links])


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return filecmp.cmp(one, other, shallow=False)


def _is_password(path: Path) -> bool:
    """Whether the file at *path* has the form that `lookup('password')` writes: private, one short line."""
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077 or not 0 < about.st_size <= PASSWORD:
        return False
    text = path.read_bytes()
    return text.endswith(b"\n") and text.count(b"\n") == 1


def uses_passwords(content: Path) -> bool:
    """Whether a file of YAML or a template below *content* names the lookup `password`."""
    texts = (path for path in _files(content) if path.suffix in SOURCES and not path.is_symlink())
    return any(LOOKUP.search(path.read_bytes()) for path in texts)


def _keep(copy: Path, target: Path, name: str) -> bool:
    """Move one written file of *copy* below *target*, private; links and special files are not kept."""
    source, place = copy / name, target / name
    if source.is_symlink() or not source.is_file():
        return False
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source.replace(place)
    place.chmod(0o600)
    return True
