"""Symbolic links in an area of a package: where they lead, and which of them may be packed."""

import unicodedata
from collections.abc import Mapping

MAX_LINK = 100  # bytes: what one header of the archive holds
MAX_HOPS = 40
CONTROL = {"Cc", "Cs", "Cn", "Zl", "Zp"}


def objection(link: str) -> str | None:
    """Why a link with the target *link* cannot be packed, whatever it leads to; None if it can."""
    try:
        size = len(link.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if link.startswith("/"):
        return "is absolute"
    if not 0 < size <= MAX_LINK:
        return f"is empty or longer than {MAX_LINK} bytes"
    if "\\" in link or any(unicodedata.category(char) in CONTROL for char in link):
        return "has a backslash or a control character"
    return None


def target(path: str, links: Mapping[str, str]) -> str | None:
    """The path to which the name *path* leads through *links*, each by its path; `.` is the area itself.

    None if it leaves the area, or leads round in a circle. Whether anything is at the result is not checked.
    """
    found: list[str] = []
    waiting, hops = path.split("/"), 0
    while waiting:
        part = waiting.pop(0)
        if part == "..":
            if not found:
                return None
            found.pop()
        elif part not in ("", "."):
            found.append(part)
            link = links.get("/".join(found))
            if link is not None:
                hops += 1
                if hops > MAX_HOPS or link.startswith("/"):
                    return None
                found.pop()
                waiting = [*link.split("/"), *waiting]
    return "/".join(found) or "."
