"""An inventory for the checks of `build`: one host for each group that the release and its files name."""

import re
from collections.abc import Iterable
from pathlib import Path

from orchestrator.domain import patterns
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.names import GROUP
from orchestrator.domain.release import Release

IN_SUITES = re.compile(r"get_hosts?\(\s*['\"]([\w.-]+)['\"]|ansible://([\w.-]+)|groups\[\s*['\"]([\w.-]+)['\"]\s*\]")
IN_PLAYS = re.compile(r"^[ -]*(?:\"?hosts\"?):\s*[\"']?([^\"'#\[{\n][^\"'#\n]*)", re.MULTILINE)
NOT_GROUPS = {"all", "ungrouped", "localhost", "127.0.0.1"}


def placeholder(content: Path, release: Release) -> Inventory:
    """One host in each group that host patterns of *release*, its playbooks and its suites name."""
    found = dict.fromkeys([*_of_release(release), *_of_playbooks(content, release), *_of_suites(content, release)])
    names = [name for name in found if GROUP.match(name) and name not in NOT_GROUPS]
    hosts = {f"placeholder-{number}": {"ansible_host": "127.0.0.1"} for number, _ in enumerate(names or [""], start=1)}
    groups = {name: Group(hosts=(host,)) for name, host in zip(names, hosts, strict=False)}
    return Inventory(hosts=hosts, groups=groups)


def _of_release(release: Release) -> Iterable[str]:
    found = [*(step.hosts for step in release.playbook_steps), *(item.hosts for item in release.requirements)]
    found += [gate.hosts for gate in release.gates()]
    sides = release.blue_green
    found += [sides.blue, sides.green, *([sides.router] if sides.router else [])] if sides is not None else []
    return (name for pattern in found for name in _named(pattern))


def _of_playbooks(content: Path, release: Release) -> Iterable[str]:
    for playbook in release.playbooks():
        for pattern in IN_PLAYS.findall(_text(content / playbook)):
            yield from _named(pattern)


def _of_suites(content: Path, release: Release) -> Iterable[str]:
    for suite in release.suites():
        path = content / suite.partition("::")[0]
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            yield from (name for match in IN_SUITES.findall(_text(file)) for name in match if name)


def _named(pattern: str) -> list[str]:
    """The plain names in a host pattern."""
    try:
        return [part.name for part in patterns.parts(pattern) if not part.name.startswith("~")]
    except (ValueError, IndexError):
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
