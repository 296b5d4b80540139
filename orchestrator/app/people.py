"""Users, groups, service accounts and absences."""

from collections.abc import Iterable
from datetime import datetime

from orchestrator.app.acting import Acting, Change, change, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.absences import check_absence
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Access
from orchestrator.domain.access.principals import Absence, Group, ServiceAccount, User
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import ABSENCES, GROUPS, SERVICE_ACCOUNTS, USERS

MANAGE = Action.MANAGE_PEOPLE


@forwarded
def show_access(acting: Acting) -> Access:
    """All users, groups, service accounts, roles, bindings and absences."""
    return read_register(acting, Action.VIEW, lambda view: view.access)


@forwarded
def add_user(acting: Acting, user: User) -> User:
    """Record a new *user*. Raises A105 for a name or local name that is in use."""

    def work(task: Change) -> User:
        if task.records.get(USERS, user.name) or task.records.get(SERVICE_ACCOUNTS, user.name):
            raise OrchestratorError("A105", f"there is a user or service account {user.name} already")
        _check_local(task.access, user)
        return task.put(USERS, user)

    return change(acting, MANAGE, work)


@forwarded
def edit_user(acting: Acting, name: str, fields: dict[str, object], *, reason: str = "") -> User:
    """The user *name* with these *fields*, as a `User` document has them.

    Raises A105 for a local name that is in use, A103, A110, and `pydantic.ValidationError` for a wrong field.
    """

    def work(task: Change) -> User:
        edited = User.from_json({**task.existing(USERS, name).to_json(), **fields, "name": name})
        _check_local(task.access, edited)
        return task.put(USERS, edited)

    return change(acting, MANAGE, work, reason=reason)


@forwarded
def disable_user(acting: Acting, name: str, *, reason: str = "") -> User:
    """Disable a user. What they did keeps their name. Raises A103 and A110."""

    def work(task: Change) -> User:
        user = task.existing(USERS, name)
        return task.put(USERS, user.model_copy(update={"disabled_at": user.disabled_at or task.now.earliest}))

    return change(acting, MANAGE, work, reason=reason)


def _check_local(access: Access, user: User) -> None:
    for other in access.users:
        if user.local is not None and other.local == user.local and other.name != user.name:
            raise OrchestratorError("A105", f"{other.name} has the local name {user.local} already")


@forwarded
def add_group(acting: Acting, name: str, members: Iterable[str]) -> Group:
    """Record a new group. Raises A105 and A110."""

    def work(task: Change) -> Group:
        if task.records.get(GROUPS, name):
            raise OrchestratorError("A105", f"there is a group {name} already")
        return task.put(GROUPS, Group(name=name, members=_known_users(task, members)))

    return change(acting, MANAGE, work)


@forwarded
def set_members(acting: Acting, name: str, add: Iterable[str], remove: Iterable[str]) -> Group:
    """The group *name* with other members. Raises A103 and A110."""

    def work(task: Change) -> Group:
        group = task.existing(GROUPS, name)
        gone = set(remove)
        for member in sorted(gone - set(group.members)):
            raise unknown("member", member, list(group.members))
        members = {*group.members, *_known_users(task, add)} - gone
        return task.put(GROUPS, group.model_copy(update={"members": tuple(sorted(members))}))

    return change(acting, MANAGE, work)


@forwarded
def remove_group(acting: Acting, name: str) -> Group:
    """Remove a group and the bindings to it. Raises A103 and A110."""
    from orchestrator.domain.register import BINDINGS

    def work(task: Change) -> Group:
        group = task.existing(GROUPS, name)
        for binding in task.access.bindings:
            if binding.to == f"group:{name}":
                task.remove(BINDINGS, binding)
        task.remove(GROUPS, group)
        return group

    return change(acting, MANAGE, work)


def _known_users(task: Change, names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(sorted(set(names)))
    for name in found:
        task.existing(USERS, name)
    return found


@forwarded
def add_service_account(acting: Acting, account: ServiceAccount) -> ServiceAccount:
    """Record a new service account. Raises A105."""

    def work(task: Change) -> ServiceAccount:
        if task.records.get(SERVICE_ACCOUNTS, account.name) or task.records.get(USERS, account.name):
            raise OrchestratorError("A105", f"there is a user or service account {account.name} already")
        return task.put(SERVICE_ACCOUNTS, account)

    return change(acting, MANAGE, work)


@forwarded
def disable_service_account(acting: Acting, name: str, *, reason: str = "") -> ServiceAccount:
    """Disable a service account. Raises A110."""

    def work(task: Change) -> ServiceAccount:
        account = task.existing(SERVICE_ACCOUNTS, name)
        at = account.disabled_at or task.now.earliest
        return task.put(SERVICE_ACCOUNTS, account.model_copy(update={"disabled_at": at}))

    return change(acting, MANAGE, work, reason=reason)


@forwarded
def add_absence(acting: Acting, user: str, deputy: str, start: datetime, end: datetime) -> Absence:
    """Record an absence of *user*. Every user may do that for their own. Raises A106."""
    if end <= start:
        raise OrchestratorError("A106", "the absence ends before it starts")
    if user == deputy:
        raise OrchestratorError("A106", f"{user} is absent, and cannot be the deputy")
    absence = Absence(user=user, deputy=deputy, start=start, end=end)

    def work(task: Change) -> Absence:
        check_absence(task.access, absence)
        return task.put(ABSENCES, absence)

    return change(acting, MANAGE, work, owner=user)


@forwarded
def end_absence(acting: Acting, user: str) -> Absence:
    """Remove the absence of *user* that lasts or comes next. Raises A110."""

    def work(task: Change) -> Absence:
        mine = [a for a in task.access.absences if a.user == user and not task.now.has_reached(a.end)]
        if not mine:
            raise unknown("absence of", user, [])
        first = min(mine, key=lambda absence: absence.start)
        task.remove(ABSENCES, first)
        return first

    return change(acting, MANAGE, work, owner=user)
