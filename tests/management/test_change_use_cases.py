"""The use cases of change requests on a register in memory: who may do them, and what they leave."""

from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.app.acting import Acting
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.register import OUTBOX
from orchestrator.domain.release import PackageRef
from orchestrator.management.change_requests import decisions, queries
from orchestrator.management.change_requests.duties import RankRequests, recompute_ranks
from orchestrator.management.change_requests.facts import fact_changes
from orchestrator.management.change_requests.ports import FactChanges
from orchestrator.management.change_requests.state import ChangeState
from tests.app.desk import ENVIRONMENTS, NOON, Desk
from tests.management.sources import DRAFT, Sources


def last_entries(desk: Desk, after: int) -> list[tuple[str, str, str]]:
    entries = desk.register.reading(lambda records: records.audit(after=after))
    return [(entry.action, entry.object, str(entry.detail.get("event", ""))) for entry in entries]


def messages(desk: Desk) -> list[tuple[str, str]]:
    found = desk.register.reading(lambda records: records.all(OUTBOX))
    return [(message.to, message.text) for message in found]


def test_each_change_is_one_entry_and_a_decision_one_message() -> None:
    """A request is entered, assessed and accepted: an entry each, and the reporter is notified of what others decide."""
    desk, sources = Desk(), Sources()
    operator, manager = desk.acting("operator"), desk.acting("release-manager")
    before = desk.entries
    assert decisions.add_change(operator, DRAFT, sources).id == "R-1"
    assert decisions.add_change(operator, DRAFT, sources, submit=True).id == "R-2"
    done = decisions.accept_change(manager, "R-2", sources, "worth it")
    assert (done.state, done.decided_by, done.note) == (ChangeState.ACCEPTED, "release-manager", "worth it")
    assert last_entries(desk, before) == [
        ("change-request:edit", "change-request:R-1", "add"),
        ("change-request:edit", "change-request:R-2", "add"),
        ("change-request:edit", "change-request:R-2", "submit"),
        ("change-request:decide", "change-request:R-2", "accept"),
        ("change-request:decide", "message:change-request R-2 3 operator", ""),
    ]
    assert messages(desk) == [("operator", "R-2 'Sell gift cards' is accepted by release-manager: worth it")]


def test_only_the_own_draft_changes() -> None:
    """A reporter edits and withdraws their own requests, a release manager any, and only a draft is edited."""
    desk, sources = Desk(), Sources()
    decisions.add_change(desk.acting("operator"), DRAFT, sources)
    with pytest.raises(OrchestratorError, match="approver has no role with change-request:decide"):
        decisions.edit_change(desk.acting("approver"), "R-1", {"value": 5}, sources)
    changed = decisions.edit_change(desk.acting("release-manager"), "R-1", {"value": 5}, sources)
    assert [ranked.why for ranked in changed.ranks] == ["entered", "changed: value"]
    decisions.submit_change(desk.acting("operator"), "R-1", sources)
    with pytest.raises(OrchestratorError, match="only drafts change"):
        decisions.edit_change(desk.acting("operator"), "R-1", {"value": 1}, sources)
    assert decisions.withdraw_change(desk.acting("operator"), "R-1").has_ended
    with pytest.raises(OrchestratorError, match="its rank does not change"):
        decisions.override_rank(desk.acting("release-manager"), "R-1", 9.0, "why")


def test_a_request_with_a_failing_check_is_corrected() -> None:
    """A request that is assessed becomes a draft again by its reporter, is corrected, and is clean in the next assessment."""
    desk, sources = Desk(), Sources()
    draft = DRAFT.model_copy(update={"packages": ("shap",)})
    made = decisions.add_change(desk.acting("operator"), draft, sources, submit=True)
    assert [check.name for check in made.failing] == ["packages"]
    with pytest.raises(OrchestratorError) as refused:
        decisions.edit_change(desk.acting("operator"), "R-1", {"packages": ["shop"]}, sources)
    assert refused.value.hint == "orchestrator request revise R-1"
    with pytest.raises(OrchestratorError, match="approver has no role with change-request:decide"):
        decisions.revise_change(desk.acting("approver"), "R-1")
    revised = decisions.revise_change(desk.acting("operator"), "R-1", "a typing error")
    assert (revised.state.value, revised.note, revised.checks) == ("draft", "a typing error", ())
    decisions.edit_change(desk.acting("operator"), "R-1", {"packages": ["shop"]}, sources)
    assert decisions.submit_change(desk.acting("operator"), "R-1", sources).failing == ()
    accepted = decisions.accept_change(desk.acting("release-manager"), "R-1", sources)
    assert accepted.state.value == "accepted"
    with pytest.raises(OrchestratorError, match="revise is not possible"):
        decisions.revise_change(desk.acting("operator"), "R-1")


