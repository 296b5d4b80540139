"""Text from outside is data: before it is shown or kept, all but a closed list of characters is taken out of it."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from difflib import get_close_matches

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that Unicode calls printable, and that show nothing."""

_COLOURS = re.compile(r"(\x1b\[(?:[01]|3[0-7]|9[0-7])m)")
"""The colours of lines of ours. Others, such as hidden text, are taken out."""

_BLANKS = "\n\r\t\x85"
LISTED = 12  # host names that are listed one by one


def clean_text(text: str, limit: int | None = None) -> str:
    """*text* without escape sequences, and with no other characters than newline, tab, space and those that are seen.

    Control characters, changes of direction, marks of width zero and private characters are not among these. Other
    blanks become spaces. Longer text than *limit* characters is cut, and ends with the number of those left out.
    """
    cleaned = _seen(_ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))
    if limit is not None and len(cleaned) > limit:
        return f"{cleaned[:limit]}… ({len(cleaned) - limit} characters more)"
    return cleaned


def is_seen(text: str) -> bool:
    """Whether each character of *text* is a space or one that is seen."""
    return text.isprintable() and not _UNSEEN.search(text)


def hidden_characters(text: str) -> Iterator[tuple[int, str]]:
    """Each character of *text* that acts on what is around it or shows nothing, and is not a blank; with its place.

    The filter of shown text takes all of these out. Newer letters than Python knows are not among them, and neither is
    the one selector that makes a picture of a sign before it.
    """
    if is_seen(text.replace("\n", "").replace("\t", "")):
        return
    for place, char in enumerate(text):
        if not is_seen(char) and char not in _BLANKS and not _is_harmless(text, place):
            yield place, char


def _is_harmless(text: str, place: int) -> bool:
    """Whether a character that is not shown neither acts nor hides: it is blank, not known, private, or a selector."""
    char, before = text[place], text[place - 1 : place]
    if char in "\ufe0e\ufe0f":  # how the sign before it is drawn: as text or as a picture
        return before.strip() != "" and is_seen(before)
    return unicodedata.category(char).startswith(("Z", "Cn", "Co")) and ord(char) & 0xFFFE != 0xFFFE


def _seen(text: str) -> str:
    if is_seen(text.replace("\n", "").replace("\t", "")):
        return text
    return text.translate(_TABLE)


class _Table(dict[int, str]):
    """What each character is shown as, by its number; each is looked up once: an answer of a host may be long."""

    def __missing__(self, number: int) -> str:
        self[number] = _shown(chr(number))
        return self[number]


_TABLE = _Table({ord(char): char for char in "\n\t"})


def _shown(char: str) -> str:
    """*char* as it is shown: itself, a space for another blank, `?` for half of a pair, nothing for the rest."""
    if is_seen(char):
        return char
    kind = unicodedata.category(char)
    return " " if kind.startswith("Z") else "?" if kind == "Cs" else ""


def coloured(text: str) -> str:
    """*text* as a line of ours: cleaned, except for colours."""
    if is_seen(text.replace("\n", "")):
        return text
    return "".join(part if _COLOURS.fullmatch(part) else clean_text(part) for part in _COLOURS.split(text))


def ago(at: datetime, now: datetime) -> str:
    """`3 s ago`, `5 h ago`: how long before *now* it was *at*; `0 s ago` for a later time."""
    return f"{age(max(0.0, (now - at).total_seconds()))} ago"


def counted(number: int, noun: str) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def with_reason(text: str, reason: str) -> str:
    """*text*, and the *reason* for it after a colon if there is one."""
    return f"{text}: {reason}" if reason else text


def first_line(text: str, limit: int = 160) -> str:
    """The first line that is not empty, without what a terminal would obey."""
    return _shortened(next((line.strip() for line in clean_text(text).splitlines() if line.strip()), ""), limit)


def last_line(text: str, limit: int = 300) -> str:
    """The last line that is not empty, without what a terminal would obey."""
    lines = [line.strip() for line in clean_text(text).splitlines() if line.strip()]
    return _shortened(lines[-1] if lines else "", limit)


def _shortened(line: str, limit: int) -> str:
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def few(names: Sequence[str], most: int = 5) -> str:
    """The first *most* of *names*, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def list_names(names: Sequence[str], most: int = LISTED) -> str:
    """All host *names* if they are few; otherwise their number, with the first ones."""
    return ", ".join(names) if len(names) <= most else f"{counted(len(names), 'host')} ({few(names, 3)})"


def short(digest: str | None) -> str:
    """The first 12 digits of a digest: enough to recognise it, and to name it to a command."""
    return digest.removeprefix("sha256:")[:12] if digest else "–"


def in_number_order(text: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in texts by value: `1.9.0` before `1.10.0`."""
    parts = re.split(r"([0-9]+)", text)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a *name* that is not *known*: the nearest one, otherwise the first of those that are."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {few(names, 12) or 'none'}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest of the *known* names as the end of a message, `; did you mean 'web'?`; empty if none is near."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def moment(at: str, now: str = "") -> str:
    """A time of the journal in messages that are recorded: UTC, to the minute; with its age, where *now* is given."""
    if not at:
        return "an unknown time"
    passed = (datetime.fromisoformat(now) - datetime.fromisoformat(at)).total_seconds() if now else -1
    return f"{at[:16].replace('T', ' ')} UTC" + (f", {age(passed)} ago" if passed >= 0 else "")


def undated(text: str) -> str:
    """*text* without the ages of :func:`moment`, which change while nothing else does."""
    return re.sub(r", \d+ [smhd] ago", "", text)


def age(value: float) -> str:
    """`3 s`, `20 m`, `5 h`, `12 d`: how long, in one unit."""
    for limit, unit, size in ((60.0, "s", 1.0), (3600.0, "m", 60.0), (2 * 86400.0, "h", 3600.0)):
        if value < limit:
            return f"{int(value / size)} {unit}"
    return f"{int(value / 86400)} d"
