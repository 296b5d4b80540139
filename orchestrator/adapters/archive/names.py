"""The names that a package may contain: those that mean one file, and the same file, everywhere."""

import os
import unicodedata

from orchestrator.domain.errors import OrchestratorError

MAX_NAME = 240
MAX_PART = 200
REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, invisible, private and not (yet) assigned characters


def on_disk(name: str) -> str:
    """*name*, as the file system gave it, in the UTF-8 that its bytes are. Raises P203 when they are not UTF-8.

    Which characters Python sees depends on the locale; which bytes the file system holds does not.
    """
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise OrchestratorError("P203", f"the name {name!r} is not UTF-8") from error


def check_name(name: str) -> str:
    """*name*, when it is canonical. Raises P203, with the reason.

    Relative, `/` between its parts, no empty part, `.` or `..`, no backslash, colon at the second place, control
    character or leading dash, Unicode NFC, short enough for every file system.
    """
    reason = _fault_of_parts(name) or _fault_of_letters(name)
    if reason:
        raise OrchestratorError("P203", f"the name {name!r} {reason}")
    return name


def _fault_of_parts(name: str) -> str:
    """What is wrong with *name* as a path; empty if nothing is."""
    parts = name.split("/")
    if not name or _length(name) > MAX_NAME or any(_length(part) > MAX_PART for part in parts):
        return "is empty or too long"
    if name.startswith("/") or not {"", ".", ".."}.isdisjoint(parts):
        return "is not a plain relative path"
    if "\\" in name or name[1:2] == ":":
        return "could mean another place on other systems"
    return "has a part that starts with a dash" if any(part.startswith("-") for part in parts) else ""


def _fault_of_letters(name: str) -> str:
    """What is wrong with the characters of *name*; empty if nothing is."""
    if any(unicodedata.category(char) in REFUSED for char in name):
        return "has control characters"
    return "is not in Unicode's composed form (NFC)" if unicodedata.normalize("NFC", name) != name else ""


def _length(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def check_together(names: list[str]) -> None:
    """No two of *names* may be one file on some system, and no file may be another's folder. Raises P204."""
    files: dict[str, str] = {}
    for name in names:
        folded = fold(name)
        if folded in files:
            raise OrchestratorError("P204", f"{name!r} and {files[folded]!r} would be one file on some systems")
        files[folded] = name
    folders: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        for count in range(1, len(parts)):
            folder = "/".join(parts[:count])
            folded = fold(folder)
            if folded in files:
                raise OrchestratorError("P204", f"{files[folded]!r} is a file, and the folder of {name!r}")
            if folders.setdefault(folded, folder) != folder:
                raise OrchestratorError(
                    "P204", f"{folder!r} and {folders[folded]!r} would be one folder on some systems"
                )


def fold(name: str) -> str:
    """*name* as a system sees it that ignores case and composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
