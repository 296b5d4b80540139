"""The rule of the last administrator: a project with bindings always has a user who can manage them."""

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, granting
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import ActorKind
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now

MANAGING = (Action.MANAGE_PEOPLE, Action.MANAGE_ACCESS)


def administrators(access: Access, project: str, now: Now) -> tuple[str, ...]:
    """The active users who may manage users and bindings of the whole *project*, by a binding without an end."""
    directory, target = Directory(access), Target(project)
    return tuple(
        user.name
        for user in access.users
        if user.is_active
        and all(
            (binding := granting(ActorKind.USER, user.name, action, target, directory, now)) and binding.until is None
            for action in MANAGING
        )
    )


def check_administrator(before: Access, after: Access, project: str, now: Now) -> None:
    """Refuse a change of access from *before* to *after* that leaves no administrator.

    Raises A103. It also refuses a first binding that is not an administrator's: the local user would lose every right.
    It refuses the removal of the last binding as well: every local user would get every right.
    """
    if (before.bindings or after.bindings) and not administrators(after, project, now):
        raise OrchestratorError(
            "A103",
            f"no active user would have the role administrator for the whole project {project} without an end",
            hint="orchestrator access grant administrator user:NAME",
        )
