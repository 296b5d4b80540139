"""The masking of secret values in text and in data, raw and encoded, however the text is cut into pieces.

Standard library only: the supervisor of every job uses it, and starts in milliseconds.
"""

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator

from orchestrator.domain.encoded_text import (
    ESCAPE,
    SPAN,
    Finder,
    Needle,
    View,
    begun_at,
    literals,
    needles,
    texts_of,
    viewed,
)
from orchestrator.domain.kept_words import KeptWords
from orchestrator.domain.secret import MASK, SHORTEST, Secret, is_ordinary

TYPE_CHECKING = False  # as `typing` has it, which takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any

TOKEN = 512
"""Bytes of the longest escape."""
MARGIN = 8
"""Bytes that an escape may seem to have more when it is cut in two."""
CUT = 1500
"""Characters of a text that may have been cut; shorter ones have an ellipsis if they were."""
_MASK = MASK.encode()
_ESCAPES = re.compile(rb"[\\%]")
_UNFINISHED = re.compile(rb"(?:\\|%)[\\%0-9a-fA-FuUxnrt]*\Z")
"""An escape that may continue in the next data."""
_MORE = re.compile(r"…( \(\d+ characters more\))?\Z")
"""How a text ends that was cut."""
_FORMAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?|sha256:[0-9a-f]{64}")
"""Times and digests in records, which never hold a value."""
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_END = rb")(?![A-Za-z0-9_])"
_BETWEEN = rb"[\"'\\ \t]{0,8}[:=][\"'\\ \t]{0,8}"


