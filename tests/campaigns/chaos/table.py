"""The table of faults: each row is a function that injects its fault into real parts and judges what came of it."""

import os
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")


class NotHere(Exception):
    """A fault that this machine does not let us inject; the words say why."""


@dataclass
class Shared:
    """What several rows use and only one has to start: each part is made once, and ended with the campaign."""

    folder: Path
    parts: dict[str, tuple[Any, ExitStack]] = field(default_factory=dict)

    def part(self, name: str, make: Callable[[Path, ExitStack], T]) -> T:
        """The part *name*, made when it is first wanted; what must be ended with it goes into the stack."""
        if name not in self.parts:
            folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
            stack = ExitStack()
            try:
                self.parts[name] = make(folder, stack), stack
            except BaseException:
                stack.close()
                raise
        made: T = self.parts[name][0]
        return made

    def forget(self) -> None:
        """End everything that was made: the next row makes it again."""
        while self.parts:
            _, (_, stack) = self.parts.popitem()
            stack.close()


@dataclass
class Scene:
    """One execution of a row: its own folder, its own chance, what is shared, and what it ends whatever happens."""

    folder: Path
    rng: random.Random
    shared: Shared
    end: ExitStack


Scenario = Callable[[Scene], str]


@dataclass(frozen=True)
class Row:
    """One row of the catalogue: *inject* gives a few words with figures; what it asserts is what must hold."""

    number: int
    title: str
    inject: Scenario
    quick: bool


ROWS: dict[int, list[Row]] = {}
WANTED = (*range(1, 35), *range(36, 42), 44, 46, 50, 54, 55)  # the rows that must be injected at least once


def row(number: int, title: str, *, quick: bool = False) -> Callable[[Scenario], Scenario]:
    """Enter a function into the table. A *quick* one takes few seconds, and belongs to the short form."""

    def enter(inject: Scenario) -> Scenario:
        ROWS.setdefault(number, []).append(Row(number, title, inject, quick))
        return inject

    return enter


@dataclass(frozen=True)
class Came:
    """What came of one execution: *how* is `held`, `broken` or `not here`."""

    row: Row
    seed: str
    how: str
    says: str
    seconds: float

    @property
    def line(self) -> str:
        """As it is printed."""
        return f"{self.row.number:>2} {self.row.title}: {self.how}; {self.says} [{self.seed}, {self.seconds:.1f} s]"


def execute(item: Row, seed: str, shared: Shared) -> Came:
    """Inject one row's fault, with the chance of *seed*, and say what came of it."""
    began = monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"row{item.number}-", dir=shared.folder))
    try:
        with ExitStack() as end:
            says, how = item.inject(Scene(folder, random.Random(seed), shared, end)), "held"
    except NotHere as why:
        says, how = str(why), "not here"
    except Exception as error:  # noqa: BLE001 - whatever it is, this row did not hold
        says, how = f"{type(error).__name__}: {str(error)[:3000]}{_where(error)}", "broken"
        shared.forget()  # nobody knows what it has left
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Came(item, seed, how, says, monotonic() - began)


def _where(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "campaigns" in frame.filename]
    return "".join(f" <- {Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


def needs(*programs: str, root: bool = False, linux: bool = True) -> None:
    """Raise `NotHere` unless the machine has these *programs*, and us as *root* where that is needed."""
    if linux and not sys.platform.startswith("linux"):
        raise NotHere("needs Linux")
    for program in programs:
        if shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") is None:
            raise NotHere(f"needs {program}")
    if root and os.geteuid() != 0:
        raise NotHere(f"needs root, for {' and '.join(programs)}")
