"""Reviews and actions as users read them: in words, and as data for documents."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Cell, out, out_folded, print_json, table

if TYPE_CHECKING:
    from orchestrator.management.reviews.model import Review, ReviewAction
    from orchestrator.management.reviews.queries import ShownReview

HEADS = ("review", "state", "why", "environment", "due", "lead", "title")
ACTION_HEADS = ("action", "state", "owner", "due", "review", "title")


def review_item(review: "Review") -> dict[str, Any]:
    """The review as data for documents."""
    return {"id": review.id, "review": review.to_json(), "suggested_code": review.suggested_code.value}


def action_item(action: "ReviewAction") -> dict[str, Any]:
    """The action as data for documents."""
    return {"id": action.id, "action": action.to_json()}


def shown_review_item(shown: "ShownReview") -> dict[str, Any]:
    """A review with its actions as data for documents."""
    return {**review_item(shown.review), "actions": [action_item(each) for each in shown.actions]}


def review_row(review: "Review") -> list[Cell]:
    """The review as a row of a table."""
    from orchestrator.domain.moments import minute_text

    state = review.close_code.value if review.close_code is not None else review.state.value
    return [
        review.id,
        state,
        review.kind,
        review.environment,
        minute_text(review.due),
        review.lead or "–",
        review.title,
    ]


def action_row(action: "ReviewAction") -> list[Cell]:
    """The action as a row of a table."""
    from orchestrator.domain.moments import minute_text

    return [action.id, action.state.value, action.owner, minute_text(action.due), action.review, action.title]


def review_lines(shown: "ShownReview") -> Iterator[str]:
    """The review with its facts, what was written, feedback and actions."""
    from orchestrator.domain.moments import minute_text

    review = shown.review
    yield f"{review.id} {review.state}: {review.title}"
    if review.close_code is not None and review.closed_at is not None:
        why = f": {review.conclusion}" if review.conclusion else ""
        yield f"  result   {review.close_code}, by {review.closed_by} at {minute_text(review.closed_at)}{why}"
    else:
        yield f"  due      {minute_text(review.due)}, lead {review.lead or '–'}"
        yield f"  suggests {review.suggested_code}"
    yield from _fact_lines(review)
    for name, text in (("well", review.went_well), ("badly", review.went_badly)):
        if text:
            yield f"  {name:8} {text}"
    for feedback in review.feedback:
        rating = f" ({feedback.rating} of 5)" if feedback.rating is not None else ""
        yield f"  feedback {feedback.by}{rating}: {feedback.text}"
    for action in shown.actions:
        yield f"  action   {action.id} {action.state}: {action.title}, {action.owner}, until {minute_text(action.due)}"


def _fact_lines(review: "Review") -> Iterator[str]:
    from orchestrator.cli.words import duration_text
    from orchestrator.domain.moments import minute_text

    facts = review.facts
    lists = (("run", facts.runs), ("incident", facts.incidents), ("flaky", facts.flaky))
    more = (("approval", facts.approvals), ("override", facts.overrides))
    times = (("lasted", facts.seconds), ("recovery", facts.recovery_s), ("downtime", facts.downtime_s))
    for name, seconds in times:
        if seconds is not None:
            yield f"  {name:8} {duration_text(seconds)}"
    for each in facts.planned:
        actual = minute_text(each.actual) if each.actual is not None else "not ended"
        yield f"  planned  {each.name}: {minute_text(each.planned)}, actual {actual}"
    for wait in facts.waits:
        yield f"  waited   {duration_text(wait.seconds)} ({wait.kind})"
    for name, texts in (*lists, *more):
        for text in texts:
            yield f"  {name:8} {text}"


def overdue_lines(actions: "Iterable[ReviewAction]") -> Iterator[str]:
    """The overdue *actions*, as they are shown where a release is planned."""
    from orchestrator.domain.moments import minute_text

    for each in actions:
        due = f"{each.id} of {each.owner}, due {minute_text(each.due)}"
        yield f"  overdue  {due}: {each.title} (review of {each.review})"


def print_review(shown: "ShownReview", *, as_json: bool) -> None:
    """Print one review with its actions."""
    if as_json:
        print_json("Review", shown_review_item(shown))
        return
    for line in review_lines(shown):
        out_folded(line)


def print_action(action: "ReviewAction", *, as_json: bool) -> None:
    """Print one action."""
    if as_json:
        print_json("ReviewAction", action_item(action))
    else:
        from orchestrator.domain.moments import minute_text

        out_folded(f"{action.id} {action.state}: {action.title}, {action.owner}, until {minute_text(action.due)}")


def print_actions(actions: "Iterable[ReviewAction]", cursor: str | None, width: int | None, *, as_json: bool) -> None:
    """Print a page of actions."""
    found = list(actions)
    if as_json:
        print_json("ReviewActions", {"actions": [action_item(each) for each in found], "cursor": cursor})
    elif not found:
        out("there are no such actions")
    else:
        out(table(ACTION_HEADS, [action_row(each) for each in found], width))
