"""The hosts of an environment, and which of them a host pattern means."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import Field, PrivateAttr, field_serializer

from orchestrator.domain import patterns
from orchestrator.domain.configuration import is_same_file
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, digest_of
from orchestrator.domain.stored_words import INVENTORY


class Group(Model):
    """A group: its own hosts in order, the groups below it, and its variables."""

    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: dict[str, Any] = Field(default_factory=dict)


class Inventory(Model):
    """Hosts with their variables, and groups. *files* are the user's own sources, merged by Ansible.

    In the process that reads them they are absolute paths. In documents, and for digests, they are as the environment's
    file has them: relative to the project, because each machine keeps it in another folder.
    *source_digest* is the digest of everything that Ansible reads from the *files* and from the group and host
    variables beside them. These stay in place, because some are secret. Each change of them changes this inventory.
    The variables come from the outputs of the operator's own program, and therefore from a cloud. Unless *templates*
    is set, a template in them is text. Content of a release package is never part of it. The listing and the overlay
    stay in this process.
    """

    hosts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    groups: dict[str, Group] = Field(default_factory=dict)
    files: tuple[str, ...] = ()
    source_digest: str | None = None
    templates: bool = Field(default=False, exclude_if=lambda evaluated: not evaluated)
    _listing: dict[str, Any] | None = PrivateAttr(default=None)
    _overlay: "Inventory | None" = PrivateAttr(default=None)
    _written: tuple[str, ...] = PrivateAttr(default=())

    @field_serializer("files")
    def _files_as_written(self, files: tuple[str, ...]) -> tuple[str, ...]:
        return self._written or files

    def with_files(self, files: tuple[str, ...], written: tuple[str, ...]) -> "Inventory":
        """This inventory with the *files*, absolute paths, which documents have as they are *written*."""
        copy = self.model_copy(update={"files": files})
        copy._written = written  # noqa: SLF001
        return copy

    def with_files_of(self, other: "Inventory") -> "Inventory":
        """This inventory with the files of *other*."""
        return self.with_files(other.files, other._written)  # noqa: SLF001

    def in_form_of(self, earlier: "Inventory | None") -> "Inventory":
        """This inventory as *earlier* has it in a document, if that differs only in the folder of the files.

        Plans of earlier versions have the absolute paths of the machine that made them, and their digests cover these.
        """
        own = self._written or self.files
        known = (earlier._written or earlier.files) if earlier is not None else ()  # noqa: SLF001
        same = len(own) == len(known) and all(map(is_same_file, known, own))
        return self.with_files(self.files, known) if same and known else self

    @property
    def listing(self) -> dict[str, Any] | None:
        """The output of `ansible-inventory --list` for it; None if Ansible did not list it."""
        return self._listing

    @property
    def overlay(self) -> "Inventory":
        """The inventory without the content of the *files*."""
        return self._overlay or self

    def listed(self, listing: dict[str, Any], overlay: "Inventory | None" = None) -> "Inventory":
        """This inventory with Ansible's *listing* of it, and the *overlay*: the inventory without the files."""
        copy = self.model_copy()
        copy._listing, copy._overlay = listing, overlay  # noqa: SLF001
        return copy

    @property
    def digest(self) -> str:
        """The digest over hosts, groups, variables and the content of the files; without it, over their names.

        On another machine the same files are in another folder, and a run that it takes over is about the same hosts.
        The digest covers the earlier names of the fields, so that it is the same in plans of every form.
        """
        data = INVENTORY.write(self.to_json())
        return digest_of({**data, "files": len(self.files)} if self.source_digest is not None else data)

    def hosts_only(self) -> "Inventory":
        """The same hosts and groups without any variable: what may be shown and kept."""
        groups = {name: group.model_copy(update={"vars": {}}) for name, group in self.groups.items()}
        return Inventory(hosts={host: {} for host in self.hosts}, groups=groups).with_files_of(self)

    def members(self, group: str) -> list[str]:
        """The hosts of *group* and of the groups below it, in order, each once; `all` means every host."""
        if group == "all":
            return list(self.hosts)
        if group == "ungrouped":
            own = (group for name, group in self.groups.items() if name not in {"all", "ungrouped"})
            grouped = {host for group in own for host in group.hosts}
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
        """The hosts that an Ansible host pattern means, each once, in Ansible's order.

        Names, wildcards, regular expressions (`~web[0-9]`), subscripts (`db[0]`, `db[-1]`, `db[1:2]`), unions (`:` or
        `,`), `&` for intersection and `!` for exclusion, with the meaning that Ansible gives them. Raises D101 when a
        part names neither a group nor a host, or its subscript none of its hosts.
        """
        try:
            return patterns.select(pattern, self.hosts, self._members())
        except (LookupError, ValueError) as error:
            raise OrchestratorError("D101", str(error)) from error

    def matching(self, pattern: str) -> list[str]:
        """As :meth:`select`, for the `hosts:` of a play: parts that mean nothing are left out, as Ansible does it."""
        try:
            return patterns.select(pattern, self.hosts, self._members(), strict=False)
        except ValueError:
            return []

    def _members(self) -> dict[str, Callable[[], list[str]]]:
        names = dict.fromkeys(["all", "ungrouped", *self.groups])
        return {name: partial(self.members, name) for name in names}


