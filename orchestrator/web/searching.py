"""What a search finds: environments, releases, runs, users and objects of release management, with their pages."""

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from orchestrator.app.people import show_access
from orchestrator.domain.access.principals import Actor
from orchestrator.management.change_requests.queries import list_changes
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.implementation_plans.queries import list_plans
from orchestrator.management.planned_releases.queries import show_schedule
from orchestrator.management.reviews.queries import list_actions, list_reviews

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.app.acting import Acting
    from orchestrator.app.application import Application
    from orchestrator.management.application import ManagedApplication

MOST = 20
"""How many of each kind are shown."""
SEARCHED = 1000
"""How many objects of each kind of release management are searched."""


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


def search(app: "ManagedApplication", actor: Actor, text: str) -> list[Hit]:
    """What *text* finds, at most a few of each kind. Each word has to be found; an empty text finds nothing."""
    words = text.lower().split()
    if not words:
        return []
    return [
        *_environments(app, words),
        *_releases(app, actor, words),
        *_runs(app, actor, text.strip()),
        *_managed(app.acting_as(actor), words),
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


def _managed(acting: "Acting", words: list[str]) -> list[Hit]:
    """What is found in release management, by ids, titles and states."""
    return [
        *_fitting(words, _releases_planned(acting)),
        *_fitting(words, _plans_with_tasks(acting)),
        *_fitting(words, _changes(acting)),
        *_fitting(words, _reviewed(acting)),
    ]


def _fitting(words: list[str], hits: "Iterable[Hit]") -> list[Hit]:
    return list(islice((hit for hit in hits if _fits(words, f"{hit.kind} {hit.name} {hit.about}")), MOST))


def _releases_planned(acting: "Acting") -> "Iterable[Hit]":
    for each in show_schedule(acting, ended=True):
        scope = ", ".join([*map(str, each.packages), *each.requests])
        about = f"into {each.environment}, {each.state.value}" + (f": {scope}" if scope else "")
        yield Hit("planned release", f"{each.id} {each.title}", about, f"/planned-releases/{quote(each.id)}")


def _plans_with_tasks(acting: "Acting") -> "Iterable[Hit]":
    for each in list_plans(acting, ended=True, limit=SEARCHED).items:
        path = f"/implementation-plans/{quote(each.id)}"
        release = f", for {each.release}" if each.release else ""
        yield Hit("implementation plan", f"{each.id} {each.title}", f"{each.state.value}{release}", path)
        for task in each.tasks:
            about = f"{task.title}, {task.state.value}"
            yield Hit("task", f"{each.id}:{task.name}", about, f"{path}/tasks/{quote(task.name)}")


def _changes(acting: "Acting") -> "Iterable[Hit]":
    for each in list_changes(acting, tuple(ChangeState), None, SEARCHED).items:
        yield Hit("change request", f"{each.id} {each.title}", each.state.value, f"/change-requests/{quote(each.id)}")


def _reviewed(acting: "Acting") -> "Iterable[Hit]":
    for review in list_reviews(acting, ended=True, limit=SEARCHED).items:
        state = review.close_code.value if review.close_code is not None else review.state.value
        about = f"of {review.title}, {state}"
        yield Hit("review", review.id, about, f"/reviews/{quote(review.id)}")
    for each in list_actions(acting, ended=True, limit=SEARCHED).items:
        about = f"{each.state.value}, {each.owner}, review of {each.review}"
        yield Hit("action", f"{each.id} {each.title}", about, f"/reviews/{quote(each.review)}#{quote(each.id)}")


def _users(app: "Application", actor: Actor, words: list[str]) -> list[Hit]:
    users = show_access(app.acting_as(actor)).users
    found = [user for user in users if _fits(words, f"{user.name} {user.team or ''}")]
    return [
        Hit("user", user.name, f"team {user.team}" if user.team else "", f"/users/{quote(user.name)}")
        for user in found[:MOST]
    ]
