"""What is on hosts at one moment, as a value; and what differs between two moments, by name.

A snapshot is taken without changing anything: files below the release root and in the places that
the environment's file names, installed packages, services, listening ports, and a few facts. Two of them are compared
by one pure function.
"""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field

from orchestrator.domain.model import Model, digest_of

KINDS = ("file", "package", "service", "port", "fact")
OWN_FILES = (
    ".orchestrator-release.json",
    ".orchestrator-files.json",
)  # what the collection keeps in a release's folder


class FileState(Model):
    """One file: *mode* in octal digits, *owner* as `user:group`.

    *content* is the SHA-256 of a file, or where a link leads; empty for folders, and for what cannot be read.
    """

    type: Literal["file", "folder", "link", "other"]
    mode: str
    owner: str
    content: str = ""

    def __str__(self) -> str:
        content = f" {self.content[:12]}" if self.type == "file" and self.content else ""
        content = f" to {self.content}" if self.type == "link" else content
        return f"{self.type}{content}, {self.mode} {self.owner}"


class HostSnapshot(Model):
    """What is on one host.

    *files* are named from the release root, or by their whole path outside it. *current* is the folder that `current`
    leads to, *release* the digest of the package in it, if the host reports one; *installed* is what the collection
    recorded of each file in that folder when it was put there (SHA-256, and `x` for one that can be executed).
    *packages*, *services*, *ports* and *facts* map names to their properties. *unknown* lists what could not be
    checked, one sentence each.
    """

    current: str = ""
    release: str | None = None
    files: dict[str, FileState] = Field(default_factory=dict)
    installed: dict[str, str] = Field(default_factory=dict)
    packages: dict[str, str] = Field(default_factory=dict)
    services: dict[str, str] = Field(default_factory=dict)
    ports: dict[str, str] = Field(default_factory=dict)
    facts: dict[str, str] = Field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def things(self, kind: str) -> Mapping[str, FileState | str]:
        """What there is of one of `KINDS`, by name."""
        found: dict[str, Mapping[str, FileState | str]] = {
            "file": self.files,
            "package": self.packages,
            "service": self.services,
            "port": self.ports,
            "fact": self.facts,
        }
        return found[kind]


class Snapshot(Model):
    """Every host that could be inspected. *unknown* has the reasons for the others."""

    hosts: dict[str, HostSnapshot] = Field(default_factory=dict)
    unknown: dict[str, str] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest of all of it."""
        return digest_of(self.to_json())

    @property
    def gaps(self) -> tuple[str, ...]:
        """What could not be checked, one sentence each."""
        silent = [f"{host}: {why}" for host, why in sorted(self.unknown.items())]
        return (*silent, *(f"{host}: {why}" for host, found in sorted(self.hosts.items()) for why in found.unknown))


class Difference(Model):
    """One difference on a host. *before* and *after* are null if it does not exist."""

    host: str
    kind: str
    name: str
    before: str | None
    after: str | None

    @property
    def change(self) -> str:
        """`added`, `removed` or `changed`."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    def __str__(self) -> str:
        how = f" ({self.before} → {self.after})" if self.change == "changed" else ""
        return f"{self.host}: {self.kind} {self.name} {self.change}{how}"


def ignored(patterns: Iterable[str], kind: str, name: str) -> bool:
    """Whether one of *patterns* means this thing.

    `KIND:PATTERN` is about packages, services, ports and facts; what has no such prefix is about files: with a slash
    about a whole name and all below it, without one about any part of it.
    """
    return any(_means(pattern, kind, name) for pattern in patterns)


