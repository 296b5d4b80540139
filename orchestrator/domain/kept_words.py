"""Names and words of records that a secret value is a part of. There it is not masked, so that records stay readable.

Standard library only, as all that the supervisor of jobs uses.
"""

import re
from collections.abc import Iterable

_IDENTIFIER = re.compile(rb"[A-Za-z0-9_.:/#@+~-]+")
"""A text that only names something, such as a key of the journal."""


class KeptWords:
    """The *names* of the project, and the *words* of records, that contain any of *values*.

    A name is kept wherever it occurs as a whole. A word is kept only in a field of a record that has nothing but words,
    names and numbers: in other text it may be the value.
    """

    def __init__(self, values: Iterable[bytes], names: Iterable[str], words: Iterable[str]) -> None:
        found = tuple(values)
        self.names, self.words = _containing(found, names), _containing(found, words)
        self._words = frozenset(word.encode() for word in self.words)
        self._in_text, self._in_fields = _any_of(self.names), _any_of((*self.names, *self.words))

    def spans(self, data: bytes, *, field: bool) -> list[tuple[int, int]]:
        """Where *data* has what is kept; *field*: it is the whole of a field of a record."""
        whole = field and (data in self._words or _IDENTIFIER.fullmatch(data) is not None)
        pattern = self._in_fields if whole else self._in_text
        return [match.span() for match in pattern.finditer(data)] if pattern is not None else []


def _containing(values: tuple[bytes, ...], words: Iterable[str]) -> tuple[str, ...]:
    """Those of *words* that contain any of *values*."""
    known = {word: word.encode("utf-8", "surrogatepass") for word in words}
    together = b"\0".join(known.values())
    found = [value for value in values if value in together]  # hardly ever any
    return tuple(sorted(word for word, data in known.items() if any(value in data for value in found)))


def _any_of(words: tuple[str, ...]) -> "re.Pattern[bytes] | None":
    if not words:
        return None
    longest = sorted((word.encode("utf-8", "surrogatepass") for word in words), key=len, reverse=True)
    return re.compile(rb"(?<![A-Za-z0-9])(?:" + b"|".join(map(re.escape, longest)) + rb")(?![A-Za-z0-9])")
