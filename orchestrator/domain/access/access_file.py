"""`access.yaml`: users, groups, service accounts, roles and bindings as code, and what applying it would change."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.directory import Access
from orchestrator.domain.access.principals import Binding, Group, Role, ServiceAccount, User
from orchestrator.domain.model import Model
from orchestrator.domain.text import nearest

Path = tuple[str | int, ...]
Entry = User | Group | ServiceAccount | Role | Binding


class AccessFile(Model):
    """`access.yaml`: the rights of a project as code. Absences and tokens are not part of it."""

    apiVersion: Literal["orchestrator/v1"]
    kind: Literal["Access"]
    people: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    service_accounts: tuple[ServiceAccount, ...] = ()
    roles: tuple[Role, ...] = ()
    bindings: tuple[Binding, ...] = ()

    def entries(self) -> dict[str, tuple[Entry, ...]]:
        """The entries by the section of the file."""
        return {
            "people": self.people,
            "groups": self.groups,
            "service_accounts": self.service_accounts,
            "roles": self.roles,
            "bindings": self.bindings,
        }


@dataclass(frozen=True)
class Problem:
    """Something wrong at *path* of the file, with the error *code* and a *hint*."""

    path: Path
    code: str
    message: str
    hint: str = ""


def key_of(entry: Entry) -> str:
    """What identifies an entry in its section."""
    return entry.key if isinstance(entry, Binding) else entry.name


def problems(file: AccessFile, known: Access | None = None) -> tuple[Problem, ...]:
    """Names in *file* that are twice in it, or that neither the file nor *known* (what is recorded) has."""
    return (*_repeated(file), *_unknown(file, known or Access()))


def _repeated(file: AccessFile) -> Iterator[Problem]:
    for section, entries in file.entries().items():
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if key_of(entry) in seen:
                yield Problem((section, index), "A105", f"{key_of(entry)} is in the file twice")
            seen.add(key_of(entry))
    local: set[str] = set()
    for index, user in enumerate(file.people):
        if user.local is not None and user.local in local:
            yield Problem(("people", index, "local"), "A105", f"two users have the local name {user.local}")
        local.add(user.local or "")


def _unknown(file: AccessFile, known: Access) -> Iterator[Problem]:
    users = {user.name for user in (*file.people, *known.users)}
    groups = {group.name for group in (*file.groups, *known.groups)}
    machines = {account.name for account in (*file.service_accounts, *known.service_accounts)}
    roles = {*BUILT_IN, *(role.name for role in (*file.roles, *known.roles))}
    for index, group in enumerate(file.groups):
        for at, member in enumerate(group.members):
            if member not in users:
                yield Problem(
                    ("groups", index, "members", at), "A104", f"unknown user {member}", nearest(member, sorted(users))
                )
    names = {"user": users, "group": groups, "service-account": machines}
    for index, binding in enumerate(file.bindings):
        if binding.role not in roles:
            path: Path = ("bindings", index, "role")
            yield Problem(path, "A104", f"unknown role {binding.role}", nearest(binding.role, sorted(roles)))
        kind, _, name = binding.to.partition(":")
        if name not in names.get(kind, set()):
            hint = nearest(name, sorted(names.get(kind, set())))
            yield Problem(("bindings", index, "to"), "A104", f"unknown {kind.replace('-', ' ')} {name}", hint)


@dataclass(frozen=True)
class AccessChange:
    """One difference: *operation* on the entry called *key* in *section*, with the *fields* that differ."""

    operation: Literal["add", "change", "remove", "disable"]
    section: str
    key: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        fields = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.operation} {self.section}: {self.key}{fields}"

    @property
    def is_removal(self) -> bool:
        """Whether the change takes something away that is not in the file."""
        return self.operation in {"remove", "disable"}


@dataclass(frozen=True)
class AccessDifference:
    """What applying a file changes. *removals* need `--prune`; *after* is the result, with or without them."""

    changes: tuple[AccessChange, ...]
    removals: tuple[AccessChange, ...]
    after: Access

    @property
    def is_empty(self) -> bool:
        """Whether the file and the record are the same."""
        return not self.changes and not self.removals

    def to_json(self) -> dict[str, Any]:
        """The difference as data for documents."""
        return {"changes": [str(each) for each in self.changes], "removals": [str(each) for each in self.removals]}


def difference(current: Access, file: AccessFile, *, prune: bool, at: str) -> AccessDifference:
    """What applying *file* to *current* changes; entries that the file does not have go with *prune* only.

    Users and service accounts are disabled at the moment *at* (ISO 8601) and not removed. A file never enables a user
    that is disabled in the record: `orchestrator people edit --enable` does.
    """
    before: dict[str, tuple[Entry, ...]] = {
        "people": current.users,
        "groups": current.groups,
        "service_accounts": current.service_accounts,
        "roles": current.roles,
        "bindings": current.bindings,
    }
    changes: list[AccessChange] = []
    removals: list[AccessChange] = []
    after: dict[str, tuple[Entry, ...]] = {}
    for section, entries in file.entries().items():
        old = {key_of(entry): entry for entry in before[section]}
        new = {key_of(entry): _keep_disabled(entry, old.get(key_of(entry))) for entry in entries}
        changes += _changes(section, old, new)
        removed = [entry for key, entry in old.items() if key not in new]
        removals += _removals(section, removed)
        left = [_disabled(entry, at) for entry in removed] if prune else removed
        after[section] = tuple(entry for entry in (*new.values(), *left) if entry is not None)
    fields = {**after, "users": after["people"], "absences": current.absences}
    del fields["people"]
    return AccessDifference(tuple(changes), tuple(removals), Access.model_validate(fields))


def _keep_disabled(entry: Entry, old: Entry | None) -> Entry:
    """*entry*, disabled if the record has it disabled and the file does not mention that."""
    if not isinstance(entry, User | ServiceAccount) or not isinstance(old, User | ServiceAccount):
        return entry
    if entry.disabled_at is not None or old.disabled_at is None:
        return entry
    return entry.model_copy(update={"disabled_at": old.disabled_at})


def _changes(section: str, old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Iterator[AccessChange]:
    for key, entry in new.items():
        if key not in old:
            yield AccessChange("add", section, key)
        elif entry != old[key]:
            was, now = old[key].to_json(), entry.to_json()
            yield AccessChange(
                "change", section, key, tuple(sorted(name for name in now if now[name] != was.get(name)))
            )


def _removals(section: str, removed: Iterable[Entry]) -> Iterator[AccessChange]:
    for entry in removed:
        if not isinstance(entry, User | ServiceAccount):
            yield AccessChange("remove", section, key_of(entry))
        elif entry.is_active:
            yield AccessChange("disable", section, key_of(entry))


def _disabled(entry: Entry, at: str) -> Entry | None:
    """*entry* after a removal: a user or service account is disabled, anything else is gone."""
    if isinstance(entry, User | ServiceAccount):
        return entry if not entry.is_active else type(entry).from_json({**entry.to_json(), "disabled_at": at})
    return None
