"""What users see of reviews and actions."""

from dataclasses import dataclass
from itertools import takewhile

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.register import ENDED, OPEN
from orchestrator.management.reviews.model import Review, ReviewAction
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.register_ports import each_record, page_of_fitting


@dataclass(frozen=True)
class ShownReview:
    """A review with its *actions*."""

    review: Review
    actions: tuple[ReviewAction, ...]


@forwarded
def list_reviews(
    acting: Acting, *, ended: bool = False, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[Review]:
    """A page of the reviews, by their due time; by default those that are open."""
    parts = [OPEN, ENDED] if ended else [OPEN]
    return read_register(
        acting, Action.VIEW, lambda view: view.records.page(RELEASE_REVIEWS, parts, cursor=cursor, limit=limit)
    )


@forwarded
def show_review(acting: Acting, subject: str) -> ShownReview:
    """The review of a run or a planned release. Raises A110."""

    def work(view: View) -> ShownReview:
        review = view.existing(RELEASE_REVIEWS, subject)
        actions = each_record(view.records, REVIEW_ACTIONS, about=review.id)
        return ShownReview(review, tuple(sorted(actions, key=lambda each: each.number)))

    return read_register(acting, Action.VIEW, work)


@forwarded
def list_actions(
    acting: Acting, *, mine: bool = False, ended: bool = False, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[ReviewAction]:
    """A page of the actions, by their due time; by default those that are open. With *mine* only the actor's own."""
    parts = [OPEN, ENDED] if ended else [OPEN]

    def work(view: View) -> Page[ReviewAction]:
        if not mine:
            return view.records.page(REVIEW_ACTIONS, parts, cursor=cursor, limit=limit)
        user = str(acting.actor)
        return page_of_fitting(
            view.records, REVIEW_ACTIONS, parts, lambda each: each.owner == user, cursor=cursor, limit=limit
        )

    return read_register(acting, Action.VIEW, work)


@forwarded
def overdue_actions(acting: Acting) -> tuple[ReviewAction, ...]:
    """The open actions after their due time, which are shown where the next release is planned."""

    def work(view: View) -> tuple[ReviewAction, ...]:
        by_due = each_record(view.records, REVIEW_ACTIONS, [OPEN])
        return tuple(takewhile(lambda each: each.is_overdue(view.now.earliest), by_due))

    return read_register(acting, Action.VIEW, work)
