"""The encodings of a value as text has them, and where they are found.

Text is searched in two views. In the text as it is, the usual encodings of each value are searched. In a second view
escapes are decoded and line breaks removed, so that nested escapes, mixed encodings and wrapped lines are found too.
Standard library only.
"""

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Iterator

from orchestrator.domain.secret import SHORTEST, is_ordinary

LINE = 8
"""Bytes of the shortest line of a value with several lines that is masked alone."""
SPAN = 4096
"""Bytes that escapes and line breaks may add to an occurrence."""
FEW = 64
"""Needles that are searched one by one; more than these are searched with one pattern."""
ANCHOR = 4
_GAPS = b" \t\r\n\v\f\"',\\"
_HEX = rb"[0-9a-fA-F]{2}"
_SLASHES = rb"(?:\\|%(?:25){0,3}5[cC]){1,16}"
ESCAPE = re.compile(
    _SLASHES + rb"(?:u([dD][89abAB]" + _HEX + rb")\\{1,16}u([dD][c-fC-F]" + _HEX + rb")|u([0-9a-fA-F]{4})|x(" + _HEX
    + rb")|([nrt]))?|%(?:25){0,3}(" + _HEX + rb")"
)  # fmt: skip
_BREAK = re.compile(rb"[\r\n]|(?:\\|%(?:25){0,3}5[cC])[nr]|%(?:25){0,3}0[aAdD]|\\u000[aAdD]")
_SLASH = re.compile(rb"\\{1,16}(?:u005[cC]|x5[cC])|\\|%(?:25){0,3}5[cC]")
_PEM = re.compile(rb"-----(?:BEGIN|END) [A-Z0-9 ]+-----")


class Needle:
    """What is searched in the decoded view. *gaps* are the places after which the value has blanks or quotes."""

    __slots__ = ("gaps", "text")

    def __init__(self, text: bytes, gaps: frozenset[int] = frozenset()) -> None:
        self.text, self.gaps = text, gaps


def texts_of(value: bytes) -> Iterator[bytes]:
    """The texts that represent a value: itself, without the blanks around it, and each line that is long enough."""
    yield value
    yield value.strip()
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= LINE and not is_ordinary(line) and not _PEM.fullmatch(line))


def _escaped(text: str) -> Iterator[str]:
    """*text* as JSON and URLs have it, in the forms that programs write."""
    from urllib.parse import quote, quote_plus  # not needed without secrets

    for ascii_only in (True, False):
        plain = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield plain
        yield plain.replace("/", "\\/")
        yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", plain)  # as Go writes it
    for apostrophe in ("'", "&#x27;", "&#39;"):  # as XML and HTML have it
        for mark in ('"', "&quot;", "&#34;"):
            marked = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", apostrophe)
            yield marked.replace('"', mark)
    for quoted in (quote(text, safe=""), quote(text), quote_plus(text), quote(text, safe="!'()*~")):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)


def _in_base64(value: bytes) -> Iterator[bytes]:
    """The characters that *value* determines in base64, at each of the three places where it can start."""
    for shift, start in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(b"\0" * shift + value)[start : (shift + len(value)) * 8 // 6]
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


def _encoded(value: bytes) -> Iterator[bytes]:
    """*value* in the encodings that have an alphabet of their own, also within a JSON text that has one of them."""
    texts = {value}
    with contextlib.suppress(UnicodeDecodeError):
        texts |= {json.dumps(value.decode(), ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False)}
    for text in texts:
        yield from _in_base64(text)
        yield text.hex().encode()
        yield text.hex().upper().encode()


def literals(value: bytes) -> set[bytes]:
    """*value* in each encoding that is masked, as it occurs in text."""
    found = set()
    for part in texts_of(value):
        found |= {part, *_encoded(part)}
        with contextlib.suppress(UnicodeDecodeError):
            found |= {text.encode() for text in _escaped(part.decode())}
    return {text for text in found if len(text) >= SHORTEST}


def needles(value: bytes) -> Iterator[Needle]:
    """What is searched in the decoded view for *value*."""
    for part in texts_of(value):
        view = View(part)
        gaps = {at for at in range(len(view.text) - 1) if _is_gap(view.between(at))}
        yield Needle(view.text, frozenset(gaps))
        yield from (Needle(text) for text in _encoded(part))


def _decoded(found: "re.Match[bytes]") -> bytes:
    """The text that an escape represents; nothing for line breaks and tabs, which the view does not have."""
    high, low, point, byte, _, percent = found.groups()
    if high is not None:
        pair = 0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)
        return chr(pair).encode()
    if point is not None:
        return chr(int(point, 16)).encode("utf-8", "surrogatepass")
    value = byte or percent
    return bytes([int(value, 16)]) if value is not None else b""


