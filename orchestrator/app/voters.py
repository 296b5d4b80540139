"""The users whose votes count, as one directory."""

from collections.abc import Iterable

from orchestrator.app.acting import View
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import Binding, User
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.votes import Vote
from orchestrator.domain.register import VOTES
from orchestrator.register_ports import Records


def voting_directory(access: Access, names: Iterable[str]) -> Directory:
    """The directory by which votes count. Without bindings, the local users *names* have every role."""
    if access.bindings:
        return Directory(access)
    found = {user.name: user for user in access.users}
    users = tuple({**{name: User(name=name) for name in names}, **found}.values())
    roles = (*BUILT_IN, *(role.name for role in access.roles))
    bindings = tuple(Binding(role=role, to=f"user:{user.name}") for user in users for role in roles)
    return Directory(access.model_copy(update={"users": users, "bindings": bindings}))


def votes_of(records: Records, request: RunRequest) -> tuple[Vote, ...]:
    """Every vote on *request*, in their order."""
    return tuple(cast.vote for cast in records.all(VOTES, request.id))


def directory_of(view: View, request: RunRequest, votes: Iterable[Vote]) -> Directory:
    """The directory by which *votes* on *request* count."""
    if view.access.bindings:
        return view.directory
    names = {vote.by for vote in votes} | {request.requester, str(view.acting.actor)}
    return voting_directory(view.access, sorted(name for name in names if ":" not in name))
