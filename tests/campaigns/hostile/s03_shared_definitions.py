"""S3: shared archives of definitions that hold something else than their digest covers."""

import io
import random
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from orchestrator.adapters.archive.sealed import Member
from orchestrator.adapters.artifacts.places import artifacts
from orchestrator.adapters.pulumi import definition_archive
from orchestrator.domain.errors import OrchestratorError
from orchestrator.ports import Artifacts
from tests.adapters.pulumi.test_definition import PROGRAM, Project, first_format
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.campaigns.hostile.s04_kept_definitions import believed

LINE, ABOUT = "S3", "shared definitions with more than their digest covers"

BLOCK = 512
FIELDS = {
    "the name": (0, b"Z"), "the end of the name": (60, b"z"), "the mode": (100, b"0004755"), "the owner": (108, b"0001750"),
    "the group": (116, b"0001750"), "the size": (124, b"00000000007"), "the time": (136, b"14000000000"),
    "the checksum": (148, b"777777\0 "), "the kind: a link": (156, b"2/etc/passwd"), "the kind: a hard link": (156, b"1/etc/passwd"),
    "the kind: a device": (156, b"3"), "the kind: a folder": (156, b"5"), "the kind: a pipe": (156, b"6"),
    "the kind: further headers": (156, b"x"), "the magic": (257, b"ustar  \0"), "a user": (265, b"root"),
    "the prefix": (345, b"other"), "the padding": (500, b"x"),
}  # fmt: skip
PLACES = ("the first file", "a file in the middle", "the last file")
EXTRA = (
    f"{PROGRAM}/__main__.pyc", f"{PROGRAM}/__pycache__/__main__.cpython-311.pyc", "lib/__pycache__/naming.cpython-311.pyc",
    "lib/naming.cpython-311-x86_64-linux-gnu.so", "lib/naming/__init__.py", f"{PROGRAM}/sitecustomize.py", f"{PROGRAM}/.env",
    f"{PROGRAM}/Pulumi.production.yaml", "lib/naming.py", "../outside.py", "/etc/cron.d/x", "extra",
)  # fmt: skip
KINDS = {
    "a file": tarfile.REGTYPE,
    "a link": tarfile.SYMTYPE,
    "a hard link": tarfile.LNKTYPE,
    "a folder": tarfile.DIRTYPE,
}
Good = tuple[str, bytes, str, bytes]
"""A digest with its archive, and the same of the first format."""


def _part(folder: Path, _end: ExitStack) -> Good:
    project = Project(folder)
    digest = project.keep()
    (folder / "share").mkdir()
    place = artifacts(str(folder / "share"), folder)
    definition_archive.share(digest, project.store, place)
    shared = place.named(f"definitions/{digest.removeprefix('sha256:')}")
    assert shared is not None
    place.get(shared, folder / "archive")
    old, out = first_format(project), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path in sorted(path for path in project.folder(old).rglob("*") if path.is_file()):
            archive.add(path, path.relative_to(project.folder(old)).as_posix(), recursive=False)
    return digest, (folder / "archive").read_bytes(), old, out.getvalue()


def _starts(data: bytes) -> list[int]:
    """Where the headers of files are."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [member.offset for member in archive]


def _at(place: str, data: bytes) -> int:
    starts = _starts(data)
    return {PLACES[0]: starts[0], PLACES[1]: starts[len(starts) // 2], PLACES[2]: starts[-1]}[place]


def _field(field: str, place: str, data: bytes) -> bytes:
    """Another value in a header, with the checksum put right unless it is meant."""
    (offset, value), start = FIELDS[field], _at(place, data)
    block = data[start : start + BLOCK]
    block = block[:offset] + value + block[offset + len(value) :]
    if field != "the checksum":
        block = block[:148] + b" " * 8 + block[156:]
        block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    return data[:start] + block + data[start + BLOCK :]


def _content(place: str, data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        start = {member.offset: member.offset_data for member in archive}[_at(place, data)]
    return data[:start] + bytes([data[start] ^ 1]) + data[start + 1 :]


def _more(name: str, kind: bytes, data: bytes) -> bytes:
    """One more member, in front of the end."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
    member.size = 2 if kind == tarfile.REGTYPE else 0
    block = member.tobuf(tarfile.USTAR_FORMAT) + (b"1\n".ljust(BLOCK, b"\0") if member.size else b"")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        last = archive.getmembers()[-1]
    end = last.offset_data + -(-last.size // BLOCK) * BLOCK
    return data[:end] + block + data[end:]


WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _data: b"",
    "half of it": lambda data: data[: len(data) // 2],
    "no end": lambda data: data[: _starts(data)[-1]],
    "a byte behind it": lambda data: data + b"x",
    "two archives": lambda data: data + data,
    "text": lambda _data: b"hello " * 500,
    "only zeros": lambda _data: b"\0" * 10240,
}
NEW_ONLY = {"a byte behind it", "two archives"}
"""What is behind the end of an archive of the first format is never read."""


def _attempt(change: Callable[[bytes], bytes], old: bool, yard: Yard) -> Outcome:
    made = yard.shared.part("definitions", _part)
    digest, data = made[2:] if old else made[:2]
    (yard.inside / "share").mkdir()
    place = artifacts(str(yard.inside / "share"), yard.inside)
    (yard.inside / "archive").write_bytes(change(data))
    place.name(f"definitions/{digest.removeprefix('sha256:')}", place.put(yard.inside / "archive"))
    return _fetched(digest, yard.inside / "store", place)


def _fetched(digest: str, store: Path, place: Artifacts) -> Outcome:
    try:
        definition_archive.fetch_definition(digest, store, place)
    except OrchestratorError as error:
        left = [path.name for path in store.iterdir()]
        return Outcome(accepted=", ".join(left)) if left or error.code != "E105" else HELD
    return Outcome(accepted=", ".join(path.name for path in store.iterdir()))


def cases(seed: int) -> Iterator[Case]:
    """Each field of headers at the beginning, in the middle and at the end, further members, and other archives."""
    found = []
    for place in PLACES:
        found += [
            Case(f"{field} of {place}", partial(_attempt, partial(_field, field, place), False)) for field in FIELDS
        ]
        for old in (False, True):
            which = " in the first format" if old else ""
            found.append(Case(f"another content of {place}{which}", partial(_attempt, partial(_content, place), old)))
    for old in (False, True):
        which = " in the first format" if old else ""
        for name in EXTRA:
            for what, kind in KINDS.items():
                more = partial(_more, name if not old or name[0] in "./" else f"tree/{name}", kind)
                found.append(Case(f"{what} {name} more{which}", partial(_attempt, more, old)))
        for what, change in WHOLE.items():
            if not old or what not in NEW_ONLY:
                found.append(Case(f"{what} in its place{which}", partial(_attempt, change, old)))
    random.Random(seed).shuffle(found)
    yield from found


DEFENCES: dict[str, Defence] = {
    "comparison": lambda: replaced(definition_archive, "verify_definition", believed),
    "headers": lambda: replaced(Member, "__eq__", lambda _self, _other: True),
}
