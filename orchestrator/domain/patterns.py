"""Host patterns, with the meaning that Ansible gives them.

A pattern is a list of parts, separated by commas or colons. A part is a name, a wildcard or, after `~`, a regular
expression; it may end in a subscript, and start with `&` (intersection) or `!` (exclusion).
"""

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from orchestrator.domain.text import suggestion

PATTERN = (
    r"^(?!.*\{[{%])(?!(?:.*[,: ])?[!&](?:[,: ]|$))(?=.*[^,: ])"
    r"(?:[!-\x24&-?A-Z\\^-~]|\[[ -\x24&-\\^-~]*\])(?:[ -\x24&-Z\\^-~]|\[[ -\x24&-\\^-~]*\])*$"
)
"""Visible ASCII characters with closed brackets, no template, no sign without a name, no `@` in front, no `%`."""

LONGEST = 512  # characters
_PATTERN = re.compile(PATTERN)
_SUBSCRIPT = re.compile(r"^(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]\Z")
_PIECE = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_RANGE = r"\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]"
_LABEL = rf"(?:\w|{_RANGE})(?:[\w-]|{_RANGE})*(?<![_-])"
_HOST_AND_PORT = re.compile(rf"^{_LABEL}(?:\.{_LABEL})*:[0-9]+\Z", re.IGNORECASE)
_GLOBS = frozenset(".?*[")


@dataclass(frozen=True)
class Part:
    """One part of a pattern: its *sign* (empty, `&` or `!`), its *name*, and its subscript.

    *first* and *last* are the places in the subscript; *last* is None for a single place, and -1 for the rest.
    """

    text: str
    sign: str
    name: str
    first: int | None = None
    last: int | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """The part that *text* is. Raises `ValueError` when it is not one, such as an invalid regular expression."""
        sign = text[0] if text[0] in "&!" else ""
        name = text[len(sign) :]
        found = None if name.startswith("~") else _SUBSCRIPT.match(name)
        if found is None:
            part = cls(text, sign, name)
        elif found[2] is not None:
            part = cls(text, sign, found[1], int(found[2]))
        else:
            part = cls(text, sign, found[1], int(found[3]), int(found[4] or -1))
        part.matcher()
        return part

    def matcher(self) -> Callable[[str], bool]:
        """Whether a name of a group or host is meant. Raises `ValueError` when it cannot be a pattern."""
        expression = self.name[1:] if self.name.startswith("~") else fnmatch.translate(self.name)
        try:
            compiled = re.compile(expression)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"must be a host pattern: {self.name!r} is invalid: {error}") from error
        return lambda name: compiled.match(name) is not None

    @property
    def for_hosts(self) -> bool:
        """Whether names of hosts are compared although a group is meant: for wildcards and regular expressions."""
        return self.name.startswith("~") or not _GLOBS.isdisjoint(self.name)

    def cut(self, hosts: list[str]) -> list[str]:
        """Those of *hosts* that the subscript means. Raises `IndexError` for a single place that does not exist."""
        if self.first is None or not hosts:
            return hosts
        if not self.last:  # Ansible reads `[2:0]` as `[2]`
            return [hosts[self.first]]
        return hosts[self.first :] if self.last == -1 else hosts[self.first : self.last + 1]


def parts(pattern: str) -> list[Part]:
    """The parts of *pattern*, in the order in which they count: names, then intersections, then exclusions.

    With a comma in it, commas separate, otherwise colons and blanks do. An IPv6 address is one part, and so is a host
    with its port. Raises `ValueError` when one is invalid.
    """
    if "," in pattern:
        texts = [text.strip() for text in pattern.split(",")]
    else:
        texts = [pattern.strip()] if _is_one(pattern) else _PIECE.findall(pattern)
    found = [Part.of(text) for text in texts if text]
    plain = [part for part in found if not part.sign] or [Part("all", "", "all")]
    return plain + [part for sign in "&!" for part in found if part.sign == sign]


def valid_pattern(
    pattern: str, otherwise: str = "must be a host pattern, such as web, web:&eu, web[0] or ~web[0-9]+"
) -> str:
    """*pattern*, when it is one that can mean something. Raises `ValueError`, with *otherwise* or what is invalid."""
    if not _PATTERN.fullmatch(pattern) or len(pattern) > LONGEST:
        raise ValueError(otherwise)
    parts(pattern)
    return pattern


def _is_one(pattern: str) -> bool:
    if _HOST_AND_PORT.match(pattern):
        return True
    try:
        return ipaddress.ip_address(pattern).version == 6 and "%" not in pattern
    except ValueError:
        return False


def select(
    pattern: str, hosts: Iterable[str], groups: Mapping[str, Callable[[], list[str]]], *, strict: bool = True
) -> list[str]:
    """The hosts that *pattern* means, each once, in Ansible's order.

    Args:
        pattern: what is to be found.
        hosts: every host, in the order of the inventory.
        groups: every group by name, `all` and `ungrouped` first, with a function that gives its hosts in order.
        strict: whether a part that means nothing is an error; Ansible itself leaves it out.

    Raises `LookupError` when a part means no group and no host, and `ValueError` when it is invalid.
    """
    known = dict.fromkeys(hosts)
    chosen: dict[str, None] = {}
    for part in parts(pattern):
        try:
            meant = [part.text] if part.text in known else _meant(part, known, groups)
        except LookupError:
            if strict:
                raise
            meant = []
        if part.sign and part.text not in known:
            wanted = set(meant)
            chosen = {host: None for host in chosen if (host in wanted) == (part.sign == "&")}
        else:
            chosen.update(dict.fromkeys(meant))
    return list(chosen)


def _meant(part: Part, hosts: Iterable[str], groups: Mapping[str, Callable[[], list[str]]]) -> list[str]:
    matches = part.matcher()
    fitting = [name for name in groups if matches(name)]
    found = [host for name in fitting for host in groups[name]()]
    if not fitting or part.for_hosts:
        found += [host for host in hosts if matches(host)]
    if not found and not fitting:
        near = suggestion(part.name, [*groups, *hosts])
        raise LookupError(f"no host or group matches {part.name!r}{near}")
    try:
        return part.cut(found)
    except IndexError as error:
        raise LookupError(f"{part.text!r}: {part.name!r} has {len(found)} hosts") from error