def test_a_request_is_accepted_only_if_its_assessment_is_clean() -> None:
    """An unknown package keeps a request from being accepted, with the check named, and nothing is changed."""
    desk, sources = Desk(), Sources()
    draft = DRAFT.model_copy(update={"packages": ("shap",)})
    made = decisions.add_change(desk.acting("operator"), draft, sources, submit=True)
    assert [check.name for check in made.failing] == ["packages"]
    before = desk.entries
    with pytest.raises(OrchestratorError, match="R-1 is not clean: packages: not in the project: shap"):
        decisions.accept_change(desk.acting("release-manager"), "R-1", sources)
    assert desk.entries == before


def test_a_deferral_ends_by_itself_and_new_facts_move_the_rank() -> None:
    """The system assesses a deferred request again at its time, and records a rank that facts have moved, once."""
    desk, sources = Desk(), Sources()
    decisions.add_change(desk.acting("operator"), DRAFT, sources, submit=True)
    decisions.defer_change(desk.acting("release-manager"), "R-1", "budget", NOON + timedelta(hours=2))
    system = Acting(desk.register, SYSTEM_ACTOR, desk.clock, ENVIRONMENTS)
    duty, now = RankRequests(system, sources), system.register.reading(system.now)
    assert duty.due(now)
    assert list(duty.do(system, now)) == []
    assert not duty.due(now)
    sources.drifting, before = ("production",), desk.entries
    assert [request.risk.risk for request in recompute_ranks(system, sources)] == [2]
    assert recompute_ranks(system, sources) == ()
    assert last_entries(desk, before) == [("change-request:decide", "change-request:R-1", "facts")]
    desk.clock.sleep(3 * 3600)
    [reopened] = recompute_ranks(system, sources)
    assert (reopened.state, reopened.until, reopened.note) == (ChangeState.ASSESSING, None, "the deferral has ended")
    moved = queries.show_ranking(desk.acting("viewer"), NOON - timedelta(hours=1)).moved
    assert moved[0].why == ("entered", "drift: production → 1 of 1")


def test_facts_are_read_once_for_requests_of_the_same_packages() -> None:
    """Ranks of many requests are computed with one query for each set of packages and environments."""
    desk, sources = Desk(), Sources()
    for _ in range(5):
        decisions.add_change(desk.acting("operator"), DRAFT, sources)
    sources.asked.clear()
    recompute_ranks(desk.acting("release-manager"), sources)
    assert sources.asked == [("shop",)]


def test_lists_are_pages_in_the_order_of_the_rank() -> None:
    """A list goes on at its cursor, misses none, and has only the states that were chosen."""
    desk, sources = Desk(), Sources()
    for value in (1, 5, 3, 4, 2):
        decisions.add_change(desk.acting("operator"), DRAFT.model_copy(update={"value": value}), sources)
    decisions.withdraw_change(desk.acting("operator"), "R-2")
    viewer = desk.acting("viewer")
    first = queries.list_changes(viewer, limit=3)
    rest = queries.list_changes(viewer, cursor=first.cursor, limit=3)
    assert [[request.value for request in page.items] for page in (first, rest)] == [[4, 3, 2], [1]]
    assert rest.cursor is None
    assert [r.id for r in queries.list_changes(viewer, (ChangeState.WITHDRAWN,)).items] == ["R-2"]
    assert queries.count_changes(viewer)[ChangeState.DRAFT] == 4
    top = queries.show_ranking(viewer, limit=3)
    following = queries.show_ranking(viewer, cursor=top.cursor, limit=3)
    assert [(r.first, [each.value for each in r.requests]) for r in (top, following)] == [(1, [4, 3, 2]), (4, [1])]
    assert len(top.moved) == len(following.moved) == 4
    shown = queries.show_change(viewer, "R-1", Sources(drifting=("production",)))
    assert shown.is_stale


