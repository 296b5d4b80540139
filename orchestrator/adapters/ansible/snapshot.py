"""The snapshot of a host: a script for a POSIX shell prints it in one round trip.

The script needs nothing of ours on the host, and no Python. It uses the host's own `find`, `stat` and a SHA-256 program
for files, `dpkg`, `rpm` or `apk` for packages, systemd for services, `/proc/net` for ports. What the host does not have
is left out if it has no meaning (a host without systemd has no services of it), and reported as unknown otherwise.

Hosts that share a machine (loopback hosts) carry a mark in the environment of all their processes. There, only ports
of marked processes are the host's own, and the machine's packages, services, users, groups and mounts are not.
"""

import ipaddress
import re
import shlex
from collections.abc import Iterable
from typing import Literal

from orchestrator.domain.environment import SnapshotRule
from orchestrator.domain.host_answer import Fault, answer_lines, current_release, read_object, shown
from orchestrator.domain.names import HOST_MARK
from orchestrator.domain.snapshot import FileState, HostSnapshot, ignored
from orchestrator.domain.text import clean_text

INVALID = "D185"
LIMIT = 64 << 20  # bytes of one host's answer
LINE = 4 << 20  # characters of one line of it: what the collection wrote down of every file of a release is one line
MOST = 1_000_000  # lines of one answer
SENTENCES = 100  # sentences about what could not be read
LONGEST = 200  # characters of the owner of a file
MODE = re.compile(r"[0-7]{1,6}")
SOCKET = re.compile(r"([0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}):([0-9A-Fa-f]{4})")
TIMEOUT = 900.0
SHARED = ("shared", ".ansible", ".orchestrator", ".orchestrator-release")
"""Below the release root: what outlives releases, and what Ansible and we keep for ourselves."""
NEVER = ("__pycache__",)
"""Anywhere: what programs make for themselves when they run."""
_LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
_Type = Literal["file", "folder", "link", "other"]
_TYPES: tuple[tuple[str, _Type], ...] = (("regular", "file"), ("directory", "folder"), ("symbolic link", "link"))

