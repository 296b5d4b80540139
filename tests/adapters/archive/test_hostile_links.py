"""Archives of format 2 that were made to write or read outside of their folder are refused, with nothing written."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.archive.sealed import BLOCK, Member, header
from orchestrator.domain.errors import OrchestratorError
from tests.adapters.archive.test_hostile import END, FILES, RELEASE, file, refused_with_nothing_written

ARTIFACT = {"name": "shop", "path": "dist/shop.bin"}


@dataclass(frozen=True)
class Link:
    """A member that is a symbolic link; *about* are fields of its entry in the manifest that say something else."""

    target: str
    about: tuple[tuple[str, Any], ...] = ()


Entries = dict[str, bytes | Link]
GOOD: Entries = {f"content/{name}": data for name, data in FILES.items()}


def entry(name: str, what: bytes | Link) -> dict[str, Any]:
    """The line of the manifest for the member *name*."""
    area, _, path = name.partition("/")
    data = what.target.encode("utf-8", "surrogatepass") if isinstance(what, Link) else what
    about = {"executable": False, "path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    about |= {"area": area} if area != "content" else {}
    return about | ({"link": what.target, "size": 0, **dict(what.about)} if isinstance(what, Link) else {})


def manifest(entries: Entries, **changes: Any) -> bytes:
    """A manifest of format 2, as `build` writes it, that lists *entries*."""
    data = {"apiVersion": "orchestrator/v1", "kind": "Package", "format": 2, "collection": None, "project": "."}
    data |= {"release": RELEASE, "files": [entry(name, what) for name, what in sorted(entries.items())], **changes}
    if data["format"] == 1:
        del data["format"]  # the number that is not written
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def member(name: str, what: bytes | Link) -> bytes:
    """The member *name* of an archive."""
    if isinstance(what, Link):
        return header(Member(name, 0, executable=False, link=what.target))
    return file(name, what)


def archive(entries: Entries, *, listed: Entries | None = None, tail: bytes = b"", **changes: Any) -> bytes:
    """An archive of *entries* in their order, whose manifest lists them, or *listed*."""
    parts = [file("manifest.json", manifest(entries if listed is None else listed, **changes))]
    return b"".join([*parts, *(member(name, what) for name, what in entries.items()), tail, END])


def more(entries: Entries, **changes: Any) -> Callable[[], bytes]:
    """The good files and *entries*, in the order of an archive."""
    return lambda: archive(dict(sorted({**GOOD, **entries}.items())), **changes)


def links(**targets: str) -> Callable[[], bytes]:
    """The good files, and links with *targets*; two underscores stand for a folder."""
    return more({f"content/{name.replace('__', '/')}": Link(target) for name, target in targets.items()})


def appended(name: str, what: bytes | Link) -> Callable[[], bytes]:
    """The good archive, and one more member which the manifest does not list."""
    return lambda: archive(GOOD, tail=member(name, what))


def of_kind(letter: bytes) -> Callable[[], bytes]:
    """A link of the manifest whose member is of another kind."""

    def make() -> bytes:
        whole = archive({**GOOD, "content/zz": Link("deploy.yml")})
        plain = member("content/zz", Link("deploy.yml"))
        block = plain[:148] + b" " * 8 + letter + plain[157:]
        return whole.replace(plain, block[:148] + b"%06o\0 " % sum(block) + block[156:])

    return make


def in_place_of_a_file() -> bytes:
    """The manifest lists a file; the archive has a link to a file of the machine in its place."""
    return archive({**GOOD, "content/zz": Link("/etc/passwd")}, listed={**GOOD, "content/zz": b""})


def elsewhere() -> bytes:
    """The manifest lists a link inside; the archive has one that leaves."""
    return archive({**GOOD, "content/zz": Link("../../../x")}, listed={**GOOD, "content/zz": Link("deploy.yml")})


CORPUS: dict[str, tuple[str, Callable[[], bytes]]] = {
    # formats
    "a newer format": ("P216", lambda: archive(GOOD, format=3)),
    "a much newer format": ("P216", lambda: archive(GOOD, format=10**18)),
    "a newer format with fields that nobody knows": ("P216", lambda: archive(GOOD, format=3, secrets=["x"])),
    "a format below the first": ("P213", lambda: archive(GOOD, format=0)),
    "a format that is text": ("P213", lambda: archive(GOOD, format="2")),
    "a format that is no whole number": ("P213", lambda: archive(GOOD, format=2.5)),
    "links in format 1": ("P217", lambda: archive({**GOOD, "content/zz": Link("deploy.yml")}, format=1)),
    # links that leave
    "a link to an absolute path": ("P217", links(zz="/etc/passwd")),
    "a link to the parent": ("P217", links(zz="..")),
    "a link to a sibling of the package": ("P217", links(zz="../../other/secret")),
    "a link that leaves and comes back": ("P217", links(zz="../content/deploy.yml")),
    "a link in a folder that leaves": ("P217", links(a__b__zz="../../../x")),
    "a link that leaves through a folder that is not there": ("P217", links(zz="none/../../x")),
    "a link to another area": ("P217", links(zz="../artifacts/shop.bin")),
    "a link that leaves through an earlier one": ("P217", links(a="b/..", zz="a/../x")),
    "a link that leaves through a later one": ("P217", links(a="zz/x", zz="../..")),
    "a chain of links whose last one leaves": ("P217", links(a="b", b="c", c="d", d="../x")),
    "a folder link by which a later link leaves": ("P217", links(a__up=".", zz="a/up/../../x")),
    "a link to itself": ("P217", links(zz="zz")),
    "links in a circle": ("P217", links(a="b", b="a")),
    "a circle through a folder": ("P217", links(a__b="../a/b/c")),
    "more links one after the other than are followed": ("P217", links(**{f"l{at:02}": f"l{at + 1:02}" for at in range(50)})),
    "a link that leaves, beside the tree": ("P217", more({"requirements/roles/zz": Link("../../content/deploy.yml")})),
    # targets that are no plain text
    "a link to nothing": ("P217", links(zz="")),
    "a link with a line break": ("P217", links(zz="a\nb")),
    "a link with an escape sequence": ("P217", links(zz="\x1b[2J")),
    "a link with a direction mark": ("P217", links(zz="a\u2028b")),
    "a link with a backslash": ("P217", links(zz="..\\..\\x")),
    "a link with the size of a file": ("P217", more({"content/zz": Link("deploy.yml", (("size", 3),))})),
    "a link with another digest": ("P217", more({"content/zz": Link("deploy.yml", (("sha256", "0" * 64),))})),
    "an executable link": ("P217", more({"content/zz": Link("deploy.yml", (("executable", True),))})),
    # what would be written through a link
    "a file below a link": ("P204", more({"content/a": Link("b"), "content/a/x": b"x"})),
    "a link below a link": ("P204", more({"content/a": Link("b"), "content/a/x": Link("y")})),
    "a file below a link by case": ("P204", more({"content/A": Link("b"), "content/a/x": b"x"})),
    "a link and a file that are case twins": ("P204", more({"content/a": b"x", "content/A": Link("deploy.yml")})),
    # names
    "an absolute name": ("P203", more({"content//etc/cron.d/x": b"x"})),
    "a name that leads out": ("P203", more({"content/../../x": b"x"})),
    "a link with a name that leads out": ("P203", more({"content/../x": Link("y")})),
    "a name that leads out of another area": ("P203", more({"requirements/roles/../../x": b"x"})),
    # what the manifest does not list
    "a file that is not listed": ("P210", appended("content/zz", b"x")),
    "a link that is not listed": ("P210", appended("content/zz", Link("deploy.yml"))),
    "a listed file again": ("P210", appended("content/test_web.py", b"x")),
    "a link in place of a listed file, again": ("P210", appended("content/test_web.py", Link("deploy.yml"))),
    "a file beside the areas": ("P210", appended("x", b"x")),
    "a link beside the areas": ("P210", appended("x", Link("content"))),
    "a file in an area that is not listed": ("P210", appended("artifacts/shop.bin", b"x")),
    "a link where the manifest lists a file": ("P212", in_place_of_a_file),
    "a link to another place than listed": ("P210", elsewhere),
    "a listed link that is missing": ("P210", lambda: archive(GOOD, listed={**GOOD, "content/zz": Link("deploy.yml")})),
    "a file where the manifest lists a link": (
        "P210", lambda: archive({**GOOD, "content/zz": b""}, listed={**GOOD, "content/zz": Link("deploy.yml")})),
    "a file listed twice": (
        "P204", lambda: archive(GOOD, files=[entry(name, what) for name, what in GOOD.items() for _ in (1, 2)])),
    # kinds
    "a hard link": ("P212", of_kind(b"1")),
    "a character device": ("P212", of_kind(b"3")),
    "a block device": ("P212", of_kind(b"4")),
    "a folder": ("P212", of_kind(b"5")),
    "a pipe": ("P212", of_kind(b"6")),
    "an extended header": ("P212", of_kind(b"x")),
    # areas
    "an artifact that the release does not name": ("P218", more({"artifacts/x": b"x"})),
    "an artifact that is a link": (
        "P218", more({"artifacts/shop.bin": Link("x")}, release={**RELEASE, "artifacts": [ARTIFACT]})),
    "a collection that is not ours": ("P218", more({"collection/ansible_collections/x/y/z": b"x"})),
    "our collection without its version": (
        "P218", more({"collection/ansible_collections/orchestrator/release/galaxy.yml": b"x"})),
    "a requirement that is neither role nor collection": ("P218", more({"requirements/x": b"x"})),
    "an area that does not exist": ("P213", lambda: archive(GOOD, files=[{**entry("content/x", b"x"), "area": "keys"}])),
    "an area of format 2 in format 1": ("P218", more({"requirements/roles/x": b"x"}, format=1)),
    "a folder of the project": ("P218", more({}, project="content")),
    "a playbook that is a broken link": ("P215", lambda: archive(
        {"content/deploy.yml": Link("none.yml"), "content/test_web.py": b""})),
    "an attachment that nobody knows": ("P219", appended("attachments/zz", b"x")),
    "an attachment that is a link": ("P210", appended("attachments/revision.json", Link("deploy.yml"))),
}  # fmt: skip


def test_links_inside_and_later_entries_are_taken(tmp_path: Path) -> None:
    """The good archive, to which every hostile one adds one thing, is taken, with links to earlier and later entries."""
    path = tmp_path / "good.release"
    path.write_bytes(links(a="test_web.py", b__c="../zz", zz="deploy.yml", zzz="none")())
    kept = Path(SealedPackages(tmp_path / "kept").keep(path).root or "")
    assert [str((kept / name).readlink()) for name in ("a", "b/c", "zz", "zzz")] == [
        "test_web.py", "../zz", "deploy.yml", "none",
    ]  # fmt: skip
    assert (kept / "b/c").read_bytes() == FILES["deploy.yml"]


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_archives_of_format_two_are_refused_with_nothing_written(name: str, tmp_path: Path) -> None:
    """Each is refused by its own code, without control characters in the message; nothing appears or changes."""
    refused_with_nothing_written(CORPUS[name], tmp_path)


def test_a_target_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The bytes of a target that are no text are refused before anything compares them."""
    whole = archive({**GOOD, "content/zz": Link("deploy.yml")})
    plain = member("content/zz", Link("deploy.yml"))
    block = plain[:148] + b" " * 8 + b"2" + b"\xff\xfe".ljust(100, b"\0") + plain[257:]
    (tmp_path / "evil.release").write_bytes(whole.replace(plain, block[:148] + b"%06o\0 " % sum(block) + block[156:]))
    with pytest.raises(OrchestratorError, match="P217"):
        SealedPackages(tmp_path / "kept").keep(tmp_path / "evil.release")
    assert len(plain) == BLOCK
