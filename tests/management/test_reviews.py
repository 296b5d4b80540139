"""Reviews and actions: their states, what opens them, and who may end an action."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.memory.store import ManualClock, MemoryStore
from orchestrator.app.acting import Acting
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.moments import moment_text
from orchestrator.domain.promotion import State
from orchestrator.domain.register import OUTBOX, Message
from orchestrator.domain.release import PackageRef
from orchestrator.hook_wiring import ProjectReviewSources
from orchestrator.management.planned_releases.model import PlannedRelease, ScopePackage
from orchestrator.management.planned_releases.state import ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews.decisions import (
    add_action,
    add_feedback,
    cancel_action,
    close_review,
    complete_action,
    open_review,
    write_review,
)
from orchestrator.management.reviews.duties import open_due_reviews
from orchestrator.management.reviews.model import CloseCode, Review, ReviewAction, ReviewFacts
from orchestrator.management.reviews.ports import ReviewedRun
from orchestrator.management.reviews.queries import list_actions, list_reviews, overdue_actions, show_review
from orchestrator.management.reviews.state import ACTION_TABLE, REVIEW_TABLE, ActionEvent, ReviewEvent
from tests.app.desk import NOON, Desk
from tests.management.calls import planned_draft
from tests.management.sources import SHOP, ReviewJournal

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RUN = "00000a-production"

if TYPE_CHECKING:
    from orchestrator.app.front_end import ApplicationParts


@dataclass
class Office:
    """A register, and a release manager at it."""

    desk: Desk = field(default_factory=Desk)

    @property
    def acting(self) -> Acting:
        return self.desk.acting("release-manager")

    def messages(self) -> tuple[Message, ...]:
        return self.desk.register.reading(lambda records: records.all(OUTBOX))


@pytest.fixture
def office() -> Office:
    """A register with users."""
    return Office()


def ended(state: State = State.ROLLED_BACK, ago: timedelta = HOUR, run: str = RUN) -> Run:
    """A promotion by ann that ended *ago*."""
    times = {"requested_at": moment_text(NOON - ago - HOUR), "ended_at": moment_text(NOON - ago)}
    about = {"id": run, "root": run[:6], "kind": "promotion", "environment": "production", "by": "ann"}
    return Run.from_json({**about, **times, "state": state.value, "release": SHOP.to_json()})


def journal(*runs: Run) -> ReviewJournal:
    facts = ReviewFacts(runs=(f"{RUN}: rolled back",), incidents=("deploy failed",))
    return ReviewJournal(tuple(ReviewedRun(run, "rollback") for run in runs), facts)


@given(st.lists(st.sampled_from([*ReviewEvent, *ActionEvent]), max_size=12))
def test_no_sequence_of_events_leaves_the_tables(events: list[ReviewEvent | ActionEvent]) -> None:
    """After any events the states are those of the tables, a refused event changes nothing, and an end stays an end."""
    fields = {"environment": "production", "title": "shop", "due": NOON}
    review = Review.model_validate({"subject": RUN, "kind": "rollback", "opened_at": NOON, **fields})
    about = {"number": 1, "review": RUN, "owner": "ann", "created_by": "ann", "created_at": NOON}
    action = ReviewAction.model_validate({**fields, **about})
    for event in events:
        if isinstance(event, ReviewEvent) and REVIEW_TABLE.allows(review.state, event):
            review = review.after(event)
        elif isinstance(event, ActionEvent) and ACTION_TABLE.allows(action.state, event):
            action = action.after(event)
        else:
            with pytest.raises(OrchestratorError, match="not possible"):
                review.after(event) if isinstance(event, ReviewEvent) else action.after(event)
    assert review.state in REVIEW_TABLE.moves
    assert action.state in ACTION_TABLE.moves


def test_a_rollback_opens_one_review(office: Office) -> None:
    """A run that was rolled back gets one review with its facts and one message to its user, however often it is looked for."""
    sources = journal(ended(), ended(ago=8 * DAY, run="00000b-production"))
    assert open_due_reviews(office.acting, sources) == (f"the review of {RUN} was opened: rollback",)
    assert open_due_reviews(office.acting, sources) == ()
    shown = show_review(office.acting, RUN)
    assert (shown.review.kind, shown.review.lead) == ("rollback", "ann")
    assert shown.review.due == shown.review.opened_at + 7 * DAY
    assert shown.review.facts.incidents == ("deploy failed",)
    assert shown.review.suggested_code is CloseCode.ROLLED_BACK
    messages = [each for each in office.messages() if each.kind == "release-review"]
    assert [each.to for each in messages] == ["ann"]


def test_a_review_that_cannot_be_opened_keeps_no_other_from_it(office: Office) -> None:
    """While the facts of one run cannot be read, the review of another one opens and an owner is reminded, and the failure names the run."""

    class Unread(ReviewJournal):
        """The evidence of one run is gone."""

        def run_facts(self, run: str) -> ReviewFacts:
            if run == RUN:
                raise OrchestratorError("S110", "its records cannot be read")
            return super().run_facts(run)

    other = "00000b-production"
    open_review(office.acting, "00000c-production", journal(ended(run="00000c-production")))
    add_action(office.acting, "00000c-production", "Size the disk", "operator", NOON - HOUR)
    runs = tuple(ReviewedRun(ended(run=run), "rollback") for run in (RUN, other))
    with pytest.raises(OrchestratorError, match=f"{RUN}: its records cannot be read"):
        open_due_reviews(office.acting, Unread(runs))
    assert {each.id for each in list_reviews(office.acting).items} == {other, "00000c-production"}
    assert "A-1 of the review of 00000c-production is overdue: Size the disk" in {m.text for m in office.messages()}


@pytest.mark.parametrize(
    ("state", "reviewed"),
    [(ReleaseState.RELEASED, ["REL-1"]), (ReleaseState.ROLLED_BACK, ["REL-1"]), (ReleaseState.IN_PROGRESS, [])],
)
def test_a_release_is_reviewed_at_its_end(office: Office, state: ReleaseState, reviewed: list[str]) -> None:
    """A planned release gets a review when it was released or rolled back, with its phases as planned and as they were."""
    made = {"number": 1, "created_at": NOON, "created_by": "ann", "state": state}
    office.desk.write(PLANNED_RELEASES, PlannedRelease.model_validate({**dict(planned_draft("production")), **made}))
    open_due_reviews(office.acting, journal())
    found = list_reviews(office.acting).items
    assert [each.id for each in found] == reviewed
    phases = [[phase.name for phase in each.facts.planned] for each in found]
    assert phases == [["build", "test", "deploy", "close"]] * len(reviewed)


def test_a_closed_review_is_only_added_to(office: Office) -> None:
    """A closed review refuses to be written and to be closed again, and takes feedback and actions."""
    open_review(office.acting, RUN, journal(ended()))
    with pytest.raises(OrchestratorError, match="has a review"):
        open_review(office.acting, RUN, journal(ended()))
    write_review(office.acting, RUN, {"went_well": "quick", "lead": "operator"})
    assert close_review(office.acting, RUN, conclusion="disk full").close_code is CloseCode.ROLLED_BACK
    with pytest.raises(OrchestratorError, match="is closed") as caught:
        write_review(office.acting, RUN, {"went_well": "no"})
    assert caught.value.code == "G501"
    with pytest.raises(OrchestratorError, match="not possible"):
        close_review(office.acting, RUN)
    add_feedback(office.acting, RUN, "slow", 2)
    add_action(office.acting, RUN, "Size the disk", "release-manager", NOON + DAY)
    shown = show_review(office.acting, RUN)
    assert [said.text for said in shown.review.feedback] == ["slow"]
    assert [each.title for each in shown.actions] == ["Size the disk"]
    assert shown.review.went_well == "quick"


def test_an_overdue_action_is_shown_and_its_owner_is_notified_once(office: Office) -> None:
    """An action after its due time is overdue, its owner gets one message, and it ends once."""
    open_review(office.acting, RUN, journal(ended()))
    action = add_action(office.acting, RUN, "Size the disk", "release-manager", NOON - HOUR)
    assert [each.id for each in overdue_actions(office.acting)] == [action.id]
    assert open_due_reviews(office.acting, journal()) == ("A-1: release-manager was notified that it is overdue",)
    assert open_due_reviews(office.acting, journal()) == ()
    assert complete_action(office.acting, "A-1", "ordered").note == "ordered"
    with pytest.raises(OrchestratorError, match="not possible"):
        cancel_action(office.acting, "A-1", "why")
    assert overdue_actions(office.acting) == ()
    assert [each.id for each in list_actions(office.acting, mine=True, ended=True).items] == ["A-1"]


def test_own_actions_are_pages(office: Office) -> None:
    """Own actions go on at the cursor of the page before, and actions of others are left out."""
    open_review(office.acting, RUN, journal(ended()))
    for number, owner in enumerate(("release-manager", "operator", "release-manager")):
        add_action(office.acting, RUN, f"Action {number}", owner, NOON + number * DAY)
    first = list_actions(office.acting, mine=True, limit=1)
    following = list_actions(office.acting, mine=True, cursor=first.cursor, limit=1)
    assert [each.title for page in (first, following) for each in page.items] == ["Action 0", "Action 2"]
    assert following.cursor is None


class Journal:
    """The journal of a project with its runs, as reviews read it."""

    def __init__(self) -> None:
        self.store = MemoryStore(ManualClock(NOON))
        self.services = self
        self.sources = ProjectReviewSources(cast("ApplicationParts", self))

    def ran(self, key: str, kind: str, package: PackageRef, state: State) -> str:
        """A run that has ended; its id."""
        name = f"{key}-production"
        self.store.clock.jump(60)
        about = {"id": name, "root": key, "kind": kind, "environment": "production", "by": "operator"}
        at = self.store.clock.now()
        self.store.create(Run.model_validate({**about, "release": package, "requested_at": at}))
        self.store.clock.jump(60)
        self.store.append(name, [Entry(kind="ended", data={"state": state.value, "exit": 0})])
        return name


OLDER = PackageRef(name="shop", version="1.4.0", digest=f"sha256:{'2' * 64}")
NEWER = PackageRef(name="shop", version="1.6.0", digest=f"sha256:{'3' * 64}")


def released(office: Office, *, opened: bool = True) -> Journal:
    """The release REL-1 of shop 1.5.0 was promoted, and its review *opened*."""
    found = Journal()
    office.desk.clock = found.store.clock
    found.ran("00000a", "promotion", OLDER, State.SUCCEEDED)
    scope = {"packages": (ScopePackage.model_validate({**dict(SHOP)}),)}
    made = {"number": 1, "created_at": NOON, "created_by": "ann", "state": ReleaseState.RELEASED, **scope}
    office.desk.write(PLANNED_RELEASES, PlannedRelease.model_validate({**dict(planned_draft("production")), **made}))
    found.ran("00000b", "promotion", SHOP, State.SUCCEEDED)
    if opened:
        assert open_due_reviews(office.acting, found.sources) == ("the review of REL-1 was opened",)
    return found


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_a_later_rollback_is_in_the_review_of_its_release(office: Office, closed: bool) -> None:
    """A rollback by hand after the review was opened is in its facts, once, and the lead is notified; a closed review is only added to."""
    found = released(office)
    if closed:
        close_review(office.acting, "REL-1")
    before = show_review(office.acting, "REL-1").review
    run = found.ran("00000c", "rollback", OLDER, State.ROLLED_BACK)
    texts = (f"the review of {run} was opened: rollback", f"{run} was added to the review of REL-1")
    assert open_due_reviews(office.acting, found.sources) == texts
    assert open_due_reviews(office.acting, found.sources) == ()
    review = show_review(office.acting, "REL-1").review
    if closed:
        assert review.model_copy(update={"feedback": ()}) == before
        assert [each.text for each in review.feedback] == [f"{run}: rolled back, after this review was closed"]
    else:
        assert review.facts.runs == ("00000b-production: succeeded", f"{run}: rolled back")
        assert review.facts.incidents != ()
        assert review.feedback == ()
    assert [each.to for each in office.messages() if each.text == f"the review of REL-1 has a new run: {run}"] == [
        "root"
    ]


def test_a_rollback_before_the_review_is_opened_is_in_it(office: Office) -> None:
    """A review that a user opens after a rollback by hand has the promotion and the rollback, and nothing is added later."""
    found = released(office, opened=False)
    run = found.ran("00000c", "rollback", OLDER, State.ROLLED_BACK)
    found.ran("00000d", "promotion", NEWER, State.SUCCEEDED)
    opened = open_review(office.acting, "REL-1", found.sources)
    assert opened.facts.runs == ("00000b-production: succeeded", f"{run}: rolled back")
    assert open_due_reviews(office.acting, found.sources) == (f"the review of {run} was opened: rollback",)


def test_a_rollback_of_another_release_is_not_in_a_review(office: Office) -> None:
    """A rollback of the release that came after it, and one to it, is not in its review; the next rollback, which takes it out, is."""
    found = released(office)
    found.ran("00000c", "promotion", NEWER, State.SUCCEEDED)
    run = found.ran("00000d", "rollback", SHOP, State.ROLLED_BACK)
    assert open_due_reviews(office.acting, found.sources) == (f"the review of {run} was opened: rollback",)
    assert show_review(office.acting, "REL-1").review.facts.runs == ("00000b-production: succeeded",)
    second = found.ran("00000e", "rollback", OLDER, State.ROLLED_BACK)
    assert f"{second} was added to the review of REL-1" in open_due_reviews(office.acting, found.sources)
