"""S20: uv, Python packages, build tools and the vendor's engine that are not the ones with our digests."""

import gzip
import hashlib
import importlib.util
import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.adapters.pulumi import engine, engine_archive
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.vendor_archive import VendorArchive
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S20", "tools that are not the ones with our digests"

ROOT = Path(__file__).parents[3]
PROGRAM = b"#!/bin/sh\necho tool\n"
EVIL = b"#!/bin/sh\necho evil\n"


@cache
def _bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hostile_bootstrap", ROOT / "tools/bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _wheel(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def _archive(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, what in members.items():
            info = what if isinstance(what, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(what, tarfile.TarInfo) else what
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


UV = {"uv-1.data/scripts/uv": PROGRAM, "uv-1.dist-info/METADATA": b"x"}
VENDOR: dict[str, bytes | tarfile.TarInfo] = {"pulumi/pulumi": PROGRAM, "pulumi/pulumi-language-python": PROGRAM}

# -- other bytes -------------------------------------------------------------------------------------------------------

Bytes = Callable[[bytes, random.Random], bytes]


def _flip(part: float) -> Bytes:
    def work(data: bytes, chance: random.Random) -> bytes:
        at = min(len(data) - 1, int(len(data) * part))
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]

    return work


CHANGES: dict[str, Bytes] = {
    "nothing": lambda _data, _chance: b"",
    "one byte": lambda _data, _chance: b"x",
    "a page of an error": lambda _data, _chance: b"<html>404</html>",
    "zeros": lambda data, _chance: bytes(len(data)),
    "a byte more": lambda data, _chance: data + b"\n",
    "a byte before": lambda data, _chance: b"\n" + data,
    "a byte less": lambda data, _chance: data[:-1],
    "a first byte less": lambda data, _chance: data[1:],
    "half": lambda data, _chance: data[: len(data) // 2],
    "itself twice": lambda data, _chance: data + data,
    "reversed": lambda data, _chance: data[::-1],
    "compressed again": lambda data, _chance: gzip.compress(data, mtime=0),
    **{f"a bit at {part:.0%}": _flip(part) for part in (0.0, 0.25, 0.5, 0.75, 1.0)},
}


def _uv(change: Bytes, chance: random.Random, yard: Yard) -> Outcome:
    """A wheel of uv that is not the one of the lock."""
    good = _wheel(UV)
    return _got_uv(good, change(good, chance), yard)


def _got_uv(good: bytes, data: bytes, yard: Yard) -> Outcome:
    module = _bootstrap()
    vars(module)["say"] = lambda _text: None  # what is set up is not printed here
    urls = [item["url"].rsplit("/", 1)[-1] for item in module.packages()["uv"]["wheels"]]
    name = next(name for name in urls if module.fits(name))
    digest = f"sha256:{hashlib.sha256(good).hexdigest()}"
    about = {"name": "uv", "version": "1", "wheels": [{"url": f"https://example.invalid/{name}", "hash": digest}]}
    (yard.inside / name).write_bytes(data)
    target = yard.inside / "bin/uv"
    target.parent.mkdir()
    try:
        module.get_uv(about, target, yard.inside)
    except SystemExit:
        return Outcome(accepted="a file is left") if list(target.parent.iterdir()) else HELD
    return Outcome(accepted="it was installed")


def _vendor(change: Bytes, chance: random.Random, by_file: bool, yard: Yard) -> Outcome:
    """An archive of the vendor that does not have the digest that is given."""
    good = _archive(VENDOR)
    data = change(good, chance)
    return _unpacked(data, hashlib.sha256(good).hexdigest(), yard, by_file=by_file)


def _unpacked(data: bytes, digest: str, yard: Yard, *, by_file: bool = True) -> Outcome:
    file, target = yard.inside / f"pulumi-{engine.VERSION}-{engine_archive.machine()}.tar.gz", yard.inside / "target"
    file.write_bytes(data)
    target.mkdir()
    base = yard.inside.as_uri()
    try:
        archive = VendorArchive(digest, file if by_file else None)
        engine_archive.unpack_engine(archive, engine.VERSION, target, lambda _text: None, base)
    except OrchestratorError as error:
        if error.code != "E103":
            raise
        return HELD if not (target / "pulumi").exists() else Outcome(accepted="refused, and unpacked")
    wrong = [path.name for path in target.rglob("*") if path.name not in {"pulumi", "pulumi-language-python"}]
    wrong += [path.name for path in target.iterdir() if path.is_symlink() or path.read_bytes() != PROGRAM]
    return Outcome(accepted=f"unpacked: {wrong}") if wrong or digest != hashlib.sha256(data).hexdigest() else HELD


# -- an archive with the digest that is given, and with hostile members ------------------------------------------------


def _special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MEMBERS: dict[str, dict[str, bytes | tarfile.TarInfo]] = {
    "a name that leads up": {"../outside/id_ed25519": EVIL},
    "a name that leads up from the folder": {"pulumi/../../outside/id_ed25519": EVIL},
    "a name from the root": {"/tmp/evil": EVIL},
    "a name of the folder above": {"pulumi/..": EVIL},
    "a name of the folder itself": {"pulumi/.": EVIL},
    "a deep name": {"pulumi/a/b": EVIL},
    "another folder": {"evil/pulumi": EVIL},
    "a file at the top": {"evil": EVIL},
    "a link": {"pulumi/evil": _special("pulumi/evil", tarfile.SYMTYPE, "/etc/passwd")},
    "a link in the place of the engine": {"pulumi/pulumi": _special("pulumi/pulumi", tarfile.SYMTYPE, "/bin/sh")},
    "a hard link": {"pulumi/evil": _special("pulumi/evil", tarfile.LNKTYPE, "/etc/passwd")},
    "a device": {"pulumi/evil": _special("pulumi/evil", tarfile.CHRTYPE)},
    "a block device": {"pulumi/evil": _special("pulumi/evil", tarfile.BLKTYPE)},
    "a pipe": {"pulumi/evil": _special("pulumi/evil", tarfile.FIFOTYPE)},
    "a folder": {"pulumi/evil": _special("pulumi/evil", tarfile.DIRTYPE)},
    "a folder in the place of the engine": {"pulumi/pulumi": _special("pulumi/pulumi", tarfile.DIRTYPE)},
    "a name of bytes": {"pulumi/\udcff\udcfe/x": EVIL},
}


def _members(members: dict[str, bytes | tarfile.TarInfo], alone: bool, yard: Yard) -> Outcome:
    """The operator has given this digest; still nothing but programs gets into the folder of the engine."""
    everything = dict(members) if alone else {**VENDOR, **members}
    data = _archive(everything)
    return _unpacked(data, hashlib.sha256(data).hexdigest(), yard)


def _not_an_archive(data: bytes, yard: Yard) -> Outcome:
    return _unpacked(data, hashlib.sha256(data).hexdigest(), yard)


def _locked(name: str, _yard: Yard) -> Outcome:
    """A package of the lock: each of its files has a SHA-256, and what is installed without the lock has one of ours."""
    package = _bootstrap().packages()[name]
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
    if package.get("source", {}).get("editable") or package.get("source", {}).get("virtual"):
        return HELD
    wrong = [item.get("url", name) for item in files if not str(item.get("hash", "")).startswith("sha256:")]
    return Outcome(accepted=f"{wrong or name}") if wrong or not files else HELD


def _hashed(name: str, _yard: Yard) -> Outcome:
    lines = _bootstrap().requirements(_bootstrap().build_tools(_bootstrap().packages())).splitlines()
    line = next(line for line in lines if line.startswith(f"{name}=="))
    return HELD if " --hash=sha256:" in line else Outcome(accepted=line)


def _lax(name: str, value: str, _yard: Yard) -> Outcome:
    """Variables of the machine that would let Go take any module."""
    env = engine._go_environment({"PATH": "/bin", name: value})
    strict = env["GOFLAGS"] == "-mod=readonly -trimpath" and env["GOWORK"] == "off" and env["GOTOOLCHAIN"] == "local"
    return HELD if strict else Outcome(accepted=f"{env}")


def cases(seed: int) -> Iterator[Case]:
    """Every change of what is fetched, and every strange member of an archive."""
    chance = random.Random(seed)
    found = []
    for what, change in CHANGES.items():
        own = random.Random(chance.random())
        found += [
            Case(f"{what} in the place of uv", partial(_uv, change, own)),
            Case(f"{what} in the place of the engine, from a file", partial(_vendor, change, own, True)),
            Case(f"{what} in the place of the engine, downloaded", partial(_vendor, change, own, False)),
            Case(f"{what} with its own digest", partial(_changed_with_digest, change, own)),
        ]
    found.append(
        Case("another uv", lambda yard: _got_uv(_wheel(UV), _wheel({**UV, "uv-1.data/scripts/uv": EVIL}), yard))
    )
    found.append(
        Case("uv that is packed in another way", lambda yard: _got_uv(_wheel(UV), _wheel(UV, zipfile.ZIP_STORED), yard))
    )
    for what, members in MEMBERS.items():
        found += [
            Case(f"{what} beside the engine", partial(_members, members, False)),
            Case(f"{what} without the engine", partial(_members, members, True)),
        ]
    known = _bootstrap().packages()
    found += [Case(f"the digests of {name}", partial(_locked, name)) for name in known]
    found += [Case(f"the build tool {name}", partial(_hashed, name)) for name, *_ in _bootstrap().build_tools(known)]
    for name, value in LAX.items():
        found.append(Case(f"{name} of the machine", partial(_lax, name, value)))
    chance.shuffle(found)
    yield from found


def _changed_with_digest(change: Bytes, chance: random.Random, yard: Yard) -> Outcome:
    """The operator gives the digest of a file that is damaged: it is refused, or is a whole archive."""
    return _not_an_archive(change(_archive(VENDOR), chance), yard)


LAX = {
    "GOFLAGS": "-mod=mod",
    "GOWORK": "/tmp/evil/go.work",
    "GOTOOLCHAIN": "go9.9.9",
    "GONOSUMDB": "*",
    "GOSUMDB": "off",
    "GOINSECURE": "*",
    "GOPRIVATE": "*",
    "CGO_ENABLED": "1",
}


# -- the defences ------------------------------------------------------------------------------------------------------


class _Same:
    """A digest that every file has."""

    def __init__(self, _data: bytes = b"") -> None:
        self.good = hashlib.sha256(_wheel(UV)).hexdigest()

    def hexdigest(self) -> str:
        return self.good


def _any_uv() -> AbstractContextManager[None]:
    class Lax:
        sha256 = _Same

    return replaced(_bootstrap(), "hashlib", Lax)


def _any_archive() -> AbstractContextManager[None]:
    def copied(source: Any, target: Any) -> str:
        target.write(source.read())
        return hashlib.sha256(_archive(VENDOR)).hexdigest()

    return replaced(engine_archive, "_copied", copied)


DEFENCES: dict[str, Defence] = {
    "digest of uv": _any_uv,
    "digest of the archive": _any_archive,
    "hashes of build tools": lambda: replaced(
        _bootstrap(), "requirements", lambda items: "".join(f"{name}=={version}\n" for name, version, _ in items)
    ),
    "flags of Go": lambda: replaced(
        engine, "_go_environment", lambda environ: {"GOFLAGS": "", "GOWORK": "", "GOTOOLCHAIN": "", **environ}
    ),
}
