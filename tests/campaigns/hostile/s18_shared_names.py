"""S18: what others write into the shared store: names that are none, links, pipes, and content that is another one."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.artifacts import folder, packages, verified
from orchestrator.adapters.artifacts.folder import FolderObjects
from orchestrator.adapters.artifacts.packages import SharedPackages
from orchestrator.adapters.artifacts.verified import VerifiedArtifacts
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageRef
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S18", "what others write into the shared store"

DIGEST = hashlib.sha256(b"x").hexdigest()
GOOD = f"sha256:{DIGEST}"
REFUSED = {"P301", "P302", "S142", "S144", "S145", "S146"}

NAMES: dict[str, str] = {
    "a name in capitals": f"SHOP/1.0.0/{DIGEST}",
    "a name with an underscore": f"_shop/1.0.0/{DIGEST}",
    "a name with a dot": f"sh.op/1.0.0/{DIGEST}",
    "a name that is too long": f"{'s' * 200}/1.0.0/{DIGEST}",
    "a name with a blank": f"sh op/1.0.0/{DIGEST}",
    "a name with a line end": f"sh\nop/1.0.0/{DIGEST}",
    "a name with an escape": f"sh\x1b[31mop/1.0.0/{DIGEST}",
    "a name with an override": f"sh\u202eop/1.0.0/{DIGEST}",
    "a name of other letters": f"\u0455hop/1.0.0/{DIGEST}",
    "a name with a quote": f"sh'op/1.0.0/{DIGEST}",
    "a name with a template": f"{{{{x}}}}/1.0.0/{DIGEST}",
    "a name with a backslash": f"sh\\op/1.0.0/{DIGEST}",
    "a name that starts with a dash": f"-rf/1.0.0/{DIGEST}",
    "a hidden name": f".shop/1.0.0/{DIGEST}",
    "a version that is none": f"shop/latest!/{DIGEST}",
    "a version with a blank": f"shop/1 0/{DIGEST}",
    "a version that is too long": f"shop/{'1' * 250}/{DIGEST}",
    "a version that is hidden": f"shop/.1/{DIGEST}",
    "a version that starts with a dash": f"shop/-1/{DIGEST}",
    "a digest in capitals": f"shop/1.0.0/{DIGEST.upper()}",
    "a digest that is too short": "shop/1.0.0/abc",
    "a digest of other letters": f"shop/1.0.0/{'z' * 64}",
    "a digest with its algorithm": f"shop/1.0.0/{GOOD}",
    "a digest that is too long": f"shop/1.0.0/{DIGEST}00",
    "a level too few": f"shop/{DIGEST}",
    "a level too many": f"shop/1.0.0/{DIGEST}/x",
    "a file at the top": "shop",
    "a file that is being written": f"shop/1.0.0/.writing-{DIGEST[:16]}",
}


def _plain(place: Path) -> None:
    place.write_text(GOOD)


def _fifo(place: Path) -> None:
    os.mkfifo(place)


def _content(data: bytes) -> Callable[[Path], None]:
    return lambda place: _ignore(place.write_bytes(data))


def _link(target: str) -> Callable[[Path], None]:
    return lambda place: place.symlink_to(target)


def _ignore(_value: object) -> None:
    pass


def _outside(place: Path) -> None:
    place.symlink_to(place.parents[6] / "outside/id_ed25519")


def _closed(place: Path) -> None:
    place.write_text(GOOD)
    place.chmod(0)


THINGS: dict[str, Callable[[Path], None]] = {
    "nothing": _content(b""),
    "another digest": _content(b"sha256:" + b"0" * 64),
    "a digest in capitals": _content(GOOD.upper().encode()),
    "a digest with a line end": _content(GOOD.encode() + b"\n"),
    "a digest and more": _content(GOOD.encode() + b"x"),
    "a digest of another kind": _content(b"md5:" + b"0" * 32),
    "a path": _content(b"sha256:" + b"../" * 20 + b"etc/passwd"),
    "bytes that are no text": _content(b"\xff" * 71),
    "a lot of data": _content(b"x" * 20_000_000),
    "JSON": _content(b'{"digest": 1}'),
    "a folder": Path.mkdir,
    "a pipe that no one writes to": _fifo,
    "a link to nothing": _link("nowhere"),
    "a link to itself": _link(DIGEST),
    "a link to a device": _link("/dev/zero"),
    "a link to a file outside": _outside,
    "a file that is closed": _closed,
}


def cases(seed: int) -> Iterator[Case]:
    """Strange names in every list, strange things under a good name, and strange things as content."""
    found = [
        Case(f"{what} in {how}", partial(_named, name, use))
        for what, name in NAMES.items()
        for how, use in USES.items()
    ]
    found += [Case(f"{what} as a name", partial(_thing, make)) for what, make in THINGS.items()]
    found += [Case(f"{what} as content", partial(_blob, make)) for what, make in THINGS.items()]
    found += [Case(f"{what} in the place of all names", partial(_top, "names", make)) for what, make in THINGS.items()]
    found += [
        Case(f"{what} in the place of all content", partial(_top, "blobs", make)) for what, make in THINGS.items()
    ]
    random.Random(seed).shuffle(found)
    yield from found


def _store(yard: Yard) -> tuple[Path, SharedPackages, VerifiedArtifacts]:
    place = yard.inside / "store"
    place.mkdir()
    artifacts = VerifiedArtifacts(FolderObjects(place))
    return place, SharedPackages(SealedPackages(yard.inside / "kept", yard.inside / "cache"), artifacts), artifacts


def _refused(use: Callable[[], object]) -> Outcome:
    """HELD if *use* gives nothing, or an error that is documented."""
    try:
        found = use()
    except OrchestratorError as error:
        if error.code in REFUSED:
            return HELD
        raise
    return Outcome(accepted=repr(found)[:200]) if found else HELD


USES: dict[str, Callable[[SharedPackages, VerifiedArtifacts], object]] = {
    "a list of packages": lambda shared, _: shared.refs(),
    "a search by digest": lambda shared, _: shared.ref(GOOD),
    "a request of a package": lambda shared, _: shared.fetch(GOOD),
}


def _named(name: str, use: Callable[[SharedPackages, VerifiedArtifacts], object], yard: Yard) -> Outcome:
    store, shared, artifacts = _store(yard)
    place = store / "names/packages" / name
    place.parent.mkdir(parents=True)
    place.write_text(GOOD)
    return _refused(lambda: use(shared, artifacts))


def _thing(make: Callable[[Path], None], yard: Yard) -> Outcome:
    """A good name that is something else than a file with a digest."""
    store, shared, artifacts = _store(yard)
    place = store / f"names/packages/shop/1.0.0/{DIGEST}"
    place.parent.mkdir(parents=True)
    make(place)
    shared.refs()
    outcome = _refused(lambda: shared.fetch(GOOD))
    target = yard.inside / "taken"
    found = _digest_or_none(artifacts, f"packages/shop/1.0.0/{DIGEST}")
    return outcome or (_refused(lambda: _got(artifacts, found, target)) if found else HELD)


def _digest_or_none(artifacts: VerifiedArtifacts, name: str) -> str | None:
    try:
        return artifacts.named(name)
    except OrchestratorError:
        return None


def _blob(make: Callable[[Path], None], yard: Yard) -> Outcome:
    """Content that is not what its digest says."""
    store, _, artifacts = _store(yard)
    place = store / f"blobs/sha256/{DIGEST[:2]}/{DIGEST[2:]}"
    place.parent.mkdir(parents=True)
    if make is _outside:
        place.symlink_to(yard.outside / "id_ed25519")
    else:
        make(place)
    target = yard.inside / "taken"
    return _refused(lambda: _got(artifacts, GOOD, target)) or yard.learned(
        target.read_bytes() if target.is_file() else b""
    )


def _got(artifacts: VerifiedArtifacts, digest: str, target: Path) -> bytes:
    artifacts.get(digest, target)
    return target.read_bytes() or b"nothing"


def _top(name: str, make: Callable[[Path], None], yard: Yard) -> Outcome:
    """A store whose upper folder is something else."""
    store, shared, artifacts = _store(yard)
    if make is _outside:
        (store / name).symlink_to(yard.outside)
    else:
        make(store / name)
    target = yard.inside / "taken"
    return (
        _refused(shared.refs)
        or _refused(lambda: shared.fetch(GOOD))
        or _refused(lambda: artifacts.named(f"packages/shop/1.0.0/{DIGEST}"))
        or _refused(lambda: _got(artifacts, GOOD, target))
    )


# -- the defences ------------------------------------------------------------------------------------------------------


def _any_ref() -> AbstractContextManager[None]:
    """References that are not validated."""

    class Unvalidated(PackageRef):
        def __new__(cls, **values: Any) -> Any:
            return PackageRef.model_construct(**values)

    return replaced(packages, "PackageRef", Unvalidated)


def _blocking() -> AbstractContextManager[None]:
    return replaced(folder, "_opened", lambda path: path.open("rb"))


def _unverified() -> AbstractContextManager[None]:
    return replaced(verified, "_digest", lambda path: (GOOD, path.stat().st_size))


DEFENCES: dict[str, Defence] = {
    "references": _any_ref,
    "digests": _unverified,
    "files": _blocking,
}