def batches(hosts: list[str], sizes: tuple[int | str, ...], of: int | None = None) -> list[list[str]]:
    """*hosts* cut into batches of *sizes*, with the meaning of Ansible's `serial`.

    A share is of the number *of* (default: all *hosts*), rounded down but at least 1; the last size repeats until no
    host is left.
    """
    cut: list[list[str]] = []
    rest = list(hosts)
    index = 0
    while rest:
        size = sizes[min(index, len(sizes) - 1)]
        count = max(1, (of or len(hosts)) * int(size[:-1]) // 100) if isinstance(size, str) else size
        cut.append(rest[:count])
        rest = rest[count:]
        index += 1
    return cut


def ordered(hosts: list[str], order: str, seed: str = "") -> list[str]:
    """*hosts* in the *order* `inventory` (as they are), `reverse`, `sorted` or `shuffled`: alike for one *seed*."""
    if order == "reverse":
        return hosts[::-1]
    if order == "sorted":
        return sorted(hosts, key=_by_number)
    if order == "shuffled":
        return sorted(hosts, key=lambda host: hashlib.sha256(f"{seed}:{host}".encode()).hexdigest())
    return list(hosts)


def _by_number(host: str) -> tuple[list[tuple[bool, int, str]], str]:
    """What hosts are sorted by: `web9` comes before `web10`."""
    parts = re.findall(r"[0-9]+|[^0-9]+", host)
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts], host


def canaries(inventory: Inventory, hosts: list[str], wanted: int | str) -> list[str]:
    """Those of *hosts* that go first: so many, such a share of them, or those that a host pattern means.

    Raises R170 when the pattern means none of them.
    """
    if isinstance(wanted, int):
        return hosts[:wanted]
    if wanted.endswith("%"):
        return hosts[: max(1, len(hosts) * int(wanted[:-1]) // 100)]
    try:
        meant = set(inventory.select(wanted))
    except OrchestratorError as error:
        raise OrchestratorError("R170", f"there is no canary: {error.message}") from error
    found = [host for host in hosts if host in meant]
    if hosts and not found:
        raise OrchestratorError("R170", f"there is no canary: {wanted!r} selects none of {', '.join(hosts)}")
    return found


def variables_of(inventory: Inventory, host: str) -> dict[str, Any]:
    """The variables of *host*, as Ansible lists them; without a listing those of all hosts and its own."""
    if inventory.listing is not None:
        found = dict(inventory.listing["_meta"]["hostvars"].get(host, {}))
    else:
        found = dict(inventory.groups["all"].vars) if "all" in inventory.groups else {}
        found |= inventory.hosts.get(host, {})
    return {"inventory_hostname": host, "ansible_host": host, **found}
