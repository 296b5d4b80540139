"""The answers of hosts, read in one place: typed, within bounds, and never an exception.

A host is not trusted. Text that a host wrote becomes a number, a digest or a document here and nowhere else. A part of
an answer that is not valid is a `Fault`: what the part is about is then *unknown* for that host, and for no other.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.domain.fencing import read_token
from orchestrator.domain.model import DIGEST, Digest, Model
from orchestrator.domain.text import first_line

ANSWER = 1 << 17  # characters of an answer
LINE = 16384  # characters of one line of it
LINES = 10_000
DEPTH = 16  # levels of a JSON document
SERVED = 100  # characters of the version that a service reports
LEDGER_LINES = 200  # lines of a ledger that belong to one run
SHOWN = 60  # characters of an invalid value that a message shows
NUMBER = re.compile(r"[0-9]{1,15}")
COMMAND = re.compile(r"[A-Za-z0-9_.+/-]{1,200}")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


class Fault(Model):
    """What is not valid in an answer: an error *code*, and one line of *text*."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.text} ({self.code})"


class LedgerLine(Model):
    """One line of a host's ledger, for an ordinary playbook or for one piece of work of the collection."""

    model_config = ConfigDict(extra="ignore")

    run: str = Field(pattern=r"^[A-Za-z0-9_.-]{0,255}$")
    step: str = Field(pattern=r"^[A-Za-z0-9_.-]{0,255}$")
    host: str = Field(pattern=r"^[A-Za-z0-9_.-]{0,255}$")
    part: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,255}$")
    attempt: int = Field(1, ge=0, le=10**6)
    fence: int = Field(0, ge=0, lt=10**15)
    digest: str = Field("", pattern=r"^[a-z0-9:_-]{0,100}$")
    outcome: Literal["began", "done", "failed"]
    at: str = Field("", pattern=r"^[0-9TZ:+.-]{0,40}$")


class HostAnswer(Model):
    """What one host reports of itself.

    *release* is the digest of the package that is current on it; None if the host names none. *fence* is the newest
    fencing token that it has seen; None if it reports none. *disk* and *memory* are KiB. *served* is what its service
    reports as its version; None if no service was queried. *faults* are the parts of the answer that are not valid.
    """

    release: Digest | None = None
    fence: int | None = None
    disk: int | None = None
    memory: int | None = None
    commands: frozenset[str] = frozenset()
    served: str | None = None
    ledger: tuple[LedgerLine, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def invalid(self) -> str:
        """Why the answer is not believed, in one line; empty if it is valid."""
        return "; ".join(map(str, self.faults))


def read_answer(text: str, limit: int = ANSWER) -> HostAnswer:
    """What a host reports in *text*, whose lines start with `@` and a word. Nothing that it holds raises an error."""
    lines = answer_lines(text[:limit])
    release, faults = current_release(*(_first(lines, name) for name in ("release", "link", "linked"))), list[Fault]()
    if isinstance(release, Fault):
        faults.append(release)
    fence = read_token(_first(lines, "fence")) if "fence" in lines else None
    if "fence" in lines and fence is None:
        reason = f"its fencing token is not a number of at most 15 digits: {shown(_first(lines, 'fence'))}"
        faults.append(Fault(code="D182", text=reason))
    if len(text) > limit:
        faults.append(Fault(code="D180", text=f"its answer is longer than {limit} characters"))
    return HostAnswer(
        release=None if isinstance(release, Fault) else release,
        fence=fence,
        disk=_number(_first(lines, "disk")),
        memory=_number(_first(lines, "memory")),
        commands=frozenset(filter(COMMAND.fullmatch, map(str.strip, lines.get("command", ())))),
        served=_word(_first(lines, "serves")) if "serves" in lines else None,
        ledger=tuple(_ledger(lines.get("ledger", ()))),
        faults=tuple(faults),
    )


def answer_lines(text: str, longest: int = LINE, most: int = LINES) -> dict[str, list[str]]:
    """The lines of an answer that start with `@`, by their first word; without those that are too long or too many."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines()[:most]:
        if line.startswith("@") and len(line) <= longest:
            word, _, value = line[1:].rstrip("\r").partition(" ")
            found.setdefault(word, []).append(value)
    return found


def read_reported(release: object) -> str | Fault | None:
    """The digest that a task of the collection reports as current: *release* is its `orchestrator_release`."""
    if not isinstance(release, Mapping):
        return Fault(code="D181", text=f"it reports no release but {shown(release)}")
    return _digest(release.get("digest"))


def read_object(text: str, limit: int = LINE) -> dict[str, Any]:
    """A JSON object of at most *limit* characters and `DEPTH` levels; empty if *text* is not one."""
    if len(text) > limit or not _is_shallow(text):
        return {}
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text or not text.isascii():
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written anywhere
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def shown(value: object) -> str:
    """An invalid *value* for a message: its start, quoted."""
    return repr(first_line(str(value)[:1000], SHOWN)) if isinstance(value, str) else f"a {type(value).__name__}"


def current_release(state: str, link: str, linked: str) -> str | Fault | None:
    """The digest of the release that `current` points to; None if the host names none.

    Args:
        state: what the collection wrote down when it moved the link, as JSON; empty where it never did.
        link: where the link points now, which counts: an operator may have moved it by hand.
        linked: what the folder that it points to records of itself, as JSON.
    """
    known = read_object(state).get("current")
    if isinstance(known, dict) and known and link.rstrip("/").rpartition("/")[2] == known.get("folder"):
        return _digest(known.get("digest"))
    return _digest(read_object(linked).get("digest"))


def _digest(value: object) -> str | Fault | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and DIGEST.fullmatch(value):
        return value
    return Fault(code="D181", text=f"its release is not a digest: {shown(value)}")


def _ledger(lines: Iterable[str]) -> Iterable[LedgerLine]:
    """The lines of the ledger that are valid; a line that a crash has torn is not valid."""
    for text in list(lines)[-LEDGER_LINES:]:
        try:
            yield LedgerLine.model_validate(read_object(text))
        except ValidationError:
            continue


def _word(text: str) -> str:
    return next(iter(first_line(text).split()), "")[:SERVED]


def _number(text: str) -> int | None:
    return int(text) if NUMBER.fullmatch(text) else None


def _first(lines: Mapping[str, list[str]], word: str) -> str:
    return next(iter(lines.get(word, ())), "").strip()


def _is_shallow(text: str) -> bool:
    """Whether no bracket of *text* is deeper than `DEPTH`."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth > DEPTH:
            return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
