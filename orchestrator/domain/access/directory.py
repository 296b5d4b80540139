"""All that access is decided by, as one value: users, groups, service accounts, absences, roles and bindings."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from orchestrator.domain.access.actions import BUILT_IN, Action
from orchestrator.domain.access.principals import (
    Absence,
    Binding,
    Group,
    Role,
    ServiceAccount,
    User,
)
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Now


class Access(Model):
    """The users and rights of a project, as recorded."""

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    service_accounts: tuple[ServiceAccount, ...] = ()
    roles: tuple[Role, ...] = ()
    bindings: tuple[Binding, ...] = ()
    absences: tuple[Absence, ...] = ()


@dataclass(frozen=True)
class Directory:
    """An `Access` with its names resolved."""

    access: Access

    @cached_property
    def users(self) -> dict[str, User]:
        """The users by name."""
        return {user.name: user for user in self.access.users}

    @cached_property
    def service_accounts(self) -> dict[str, ServiceAccount]:
        """The service accounts by name."""
        return {account.name: account for account in self.access.service_accounts}

    @cached_property
    def roles(self) -> dict[str, frozenset[Action]]:
        """The actions of every role, built in or own, by name."""
        return {**{role.name: frozenset(role.actions) for role in self.access.roles}, **BUILT_IN}

    @cached_property
    def groups_of(self) -> dict[str, tuple[str, ...]]:
        """The names of the groups that each user is a member of, by user."""
        found: dict[str, list[str]] = {}
        for group in self.access.groups:
            for member in group.members:
                found.setdefault(member, []).append(group.name)
        return {user: tuple(sorted(names)) for user, names in found.items()}

    def user_of(self, local: str) -> User | None:
        """The user with this name on the machine: by `local`, otherwise by name."""
        by_local = next((user for user in self.access.users if user.local == local), None)
        named = self.users.get(local)
        return by_local or (named if named is not None and named.local is None else None)

    def principals_of(self, kind: str, name: str) -> tuple[str, ...]:
        """What bindings may name the actor by: itself, and its groups if it is a user."""
        groups = self.groups_of.get(name, ()) if kind == "user" else ()
        return (f"{kind}:{name}", *(f"group:{group}" for group in groups))

    @cached_property
    def _bindings_to(self) -> dict[str, list[int]]:
        """The places of the bindings of each principal."""
        found: dict[str, list[int]] = {}
        for place, binding in enumerate(self.access.bindings):
            found.setdefault(binding.to, []).append(place)
        return found

    @cached_property
    def _bindings_of(self) -> dict[tuple[str, str], tuple[Binding, ...]]:
        """The bindings of each user that were needed before."""
        return {}

    def bindings_of(self, kind: str, name: str) -> tuple[Binding, ...]:
        """Every binding of the actor, directly or by a group, whether or not it has ended."""
        known = self._bindings_of.get((kind, name))
        if known is None:
            found = {place for to in self.principals_of(kind, name) for place in self._bindings_to.get(to, ())}
            known = tuple(self.access.bindings[place] for place in sorted(found))
            if kind == "user" and name in self.users:  # the number of other names has no limit
                self._bindings_of[kind, name] = known
        return known

    def users_of(self, principal: str) -> tuple[str, ...]:
        """The names of the users that a binding to *principal* is for."""
        kind, _, name = principal.partition(":")
        if kind == "group":
            return next((group.members for group in self.access.groups if group.name == name), ())
        return (name,) if kind == "user" else ()

    def roles_in(self, user: str, environment: str | None, project: str, now: Now) -> frozenset[str]:
        """The roles of *user* in *environment* of *project*; None: in any of its environments."""
        return frozenset(
            binding.role
            for binding in self.bindings_of("user", user)
            if binding.project in {"*", project}
            and (environment is None or binding.applies_to(environment))
            and not binding.is_over(now)
        )

    def deputised_by(self, deputy: str, now: Now) -> tuple[str, ...]:
        """The active users that are absent now and have *deputy* as their deputy."""
        return tuple(
            sorted(
                {
                    absence.user
                    for absence in self.access.absences
                    if absence.deputy == deputy and absence.lasts(now) and self.is_active_user(absence.user)
                }
            )
        )

    def is_active_user(self, name: str) -> bool:
        """Whether there is a user of this *name* who has not been disabled."""
        user = self.users.get(name)
        return user is not None and user.is_active

    def active(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of *names* that are active users, sorted."""
        return tuple(sorted(name for name in set(names) if self.is_active_user(name)))

    @cached_property
    def active_users(self) -> tuple[str, ...]:
        """All active users, sorted."""
        return self.active(self.users)


def with_local_rights(access: Access, local: str) -> Access:
    """*access* as it counts for votes: without bindings, the *local* user has every role in every environment."""
    if access.bindings:
        return access
    users = access.users if any(user.name == local for user in access.users) else (*access.users, User(name=local))
    roles = (*BUILT_IN, *(role.name for role in access.roles))
    bindings = tuple(Binding(role=role, to=f"user:{local}") for role in roles)
    return access.model_copy(update={"users": users, "bindings": bindings})