def test_a_draft_that_was_changed_meanwhile_stays() -> None:
    """An edit of a version that another user has replaced is refused (N145), and changes nothing."""
    desk, sources = Desk(), Sources()
    acting = desk.acting("release-manager")
    decisions.add_change(acting, DRAFT, sources)
    read = decisions.edit_change(acting, "R-1", {"value": 5}, sources)
    changed = decisions.edit_change(acting, "R-1", {"value": 4}, sources, read)
    with pytest.raises(OrchestratorError, match="N145"):
        decisions.edit_change(acting, "R-1", {"value": 1}, sources, read)
    assert decisions.edit_change(acting, "R-1", {}, sources, changed).value == 4


def test_only_requests_that_may_have_moved_are_checked_again() -> None:
    """After its first pass the duty reads the facts of a request only after entries about its places, while it is assessed, or after its deferral."""
    desk, sources = Desk(), Sources()
    places = (("shop", "staging"), ("shop", "production"), ("api", "production"), ("web", "production"))
    for package, environment in places:
        draft = DRAFT.model_copy(update={"packages": (package,), "environments": (environment,)})
        decisions.add_change(desk.acting("operator"), draft, sources)
    system = Acting(desk.register, SYSTEM_ACTOR, desk.clock, ENVIRONMENTS)
    duty = RankRequests(system, sources)

    def checked(changes: FactChanges | None) -> list[tuple[str, ...]]:
        sources.asked.clear()
        sources.changes = changes
        list(duty.do(system, system.register.reading(system.now)))
        return sorted(sources.asked)

    nothing = FactChanges("0.2")
    assert checked(nothing) == [("api",), ("shop",), ("shop",), ("web",)], "the first pass knows nothing"
    assert checked(nothing) == []
    assert checked(FactChanges("0.3", frozenset({"staging"}))) == [("shop",)]
    assert checked(FactChanges("0.4", packages=frozenset({"api", "shop"}))) == [("api",), ("shop",), ("shop",)]
    assert checked(None) == [("api",), ("shop",), ("shop",), ("web",)], "the journal was replaced"
    sources.drifting = ("staging",)
    assert checked(nothing) == []
    assert checked(FactChanges("0.5", frozenset({"staging"}))) == [("shop",)]
    assert queries.show_change(desk.acting("viewer"), "R-1", sources).request.facts.drifting == ("staging",)
    decisions.submit_change(desk.acting("operator"), "R-4", sources)
    assert checked(nothing) == [("web",)], "one that another call has changed is assessed"
    decisions.defer_change(desk.acting("release-manager"), "R-4", "budget", NOON + timedelta(hours=2))
    assert checked(nothing) == []
    desk.clock.sleep(3 * 3600)
    assert checked(nothing) == [("web",)]
    assert queries.show_change(desk.acting("viewer"), "R-4", sources).request.state is ChangeState.ASSESSING


def test_the_journal_names_what_may_have_changed_facts(tmp_path: Path) -> None:
    """After a cursor the environments and packages of new entries are named; an unknown cursor, or a replaced journal, names nothing."""
    store = DatabaseStore(f"sqlite:///{tmp_path}/state.db", SystemClock())
    for name, environment in (("shop", "staging"), ("api", "production")):
        release = PackageRef(name=name, version="1.0.0", digest=f"sha256:{'1' * 64}")
        store.create(Run(id=name, root=name, kind="promotion", environment=environment, release=release))
        store.append(name, [Entry(kind="notice", data={})])
    assert fact_changes(store, None) is None
    cursor = store.feed_end()
    assert cursor is not None
    assert fact_changes(store, cursor) == FactChanges(cursor)
    store.append("shop", [Entry(kind="notice", data={})])
    assert fact_changes(store, cursor) == FactChanges(
        store.feed_end() or "", frozenset({"staging"}), frozenset({"shop"})
    )
    assert fact_changes(store, "0.999") is None
    store.close()
