"""What a server searches in release management: a line for each object, kept and made again when the object changes."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from heapq import nsmallest
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.followed_records import FollowedRecords
from orchestrator.domain.access.actions import Action
from orchestrator.domain.model import Model
from orchestrator.domain.moments import minute_text
from orchestrator.domain.register import ENDED, OPEN, RecordKind
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.implementation_plans.model import ImplementationPlan
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews.model import Review, ReviewAction
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.management.trains.model import Train, TrainLine
from orchestrator.management.trains.store import TRAIN_LINES, TRAINS
from orchestrator.register_ports import Records

T = TypeVar("T", bound=Model)
NEARLY = 100
"""A request that started before another one can see a stream that is older by so many entries."""


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

    @property
    def text(self) -> str:
        """What a search compares, in lower case."""
        return f"{self.kind} {self.name} {self.about}".lower()


Line = tuple[str, str, Hit]
"""The position of an object, its text, and the hit."""


class _Lines(Generic[T]):
    """The lines of the objects of one *kind*, made by *hits*. It is used by one thread at a time."""

    def __init__(self, kind: RecordKind[T], parts: tuple[str, ...], hits: Callable[[T], Iterator[Hit]]) -> None:
        self._kind, self._hits, self._followed = kind, hits, FollowedRecords(kind, parts)
        self._made: dict[str, tuple[T, list[Line]]] = {}

    def read(self, records: Records) -> Iterator[Line]:
        """All lines. Those of objects that have changed are made again."""
        found = self._records(records)
        if len(self._made) > len(found):
            self._made = {key: made for key, made in self._made.items() if key in found}
        for key, value in found.items():
            made = self._made.get(key)
            if made is None or made[0] is not value:
                position = self._kind.position(value) if self._kind.position is not None else key
                made = self._made[key] = (value, [(position, hit.text, hit) for hit in self._hits(value)])
            yield from made[1]

    def _records(self, records: Records) -> Mapping[str, T]:
        last, head = self._followed.head, records.head()
        if last is not None and head.index < last.index <= head.index + NEARLY:
            return self._followed.last
        return self._followed.read(records)


class SearchIndex:
    """The lines of one project. The first search reads all objects; later ones read those that have changed."""

    def __init__(self) -> None:
        both = (OPEN, ENDED)
        self._lock = threading.Lock()
        self._lines: tuple[_Lines[Any], ...] = (
            _Lines(PLANNED_RELEASES, both, _of_release),
            _Lines(IMPLEMENTATION_PLANS, both, _of_plan),
            _Lines(CHANGE_REQUESTS, tuple(state.value for state in ChangeState), _of_change),
            _Lines(RELEASE_REVIEWS, both, _of_review),
            _Lines(REVIEW_ACTIONS, both, _of_action),
            _Lines(TRAIN_LINES, both, _of_line),
            _Lines(TRAINS, both, _of_train),
            _Lines(BOOKINGS, both, _of_booking),
        )

    def find(self, acting: Acting, words: Iterable[str], limit: int) -> list[Hit]:
        """The first *limit* objects of each kind whose ids, titles or states have all of *words*. Raises A101."""
        wanted = tuple(words)

        def work(view: View) -> list[Hit]:
            with self._lock:
                return [hit for lines in self._lines for hit in _fitting(view.records, lines, wanted, limit)]

        return read_register(acting, Action.VIEW, work)


def _fitting(records: Records, lines: _Lines[Any], words: tuple[str, ...], limit: int) -> Iterator[Hit]:
    """The first *limit* objects of one kind that have all of *words*."""
    found = (line for line in lines.read(records) if all(word in line[1] for word in words))
    return (hit for _, _, hit in nsmallest(limit, found, key=lambda line: line[0]))


def _of_release(each: PlannedRelease) -> Iterator[Hit]:
    scope = ", ".join([*map(str, each.packages), *each.requests])
    about = f"into {each.environment}, {each.state.value}" + (f": {scope}" if scope else "")
    yield Hit("planned release", f"{each.id} {each.title}", about, f"/planned-releases/{quote(each.id)}")


def _of_plan(each: ImplementationPlan) -> Iterator[Hit]:
    path = f"/implementation-plans/{quote(each.id)}"
    release = f", for {each.release}" if each.release else ""
    yield Hit("implementation plan", f"{each.id} {each.title}", f"{each.state.value}{release}", path)
    for task in each.tasks:
        about = f"{task.title}, {task.state.value}"
        yield Hit("task", f"{each.id}:{task.name}", about, f"{path}/tasks/{quote(task.name)}")


def _of_change(each: ChangeRequest) -> Iterator[Hit]:
    yield Hit("change request", f"{each.id} {each.title}", each.state.value, f"/change-requests/{quote(each.id)}")


def _of_review(review: Review) -> Iterator[Hit]:
    state = review.close_code.value if review.close_code is not None else review.state.value
    yield Hit("review", review.id, f"of {review.title}, {state}", f"/reviews/{quote(review.id)}")


def _of_line(each: TrainLine) -> Iterator[Hit]:
    about = f"{'archived' if each.is_archived else 'active'}, to {', '.join(map(str, each.stops))}"
    yield Hit("train line", each.name, about, f"/train-lines/{quote(each.name)}")


def _of_train(each: Train) -> Iterator[Hit]:
    packages = ", ".join(str(member.release) for member in each.members)
    about = f"{each.state.value}, departs {minute_text(each.departs_at)}" + (f": {packages}" if packages else "")
    yield Hit("train", f"{each.id} of {each.line or 'no line'}", about, f"/trains/{quote(each.id)}")


def _of_booking(each: EnvironmentBooking) -> Iterator[Hit]:
    holder = each.holder.removeprefix("user:")
    about = f"{each.environment}, {each.state.value}, of {holder}, from {minute_text(each.start)}"
    yield Hit("booking", f"{each.id} {each.purpose}", about, f"/bookings/{quote(each.id)}")


def _of_action(each: ReviewAction) -> Iterator[Hit]:
    about = f"{each.state.value}, {each.owner}, review of {each.review}"
    yield Hit("action", f"{each.id} {each.title}", about, f"/reviews/{quote(each.review)}#{quote(each.id)}")
