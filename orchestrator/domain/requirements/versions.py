"""Versions as Debian and RPM order them."""

import re

_PARTS = re.compile(r"(\D*)(\d*)")
_RPM_PARTS = re.compile(r"\d+|[A-Za-z]+|~|\^")


def debian_order(left: str, right: str) -> int:
    """Whether *left* is older than *right* (-1), the same (0) or newer (1), as `dpkg --compare-versions` decides.

    An epoch or revision that only one of them has is compared with 0 and the empty text.
    """
    epoch, upstream, revision = _split(left)
    other_epoch, other_upstream, other_revision = _split(right)
    numbers = _sign(int(epoch or 0), int(other_epoch or 0))
    return numbers or _texts(upstream, other_upstream) or _texts(revision or "", other_revision or "")


def rpm_order(left: str, right: str) -> int:
    """The same as RPM decides: `EPOCH:VERSION-RELEASE`."""
    epoch, upstream, revision = _split(left)
    other_epoch, other_upstream, other_revision = _split(right)
    numbers = _sign(int(epoch or 0), int(other_epoch or 0))
    return numbers or _rpm_texts(upstream, other_upstream) or _rpm_texts(revision or "", other_revision or "")


def named_part(installed: str, required: str) -> str:
    """*installed* without the epoch and the revision that *required* does not name."""
    epoch, upstream, revision = _split(installed)
    wanted_epoch, _, wanted_revision = _split(required)
    front = f"{epoch}:" if epoch is not None and wanted_epoch is not None else ""
    end = f"-{revision}" if revision is not None and wanted_revision is not None else ""
    return f"{front}{upstream}{end}"


def _split(version: str) -> tuple[str | None, str, str | None]:
    """The epoch, the version of the program, and the revision of the package."""
    front, colon, rest = version.partition(":")
    epoch = front if colon and front.isascii() and front.isdigit() else None
    if epoch is None:
        rest = version
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, None)


def _texts(left: str, right: str) -> int:
    """Parts without digits are compared as texts, and parts with digits as numbers, in turn."""
    ours, theirs = _PARTS.findall(left), _PARTS.findall(right)
    for index in range(max(len(ours), len(theirs))):
        text, digits = ours[index] if index < len(ours) else ("", "")
        other_text, other_digits = theirs[index] if index < len(theirs) else ("", "")
        found = _letters(text, other_text) or _sign(int(digits or 0), int(other_digits or 0))
        if found:
            return found
    return 0


def _letters(left: str, right: str) -> int:
    """`~` is before the end of a text, then letters, then all other characters."""
    for index in range(max(len(left), len(right))):
        found = _sign(_weight(left[index : index + 1]), _weight(right[index : index + 1]))
        if found:
            return found
    return 0


def _weight(letter: str) -> int:
    if not letter:
        return 0
    if letter == "~":
        return -1
    return ord(letter) if letter.isascii() and letter.isalpha() else ord(letter) + 256


def _rpm_texts(left: str, right: str) -> int:
    """Parts of digits or letters, with `~` before the end of a text and `^` after it; other characters separate."""
    ours, theirs = _RPM_PARTS.findall(left), _RPM_PARTS.findall(right)
    for index in range(max(len(ours), len(theirs))):
        found = _rpm_parts(*(parts[index] if index < len(parts) else "" for parts in (ours, theirs)))
        if found:
            return found
    return 0


def _rpm_parts(left: str, right: str) -> int:
    ranks = _sign(_rank(left), _rank(right))
    if ranks or not left or left in "~^":
        return ranks
    return _sign(int(left), int(right)) if left.isdigit() else (left > right) - (left < right)


def _rank(part: str) -> int:
    """`~`, the end, `^`, letters, digits."""
    if part in {"~", "", "^"}:
        return ["~", "", "^"].index(part)
    return 4 if part.isdigit() else 3


def _sign(left: int, right: int) -> int:
    return (left > right) - (left < right)
