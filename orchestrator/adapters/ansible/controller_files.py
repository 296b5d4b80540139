"""The copy of a package's content that a play runs in, and the files that the play wrote into the copy.

The kept package is never written to. Files that a play wrote in its copy (logs, fact caches, fetched and generated
files) are kept in the folder of the job, and later plays do not see them.
"""

import filecmp
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.kept_files import KeptFiles
from orchestrator.adapters.archive.working_copy import copy_content
from orchestrator.domain.release import Package
from orchestrator.file_system import read_bounded
from orchestrator.trees import LONGEST, discard, entries, remove
from orchestrator.written_files import LISTING, written_files

CONTENT = "content"
KEPT = "files"
PASSWORD = 1024  # bytes of a file with a generated password, at most
SOURCES = (".yml", ".yaml", ".j2", ".json", "")
LOOKUP = re.compile(rb"(lookup|query|q)\(\s*[\"'](ansible\.builtin\.)?password[\"']|with_password\b")
MOST = 100 * 2**20  # bytes of written files that are kept with a job
MOST_LISTED = 50_000  # files that are listed one by one


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
    before = written_files(folder)
    if before is not None:
        discard(copy)
        return before
    if package.root is None or not copy.is_dir() or copy.is_symlink():
        return []
    for left in (folder / KEPT, listing, listing.with_name(f"{LISTING}.new")):  # the play may have made these
        remove(left)
    found = list(_written(Path(package.root), copy, folder / "job.json"))
    written = sorted((item for item in found if not kept.covers(item["path"])), key=lambda item: str(item["path"]))
    written, rest = written[:MOST_LISTED], written[MOST_LISTED:]
    for item in written:
        if item["change"] == "new" and _is_password(copy / item["path"]):
            item["password"] = True
    room = MOST
    for item in written:
        item["kept"] = item["change"] != "removed" and item["size"] <= room and _keep(copy, folder / KEPT, item["path"])
        room -= item["size"] if item["kept"] else 0
    written += _summary(rest, copy)
    new = listing.with_name(f"{LISTING}.new")
    new.write_text(json.dumps(written), encoding="utf-8")
    new.chmod(0o600)
    new.replace(listing)
    discard(copy)
    return written


def _summary(rest: list[dict[str, Any]], copy: Path) -> Iterator[dict[str, Any]]:
    """One item for all files that are not listed one by one: the *rest*, and those whose names are too long."""
    sizes = [item["size"] for item in rest]
    sizes += [found.status.st_size for found in entries(copy) if found.length > LONGEST]
    if sizes:
        yield {"path": "…", "change": "new", "size": sum(sizes), "kept": False, "more": len(sizes)}


def _written(kept: Path, copy: Path, started: Path) -> Iterator[dict[str, Any]]:
    """The files of *copy* that differ from *kept*. Files not touched since *started* was written are not compared."""
    since = started.stat().st_ctime_ns if started.exists() else 0
    found = set()
    for each in entries(copy, opens=True):
        if each.length > LONGEST:
            continue
        name, about = each.name, each.status
        found.add(name)
        if not os.path.lexists(kept / name):
            yield {"path": name, "change": "new", "size": about.st_size}
        elif about.st_ctime_ns >= since and not _same(kept / name, copy / name):
            yield {"path": name, "change": "changed", "size": about.st_size}
    for each in entries(kept):
        name = each.name
        if name not in found:
            yield {"path": name, "change": "removed", "size": 0}


def _same(one: Path, other: Path) -> bool:
    """Whether two files are the same; one that cannot be read is another one."""
    try:
        if one.is_symlink() or other.is_symlink():
            return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _is_password(path: Path) -> bool:
    """Whether the file at *path* has the form that `lookup('password')` writes: private, one short line."""
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077 or not 0 < about.st_size <= PASSWORD:
        return False
    try:
        text = read_bounded(path, PASSWORD)
    except OSError:  # closed to its owner
        return False
    return text.endswith(b"\n") and text.count(b"\n") == 1


def uses_passwords(content: Path) -> bool:
    """Whether a file of YAML or a template below *content* names the lookup `password`."""
    texts = (content / found.name for found in entries(content) if found.is_file)
    return any(LOOKUP.search(path.read_bytes()) for path in texts if path.suffix in SOURCES)


def _keep(copy: Path, target: Path, name: str) -> bool:
    """Move one written file of *copy* below *target*, private; links and special files are not kept."""
    source, place = copy / name, target / name
    if not stat.S_ISREG(source.lstat().st_mode):
        return False
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source.replace(place)
    place.chmod(0o600)
    return True
