"""One-time links, with which users set their passwords."""

import secrets
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, change
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.powers import powers_of, powers_of_scopes
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.access.sign_in import LINK_LIFETIME, VALUE_BYTES, SignInLink, secret_value, value_hash
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import SIGN_IN_LINKS, USERS


@dataclass(frozen=True)
class NewLink:
    """A *link* with its secret *text*, which is shown once and kept nowhere."""

    link: SignInLink
    text: str


@dataclass(frozen=True)
class SignInPlace:
    """Where the users of a project sign in: in *elsewhere*, another project of their server; empty: in their own."""

    elsewhere: str = ""


@forwarded
def create_link(acting: Acting, user: str, place: SignInPlace = SignInPlace()) -> NewLink:
    """A new link for *user*; earlier unused ones end. Raises A110, and N129 if users sign in at another project.

    The link gives every right of the user, without scopes. A101 is raised if that is more than the actor has.
    """
    if place.elsewhere:
        raise OrchestratorError("N129", f"the users of this server sign in at the project {place.elsewhere}")

    def work(task: Change) -> NewLink:
        task.existing(USERS, user)
        powers = powers_of(Actor(name=user), acting.project, task.directory, task.now)
        task.require_giving({*powers_of_scopes(None), *powers})
        return _new(task, user)

    return change(acting, Action.MANAGE_PEOPLE, work)


def create_first_link(acting: Acting) -> NewLink:
    """A new link that creates the first administrator. Raises N124 if the project has bindings."""

    def work(task: Change) -> NewLink:
        if task.access.bindings:
            raise OrchestratorError("N124", "the project has an administrator already")
        return _new(task, None)

    return change(acting, Action.MANAGE_ACCESS, work)


def _new(task: Change, user: str | None) -> NewLink:
    for other in task.records.all(SIGN_IN_LINKS, user or ""):
        task.remove(SIGN_IN_LINKS, other)
    text = secret_value(secrets.token_bytes(VALUE_BYTES))
    at = task.now.earliest
    end = task.acting.actor.end_of_credential(at + LINK_LIFETIME)
    link = SignInLink(sha256=value_hash(text), user=user, created_at=at, expires_at=end)
    return NewLink(task.put(SIGN_IN_LINKS, link), text)
