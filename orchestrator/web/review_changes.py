"""What pages change of reviews and actions: each function calls one use case, and decides nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.reviews import decisions as reviews
from orchestrator.management.reviews.model import CloseCode, Feedback, Review, ReviewAction
from orchestrator.management.reviews.state import ACTION_TABLE, ActionEvent
from orchestrator.web.changes import is_allowed
from orchestrator.web.management import EPOCH
from orchestrator.web.requests import checked_model, required_reason

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

ActionCall = Callable[[Acting, str, str], ReviewAction]
RATINGS = range(1, 6)


ACTION_EVENTS: dict[str, ActionCall] = {
    "done": reviews.complete_action,
    "cancel": lambda acting, key, note: reviews.cancel_action(acting, key, required_reason(note, "action")),
}
"""The events of an action that users cause, by the words of the command line."""
ACTION_TEXTS = {"done": "Record that an action was done.", "cancel": "Cancel an action. The reason is required."}
"""What each event does."""
TABLE_EVENTS = {"done": ActionEvent.COMPLETE, "cancel": ActionEvent.CANCEL}


def possible_actions(acting: Acting, action: ReviewAction) -> tuple[str, ...]:
    """The events of *action* that the actor can currently cause: the buttons of a page."""
    plans = is_allowed(acting, Action.PLAN_RELEASES)
    owns = action.owner == str(acting.actor)
    return tuple(
        name
        for name, event in TABLE_EVENTS.items()
        if ACTION_TABLE.allows(action.state, event) and (plans or (owns and name == "done"))
    )


def enter_feedback(acting: Acting, subject: str, text: str, rating: str) -> Review:
    """Add feedback; *rating* is empty or a number from 1 to 5. Raises N110, and what the use case raises."""
    if rating and rating not in {str(number) for number in RATINGS}:
        raise OrchestratorError("N110", "rating: a number from 1 to 5 is possible")
    given = int(rating) if rating else None
    checked_model(Feedback, {"by": "any", "at": EPOCH, "text": text, "rating": given})
    return reviews.add_feedback(acting, subject, text, given)


def enter_close(acting: Acting, subject: str, code: str, conclusion: str) -> Review:
    """Close a review. Without a *code* it gets the one that its facts suggest. Raises N110 and G101."""
    if code and code not in set(CloseCode):
        raise OrchestratorError("N110", f"code: one of {', '.join(CloseCode)}")
    return reviews.close_review(acting, subject, CloseCode(code) if code else None, conclusion)


def enter_review(acting: Acting, subject: str, fields: dict[str, Any]) -> Review:
    """Change *fields* of an open review. Raises N110, A110 and G501."""
    about = {"subject": "any", "kind": "other", "environment": "any", "title": "any"}
    checked_model(Review, {**about, "opened_at": EPOCH, "due": EPOCH, **fields})
    return reviews.write_review(acting, subject, fields)


def enter_action(acting: Acting, subject: str, title: str, owner: str, due: datetime | None) -> ReviewAction:
    """Add an action to a review. Raises N110 and A110."""
    if due is None:
        raise OrchestratorError("N110", "due: it is required")
    about = {"number": 1, "review": "any", "environment": "any", "created_by": "any", "created_at": EPOCH}
    checked_model(ReviewAction, {**about, "title": title, "owner": owner, "due": due})
    return reviews.add_action(acting, subject, title, owner, due)


def enter_subject(app: "ManagedApplication", acting: Acting, subject: str) -> Review:
    """Open the review of a run or of a planned release. Raises A110, R101 and G502."""
    return reviews.open_review(acting, subject, app.review_sources)
