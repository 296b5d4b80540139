"""Use cases that write reviews and their actions. Each change has an entry in the audit stream."""

from datetime import datetime, timedelta
from typing import Any

from orchestrator.app.acting import Acting, Change, View, change, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.promotion import State
from orchestrator.domain.register import OUTBOX
from orchestrator.management.messages import Subject, message_to
from orchestrator.management.numbers import next_number
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews.model import CloseCode, Feedback, Review, ReviewAction
from orchestrator.management.reviews.ports import ReviewSources, RunKind
from orchestrator.management.reviews.state import ActionEvent, ReviewEvent
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.management.reviews.subjects import merged_facts, release_review_facts, run_review_facts

DUE_AFTER = timedelta(days=7)
"""A review is due this long after it was opened."""
NOUN = "release-review"
KINDS: dict[State, RunKind] = {State.ROLLED_BACK: "rollback", State.NEEDS_INTERVENTION: "intervention"}
"""Why the review of a run with this end is opened."""


@forwarded
def open_review(acting: Acting, subject: str, sources: ReviewSources) -> Review:
    """Open the review of a run or of a planned release. Raises A110, R101, and G502 if there is one already."""

    def work(task: Change) -> Review:
        if task.records.get(RELEASE_REVIEWS, subject) is not None:
            raise OrchestratorError("G502", f"{subject} has a review", hint=f"orchestrator review show {subject}")
        release = task.records.get(PLANNED_RELEASES, subject)
        if release is not None:
            return opened_for_release(task, release, sources)
        run = sources.run(subject)
        return opened_for_run(task, run, KINDS.get(run.state, "other"), sources)

    return change(acting, Action.PLAN_RELEASES, work)


@forwarded
def write_review(acting: Acting, subject: str, fields: dict[str, Any]) -> Review:
    """Change *fields* of an open review: `went_well`, `went_badly`, `lead`, `due`. Raises A110 and G501."""

    def work(task: Change) -> Review:
        review = _open(task, subject)
        lead = fields.get("lead")
        if lead:
            _check_user(task, lead)
        changed = Review.from_json({**review.to_json(), **fields})
        names = sorted(name for name in fields if getattr(changed, name) != getattr(review, name))
        return _put(task, changed, "write", changed=names)

    return change(acting, Action.PLAN_RELEASES, work)


@forwarded
def close_review(acting: Acting, subject: str, code: CloseCode | None = None, conclusion: str = "") -> Review:
    """Close a review with *code*; by default the one that its facts suggest. Raises A110 and G101."""

    def work(task: Change) -> Review:
        review = task.existing(RELEASE_REVIEWS, subject)
        fields = {"closed_by": str(acting.actor), "closed_at": task.now.earliest, "conclusion": conclusion}
        closed = review.after(ReviewEvent.CLOSE, close_code=code or review.suggested_code, **fields)
        return _put(task, closed, ReviewEvent.CLOSE, code=str(closed.close_code))

    return change(acting, Action.PLAN_RELEASES, work, reason=conclusion)


@forwarded
def add_feedback(acting: Acting, subject: str, text: str, rating: int | None = None) -> Review:
    """Add the actor's feedback on the subject, also to a closed review. Raises A110."""

    def work(task: Change) -> Review:
        review = task.existing(RELEASE_REVIEWS, subject)
        feedback = Feedback(by=str(acting.actor), at=task.now.earliest, text=text, rating=rating)
        return _put(
            task, review.model_copy(update={"feedback": (*review.feedback, feedback)}), "feedback", rating=rating
        )

    return change(acting, Action.EDIT_REQUESTS, work)


@forwarded
def add_action(acting: Acting, subject: str, title: str, owner: str, due: datetime) -> ReviewAction:
    """Add an action to a review, also to a closed one; its owner is notified. Raises A110."""

    def work(task: Change) -> ReviewAction:
        review = task.existing(RELEASE_REVIEWS, subject)
        _check_user(task, owner)
        number, at, by = next_number(task.records, "review-action"), task.now.earliest, str(acting.actor)
        made = ReviewAction(
            number=number,
            review=review.id,
            environment=review.environment,
            title=title,
            owner=owner,
            due=due,
            created_by=by,
            created_at=at,
        )
        task.put(REVIEW_ACTIONS, made, event="add", state=made.state.value)
        if owner != by:
            text = f"{made.id} of the review of {review.id} is yours: {made.title}"
            task.put(OUTBOX, message_to(task, owner, _of_action(made, "added"), text))
        return task.existing(REVIEW_ACTIONS, made.id)

    return change(acting, Action.PLAN_RELEASES, work)


@forwarded
def complete_action(acting: Acting, key: str, note: str = "") -> ReviewAction:
    """Record that an action was done: by its owner, or with the right to plan releases. Raises A110 and G101."""
    return _end_action(acting, key, ActionEvent.COMPLETE, note)


@forwarded
def cancel_action(acting: Acting, key: str, note: str) -> ReviewAction:
    """Cancel an action, with the reason. Raises A110 and G101."""
    return _end_action(acting, key, ActionEvent.CANCEL, note)