def _means(pattern: str, kind: str, name: str) -> bool:
    head, colon, rest = pattern.partition(":")
    if colon and head in KINDS and head != "file":
        return head == kind and fnmatchcase(name, rest)
    if kind != "file":
        return False
    pattern = rest if head == "file" and colon else pattern
    if "/" in pattern.rstrip("/"):
        pattern = pattern.rstrip("/").removeprefix("./")
        return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}/*")
    return any(fnmatchcase(part, pattern.rstrip("/")) for part in name.split("/"))


def compare_snapshots(before: Snapshot, after: Snapshot, ignore: Iterable[str] = ()) -> tuple[Difference, ...]:
    """Each thing that differs between two snapshots, on the hosts that both have, by host, kind and name.

    What could not be checked in one of them is not a difference: see :func:`gaps`.
    """
    patterns = tuple(ignore)
    return tuple(
        difference
        for host in sorted(set(before.hosts) & set(after.hosts))
        for kind in KINDS
        for difference in _differences(host, kind, before.hosts[host].things(kind), after.hosts[host].things(kind))
        if not ignored(patterns, kind, difference.name)
    )


def gaps(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """What two snapshots cannot be compared in, a sentence each."""
    names = sorted(set(before.hosts) ^ set(after.hosts))
    lone = [host for host in names if host not in before.unknown and host not in after.unknown]
    found = [*before.gaps, *after.gaps, *(f"{host}: was found in one snapshot only" for host in lone)]
    return tuple(dict.fromkeys(found))


def _differences(
    host: str, kind: str, before: Mapping[str, FileState | str], after: Mapping[str, FileState | str]
) -> Iterator[Difference]:
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        was, now = _both(old, new)
        yield Difference(host=host, kind=kind, name=name, before=was, after=now)


def _both(old: FileState | str | None, new: FileState | str | None) -> tuple[str | None, str | None]:
    """What is shown of a thing before and after: of a file whose type is the same, only the properties that differ."""
    if isinstance(old, FileState) and isinstance(new, FileState) and old.type == new.type:
        parts = [(f"{_word(name, old)}{_value(old, name)}", f"{_word(name, new)}{_value(new, name)}")
                 for name in ("mode", "owner", "content") if getattr(old, name) != getattr(new, name)]  # fmt: skip
        return ", ".join(was for was, _ in parts), ", ".join(now for _, now in parts)
    return (None if old is None else str(old)), (None if new is None else str(new))


def _word(name: str, state: FileState) -> str:
    return "" if name == "content" and state.type == "link" else f"{name} "


def _value(state: FileState, name: str) -> str:
    value = str(getattr(state, name))
    return (value[:12] or "unreadable") if name == "content" and state.type == "file" else value


def tampered(host: str, found: HostSnapshot, ignore: Iterable[str] = ()) -> tuple[Difference, ...]:
    """The files of the release on *host* that are not as they were installed, by what the collection recorded of them.

    Links lead to what outlives releases, and do not count. Without a record, nothing is listed.
    """
    if not found.installed or not found.current:
        return ()
    return tuple(difference for difference in _edited(host, found) if not _is_ignored(found, difference, ignore))


def ignored_changes(host: str, found: HostSnapshot, ignore: Iterable[str]) -> tuple[str, ...]:
    """The files of the release on *host* that have changed and that *ignore* leaves out of `tampered`."""
    if not found.installed or not found.current:
        return ()
    return tuple(difference.name for difference in _edited(host, found) if _is_ignored(found, difference, ignore))


def _is_ignored(found: HostSnapshot, difference: Difference, ignore: Iterable[str]) -> bool:
    names = (difference.name, f"releases/{found.current}/{difference.name}")
    return any(ignored(tuple(ignore), "file", name) for name in names)


def _edited(host: str, found: HostSnapshot) -> Iterator[Difference]:
    """The files of the current release that are not as the collection recorded them."""
    folder = f"releases/{found.current}/"
    there = {
        name.removeprefix(folder): _as_installed(state)
        for name, state in found.files.items()
        if name.startswith(folder) and state.type == "file"
    }
    for name in OWN_FILES:
        there.pop(name, None)
    return _differences(host, "file", found.installed, there)


def _as_installed(state: FileState) -> str:
    """A file as the collection writes it down."""
    return state.content + ("x" if int(state.mode or "0", 8) & 0o100 else "")
