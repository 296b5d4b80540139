"""What a search finds: environments, releases, runs and users, each with the address of its page."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from orchestrator.app.people import show_access
from orchestrator.domain.access.principals import Actor

if TYPE_CHECKING:
    from orchestrator.app.application import Application

MOST = 20
"""How many of each kind are shown."""


@dataclass(frozen=True)
class Hit:
    """One object that was found: its *kind*, its *name*, a line *about* it, and the *path* of its page."""

    kind: str
    name: str
    about: str
    path: str

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def search(app: "Application", actor: Actor, text: str) -> list[Hit]:
    """What *text* finds, at most a few of each kind. Each word has to be found; an empty text finds nothing."""
    words = text.lower().split()
    if not words:
        return []
    return [
        *_environments(app, words),
        *_releases(app, actor, words),
        *_runs(app, actor, text.strip()),
        *_users(app, actor, words),
    ]


def _fits(words: list[str], text: str) -> bool:
    return all(word in text.lower() for word in words)


def _environments(app: "Application", words: list[str]) -> list[Hit]:
    found = [name for name in app.environments if _fits(words, name)]
    return [Hit("environment", name, "", f"/environments/{quote(name)}") for name in found[:MOST]]


def _releases(app: "Application", actor: Actor, words: list[str]) -> list[Hit]:
    return [
        Hit("release", f"{ref.name} {ref.version}", ref.digest, f"/matrix?release={quote(ref.digest)}")
        for ref in app.queries.find_releases(actor, tuple(words), MOST)
    ]


def _runs(app: "Application", actor: Actor, text: str) -> list[Hit]:
    return [
        Hit("run", run.id, f"{run.kind} of {run.release or 'no release'} in {run.environment}, {run.state.value}",
            f"/runs/{quote(run.id)}")
        for run in app.queries.find_runs(actor, text, MOST)
    ]  # fmt: skip


def _users(app: "Application", actor: Actor, words: list[str]) -> list[Hit]:
    users = show_access(app.acting_as(actor)).users
    found = [user for user in users if _fits(words, f"{user.name} {user.team or ''}")]
    return [
        Hit("user", user.name, f"team {user.team}" if user.team else "", f"/audit?actor={quote(user.name)}")
        for user in found[:MOST]
    ]
