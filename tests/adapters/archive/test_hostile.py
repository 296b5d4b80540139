"""Whatever else an archive can be is refused, by a code of its own, with nothing written."""

import gzip
import hashlib
import io
import json
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.archive import manifest_checks
from orchestrator.adapters.archive import sealed as form
from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.archive.sealed import BLOCK, Member, Reader, header
from orchestrator.domain.errors import OrchestratorError

END = b"\0" * (2 * BLOCK)
RELEASE: dict[str, Any] = {
    "apiVersion": "orchestrator/v1", "artifacts": [], "description": "", "environments": ["staging"], "include": [],
    "kind": "Release", "name": "shop", "requirements": [], "vars": {}, "version": "1.0.0", "watch": None,
    "steps": [{
        "extra_vars": {}, "hosts": "all", "name": "deploy", "playbook": "deploy.yml", "skip_tags": [], "tags": [],
        "rollout": {"batches": ["100%"], "max_failures": 0, "pause": "0s"}, "timeout": "30m", "undo": None, "vars": {},
    }],
    "verify": [{"args": [], "name": "smoke", "tests": "test_web.py", "timeout": "10m"}],
}  # fmt: skip
ESCAPE: dict[str, Any] = {"\x1b[2J": 1}
FILES = {"deploy.yml": b"- hosts: all\n", "test_web.py": b"def test_web(host): pass\n"}


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % BLOCK)


def file(name: str, data: bytes, block: bytes | None = None) -> bytes:
    return (block or header(Member(name, len(data), executable=False))) + padded(data)


