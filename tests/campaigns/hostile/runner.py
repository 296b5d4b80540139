"""Runs the cases of a line, each in a yard of its own, and finds what came of them."""

import contextlib
import ctypes
import faulthandler
import importlib
import os
import re
import secrets
import signal
import stat
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, cast

from tests.campaigns.chaos.table import Shared
from tests.campaigns.hostile.case import HELD, LIMIT, Case, Defence, Line, Outcome, Yard

T = TypeVar("T")
MODULE = re.compile(r"s[0-9]{2}_\w+")
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: orphans of an attempt become children of this process
OUTSIDE = ("id_ed25519", "state/journal.db", "home/.ssh/config", "project.key")
GRACE = 2.0  # seconds in which the processes of an attempt have to end


@dataclass
class Figures:
    """What came of the cases of a line."""

    line: str
    cases: int = 0
    accepted: int = 0
    written: int = 0
    read: int = 0
    processes: int = 0
    exceptions: int = 0
    seconds: float = 0.0
    found: list[str] = field(default_factory=list)

    HEAD = "line   cases  accepted  written  read  processes  exceptions  seconds"

    @property
    def row(self) -> str:
        """As it is printed."""
        counts = f"{self.cases:>5}  {self.accepted:>8}  {self.written:>7}  {self.read:>4}  {self.processes:>9}"
        return f"{self.line:<5}  {counts}  {self.exceptions:>10}  {self.seconds:>7.1f}"

    def add(self, other: "Figures") -> None:
        """Add the figures of another line."""
        for name in ("cases", "accepted", "written", "read", "processes", "exceptions", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.found += other.found


class LateError(Exception):
    """An attempt took too long."""


@dataclass
class Patient(Shared):
    """What cases share. Its making does not count for the limit of the case that needs it first, and fails once."""

    failed: dict[str, Exception] = field(default_factory=dict)

    def part(self, name: str, make: Callable[[Path, ExitStack], T]) -> T:
        """As `Shared.part`."""
        if name in self.failed:
            raise self.failed[name]
        if name in self.parts:
            return super().part(name, make)
        _limit(0)
        try:
            return super().part(name, make)
        except Exception as error:
            self.failed[name] = error
            raise
        finally:
            _limit(LIMIT)


def lines() -> dict[str, Line]:
    """The lines, by their number."""
    folder = Path(__file__).parent
    names = sorted(path.stem for path in folder.glob("s*.py") if MODULE.fullmatch(path.stem))
    found = [cast("Line", importlib.import_module(f"tests.campaigns.hostile.{name}")) for name in names]
    return {line.LINE: line for line in found}


def defences(chosen: list[str] | None = None) -> Iterator[tuple[str, Line, Defence]]:
    """Every defence with its line; its name is `LINE.DEFENCE`."""
    for name, line in lines().items():
        if chosen is None or name in chosen:
            for defence, remove in line.DEFENCES.items():
                yield f"{name}.{defence}", line, remove


def structures(line: Line, seed: int) -> list[Case]:
    """The cases of *line*, each structure once."""
    return list({case.structure: case for case in line.cases(seed)}.values())


def run(line: Line, shared: Shared, seed: int, most: int = 0, *, enough: int = 0) -> Figures:
    """Run the cases of *line*; *most*: so many at most, spread over all of them. *enough* findings end it."""
    cases = structures(line, seed)
    step = max(1, len(cases) // most) if most else 1
    figures, began, shared = Figures(line.LINE), time.monotonic(), Patient(shared.folder, shared.parts)
    _adopt_orphans()
    for case in cases[::step][: most or None]:
        _attempt(case, shared, figures)
        if enough and len(figures.found) >= enough:
            break
    figures.seconds = time.monotonic() - began
    return figures


def _attempt(case: Case, shared: Shared, figures: Figures) -> None:
    figures.cases += 1
    folder = Path(tempfile.mkdtemp(prefix="case-", dir=shared.folder))
    yard = _yard(folder, shared)
    before, children = _listing(yard.outside), _children()
    outcome, trouble = HELD, ""
    try:
        with _limited():
            outcome = case.attempt(yard)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        last = traceback.extract_tb(error.__traceback__)[-1]
        trouble = f"{type(error).__name__}: {str(error)[:300]} ({Path(last.filename).name}:{last.lineno})"
    left = _left(children)
    changed = sorted(name for name, _ in before ^ _listing(yard.outside))
    _remove(folder)
    _count(figures, case, outcome, changed, left, trouble)


def _yard(folder: Path, shared: Shared) -> Yard:
    canary = f"canary-{secrets.token_hex(12)}"
    yard = Yard(folder / "inside", folder / "outside", canary, shared)
    yard.inside.mkdir()
    for name in OUTSIDE:
        path = yard.outside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{canary}\n")
        path.chmod(0o600)
    return yard


def _count(figures: Figures, case: Case, outcome: Outcome, changed: list[str], left: list[str], trouble: str) -> None:
    written = [*outcome.written, *changed]
    for name, what in (
        ("accepted", outcome.accepted),
        ("written", ", ".join(written)),
        ("read", ", ".join(outcome.read)),
        ("processes", ", ".join(left)),
        ("exceptions", trouble),
    ):
        if what:
            setattr(figures, name, getattr(figures, name) + 1)
            figures.found.append(f"{figures.line} {case.structure}: {name}: {what[:400]}")


# -- what an attempt leaves --------------------------------------------------------------------------------------------


def _listing(folder: Path) -> set[tuple[str, Any]]:
    """Every file below *folder*, with all of it that can be changed."""
    found = set()
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base) / name
            about = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
            content = os.fsencode(path.readlink()) if path.is_symlink() else content
            found.add((str(path.relative_to(folder)), (about.st_mode, about.st_uid, content)))
    return found


def _adopt_orphans() -> None:
    """Let processes whose parent ends become children of this one, so that none is overlooked."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def _children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= {int(word) for word in task.read_text().split()}
    return found


def _left(before: set[int]) -> list[str]:
    """The processes that an attempt left; each is ended."""
    end = time.monotonic() + GRACE
    while _running(before) and time.monotonic() < end:
        time.sleep(0.02)
    names = []
    while processes := _running(before):
        for process in processes:
            with contextlib.suppress(OSError):
                names.append(Path(f"/proc/{process}/comm").read_text().strip())
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
    return names


def _running(before: set[int]) -> set[int]:
    """New children that have not ended; the others are reaped."""
    found = set()
    for process in _children() - before:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(process, os.WNOHANG)[0] == 0:
                found.add(process)
    return found


def _remove(folder: Path) -> None:
    """Remove what an attempt has left, however deep it is; not by the product, whose defences may be removed."""
    for words in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        subprocess.run([*words, str(folder)], stderr=subprocess.DEVNULL, check=False)


def _limit(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.cancel_dump_traceback_later()
    if seconds:
        faulthandler.dump_traceback_later(4 * seconds, exit=True)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise `LateError` after `LIMIT` seconds; what does not notice that ends the whole process a little later."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise LateError(f"it takes more than {LIMIT:.0f} s")

    old = signal.signal(signal.SIGALRM, late)
    _limit(LIMIT)
    try:
        yield
    finally:
        _limit(0)
        signal.signal(signal.SIGALRM, old)
