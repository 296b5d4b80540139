"""The search in release management: each object is read once, and again when it has changed."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic_core import to_json

from orchestrator.app.acting import Acting
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import BINDINGS, USERS
from orchestrator.management.bookings.decisions import book
from orchestrator.management.bookings.model import BookingDraft
from orchestrator.management.change_requests import decisions
from orchestrator.management.search_index import SearchIndex
from orchestrator.management.trains.decisions import create_train
from orchestrator.management.trains.line_decisions import add_line
from orchestrator.management.trains.model import LineDraft
from tests.app.desk import ENVIRONMENTS, NOON, Desk
from tests.management.calls import FACTS
from tests.management.sources import DRAFT, Sources


def added(desk: Desk, *titles: str) -> None:
    """Add change requests with these titles."""
    for title in titles:
        decisions.add_change(desk.acting("operator"), DRAFT.model_copy(update={"title": title}), Sources())


def test_objects_are_read_once_and_found_with_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search finds words in any case, also in objects that were added, edited or ended since, and reads no kind as a whole again."""
    desk, index = Desk(), SearchIndex()
    added(desk, "Faster checkout", "Slower checkout")
    viewer = desk.acting("viewer")

    def found(*words: str) -> list[str]:
        return [hit.name for hit in index.find(viewer, words, 20)]

    assert found("checkout") == ["R-1 Faster checkout", "R-2 Slower checkout"]
    reading = type(desk.register.reading(lambda records: records))
    every, read = reading.all, list[str]()

    def noted(self: Any, kind: Any, part: str | None = None) -> Any:
        read.append(kind.name)
        return every(self, kind, part)

    monkeypatch.setattr(reading, "all", noted)
    added(desk, "Another Payment")
    decisions.edit_change(desk.acting("operator"), "R-1", {"title": "Faster basket"}, Sources())
    decisions.withdraw_change(desk.acting("operator"), "R-2")
    assert found("payment") == ["R-3 Another Payment"]
    assert found("checkout") == ["R-2 Slower checkout"]
    assert (found("basket", "r-1"), found("withdrawn", "change"), found("nowhere")) == (
        ["R-1 Faster basket"],
        ["R-2 Slower checkout"],
        [],
    )
    assert "change_requests" not in read


def test_the_limit_counts_for_each_kind_in_its_order() -> None:
    """Of many objects that fit the first ones in the order of their list are found, and one that fits alone wherever it is."""
    desk, index = Desk(), SearchIndex()
    added(desk, *(f"Change of {number}" for number in range(5)), "The last one")
    assert [hit.name for hit in index.find(desk.acting("viewer"), ("change", "of"), 2)] == [
        "R-1 Change of 0",
        "R-2 Change of 1",
    ]
    assert [hit.name for hit in index.find(desk.acting("viewer"), ("last",), 2)] == ["R-6 The last one"]


def test_trains_lines_and_bookings_are_found_with_their_pages() -> None:
    """A train is found by its line, its packages and its state, a booking by its purpose, environment and holder."""
    desk, index = Desk(), SearchIndex()
    stops = ({"environments": ["staging"], "after_s": 0},)
    line = {
        "name": "weekly",
        "stops": stops,
        "start": f"{NOON + timedelta(days=3):%Y-%m-%dT%H:%M:%S}",
        "rule": "FREQ=WEEKLY",
    }
    add_line(desk.acting("release-manager"), LineDraft.model_validate_json(to_json(line)))
    create_train(desk.acting("release-manager"), "weekly")
    start = NOON + timedelta(days=3)
    booked = BookingDraft(environment="staging", start=start, end=start + timedelta(hours=2), purpose="load test")
    book(desk.acting("release-manager"), booked, FACTS)
    viewer = desk.acting("viewer")

    def found(*words: str) -> list[tuple[str, str, str]]:
        return [(hit.kind, hit.name, hit.path) for hit in index.find(viewer, words, 20)]

    assert found("weekly") == [
        ("train line", "weekly", "/train-lines/weekly"),
        ("train", "T-1 of weekly", "/trains/T-1"),
    ]
    assert found("t-1", "boarding") == [("train", "T-1 of weekly", "/trains/T-1")]
    assert found("load", "staging", "release-manager") == [("booking", "B-1 load test", "/bookings/B-1")]


def test_a_user_who_may_view_nothing_finds_nothing() -> None:
    """The search needs the right to view."""
    desk = Desk()
    desk.write(USERS, User(name="eve"))
    desk.write(BINDINGS, Binding(role="administrator", to="user:root"))
    with pytest.raises(OrchestratorError, match="A101"):
        SearchIndex().find(Acting(desk.register, Actor(name="eve"), desk.clock, ENVIRONMENTS), ("x",), 20)