def viewed(data: bytes) -> bytes:
    """*data* with escapes decoded, and without blanks, quotes, commas and line breaks."""
    if b"\\" in data or b"%" in data:
        data = ESCAPE.sub(_decoded, data)
    return data.translate(None, _GAPS)


def _is_gap(text: bytes) -> bool:
    """Whether *text*, which the view leaves out, is more than the backslashes of an escape."""
    return bool(_SLASH.sub(b"", text))


class View:
    """The decoded view of *data*, in which each byte has its place in *data*."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        view, self._starts, self._ends = bytearray(), [], []
        at = 0
        for found in (*ESCAPE.finditer(data), None):
            start, end = found.span() if found is not None else (len(data), len(data))
            pieces = [(data[at:start], at, 1)]
            pieces += [(_decoded(found), start, 0)] if found is not None else []
            for text, first, step in pieces:
                for number, byte in enumerate(text):
                    if byte not in _GAPS:
                        view.append(byte)
                        self._starts.append(first + step * number)
                        self._ends.append(first + number + 1 if step else end)
            at = end
        self.text = bytes(view)

    def between(self, at: int) -> bytes:
        """What the data has between the byte *at* of the view and the next one."""
        return self._data[self._ends[at] : self._starts[at + 1]]

    def start(self, at: int) -> int:
        """Where in the data the byte *at* of the view starts."""
        return self._starts[at]

    def span(self, start: int, needle: Needle) -> tuple[int, int] | None:
        """Where in the data the *needle* is that the view has at *start*; None: it only seems to occur.

        Between two of its bytes the data may have a line break with blanks and quotes around it, and no other blank.
        """
        end = start + len(needle.text)
        first, last = self._starts[start], self._ends[end - 1]
        if last - first > len(needle.text) + SPAN:
            return None
        if last - first == len(needle.text) and not needle.gaps:
            return first, last
        for at in range(start, end - 1):
            gap, own = self.between(at), at - start in needle.gaps
            if own != _is_gap(gap) and not _BREAK.search(gap):
                return None
        return first, last


class Finder:
    """Finds every occurrence of any of *needles*."""

    def __init__(self, needles: Iterable[bytes]) -> None:
        self.needles = sorted(set(needles))
        self.longest = max(map(len, self.needles), default=0)
        self._pattern = None
        if len(self.needles) > FEW:
            self._by_anchor: dict[bytes, list[bytes]] = {}
            for needle in self.needles:
                self._by_anchor.setdefault(needle[:ANCHOR], []).append(needle)
            self._pattern = re.compile(_any_of(sorted(self._by_anchor)), re.DOTALL)

    def any(self, data: bytes) -> bool:
        """Whether *data* has any of them."""
        if self._pattern is None:
            return any(needle in data for needle in self.needles)
        return next(self._anchored(data), None) is not None

    def all(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The place and the needle of each occurrence, in no order."""
        if self._pattern is not None:
            yield from self._anchored(data)
            return
        for needle in self.needles:
            at = data.find(needle)
            while at >= 0:
                yield at, needle
                at = data.find(needle, at + 1)

    def _anchored(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        assert self._pattern is not None
        found = self._pattern.search(data)
        while found is not None:
            at = found.start()
            yield from ((at, needle) for needle in self._by_anchor[found[0]] if data.startswith(needle, at))
            found = self._pattern.search(data, at + 1)


def _any_of(words: list[bytes]) -> bytes:
    """A pattern for any of *words*, which are sorted and of one length: words with the same start are one branch."""
    if len(words) == 1 or not words[0]:
        return re.escape(words[0])
    branches: dict[bytes, list[bytes]] = {}
    for word in words:
        branches.setdefault(word[:1], []).append(word[1:])
    return b"(?:" + b"|".join(re.escape(first) + _any_of(rest) for first, rest in branches.items()) + b")"


def begun_at(data: bytes, needles: Iterable[bytes]) -> int:
    """Where the longest start of any of *needles* is with which *data* ends; the length of *data* if there is none."""
    first = len(data)
    for needle in needles:
        at = max(0, len(data) - len(needle) + 1)
        while at < first and not needle.startswith(data[at:]):
            at = data.find(needle[:1], at + 1)
            at = len(data) if at < 0 else at
        first = min(first, at)
    return first
