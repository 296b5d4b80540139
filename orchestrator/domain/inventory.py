"""The hosts of an environment, and which of them a host pattern means."""

import fnmatch
import re
from typing import Any

from pydantic import Field

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, digest_of


class Group(Model):
    """A group: its own hosts in order, the groups below it, and its variables."""

    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: dict[str, Any] = Field(default_factory=dict)


class Inventory(Model):
    """Hosts with their variables, and groups. *files* are the user's own sources, absolute paths, merged by Ansible.

    *said* is the digest of all that Ansible reads from the *files* and from the group and host variables beside them:
    these stay where they are, since some are secret, and a change of any of them is still a change of this inventory.
    The variables come from the operator's own program and files and may hold templates; nothing that comes
    from a release package is ever put here.
    """

    hosts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    groups: dict[str, Group] = Field(default_factory=dict)
    files: tuple[str, ...] = ()
    said: str | None = None

    @property
    def digest(self) -> str:
        """The digest over hosts, groups, variables and what the files say; else over where they are.

        On another machine the same files lie elsewhere, and a run that it takes over is still about the same hosts.
        """
        data = self.to_json()
        return digest_of({**data, "files": len(self.files)} if self.said is not None else data)

    def outline(self) -> "Inventory":
        """The same hosts and groups without any variable: what may be shown and kept."""
        groups = {name: group.model_copy(update={"vars": {}}) for name, group in self.groups.items()}
        return Inventory(hosts={host: {} for host in self.hosts}, groups=groups, files=self.files)

    def members(self, group: str) -> list[str]:
        """The hosts of *group* and of the groups below it, in order, each once; `all` means every host."""
        if group == "all":
            return list(self.hosts)
        if group == "ungrouped":
            grouped = {host for name in self.groups for host in self.groups[name].hosts}
            return [host for host in self.hosts if host not in grouped]
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = [group]
        while waiting:
            name = waiting.pop(0)
            if name in seen or name not in self.groups:
                continue
            seen.add(name)
            found.update(dict.fromkeys(self.groups[name].hosts))
            waiting.extend(self.groups[name].children)
        return list(found)

    def select(self, pattern: str) -> list[str]:
        """The hosts that an Ansible host pattern means, each once, in the order in which its parts name them.

        Groups, hosts, `*` and `?`, subscripts (`db[0]`, `db[-1]`, `db[1:2]`), unions (`:` or `,`),
        `&` for intersection and `!` for exclusion, with the meaning that Ansible gives them. Raises D101
        when a part names neither a group nor a host.
        """
        parts = [part.strip() for part in re.split(r"[:,](?![^\[]*\])", pattern) if part.strip()]
        wanted: dict[str, None] = {}
        plain = [part for part in parts if part[0] not in "!&"]
        for part in plain or ["all"]:
            wanted.update(dict.fromkeys(self._part(part)))
        for part in (part for part in parts if part[0] == "&"):
            keep = set(self._part(part[1:]))
            wanted = {host: None for host in wanted if host in keep}
        for part in (part for part in parts if part[0] == "!"):
            drop = set(self._part(part[1:]))
            wanted = {host: None for host in wanted if host not in drop}
        return list(wanted)

    def _part(self, part: str) -> list[str]:
        name, bounds = _subscript(part)
        if name in {"all", "*", "ungrouped"} or name in self.groups:
            found = self.members("all" if name == "*" else name)
        elif name in self.hosts:
            found = [name]
        else:
            groups = [group for group in self.groups if fnmatch.fnmatchcase(group, name)]
            found = [host for group in groups for host in self.members(group)]
            found += [host for host in self.hosts if fnmatch.fnmatchcase(host, name)]
            found = list(dict.fromkeys(found))
            if not found and not groups:
                raise OrchestratorError("D101", f"no host or group matches {name!r}")
        if bounds is None:
            return found
        first, last = bounds
        if last is None:
            return [found[first]] if -len(found) <= first < len(found) else []
        stop = None if last == -1 else last + 1
        return found[first:stop]


def _subscript(part: str) -> tuple[str, tuple[int, int | None] | None]:
    match = re.match(r"^(.+)\[(-?\d+)?(?:([:-])(-?\d+)?)?\]\Z", part)
    if not match:
        return part, None
    first = int(match[2] or 0)
    if match[3] is None:
        return match[1], (first, None)
    return match[1], (first, int(match[4]) if match[4] else -1)


def batches(hosts: list[str], sizes: tuple[int | str, ...]) -> list[list[str]]:
    """*hosts* cut into batches of *sizes*, with the meaning of Ansible's `serial`.

    A share is of all *hosts*, rounded down but at least 1; the last size repeats until no host is left.
    """
    cut: list[list[str]] = []
    rest = list(hosts)
    index = 0
    while rest:
        size = sizes[min(index, len(sizes) - 1)]
        count = max(1, len(hosts) * int(size[:-1]) // 100) if isinstance(size, str) else size
        cut.append(rest[:count])
        rest = rest[count:]
        index += 1
    return cut
