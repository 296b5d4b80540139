"""What a line of `make hostile` is made of: hostile input, an attempt to use it, and what came of that.

A line is one attack. It is a module `tests/campaigns/hostile/sNN_NAME.py`, which the runner finds by its name, with

- `LINE`: its number, such as `"S8"`, and `ABOUT`: the attack in a few words;
- `cases(seed) -> Iterator[Case]`: at least 50 cases of different structure, in an order and with values that follow from
  the seed alone. Cases of the same structure count once, so give a case a new `structure` only if another part of the
  product has to notice it: another kind of file, encoding, place, field or order, and not another name or number;
- `DEFENCES`: by its name, each defence of the line: a context manager that removes it from the product. While one is
  removed, at least one case must find something. `replaced` does it for a function or a constant.

An attempt gets a `Yard` and uses the product as a user would. It returns `HELD` if the product refused the input, or made
it harmless, in the way that is documented, and else an `Outcome`. It lets exceptions pass that are not part of the documented
behaviour: the runner counts them. The runner also finds, without help of the attempt: files below `yard.outside` that are
new, changed or gone, processes that were left, and attempts that take more than `LIMIT` seconds.

    def cases(seed):
        random = Random(seed)
        for ending in (".pem", ".key", ""):
            yield Case(f"a private key in a file *{ending}", partial(_packed, ending, random.randbytes(48)))

    def _packed(ending, secret, yard):
        (yard.inside / f"deploy{ending}").write_bytes(secret)
        return refused("P220", lambda: build(yard.inside))
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.domain.errors import OrchestratorError
from tests.campaigns.chaos.table import Shared

LIMIT = 30.0  # seconds for one attempt, on a busy machine


@dataclass(frozen=True)
class Outcome:
    """What an attempt reached: *accepted* says what the product took, *written* and *read* what of the outside."""

    accepted: str = ""
    written: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether it reached anything."""
        return bool(self.accepted or self.written or self.read)


HELD = Outcome()


@dataclass(frozen=True)
class Yard:
    """Where an attempt is made; the runner makes a new one for each, and removes it.

    *inside* is an empty folder in which all is allowed. *outside* is a folder beside it with a few files; the content of each
    has the text *canary*. Code of a package that learns it has read outside. *shared* makes what many cases use
    (`shared.part(name, make)`), once for all lines.
    """

    inside: Path
    outside: Path
    canary: str
    shared: Shared

    def learned(self, text: str | bytes) -> Outcome:
        """HELD, unless *text*, which code of a package wrote, has what is outside."""
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        return Outcome(read=(self.canary,)) if self.canary.encode() in data else HELD


@dataclass(frozen=True)
class Case:
    """One hostile input. *structure* says in words what makes it different from the other cases of its line."""

    structure: str
    attempt: Callable[[Yard], Outcome]


Defence = Callable[[], AbstractContextManager[Any]]


class Line(Protocol):
    """The module of a line."""

    LINE: str
    ABOUT: str
    DEFENCES: Mapping[str, Defence]

    def cases(self, seed: int) -> Iterator[Case]:
        """The cases, in an order that follows from *seed*."""


def refused(codes: str | tuple[str, ...], use: Callable[[], object]) -> Outcome:
    """HELD if *use* raises an error with one of *codes*; an error with another code is not documented, and passes."""
    try:
        result = use()
    except OrchestratorError as error:
        if error.code in ((codes,) if isinstance(codes, str) else codes):
            return HELD
        raise
    return Outcome(accepted=repr(result)[:200])


@contextmanager
def replaced(owner: object, name: str, value: Any) -> Iterator[None]:
    """While it is open, *owner* has *value* as its attribute *name*."""
    old = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)