_SCRIPT = r"""
LC_ALL=C; export LC_ALL; exec 2>/dev/null </dev/null
root=@ROOT@
if test -d "$root"; then here=$(readlink "$root/current"); here=${here%/}
else here=; echo "@no there is no release root $root"; fi
echo "@link $here"
echo "@state $(tr -d '\n' < "$root/.orchestrator/state.json")"
echo "@linked $(tr -d '\n' < "$root/current/.orchestrator-release.json")"
echo "@installed $(tr -d '\n' < "$root/current/.orchestrator-files.json")"
if stat -c %a / >/dev/null; then how=-c; what='@f %F|%a|%U:%G|%n'
elif stat -f %Lp / >/dev/null; then how=-f; what='@f %HT|%Lp|%Su:%Sg|%N'
else how=; fi
if command -v sha256sum >/dev/null; then sum() { find "$@" -type f -exec sha256sum -b '{}' +; }
elif command -v shasum >/dev/null; then sum() { find "$@" -type f -exec shasum -b -a 256 '{}' +; }
else sum() { echo; }; echo "@no there is no program for SHA-256"; fi
list() {
  find "$@" -exec stat $how "$what" '{}' +
  find "$@" -type l -exec sh -c 'for f do printf "@l %s|%s\n" "$f" "$(readlink "$f")"; done' sh '{}' +
  sum "$@" | sed 's/^/@d /'
}
if test -z "$how"; then echo "@no there is no stat"; else
set -- @PRUNE@
for one in @PLACES@; do
  if test -e "$one"; then list "$one" -xdev '(' "$@" ')' -prune -o; else echo "@absent $one"; fi
done
if cd "$root"; then
  set -- "$@" @OWN@
  for one in releases/*; do
    test "$one" = "$here" || ! test -f "$one/.orchestrator-release.json" || set -- "$@" -o -path "./$one"
  done
  list . -xdev '(' "$@" ')' -prune -o
fi; fi
known=$(tr -d '\n' < "$root/.orchestrator/service.json")
if test -n "$known"; then
  pid=$(echo "$known" | sed 's/.*"pid": *\([0-9]*\).*/\1/')
  start=$(echo "$known" | sed 's/.*"start": *"\([^"]*\)".*/\1/')
  if test -r "/proc/$pid/stat"; then now=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f20)
  else now=$(ps -o lstart= -p "$pid" | sed 's/ *$//'); fi
  if test -n "$now" && test "$now" = "$start"; then echo "@s release running"; else echo "@s release stopped"; fi
fi
if test -r /proc/net/tcp; then
  for kind in tcp tcp6 udp udp6; do awk -v kind=$kind 'NR > 1 { print "@n", kind, $2, $4, $10 }' /proc/net/$kind; done
else echo "@no ports cannot be asked without /proc/net"; fi
echo "@fact system $(uname -s)"
echo "@fact architecture $(uname -m)"
echo "@fact distribution $(. /etc/os-release && echo "$ID $VERSION_ID")"
echo "@fact cpus $(getconf _NPROCESSORS_ONLN)"
echo "@fact memory $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB"
for one in @SYSCTL@; do echo "@fact sysctl:$one $(sysctl -n "$one" || cat "/proc/sys/$(echo "$one" | tr . /)")"; done
if test -n "$@MARK@"; then
  echo "@mine"
  for file in $(grep -lsF "@MARK@=$@MARK@" /proc/[0-9]*/environ); do
    tr '\0' '\n' < "$file" | grep -qxF "@MARK@=$@MARK@" &&
      ls -l "${file%/environ}/fd" | sed -n 's/.*socket:\[\([0-9]*\)\].*/@i \1/p'
  done
else
  if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f '@p ${db:Status-Abbrev} ${Package}:${Architecture} ${Version}\n' || echo "@no dpkg does not answer"
  elif command -v rpm >/dev/null; then
    rpm -qa --qf '@p ii %{NAME}.%{ARCH} %{VERSION}-%{RELEASE}\n' || echo "@no rpm does not answer"
  elif command -v apk >/dev/null; then
    apk info -v | sed 's/^\(.*\)-\([^-]*-r[0-9]*\)$/@p ii \1 \2/' || echo "@no apk does not answer"
  fi
  if test -d /run/systemd/system; then
    systemctl list-units --type=service --state=running --plain --no-legend --no-pager |
      awk '{ print "@s", $1, "running" }' || echo "@no systemd does not answer"
    systemctl list-unit-files --type=service --no-legend --no-pager | awk '$2 ~ /^enabled/ { print "@s", $1, $2 }'
  fi
  awk -F: '{ print "@fact user:" $1, $3 ":" $4 ":" $6 ":" $7 }' /etc/passwd
  awk -F: '{ print "@fact group:" $1, $3 ":" $4 }' /etc/group
  awk '$1 ~ /^\// || $3 ~ /^(nfs|cifs)/ { print "@fact mount:" $2, $1, $3 }' /proc/mounts
fi
echo "@end"
"""


ROOT = "{{ (orchestrator_root | default(release_root) | default(host_root) | default('/nowhere')) | quote }}"


def script(rule: SnapshotRule) -> str:
    """The script, in which the path of the release root is a template with the host's variables."""
    never = [word for name in NEVER for word in ("-o", "-name", name)]
    never += [word for pattern in rule.ignore for word in _prune(pattern)]
    own = [f"./{name}" for name in SHARED] + ["./releases/.incoming-*", "./.current-*"]
    words = {
        "@ROOT@": ROOT,
        "@PRUNE@": shlex.join(["-name", "*\n*", *never]),
        "@OWN@": shlex.join(word for path in own for word in ("-o", "-path", path)),
        "@PLACES@": shlex.join(rule.files),
        "@SYSCTL@": shlex.join(rule.sysctl),
        "@MARK@": HOST_MARK,
    }
    text = _SCRIPT
    for name, value in words.items():
        text = text.replace(name, value)
    return text


def _prune(pattern: str) -> tuple[str, ...]:
    """The words that keep `find` out of ignored folders. Other paths that *pattern* ignores are left out afterwards."""
    head, colon, rest = pattern.partition(":")
    if colon and head in {"package", "service", "port", "fact"}:
        return ()
    pattern = (rest if head == "file" and colon else pattern).rstrip("/")
    if "/" not in pattern:
        return ("-o", "-name", pattern)
    return ("-o", "-path", pattern if pattern.startswith("/") else f"./{pattern.removeprefix('./')}")