class Redactor:
    """Masks *secrets*. Those that are ordinary, and *weak* ones, only after their keys.

    A value is ordinary by :func:`is_ordinary`, to which *names* go. One that is a part of a name, or one of the *words*
    of records, is masked but for the places that :class:`KeptWords` keeps.
    """

    def __init__(
        self,
        secrets: Iterable[Secret] = (),
        names: Collection[str] = (),
        weak: Iterable[Secret] = (),
        words: Collection[str] = (),
    ) -> None:
        self.strong, ordinary = _by_strength(secrets, names)
        own = [secret for secret in self.strong if secret.value.decode("utf-8", "replace").strip() in words]
        self.weak = tuple(dict.fromkeys((*ordinary, *own, *weak)))
        values = {secret.value for secret in self.strong}
        self._kept = KeptWords({part for value in values for part in texts_of(value)}, names, words)
        self._numbers = {value.strip() for value in values if _NUMBER.fullmatch(value.strip())}
        self._fields = frozenset(words) if self._numbers else frozenset()  # that have numbers of ours
        self._literals = Finder(text for value in values for text in literals(value))
        self._needles = _needles_of(values)
        self._viewed = Finder(self._needles)
        self._keyed = _keyed(self.weak)
        self._weak = _pairs(self.weak)
        self._pairs = _pairs((*self.strong, *self.weak))
        self.hold = max(self._literals.longest, _longest(self.weak), 1) - 1 + TOKEN
        self.span = self._viewed.longest + SPAN

    @property
    def is_empty(self) -> bool:
        """Whether nothing is masked."""
        return not self.strong and not self.weak

    def occurrences(self, data: bytes, kept: Collection[tuple[int, int]] = ()) -> list[tuple[int, int]]:
        """Where *data* has something to be masked, sorted. Occurrences may overlap.

        Within one of the places *kept* a value is masked behind its key only.
        """
        found = [(at, at + len(needle)) for at, needle in self._literals.all(data)]
        if self._viewed.any(viewed(data)):
            view = View(data)
            for at, text in self._viewed.all(view.text):
                spans = (view.span(at, needle) for needle in self._needles[text])
                found += [span for span in spans if span is not None]
        if kept:
            found = [span for span in found if not any(at <= span[0] and span[1] <= end for at, end in kept)]
        found += [match.span(match.lastindex or 0) for match in self.keyed(data)]
        return sorted(found)

    def keyed(self, data: bytes) -> "Iterator[re.Match[bytes]]":
        """Each ordinary value behind its key; the value is the last group."""
        pattern = self._keyed
        found = pattern.search(data) if pattern is not None else None
        while pattern is not None and found is not None:
            yield found
            found = pattern.search(data, found.start() + 1)

    def begun(self, data: bytes, decodable: int) -> int:
        """Where in *data* the first occurrence starts that is not whole at its end; its length if there is none.

        Up to *decodable* it has no escape that is not whole.
        """
        tail = max(0, len(data) - max(self._literals.longest, _longest(self.weak)))
        first = tail + begun_at(data[tail:], [*self._literals.needles, *(secret.key.encode() for secret in self.weak)])
        tail = max(0, decodable - self.span)
        view = View(data[tail:decodable])
        at = begun_at(view.text, self._viewed.needles)
        if at < len(view.text):
            first = min(first, tail + view.start(at))
        for secret in self.weak:
            key = data.rfind(secret.key.encode(), max(0, len(data) - _longest(self.weak)))
            first = min(first, key) if secret.key and key >= 0 else first
        return first

    def masks(self, data: bytes) -> bool:
        """Whether *data* has something to be masked."""
        return bool(self.occurrences(data))

    def mask(self, data: bytes) -> bytes:
        """*data* with each secret masked."""
        if self.is_empty:
            return data
        stream = self.stream()
        return stream.feed(data, whole=True)

    def text(self, text: str, *, field: bool = False) -> str:
        """*text* with each secret masked; *field*: it is the whole of a field of a record."""
        if self.is_empty:
            return text
        data = text.encode("utf-8", "surrogatepass")
        kept = self._kept.spans(data, field=field)
        masked = _replaced(data, self.occurrences(data, kept)) if kept else self.mask(data)
        return text if masked == data else masked.decode("utf-8", "replace")

    def json(self, text: str) -> str:
        """The JSON *text* with each secret masked in its texts, names and numbers; it stays JSON."""
        data = text.encode("utf-8", "surrogatepass")
        if self.is_empty or not (self.masks(data) or self._cut(text)):
            return text
        try:
            value = json.loads(text)
            masked = self.data(value)
        except (ValueError, RecursionError):  # it is not JSON, or is nested more deeply than functions can follow
            return self.text(text)
        return text if masked == value else json.dumps(masked, ensure_ascii="\\u" in text, separators=(",", ":"))

    def data(self, value: "Any") -> "Any":
        """The JSON *value* with each secret masked; *value* itself if it has none."""
        if self.is_empty:
            return value
        flat = json.dumps(value, ensure_ascii=False, separators=(",\n", ": "), default=str)
        whole = bool(self.weak) or self.masks(flat.encode("utf-8", "surrogatepass"))
        if not whole and not self._cut(flat):  # most documents: one search in place of one for each text
            return value
        masked = self._data(value, "", whole=whole)
        return value if masked == value else masked

    def _data(self, value: "Any", key: str, *, whole: bool) -> "Any":
        """*value*, which *key* leads to; only texts that were cut are searched unless it is *whole*."""
        if isinstance(value, dict):
            return {
                self._name(name) if whole else name: self._data(item, str(name), whole=whole)
                for name, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            items = [self._data(item, key, whole=whole) for item in value]
            return self._list(items) if whole else items
        if isinstance(value, str):
            return self._leaf(value, key, whole=whole)
        return MASK if value is not None and self._is_secret(value, key) else value

    def _name(self, name: "Any") -> "Any":
        return self.text(name, field=True) if isinstance(name, str) else name

    def _is_secret(self, value: "Any", key: str) -> bool:
        """Whether *value*, which is not a text, is a secret: by its key, or as a number in a field that is not ours."""
        text = json.dumps(value, default=str).encode()
        return (key, text) in self._pairs or (text in self._numbers and key not in self._fields)

    def _leaf(self, text: str, key: str, *, whole: bool) -> str:
        if _FORMAL.fullmatch(text):
            return text
        if (key, text.strip().encode("utf-8", "surrogatepass")) in self._weak:
            return MASK
        return self._without_parts(self.text(text, field=True) if whole else text)

    def _cut(self, flat: str) -> bool:
        """Whether any text in a document may have been cut, so that it may end or start with a part of a value."""
        return len(flat) >= CUT or "…" in flat or "\\u2026" in flat

    def _without_parts(self, text: str) -> str:
        """*text* without the part of a value at which it was cut: at its end, or at its start."""
        about = _MORE.search(text)
        if about is None and len(text) < CUT:
            return text
        end = about.start() if about is not None else len(text)
        data = text[:end].encode("utf-8", "surrogatepass")
        for literal in self._literals.needles:
            data = _masked_end(_masked_beginning(data, literal), literal) if len(data) >= SHORTEST else data
        return data.decode("utf-8", "replace") + text[end:]

    def _list(self, items: "list[Any]") -> "list[Any]":
        """A list; where its items are lines of a text that has a secret over several of them, the lines of that."""
        if len(items) < 2 or not all(isinstance(item, str) for item in items):
            return items
        joined = "\n".join(items)
        lines = self.text(joined).split("\n")
        return items if len(lines) == len(items) else lines

    def to_payload(self) -> str:
        """The secrets as another process of this run gets them, through a pipe and never through a file."""
        parts = ([[one.key, base64.b64encode(one.value).decode()] for one in part] for part in (self.strong, self.weak))
        return json.dumps([*parts, self._kept.names, sorted(self._fields or self._kept.words)])

    @classmethod
    def from_payload(cls, payload: str) -> "Redactor":
        """The reverse of :meth:`to_payload`."""
        *secrets, names, words = json.loads(payload)
        strong, weak = ([Secret(key, base64.b64decode(value)) for key, value in part] for part in secrets)
        return cls(strong, names, weak, words)

    def stream(self) -> "Stream":
        """A masking of text that comes in pieces."""
        return Stream(self)


def _by_strength(secrets: Iterable[Secret], names: Collection[str]) -> tuple[tuple[Secret, ...], tuple[Secret, ...]]:
    """The *secrets* that have a value, once each: those that are masked everywhere, and the ordinary ones."""
    distinct = dict.fromkeys(secret for secret in secrets if secret.value.strip())
    ordinary = tuple(secret for secret in distinct if is_ordinary(secret.value, names))
    apart = set(ordinary)
    return tuple(secret for secret in distinct if secret not in apart), ordinary


def _needles_of(values: Iterable[bytes]) -> dict[bytes, list[Needle]]:
    """The encoded forms of *values* that are long enough to be searched for, by their text."""
    found: dict[bytes, list[Needle]] = {}
    for needle in {(needle.text, needle.gaps): needle for value in values for needle in needles(value)}.values():
        if len(needle.text) >= SHORTEST:
            found.setdefault(needle.text, []).append(needle)
    return found


def _pairs(secrets: Iterable[Secret]) -> set[tuple[str, bytes]]:
    return {(secret.key, secret.value.strip()) for secret in secrets}


class Stream:
    """Masks text that comes in pieces. What comes out does not depend on how it is cut."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._rest = b""
        self._covered = 0  # bytes at the start of the rest that a mask has replaced already

    def feed(self, data: bytes, *, whole: bool = False) -> bytes:
        """Take *data*; return what is certain. Nothing is held back if the text is *whole* with it."""
        if self._redactor.is_empty:
            return data
        self._rest += data
        return self._emit(len(self._rest) if whole else self._certain())

    def _emit(self, end: int) -> bytes:
        """What comes out of the rest up to *end*; every occurrence that starts before *end* is known."""
        if end <= 0:
            return b""
        found = [span for span in self._redactor.occurrences(self._rest) if span[0] < end]
        out = _replaced(self._rest[:end], found, self._covered)
        covered = max((stop for _, stop in found), default=0)
        self._covered, self._rest = max(0, max(covered, self._covered) - end), self._rest[end:]
        return out

    def _not_started(self) -> int:
        """Up to where no occurrence has started that is not whole yet."""
        escapes = _UNFINISHED.finditer(self._rest, max(0, len(self._rest) - TOKEN))
        end = min((found.start() for found in escapes), default=len(self._rest))
        return min(end, self._redactor.begun(self._rest, end))

    def pause(self) -> bytes:
        """What was held back, up to where a secret may have started."""
        return self._emit(self._before_keys(self._between_escapes(self._not_started())))

    def end(self) -> bytes:
        """What was held back."""
        return self.feed(b"", whole=True)

    def _certain(self) -> int:
        """Up to where every occurrence that has started is seen whole; never inside an escape."""
        redactor = self._redactor
        if len(self._rest) <= redactor.hold:
            return 0
        end, tail = len(self._rest) - redactor.hold, len(self._rest) - TOKEN
        missing = redactor.span - SPAN + MARGIN
        while end > 0 and tail - end < redactor.span and len(viewed(self._rest[end:tail])) < missing:
            end = max(0, min(end - 1, tail - 2 * (tail - end)))
        return self._before_keys(self._between_escapes(end))

    def _before_keys(self, end: int) -> int:
        """The place *end*, or that of a key whose value comes behind *end*."""
        for found in self._redactor.keyed(self._rest):
            if found.start() < end <= found.start(found.lastindex or 0):
                return self._before_keys(self._between_escapes(found.start()))
        return end

    def _between_escapes(self, end: int) -> int:
        """The place *end*, or the start of the escape that it is inside of."""
        if not _ESCAPES.search(self._rest, max(0, end - TOKEN), end):
            return end
        for found in ESCAPE.finditer(self._rest):
            if found.end() > end:
                return min(end, found.start())
        return end


def _replaced(data: bytes, found: Iterable[tuple[int, int]], at: int = 0) -> bytes:
    """*data* from *at* on, with a mask for each of the places *found*, which are sorted; what overlaps gets one."""
    out = []
    for start, stop in found:
        if start >= at:
            out += [data[at:start], _MASK]
        at = max(at, stop)
    return b"".join([*out, data[at:]])


def _masked_end(data: bytes, value: bytes) -> bytes:
    """*data*, in which the start of *value* at its end is masked."""
    last = data[-SHORTEST:]
    at = value.find(last)
    while 0 <= at < len(value) - SHORTEST:
        if data.endswith(value[: at + SHORTEST]):
            return data[: len(data) - at - SHORTEST] + _MASK
        at = value.find(last, at + 1)
    return data


def _masked_beginning(data: bytes, value: bytes) -> bytes:
    """*data*, in which the end of *value* at its start is masked."""
    at = value.find(data[:SHORTEST], 1)
    while at > 0:
        if data.startswith(value[at:]):
            return _MASK + data[len(value) - at :]
        at = value.find(data[:SHORTEST], at + 1)
    return data


def _keyed(weak: Iterable[Secret]) -> "re.Pattern[bytes] | None":
    """A pattern for the ordinary values behind their keys; each value is its group."""
    pairs = {(secret.key.encode(), secret.value.strip()) for secret in weak if secret.key}
    if not pairs:
        return None
    words = [re.escape(key) + _BETWEEN + b"(" + re.escape(value) + _END for key, value in sorted(pairs)]
    return re.compile(b"|".join(words))


def _longest(weak: Iterable[Secret]) -> int:
    return max((len(secret.key.encode()) + len(secret.value) + 18 for secret in weak), default=0)
