"""Lists of the register: pages of run requests and audit entries, and a request by the beginning of its id."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.adapters.memory.register import MemoryChanges
from orchestrator.app import audit
from orchestrator.app.audit import list_entries
from orchestrator.app.request_facts import MOST_NAMES, RequestRules, find_request, request_id_of
from orchestrator.app.run_requests import RequestFilter, list_requests
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.admission.may_start import PathFacts
from orchestrator.domain.approval.policy import Quorum, Requirement
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.audit.export import AuditFilter
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import REQUESTS
from tests.app.desk import NOON, Desk

DIGEST = f"sha256:{'1' * 64}"
WHOLE = AuditFilter(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(9999, 12, 31, tzinfo=UTC))


def request(number: int, state: RequestState) -> RunRequest:
    """A request that is *number* minutes old; the run of each that ended has another id."""
    return RunRequest(
        id=f"abc{number}0{number}",
        project="shop",
        environment="staging",
        package=DIGEST,
        plan=DIGEST,
        rendered=DIGEST,
        requirement=Requirement(quorums=(Quorum(count=1),)),
        requested_by=Actor(name="root"),
        requested_at=NOON - timedelta(minutes=number),
        state=state,
        name="shop",
        version=f"1.{number}.0",
        run="" if state is RequestState.WAITING else f"f0f0f{number}",
    )


def unread(request: RunRequest) -> PathFacts:
    """The facts of a waiting request. Raises AssertionError for another one."""
    assert request.state is RequestState.WAITING
    return PathFacts()


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    states = (RequestState.WAITING, RequestState.REJECTED, RequestState.WAITING, RequestState.FINISHED)
    made.write(REQUESTS, *(request(number, state) for number, state in enumerate(states, 1)))
    return made


def test_run_requests_are_listed_page_by_page(desk: Desk) -> None:
    """Waiting requests are listed oldest first, and all of them newest first in pages; ended ones need no journal."""
    acting, rules = desk.acting("root"), RequestRules(path=unread)
    waiting = list_requests(acting, rules)
    assert ([each.request.version for each in waiting.items], waiting.cursor) == (["1.3.0", "1.1.0"], None)
    first = list_requests(acting, rules, everything=True, limit=3)
    second = list_requests(acting, rules, everything=True, limit=3, cursor=first.cursor)
    found = [each.request.version for page in (first, second) for each in page.items]
    assert (found, second.cursor) == (["1.1.0", "1.2.0", "1.3.0", "1.4.0"], None)


def test_run_requests_are_sorted_and_filtered(desk: Desk) -> None:
    """Requests are listed in both orders and by the states that their views show; each page is full, and leads to all."""
    acting, rules = desk.acting("root"), RequestRules(path=unread)

    def pages(limit: int, **chosen: Any) -> list[str]:
        found, cursor = list[str](), None
        while True:
            page = list_requests(acting, rules, cursor=cursor, limit=limit, **chosen)
            assert len(page.items) <= limit
            found += [each.request.version for each in page.items]
            if (cursor := page.cursor) is None:
                return found
            assert len(page.items) == limit

    assert [each.request.version for each in list_requests(acting, rules, oldest_first=False).items] == [
        "1.1.0",
        "1.3.0",
    ]
    oldest_first = ["1.4.0", "1.3.0", "1.2.0", "1.1.0"]
    for limit in (1, 3, 9):
        assert pages(limit, everything=True, oldest_first=True) == oldest_first
        assert pages(limit, everything=True) == oldest_first[::-1]
        ended = RequestFilter(states=(RequestState.REJECTED, RequestState.FINISHED))
        assert pages(limit, chosen=ended) == ["1.2.0", "1.4.0"]
        waiting = RequestFilter(states=(RequestState.WAITING,))
        assert pages(limit, chosen=waiting, oldest_first=True) == ["1.3.0", "1.1.0"]
        for environment, wanted in (("staging", oldest_first), ("production", [])):
            chosen = RequestFilter(environment=environment)
            assert pages(limit, everything=True, chosen=chosen, oldest_first=True) == wanted


def test_a_request_is_found_by_its_id_and_its_run(desk: Desk) -> None:
    """A request is found by its id, the beginning of it, or the run that executes it, also after its end."""

    def found(wanted: str) -> str:
        return desk.register.reading(lambda records: find_request(records, wanted)).version

    assert [found(wanted) for wanted in ("abc101", "abc2", "f0f0f4")] == ["1.1.0", "1.2.0", "1.4.0"]
    for wanted, code in (("abc", "R102"), ("f0f0f", "A110"), ("", "A110"), ("abc10%", "A110")):
        with pytest.raises(OrchestratorError) as refused:
            found(wanted)
        assert refused.value.code == code


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each page had that was read."""
    found, read = list[int](), MemoryChanges.page

    def counted(self: MemoryChanges, *given: Any, **more: Any) -> Any:
        page = read(self, *given, **more)
        found.append(len(page.items))
        return page

    monkeypatch.setattr(MemoryChanges, "page", counted)
    return found


def test_few_requests_are_read_for_an_unknown_one(desk: Desk, pages: list[int]) -> None:
    """However many requests have ended, few are read for an id that none has, and for a run that has no request."""
    desk.write(REQUESTS, *(request(number, RequestState.FINISHED) for number in range(5, 3 * MOST_NAMES)))
    at = moment_text(NOON)
    run = Run(id="f1f1f1-staging", root="f1f1f1", kind="promotion", environment="staging", requested_at=at)
    with pytest.raises(OrchestratorError):
        desk.register.reading(lambda records: find_request(records, run.id))
    assert request_id_of(desk.acting("root"), run) is None
    assert sum(pages) <= 4 * MOST_NAMES


def test_the_request_of_an_old_run_is_found(desk: Desk) -> None:
    """A run that its request got later leads to its request, however many requests were made after the run."""
    desk.write(REQUESTS, *(request(number, RequestState.FINISHED) for number in range(5, 3 * MOST_NAMES)))
    old = request(3 * MOST_NAMES - 1, RequestState.FINISHED)
    at = moment_text(old.requested_at + timedelta(minutes=5))
    run = Run(id=old.run, root=old.run, kind="promotion", environment="staging", requested_at=at)
    assert request_id_of(desk.acting("root"), run) == old.id


def test_audit_entries_are_listed_from_the_newest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest entries that fit are listed in the order of the stream, all or before an index, however many are read at once."""
    acting = desk.acting("root")

    def indexes(limit: int, before: int | None = None, of: AuditFilter = WHOLE) -> list[int]:
        return [entry.index for entry in list_entries(acting, of, limit, before)]

    for at_once in (1, 2, 500):
        monkeypatch.setattr(audit, "AT_ONCE", at_once)
        assert (indexes(9), indexes(2), indexes(2, 4), indexes(9, 2)) == ([1, 2, 3, 4], [3, 4], [2, 3], [1])
        assert indexes(9, of=WHOLE.model_copy(update={"actor": "nobody"})) == []