def parse_snapshot(answer: str, rule: SnapshotRule) -> HostSnapshot | str:
    """The content of a host's *answer* to the script, or why it has none: it ends early, or is not valid."""
    lines = answer_lines(answer, LINE, MOST)
    if "end" not in lines:
        return "its answer ends early"
    link = _first(lines, "link")
    current = link.rsplit("/", 1)[-1] if link.startswith("releases/") else ""
    release = current_release(_first(lines, "state"), link if current else "", _first(lines, "linked"))
    if isinstance(release, Fault):
        return str(release)
    invalid = list[str]()
    return HostSnapshot(
        current=current,
        release=release,
        files=_files(lines, rule.ignore, invalid),
        installed={name: str(was) for name, was in sorted(read_object(_first(lines, "installed"), LINE).items())},
        packages=_packages(lines.get("p", ())),
        services=_services(lines.get("s", ())),
        ports=_ports(lines.get("n", ()), set(lines.get("i", ())) if "mine" in lines else None, invalid),
        facts=_pairs(lines.get("fact", ())),
        unknown=tuple(
            clean_text(text, 500) for text in dict.fromkeys([*lines.get("no", ())[:SENTENCES], *invalid[:SENTENCES]])
        ),
    )


def _first(lines: dict[str, list[str]], word: str) -> str:
    return (lines.get(word) or [""])[0]


def _files(lines: dict[str, list[str]], ignore: Iterable[str], invalid: list[str]) -> dict[str, FileState]:
    """The files by name. What is *invalid* is added to that list, in a sentence."""
    digests = dict(_summed(line) for line in lines.get("d", ()) if len(line) > 66)
    links = {name: where for line in lines.get("l", ()) for name, _, where in [line.rpartition("|")]}
    patterns, found = tuple(ignore), {}
    for line in lines.get("f", ()):
        parts = line.split("|", 3)
        name = _plain(parts[-1])
        if len(parts) < 4 or name in {"", "."} or ignored(patterns, "file", name):
            continue
        if not MODE.fullmatch(parts[1]):
            invalid.append(f"its list of files is not valid: {shown(line)} ({INVALID})")
            continue
        words = parts[0].lower()
        kind: _Type = next((type_ for beginning, type_ in _TYPES if words.startswith(beginning)), "other")
        content = digests.get(parts[3], "") if kind == "file" else links.get(parts[3], "") if kind == "link" else ""
        found[name] = FileState(type=kind, mode=parts[1].zfill(4), owner=parts[2][:LONGEST], content=content)
    return dict(sorted(found.items()))


def _summed(line: str) -> tuple[str, str]:
    """A file's name and its SHA-256, as `sha256sum` writes them; a name with a backslash in it is written with two."""
    escaped = line.startswith("\\")
    digest, name = line[escaped:][:64], line[escaped:][66:]
    return (name.replace("\\\\", "\\") if escaped else name), digest


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _packages(lines: Iterable[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        status, _, rest = line.strip().partition(" ")
        name, _, version = rest.strip().partition(" ")
        if status.startswith("ii") and name:
            found[name] = version
    return dict(sorted(found.items()))


def _services(lines: Iterable[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _, state = line.partition(" ")
        found.setdefault(name.removesuffix(".service"), []).append(state)
    return {name: ", ".join(sorted(set(states))) for name, states in sorted(found.items())}


def _ports(lines: Iterable[str], mine: set[str] | None, invalid: list[str]) -> dict[str, str]:
    """Listening sockets by `tcp/ADDRESS:PORT`; of those that are *mine* by their numbers, where that matters.

    What is *invalid* is added to that list, in a sentence each.
    """
    found = {}
    for line in lines:
        parts = line.split()
        if len(parts) == 4 and _LISTENS.get(parts[0]) == parts[2] and (mine is None or parts[3] in mine):
            socket = SOCKET.fullmatch(parts[1])
            if socket is None:
                invalid.append(f"its list of ports is not valid: {shown(parts[1])} ({INVALID})")
                continue
            found[f"{parts[0].rstrip('6')}/{_address(socket[1])}:{int(socket[2], 16)}"] = "listening"
    return dict(sorted(found.items()))


def _address(text: str) -> str:
    """An address as the kernel writes it: 32 bits at a time, in the order of the machine (little-endian ones only)."""
    packed = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    address = ipaddress.ip_address(packed)
    return f"[{address}]" if address.version == 6 else str(address)


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition(" ")[::2] for line in lines)
    return {name: " ".join(value.split()) for name, value in sorted(pairs) if value.strip() not in {"", "MiB"}}
