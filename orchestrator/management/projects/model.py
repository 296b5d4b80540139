"""What a user sees of each project of a server."""

from enum import StrEnum

from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment


class ProjectHealth(StrEnum):
    """How a project is, in one word."""

    GOOD = "good"
    """Nothing in it needs an operator."""
    PROBLEMS = "problems"
    """An environment needs an operator, or work waits and no worker does it."""
    UNREADABLE = "unreadable"
    """Its files or its database cannot be read."""


class OpenWork(Model):
    """A run that is under way: what it does (*text*), its *activity*, and who requested it (*by*)."""

    run: str
    text: str
    activity: str
    by: str


class WaitingWork(Model):
    """A promotion that waits *on* users, or on no user, for a *reason*."""

    request: str
    text: str
    on: tuple[str, ...]
    reason: str


class DueWork(Model):
    """What *owner* does until *due*, on the page *path* of the project. *is_late*: the time has passed."""

    text: str
    path: str
    owner: str
    due: Moment
    is_late: bool


class OnboardingItem(Model):
    """One item of the checklist of a new project: the *fact* that it rests on, and the *command* that does it.

    *at* is the time of the fact; null for one that has no time.
    """

    name: str
    is_done: bool = False
    fact: str
    at: Moment | None = None
    command: str


class ProjectSummary(Model):
    """A project at the address *path* of its server, which is empty without others.

    *error* is why it is unreadable. *has_worker* is whether a worker does what is due. *problems* are those of its
    environments. *due* is what is late or due within a week. *onboarding* is the checklist of a new project.
    """

    name: str
    path: str
    health: ProjectHealth
    error: str | None = None
    has_worker: bool = False
    environments: int = 0
    problems: tuple[str, ...] = ()
    open_runs: tuple[OpenWork, ...] = ()
    waiting: tuple[WaitingWork, ...] = ()
    due: tuple[DueWork, ...] = ()
    onboarding: tuple[OnboardingItem, ...] = ()


class Portfolio(Model):
    """The *projects* that a user may view, by name. Of *unreadable* further ones the rights cannot be read."""

    projects: tuple[ProjectSummary, ...]
    unreadable: int = 0
