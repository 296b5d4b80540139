"""What a search finds: environments, releases, runs, users and objects of release management, with their pages."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from orchestrator.app.people import show_access
from orchestrator.domain.access.principals import Actor
from orchestrator.management.search_index import Hit, SearchIndex

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.management.application import ManagedApplication

MOST = 20
"""How many of each kind are shown."""


def search(app: "ManagedApplication", index: SearchIndex, actor: Actor, text: str) -> list[Hit]:
    """What *text* finds, at most a few of each kind. Each word has to be found; an empty text finds nothing.

    *index* has the objects of release management.
    """
    words = text.lower().split()
    if not words:
        return []
    return [
        *_environments(app, words),
        *_releases(app, actor, words),
        *_runs(app, actor, text.strip()),
        *index.find(app.acting_as(actor), words, MOST),
        *_users(app, actor, words),
    ]


def _fits(words: list[str], text: str) -> bool:
    return all(word in text.lower() for word in words)


def _environments(app: "Application", words: list[str]) -> list[Hit]:
    found = [name for name in app.environments if _fits(words, name)]
    return [Hit("environment", name, "", f"/environments/{quote(name)}") for name in found[:MOST]]


def _releases(app: "Application", actor: Actor, words: list[str]) -> list[Hit]:
    return [
        Hit("release", f"{ref.name} {ref.version}", ref.digest, f"/releases/{quote(ref.digest)}")
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
        Hit("user", user.name, f"team {user.team}" if user.team else "", f"/users/{quote(user.name)}")
        for user in found[:MOST]
    ]
