"""Change requests of the source drift: one for each environment and set of differences, closed when these are gone."""

import contextlib
from dataclasses import replace
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.app.acting import Acting
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.drift import Drift, Finding
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import OUTBOX
from orchestrator.domain.release import PackageRef
from orchestrator.management.change_requests import decisions
from orchestrator.management.change_requests.drifts import drift_reference, follow_drift
from orchestrator.management.change_requests.model import ChangeDraft, ChangeRequest, Source
from orchestrator.management.change_requests.queries import drift_request
from orchestrator.management.change_requests.state import CHANGE_REQUEST_TABLE, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.register_ports import Register
from tests.app.desk import Desk
from tests.management.sources import Sources
from tests.management.test_implementation_use_cases import Died, Dying

SHOP = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'1' * 64}")


def finding(name: str) -> Finding:
    return Finding(part="file", name=name, host="web1", what="was edited")


def drift(*names: str, unknown: tuple[str, ...] = (), environment: str = "production") -> Drift:
    since = "2026-01-01T00:00:00.000Z"
    found = tuple(map(finding, names))
    return Drift(environment=environment, release=SHOP, run="r1", since=since, findings=found, unknown=unknown)


def system(desk: Desk) -> Acting:
    return replace(desk.acting("root"), actor=SYSTEM_ACTOR)


def requests(desk: Desk) -> list[ChangeRequest]:
    return sorted(desk.register.reading(lambda records: records.all(CHANGE_REQUESTS)), key=lambda each: each.number)


def states(desk: Desk) -> list[str]:
    return [each.state.value for each in requests(desk)]


def test_a_set_of_differences_opens_one_request() -> None:
    """The first time that differences are found a request is open with them as facts; the same ones again change nothing."""
    desk = Desk()
    (made,) = follow_drift(system(desk), drift("a", "b"), Sources())
    assert (made.source, made.state, made.environments, made.packages) == (
        Source.DRIFT,
        ChangeState.ASSESSING,
        ("production",),
        ("shop",),
    )
    assert made.findings == (finding("a"), finding("b"))
    assert "shop 1.0.0 was verified in production by r1" in made.reason
    assert "- web1: file a was edited" in made.reason
    entries = desk.entries
    assert follow_drift(system(desk), drift("b", "a"), Sources()) == ()
    assert desk.entries == entries
    follow_drift(system(desk), drift("a", "b", environment="staging"), Sources())
    assert states(desk) == ["assessing", "assessing"]


def test_it_is_closed_when_the_differences_are_gone() -> None:
    """A request stays open while one of its differences is left or something is unknown, and is closed by the system otherwise."""
    desk = Desk()
    follow_drift(system(desk), drift("a", "b"), Sources())
    assert [each.id for each in follow_drift(system(desk), drift("b"), Sources())] == ["R-2"]
    assert follow_drift(system(desk), drift(unknown=("web1: unreachable",)), Sources()) == ()
    assert states(desk) == ["assessing", "assessing"]
    closed = follow_drift(system(desk), drift(), Sources())
    assert [(each.state, each.note, each.decided_by) for each in closed] == [
        ("closed", "the drift is gone", "system:system")
    ] * 2
    assert follow_drift(system(desk), drift(), Sources()) == ()
    assert [each.id for each in follow_drift(system(desk), drift("a", "b"), Sources())] == ["R-3"]


def test_another_request_is_left_alone() -> None:
    """A request of a user, and one that a release contains, are not closed by a drift that is gone."""
    desk = Desk()
    draft = drift("a")
    decisions.add_change(desk.acting("operator"), ChangeDraft(title="Mine", environments=("production",)), Sources())
    (made,) = follow_drift(system(desk), draft, Sources())
    desk.write(CHANGE_REQUESTS, made.model_copy(update={"state": ChangeState.PLANNED, "release": "REL-1"}))
    assert follow_drift(system(desk), drift(), Sources()) == ()
    assert states(desk) == ["draft", "planned"]


NAMES = st.frozensets(st.sampled_from("abc"), max_size=3)
ACTS = st.sampled_from(["", "accept", "defer", "reject", "withdraw", "reopen"])


@given(st.lists(st.tuples(NAMES, st.booleans(), ACTS, st.booleans()), max_size=12))
@settings(max_examples=80, deadline=None)
def test_no_sequence_and_no_crash_opens_two(steps: list[tuple[frozenset[str], bool, str, bool]]) -> None:
    """Whatever is found, decided and interrupted: one open request for each set, only moves of the table, no message twice."""
    desk, before = Desk(), dict[str, ChangeRequest]()
    for names, is_unknown, act, crash in steps:
        found = drift(*sorted(names), unknown=("web2: unreachable",) if is_unknown else ())
        acting = system(desk)
        if crash:
            acting = replace(acting, register=cast("Register", Dying(desk.register)))
        with contextlib.suppress(Died):
            follow_drift(acting, found, Sources())
        follow_drift(system(desk), found, Sources())
        _act(desk, act)
        now = {each.id: each for each in requests(desk)}
        for key, request in now.items():
            assert request.state in _reachable(before[key].state if key in before else ChangeState.DRAFT)
        before = now
        open_ = desk.register.reading(
            lambda records: [each for each in records.all(CHANGE_REQUESTS) if not each.has_ended]
        )
        references = [each.source_ref for each in open_]
        assert len(references) == len(set(references))
        if names and act in {"", "accept", "defer", "reopen"}:
            assert drift_reference(found) in references
        if not names and not is_unknown and not act:
            assert references == []
    outbox = [each.dedup for each in desk.register.reading(lambda records: records.all(OUTBOX))]
    assert len(outbox) == len(set(outbox))


def _act(desk: Desk, act: str) -> None:
    """What a release manager decides of the newest request."""
    keys = [each.id for each in requests(desk)]
    acting = desk.acting("release-manager")
    with contextlib.suppress(OrchestratorError):
        if act == "accept" and keys:
            decisions.accept_change(acting, keys[-1], Sources())
        if act == "defer" and keys:
            decisions.defer_change(acting, keys[-1], "later")
        if act == "reject" and keys:
            decisions.reject_change(acting, keys[-1], "no")
        if act == "withdraw" and keys:
            decisions.withdraw_change(acting, keys[-1], "no")
        if act == "reopen" and keys:
            decisions.reopen_change(acting, keys[-1], Sources())


def _reachable(state: ChangeState) -> set[ChangeState]:
    """Every state that can follow, by events of the table."""
    seen, edge = {state}, [state]
    while edge:
        new = set(CHANGE_REQUEST_TABLE.moves[edge.pop()].values()) - seen
        seen |= new
        edge += new
    return seen


def test_the_request_of_a_drift_is_found_by_its_differences() -> None:
    """The open request is found by the environment and the set of differences, and not after it was closed."""
    desk = Desk()
    reference = drift_reference(drift("b", "a"))
    assert drift_request(desk.acting("viewer"), reference) is None
    follow_drift(system(desk), drift("a", "b"), Sources())
    found = drift_request(desk.acting("viewer"), reference)
    assert found is not None
    assert found.id == "R-1"
    assert drift_request(desk.acting("viewer"), drift_reference(drift("a"))) is None
    follow_drift(system(desk), drift(), Sources())
    assert drift_request(desk.acting("viewer"), reference) is None