def _end_action(acting: Acting, key: str, event: ActionEvent, note: str) -> ReviewAction:
    def is_owner(view: View) -> bool:
        found = view.records.get(REVIEW_ACTIONS, key)
        return event is ActionEvent.COMPLETE and found is not None and found.owner == str(acting.actor)

    def work(task: Change) -> ReviewAction:
        fields = {"note": note, "ended_by": str(acting.actor), "ended_at": task.now.earliest}
        ended = task.existing(REVIEW_ACTIONS, key).after(event, **fields)
        task.put(REVIEW_ACTIONS, ended, event=str(event), state=ended.state.value)
        return ended

    return change(acting, Action.PLAN_RELEASES, work, reason=note, unless=is_owner)


# -- parts that the scheduler uses as well -----------------------------------------------------------------------------


def opened_for_run(task: Change, run: Run, kind: RunKind, sources: ReviewSources) -> Review:
    """Open the review of a *run*, whose user is notified."""
    title = f"{run.release or run.environment} in {run.environment}: {run.state}"
    facts = run_review_facts(task, run, sources)
    return _opened(task, run.id, kind, run.environment, title, run.by, facts=facts)


def opened_for_release(task: Change, release: PlannedRelease, sources: ReviewSources) -> Review:
    """Open the review of a planned *release*, whose owner leads it."""
    facts = release_review_facts(task, release, sources)
    title = f"{release.id} {release.title}: {release.state}"
    return _opened(task, release.id, "release", release.environment, title, release.owner, facts=facts)


def _opened(task: Change, subject: str, kind: str, environment: str, title: str, lead: str, **fields: Any) -> Review:
    at = task.now.earliest
    about = {"subject": subject, "kind": kind, "environment": environment, "title": title}
    review = Review.model_validate({**about, "opened_at": at, "due": at + DUE_AFTER, "lead": lead, **fields})
    task.put(RELEASE_REVIEWS, review, event="open", state=review.state.value, why=kind)
    if lead and lead != str(task.acting.actor):
        opened = Subject(NOUN, subject, "opened", f"/reviews/{subject}", review.state.value, environment)
        task.put(OUTBOX, message_to(task, lead, opened, f"the review of {title} is open: {subject}"))
    return review


def add_late_run(task: Change, release: PlannedRelease, run: Run, sources: ReviewSources) -> Review:
    """Add *run*, which undid a package of *release* after its review was opened, and notify the lead.

    The facts of an open review are read again. A closed one gets feedback, as nothing else of it changes.
    """
    review = task.existing(RELEASE_REVIEWS, release.id)
    if review.has_ended:
        text = f"{run.id}: {run.state}, after this review was closed"
        added = Feedback(by=str(task.acting.actor), at=task.now.earliest, text=text)
        changed = review.model_copy(update={"feedback": (*review.feedback, added)})
    else:
        facts = release_review_facts(task, release, sources)
        if not review.model_copy(update={"facts": facts}).names_run(run.id):  # of an earlier promotion
            facts = merged_facts((facts, run_review_facts(task, run, sources)))
        changed = review.model_copy(update={"facts": facts})
    _put(task, changed, "add run", run=run.id)
    if review.lead and review.lead != str(task.acting.actor):
        subject = Subject(NOUN, review.id, run.id, f"/reviews/{review.id}", review.state.value, review.environment)
        task.put(OUTBOX, message_to(task, review.lead, subject, f"the review of {review.id} has a new run: {run.id}"))
    return changed


def remind_action_owner(task: Change, action: ReviewAction) -> str:
    """Notify the owner of an overdue *action*, once; a phrase."""
    text = f"{action.id} of the review of {action.review} is overdue: {action.title}"
    task.put(OUTBOX, message_to(task, action.owner, _of_action(action, "overdue"), text))
    return f"{action.id}: {action.owner} was notified that it is overdue"


def overdue_message(action: ReviewAction) -> str:
    """What identifies the message about an overdue action."""
    return f"{action.id} overdue"


def has_message(view: View, user: str, about: str) -> bool:
    """Whether *user* got the message about *about*."""
    return view.records.get(OUTBOX, f"{NOUN} {about} {user}") is not None


def _of_action(action: ReviewAction, version: str) -> Subject:
    return Subject(NOUN, action.id, version, "/actions", action.state.value, action.environment)


def _open(task: Change, subject: str) -> Review:
    review = task.existing(RELEASE_REVIEWS, subject)
    if review.has_ended:
        raise OrchestratorError("G501", f"the review of {subject} is closed: feedback and actions can be added")
    return review


def _put(task: Change, review: Review, event: ReviewEvent | str, **detail: Any) -> Review:
    task.put(RELEASE_REVIEWS, review, event=str(event), state=review.state.value, **detail)
    return review


def _check_user(view: View, name: str) -> None:
    if name not in view.directory.users and name != str(view.acting.actor):
        raise unknown("user", name, sorted(view.directory.users))