def manifest(content: dict[str, bytes] = FILES, release: dict[str, Any] = RELEASE, **changes: Any) -> bytes:
    """A manifest as we would write it, of whatever is given."""
    listed = [
        {"executable": False, "path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in content.items()
    ]
    kind = {"apiVersion": "orchestrator/v1", "kind": "Package", "collection": None, "project": "."}
    data = {**kind, "release": release, "files": listed}
    return json.dumps({**data, **changes}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def archive(files: dict[str, bytes] = FILES, *, text: bytes | None = None, tail: bytes = END) -> bytes:
    """A whole archive of *files*, or with another manifest *text*."""
    parts = [file("manifest.json", manifest(files) if text is None else text)]
    parts += [file("content/" + name, data) for name, data in files.items()]
    return b"".join(parts) + tail


def more(files: dict[str, bytes]) -> Callable[[], bytes]:
    """The good files and *files*, in order."""
    everything = {**FILES, **files}
    return lambda: archive(dict(sorted(everything.items())))


def twins(*names: str) -> Callable[[], bytes]:
    return more(dict.fromkeys(names, b"x"))


def released(**changes: Any) -> Callable[[], bytes]:
    """A package whose release is another one."""
    return lambda: archive(text=manifest(release={**RELEASE, **changes}))


def stepped(**changes: Any) -> Callable[[], bytes]:
    return released(steps=[{**RELEASE["steps"][0], **changes}])


def blocked(at: int, data: bytes, *, first: bool = False, fix: bool = True) -> Callable[[], bytes]:
    """The header of `content/deploy.yml` (or of the manifest) with *data* at the offset *at*, its checksum put right."""
    text = manifest()
    name, body = ("manifest.json", text) if first else ("content/deploy.yml", FILES["deploy.yml"])
    plain = header(Member(name, len(body), executable=False))
    block = plain[:at] + data + plain[at + len(data) :]
    if fix:
        block = block[:148] + b" " * 8 + block[156:]
        block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    whole = archive()
    start = 0 if first else whole.index(plain)
    return lambda: whole[:start] + block + whole[start + BLOCK :]


def kind(letter: bytes, link: bytes = b"") -> Callable[[], bytes]:
    return blocked(156, letter + link)


def library(name: str, form: Literal[0, 1, 2], **attributes: Any) -> Callable[[], bytes]:
    """A further member as Python's own writer makes it."""
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return lambda: file("manifest.json", manifest()) + info.tobuf(form, "utf-8") + END


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive_:
        archive_.writestr("manifest.json", manifest())
    return out.getvalue()


def swapped() -> bytes:
    first, second = (file("content/" + name, data) for name, data in FILES.items())
    return file("manifest.json", manifest()) + second + first + END


def nested(depth: int) -> bytes:
    return manifest().replace(b'"vars":{},"verify"', b'"vars":{"a":' + b"[" * depth + b"]" * depth + b'},"verify"')


def value(text: bytes) -> Callable[[], bytes]:
    """A manifest with *text* as the value of a variable."""
    changed = manifest().replace(b'"vars":{},"verify"', b'"vars":{"a":' + text + b'},"verify"')
    return lambda: archive(text=changed)


def described(**changes: Any) -> Callable[[], bytes]:
    """A manifest that says something else of `deploy.yml`."""
    listed = json.loads(manifest())["files"]
    return lambda: archive(text=manifest(files=[{**listed[0], **changes}, listed[1]]))


def attached(*names: str, size: int = 2) -> Callable[[], bytes]:
    tail = b"".join(file(f"attachments/{name}", b"x" * size) for name in names)
    return lambda: archive(tail=tail + END)


def large() -> bytes:
    listed = json.loads(manifest())["files"][0]
    return archive(text=manifest(files=[{**listed, "path": f"{number:02}", "size": 2**32} for number in range(12)]))


CORPUS: dict[str, tuple[str, Callable[[], bytes]]] = {
    # names that are no plain path
    "parent": ("P203", more({"../x": b"x"})),
    "parent in the middle": ("P203", more({"a/../../x": b"x"})),
    "parent at the end": ("P203", more({"a/..": b"x"})),
    "absolute": ("P203", more({"/etc/cron.d/x": b"x"})),
    "current folder": ("P203", more({"./x": b"x"})),
    "empty part": ("P203", more({"a//b": b"x"})),
    "slash at the end": ("P203", more({"a/": b"x"})),
    "empty": ("P203", more({"": b"x"})),
    "drive letter": ("P203", more({"C:x": b"x"})),
    "backslash": ("P203", more({"a\\..\\x": b"x"})),
    "UNC path": ("P203", more({"\\\\host\\x": b"x"})),
    "an option": ("P203", more({"--checkpoint-action=exec=sh": b"x"})),
    "an option in a folder": ("P203", more({"a/-rf": b"x"})),
    "NUL": ("P203", more({"a\0b": b"x"})),
    "newline": ("P203", more({"a\nb": b"x"})),
    "escape sequence": ("P203", more({"a\x1b[2Jb": b"x"})),
    "C1 control": ("P203", more({"a\x9bb": b"x"})),
    "right-to-left override": ("P203", more({"a\u202egpj.sh": b"x"})),
    "zero-width space": ("P203", more({"a\u200bb": b"x"})),
    "line separator": ("P203", more({"a\u2028b": b"x"})),
    "private use": ("P203", more({"a\ue000b": b"x"})),
    "not assigned": ("P203", more({"a\U000e0fffb": b"x"})),
    "NFD": ("P203", more({"cafe\u0301": b"x"})),
    "too long": ("P203", more({"/".join(["x" * 73, "x" * 73, "y" * 95]): b"x"})),
    # two names for one file
    "case twins": ("P204", twins("A.yml", "a.yml")),
    "case twins of folders": ("P204", twins("A/x", "a/y")),
    "case twins beyond ASCII": ("P204", twins("É", "é")),
    "sharp s": ("P204", twins("STRASSE", "straße")),
    "ligature": ("P204", twins("fi", "ﬁ")),
    "full-width": ("P204", twins("a", "ａ")),
    "file and folder": ("P204", twins("a", "a/b")),
    "file and folder by case": ("P204", twins("A", "a/b")),
    # what is no regular file
    "symbolic link": ("P212", kind(b"2", b"/etc/passwd")),
    "symbolic link without data": ("P212", library("content/deploy.yml", tarfile.USTAR_FORMAT, type=b"2", linkname="..")),
    "hard link": ("P212", kind(b"1", b"content/test_web.py")),
    "hard link to outside": ("P212", kind(b"1", b"../../../etc/passwd")),
    "character device": ("P212", kind(b"3")),
    "block device": ("P212", kind(b"4")),
    "folder": ("P212", kind(b"5")),
    "pipe": ("P212", kind(b"6")),
    "contiguous": ("P212", kind(b"7")),
    "old regular": ("P212", kind(b"\0")),
    "socket": ("P212", kind(b"s")),
    "sparse": ("P212", kind(b"S")),
    "volume label": ("P212", kind(b"V")),
    "multi-volume": ("P212", kind(b"M")),
    "dump folder": ("P212", kind(b"D")),
    "GNU long name": ("P212", kind(b"L")),
    "GNU long link": ("P212", kind(b"K")),
    "pax header": ("P212", kind(b"x")),
    "global pax header": ("P212", kind(b"g")),
    "Solaris extended header": ("P212", kind(b"X")),
    "a pax name over a good one": ("P212", library("é" * 90, tarfile.PAX_FORMAT)),
    "a pax size over a good one": (
        "P212", library("content/deploy.yml", tarfile.PAX_FORMAT, pax_headers={"size": "9999"})),
    "a long name by Python": ("P202", library("n" * 150, tarfile.GNU_FORMAT)),
    # headers that say one thing in another way
    "setuid": ("P202", blocked(100, b"0004755")),
    "setgid": ("P202", blocked(100, b"0002755")),
    "sticky": ("P202", blocked(100, b"0001755")),
    "world-writable": ("P202", blocked(100, b"0000666")),
    "an owner": ("P202", blocked(108, b"0001750")),
    "a group": ("P202", blocked(116, b"0001750")),
    "a time": ("P202", blocked(136, b"14000000000")),
    "an owner's name": ("P202", blocked(265, b"root")),
    "a device number": ("P202", blocked(329, b"0000001")),
    "a link's name": ("P202", blocked(157, b"/etc/passwd")),
    "a negative size": ("P202", blocked(124, b"-0000000001")),
    "a base-256 size": ("P202", blocked(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x0d")),
    "a base-256 negative size": ("P202", blocked(124, b"\xff" * 12)),
    "a size with spaces": ("P202", blocked(124, b"         15")),
    "a size with an underscore": ("P202", blocked(124, b"0000000_015")),
    "a size without end": ("P202", blocked(124, b"000000000015")),
    "a huge size": ("P210", blocked(124, b"77777777777")),
    "a size of nothing": ("P210", blocked(124, b"00000000000")),
    "a negative size of the manifest": ("P202", blocked(124, b"-0000000001", first=True)),
    "a huge manifest": ("P207", blocked(124, b"77777777777", first=True)),
    "a wrong checksum": ("P202", blocked(148, b"000000\0 ", fix=False)),
    "a checksum in another form": ("P202", blocked(148, b"0000000\0", fix=False)),
    "no magic": ("P202", blocked(257, b"\0" * 8)),
    "GNU magic": ("P202", blocked(257, b"ustar  \0")),
    "something behind the name": ("P203", blocked(60, b"hidden")),
    "something in the header's padding": ("P202", blocked(500, b"hidden")),
    "a prefix that is not needed": ("P202", blocked(0, header(Member("deploy.yml", 13, executable=False))[:345] + b"content")),
    "a name that is not UTF-8": ("P202", blocked(0, b"content/\xff\xfe.yml")),
    "an executable manifest": ("P202", blocked(100, b"0000755", first=True)),
    # archives of another shape
    "nothing": ("P201", lambda: b""),
    "cut in the manifest": ("P201", lambda: archive()[:700]),
    "cut in a file": ("P201", lambda: archive()[: -3 * BLOCK + 5]),
    "no end": ("P201", lambda: archive(tail=b"")),
    "half an end": ("P201", lambda: archive(tail=b"\0" * BLOCK)),
    "an end that is none": ("P208", lambda: archive(tail=b"\0" * BLOCK + b"x" * BLOCK)),
    "a byte behind the end": ("P208", lambda: archive() + b"\0"),
    "an archive behind the end": ("P208", lambda: archive() * 2),
    "blocks of twenty": ("P208", lambda: archive() + b"\0" * 9 * BLOCK),
    "something hidden in the padding": ("P209", lambda: archive().replace(b"all\n\0", b"all\nX")),
    "gzip": ("P202", lambda: gzip.compress(archive()) * 2),
    "zip": ("P202", zipped),
    "text": ("P202", lambda: b"hello " * 200),
    "no manifest": ("P202", lambda: file("content/deploy.yml", b"x") + END),
    "manifest at another place": ("P202", lambda: file("content/deploy.yml", b"x") + archive()),
    "manifest twice": ("P210", lambda: file("manifest.json", manifest()) + archive()),
    "only zeros": ("P202", lambda: END),
    # archives that are not what the manifest says
    "a file too few": ("P210", lambda: archive({"deploy.yml": b""}, text=manifest())),
    "a file too many": ("P210", lambda: archive(tail=file("content/x", b"x") + END)),
    "a file twice": ("P210", lambda: archive(tail=file("content/test_web.py", b"x") + END)),
    "files in another order": ("P210", swapped),
    "another content": ("P211", lambda: archive().replace(b"hosts: all", b"hosts: db1")),
    "another digest": ("P211", described(sha256="0" * 64)),
    "another size": ("P210", described(size=12)),
    "executable in the manifest alone": ("P210", described(executable=True)),
    "a file outside of content": ("P210", lambda: archive(tail=file("other", b"x") + END)),
    "attachments twice": ("P204", attached("a", "a")),
    "attachments that are case twins": ("P204", attached("A", "a")),
    "attachments out of order": ("P210", attached("b", "a")),
    "an attachment that leads out": ("P203", attached("../../x")),
    "an attachment too large": ("P207", attached("a", size=1024 * 1024 + 1)),
    "too many attachments": ("P207", attached(*(f"{number:03}" for number in range(101)))),
    # manifests
    "no JSON": ("P213", lambda: archive(text=b"{")),
    "an empty manifest": ("P213", lambda: archive(text=b"")),
    "a list": ("P213", lambda: archive(text=b"[]")),
    "another kind": ("P213", lambda: archive(text=manifest(kind="Release"))),
    "another version": ("P213", lambda: archive(text=manifest(apiVersion="orchestrator/v9"))),
    "a further field": ("P213", lambda: archive(text=manifest(more=1))),
    "an escape sequence as a field": ("P213", lambda: archive(text=manifest(**ESCAPE))),
    "not UTF-8": ("P213", lambda: archive(text=b'"\xff"')),
    "half a surrogate": ("P213", value(b'"\\ud800"')),
    "very deep": ("P213", lambda: archive(text=nested(100_000))),
    "a negative size in it": ("P213", described(size=-1)),
    "a size that is text": ("P213", described(size="13")),
    "a short digest": ("P213", described(sha256="00")),
    "a variable of Ansible's": ("P213", released(vars={"ansible_connection": "local"})),
    "a playbook that leads out": ("P213", stepped(playbook="../../evil.yml")),
    "an absolute playbook": ("P213", stepped(playbook="/etc/evil.yml")),
    "spaces": ("P214", lambda: archive(text=manifest() + b"\n")),
    "keys in another order": ("P214", lambda: archive(text=json.dumps(
        dict(reversed(json.loads(manifest()).items())), separators=(",", ":")).encode())),
    "a key twice": ("P214", lambda: archive(text=manifest().replace(b'"project":"."', b'"project":".","project":"."'))),
    "escaped letters": ("P214", lambda: archive(text=manifest().replace(b'"shop"', b'"sho\\u0070"'))),
    "a default left out": ("P214", lambda: archive(text=manifest().replace(b'"project":".",', b""))),
    "NaN": ("P214", value(b"NaN")),
    "infinity": ("P214", value(b"1e999")),
    "another way to write a number": ("P214", value(b"1.50")),
    "a number of 5000 digits": ("P213", value(b"9" * 5000)),
    "files out of order": ("P214", lambda: archive(dict(reversed(FILES.items())))),
    "a playbook that is not in": ("P215", stepped(playbook="other.yml")),
    "an undo that is not in": ("P215", stepped(undo="other.yml")),
    "a playbook under another name": ("P215", stepped(playbook="./deploy.yml")),
    "a suite that is not in": ("P215", released(verify=[{**RELEASE["verify"][0], "tests": "tests"}])),
    "an artifact that is not in": ("P215", released(artifacts=[{"name": "x", "path": "artifacts/x"}])),
    "an include that is not in": ("P215", released(include=["x"])),
    "a project folder that leads out": ("P215", lambda: archive(text=manifest(project="../.."))),
    # bombs
    "more values than memory": ("P207", value(b"[" + b"[]," * 600_000 + b"[]]")),
    "more files than allowed": ("P207", lambda: archive({f"{number:05}": b"" for number in range(50_001)})),
    "a file of a terabyte": ("P207", described(size=2**40)),
    "files of 48 GiB": ("P207", large),
}  # fmt: skip


def refused_with_nothing_written(case: tuple[str, Callable[[], bytes]], folder: Path) -> None:
    """See that the archive of *case* is refused by its code, and that nothing in *folder* appears or changes."""
    code, make = case
    path = folder / "evil.release"
    path.write_bytes(data := make())
    with pytest.raises(OrchestratorError) as caught:
        SealedPackages(folder / "kept").keep(path)
    assert caught.value.code == code, str(caught.value)
    assert str(caught.value).isprintable()
    assert list(folder.rglob("*")) == [path]
    assert path.read_bytes() == data


def test_the_corpus_is_built_from_what_would_be_accepted(tmp_path: Path) -> None:
    """The good archive, from which every hostile one is made by one change, is taken."""
    (tmp_path / "good.release").write_bytes(archive())
    assert SealedPackages(tmp_path / "kept").keep(tmp_path / "good.release").manifest.release.name == "shop"


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_archives_are_refused_with_nothing_written(name: str, tmp_path: Path) -> None:
    """Each is refused by its own code, without control characters in the message; nothing appears or changes."""
    refused_with_nothing_written(CORPUS[name], tmp_path)


@pytest.mark.parametrize("name", ["more values than memory", "a negative size of the manifest", "a huge manifest"])
def test_refusing_needs_little_memory(name: str, tmp_path: Path) -> None:
    """A small file that would need much memory is refused before it does."""
    path = tmp_path / "evil.release"
    path.write_bytes(CORPUS[name][1]())
    tracemalloc.start()
    try:
        with pytest.raises(OrchestratorError):
            SealedPackages(tmp_path / "kept").read(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def _refused_or_same(data: bytes, original: str) -> bool:
    """Whether *data* is refused, or is the package *original* with other attachments, or another package."""
    try:
        (reader := Reader(io.BytesIO(data))).verify()
    except OrchestratorError:
        return True
    return reader.digest != original


@given(position=st.integers(0), bit=st.integers(0, 7))
@settings(max_examples=400, deadline=None)
def test_any_flipped_bit_is_found(sealed: bytes, position: int, bit: int) -> None:
    """Whatever bit is flipped, the file is refused, or its digest is another one."""
    data = bytearray(sealed)
    data[position % len(data)] ^= 1 << bit
    assert _refused_or_same(bytes(data), Reader(io.BytesIO(sealed)).digest)


def test_every_byte_of_the_headers_counts(sealed: bytes) -> None:
    """No byte outside of the manifest can be another one without the file being refused."""
    digest = Reader(io.BytesIO(sealed)).digest
    first = len(padded(sealed[BLOCK : BLOCK + int(sealed[124:135], 8)])) + BLOCK
    for at in [*range(BLOCK), *range(first, first + BLOCK), *range(len(sealed) - 2 * BLOCK, len(sealed))]:
        for value in (0, 1, 0x20, 0x37, 0xFF):
            data = bytearray(sealed)
            data[at] = value
            assert data == sealed or _refused_or_same(bytes(data), digest)


@given(length=st.integers(0))
@settings(max_examples=100, deadline=None)
def test_any_cut_is_found(sealed: bytes, length: int) -> None:
    """A file that ends early is refused, wherever it was cut."""
    with pytest.raises(OrchestratorError):
        Reader(io.BytesIO(sealed[: length % len(sealed)])).verify()


@given(st.binary(max_size=3000), st.integers(0, 4000))
@settings(max_examples=150, deadline=None)
def test_noise_raises_nothing_but_codes(noise: bytes, at: int) -> None:
    """Random bytes, alone or within a good archive, never lead to any other exception."""
    for data in (noise, archive()[:at] + noise + archive()[at + len(noise) :]):
        try:
            Reader(io.BytesIO(data)).verify()
        except OrchestratorError as error:
            assert error.code.startswith("P2")  # noqa: PT017 - either outcome is right


@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=8), max_size=6).map("/".join))
@settings(max_examples=300, deadline=None)
def test_a_name_that_passes_stays_inside(name: str) -> None:
    """Whatever is accepted as a name is one file below the folder, and its own canonical form."""
    try:
        check_name(name)
        check_together([name])
    except OrchestratorError:
        return
    assert Path("/root", name).resolve() == Path("/root") / name
    assert str(Path(name)) == name


def test_the_limits_are_those_of_the_documentation() -> None:
    """The numbers on the reference page are the ones that hold."""
    page = (Path(__file__).parents[3] / "docs/reference/package.md").read_text()
    for limit in ("50,000 files", "8 GiB", "32 GiB", "32 MiB", "1,000,000 values", "1 MiB", "100 attachments"):
        assert limit in page
    assert (manifest_checks.MAX_FILES, form.MAX_VALUES, form.MAX_ATTACHMENTS) == (50_000, 1_000_000, 100)
