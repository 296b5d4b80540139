"""Hooks and their deliveries as they are recorded."""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from orchestrator.domain.access.principals import Actor, ActorKind, Method, PrincipalName
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import PackageRef
from orchestrator.management.hooks.state import DELIVERY_TABLE, DeliveryEvent, DeliveryState

Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
HookName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
TAGS, BRANCHES = "refs/tags/", "refs/heads/"


class HookForm(StrEnum):
    """How the requests of a sender are signed and written."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    GENERIC = "generic"


class HookDraft(Model):
    """What an administrator decides about a hook.

    *account* is the service account that acts. *then* is whether it builds a package of *release* from the commit, or
    promotes it as well, to *environment* (None: the first one of its path). Of *events* those count whose branch or tag
    matches the pattern *ref*.
    """

    name: HookName
    form: HookForm
    account: PrincipalName
    events: Annotated[tuple[Literal["push", "tag", "release"], ...], Field(min_length=1)] = ("push",)
    ref: Word = "*"
    then: Literal["build", "promote"] = "build"
    release: Word
    environment: str | None = None


class Hook(HookDraft):
    """A hook with its secret, which is *sealed* with the project key."""

    sealed: str
    created_at: Moment
    created_by: str

    @property
    def actor(self) -> Actor:
        """Who acts for it."""
        return Actor(name=self.account, kind=ActorKind.SERVICE_ACCOUNT, method=Method.HOOK, credential=self.name)

    @property
    def address(self) -> str:
        """The path at the server to which its sender posts."""
        return f"/api/v1/hooks/{self.name}"


class HookEvent(Model):
    """What a sender reports: a *kind*, the full name of a branch or tag (*ref*) with its *commit*, or a *release*.

    *sender_id* is the sender's name for the request. *ends* is whether the branch or tag was deleted.
    """

    kind: Literal["push", "tag", "release", "ping", "other"]
    ref: str = ""
    commit: str = ""
    release: str = ""
    sender_id: str = ""
    ends: bool = False

    @property
    def short_ref(self) -> str:
        """The name of the branch or tag."""
        return self.ref.removeprefix(BRANCHES).removeprefix(TAGS)

    def not_for(self, hook: HookDraft) -> str:
        """Why *hook* ignores the event; empty if it does not."""
        if self.kind in {"ping", "other"}:
            return "ping" if self.kind == "ping" else "it is not the event of a push, a tag or a release"
        if self.kind not in hook.events:
            return f"the hook is for: {', '.join(hook.events)}"
        if self.ends:
            return f"{self.short_ref} was deleted"
        if self.kind == "release" and hook.then == "build":
            return "it names a release, and the hook builds one"
        if self.kind != "release" and not fnmatchcase(self.short_ref, hook.ref):
            return f"{self.short_ref} does not match {hook.ref}"
        return ""


class Delivery(Model):
    """One request to a *hook*, and what became of it.

    *event* is what the sender reported. *package* is what was built or is promoted, *run_request* the promotion that
    was requested under *root*. *note* is why it was refused, ignored or has failed. *attempt* is 2 for the first
    redelivery of a request whose delivery has failed.
    """

    id: str
    hook: str
    received_at: Moment
    event: HookEvent
    state: DeliveryState = DeliveryState.WAITING
    root: str = ""
    attempt: int = 1
    package: PackageRef | None = None
    run_request: str = ""
    note: str = ""
    ended_at: Moment | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in DELIVERY_TABLE.ends

    def after(self, event: DeliveryEvent, at: Moment, **fields: object) -> "Delivery":
        """The delivery after *event* at *at*, with other *fields*. Raises G101."""
        state = DELIVERY_TABLE.after(self.state, event, self.id)
        ended = {"ended_at": at} if state in DELIVERY_TABLE.ends else {}
        return self.model_copy(update={**fields, **ended, "state": state})


class HookFinding(Model):
    """One check of a hook: whether it *holds*, and in words."""

    holds: bool
    text: str


class HookTest(Model):
    """What a delivery to *hook* would meet."""

    hook: str
    findings: tuple[HookFinding, ...]

    @property
    def holds(self) -> bool:
        """Whether each check holds."""
        return all(finding.holds for finding in self.findings)
