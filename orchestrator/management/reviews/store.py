"""Where reviews and actions are kept: in the register, in the order of their due times."""

from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ENDED, OPEN, RecordKind
from orchestrator.management.reviews.model import Review, ReviewAction

RELEASE_REVIEWS = RecordKind(
    "release_reviews",
    Review,
    key=lambda review: review.subject,
    part=lambda review: ENDED if review.has_ended else OPEN,
    position=lambda review: moment_text(review.due),
    noun="release-review",
)
REVIEW_ACTIONS = RecordKind(
    "review_actions",
    ReviewAction,
    key=lambda action: action.id,
    part=lambda action: ENDED if action.has_ended else OPEN,
    position=lambda action: f"{moment_text(action.due)}.{action.number:08}",
    noun="review-action",
    about=lambda action: action.review,
)
