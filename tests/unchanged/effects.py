"""What a way of doing it left behind: every file of every host, with modes, and without what always differs."""

import json
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.hosts.loopback import Host

OURS = {".ansible", ".orchestrator-release", ".orchestrator", ".ssh", ".cache"}
NOT_OF_PLAYS = {".git", "__pycache__", ".pytest_cache"}
ALWAYS = (
    (re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<TIME>"),
    (re.compile(r"\b\d+:\d\d:\d\d\.\d{6}\b"), "<DURATION>"),
    (re.compile(r"\bpid[ =:]\d+\b"), "pid <PID>"),
    (re.compile(r"/tmp/ansible[^\s\"']*"), "<TEMPORARY>"),
)  # fmt: skip
LOG_LINE = re.compile(r"[\d-]+ [\d:,]+ p=\d+ u=\S+ n=\S+ ")
VARIABLES = "variables.json"
PAYLOAD = "__payload__"
OUR_VARIABLES = re.compile(r"^orchestrator_|^ansible_|^(hostvars|omit|vars|environment)$")


def normalise(text: str, places: Iterable[tuple[str, str]]) -> str:
    """*text* with *places* by their names, and without process numbers, times and temporary paths."""
    for place, name in sorted(places, key=lambda pair: -len(pair[0])):
        text = text.replace(place, name)
    for pattern, name in ALWAYS:
        text = pattern.sub(name, text)
    return text


def of_hosts(hosts: Mapping[str, Host], places: list[tuple[str, str]]) -> dict[str, str]:
    """Every file of *hosts*: `HOST:PATH` with its kind, mode and content, and each variable that was recorded."""
    found: dict[str, str] = {}
    for name, host in hosts.items():
        root = Path(host.root)
        for path in sorted(root.rglob("*")):
            parts = path.relative_to(root).parts
            if not OURS & set(parts):
                found |= _of_file(f"{name}:{'/'.join(parts)}", path, places)
    return found


def files_of(root: Path) -> dict[str, str]:
    """Every ordinary file of the project in *root*, but for what Git, Python and the product keep there."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not path.is_symlink() and not (OURS | NOT_OF_PLAYS) & set(parts):
            found["/".join(parts)] = path.read_bytes().decode("utf-8", "surrogateescape")
    return found


def of_controller(written: Mapping[str, str], places: list[tuple[str, str]]) -> dict[str, str]:
    """The files that playbooks have *written* on the controller; of variables and facts, those that are compared."""
    return {
        normalise(f"controller:{name}", places): normalise(_log(_facts(text)), places) for name, text in written.items()
    }


def _log(text: str) -> str:
    """The lines of a log of Ansible in no order, as hosts are not in one, without the recap and the plays of ours."""
    if not LOG_LINE.match(text):
        return text
    lines, ours = [], False
    for line in text.splitlines():
        if "| PLAY " in line:
            ours = "| PLAY RECAP " in line or "| PLAY [Orchestrator: " in line
        lines += [] if ours else [LOG_LINE.sub("", line)]
    return "\n".join(sorted(lines))


def _facts(text: str) -> str:
    """The variables of *text* that are compared, if it is a document of variables or facts; else *text*."""
    try:
        values = json.loads(text)
    except ValueError:
        return text
    if not isinstance(values, dict):
        return text
    if set(values) == {PAYLOAD}:  # a fact cache of newer versions of Ansible: a document in a document
        return _facts(str(values[PAYLOAD]))
    return json.dumps({name: value for name, value in values.items() if not OUR_VARIABLES.match(name)}, sort_keys=True)


def _of_file(key: str, path: Path, places: list[tuple[str, str]]) -> dict[str, str]:
    """One file, link or folder."""
    if path.is_symlink():
        return {key: f"link to {normalise(str(path.readlink()), places)}"}
    mode = oct(stat.S_IMODE(path.stat().st_mode))
    if path.is_dir():
        return {key: f"folder {mode}"}
    if not path.is_file():
        return {key: f"neither file nor folder {mode}"}
    text = normalise(path.read_bytes().decode("utf-8", "surrogateescape"), places)
    if path.name != VARIABLES:
        return {key: f"file {mode}\n{text}"}
    values: dict[str, Any] = json.loads(text)
    mine = {name: value for name, value in values.items() if not OUR_VARIABLES.match(name)}
    return {key: f"file {mode}"} | {f"{key}#{name}": json.dumps(value, sort_keys=True) for name, value in mine.items()}
