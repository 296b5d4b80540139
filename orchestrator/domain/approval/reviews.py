"""The approval after an emergency: what was passed over, by when it is reviewed, and what an overdue one refuses."""

from collections.abc import Iterable
from datetime import timedelta

from orchestrator.domain.access.directory import Directory
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.votes import ApprovalVerdict, Subject, Vote, satisfied
from orchestrator.domain.model import Digest, Model, Name
from orchestrator.domain.moments import Moment, Now, minute_text
from orchestrator.domain.text import few


class EmergencyReview(Model):
    """The review of an emergency *run*: the approval that *requirement* would have needed, by *due*."""

    run: str
    environment: Name
    plan: Digest
    requirement: Requirement
    reason: str
    incident: str
    opened_at: Moment
    due: Moment
    completed_at: Moment | None = None

    def is_overdue(self, now: Now) -> bool:
        """Whether the review is not completed and its time may be over."""
        return self.completed_at is None and now.may_have_reached(self.due)

    def __str__(self) -> str:
        return f"the review of the emergency {self.run} was due at {minute_text(self.due)}: {self.reason}"


def passed_over(
    ordinary: Requirement, votes: Iterable[Vote], subject: Subject, directory: Directory, now: Now
) -> tuple[str, ...]:
    """The users whose approval an ordinary change would have needed and who were not heard. They are notified."""
    return satisfied(ordinary, votes, subject, directory, now).could


def review_verdict(
    review: EmergencyReview, votes: Iterable[Vote], subject: Subject, directory: Directory, now: Now
) -> ApprovalVerdict:
    """How far the approval after the emergency is. Votes for it do not expire before it is completed."""
    life = review.requirement.model_copy(update={"expire": f"{_days(review, now)}d"})
    return satisfied(life, votes, subject, directory, now)


def _days(review: EmergencyReview, now: Now) -> int:
    return max(1, (now.latest - review.opened_at) // timedelta(days=1) + 2)


def overdue(reviews: Iterable[EmergencyReview], environment: str, now: Now) -> tuple[EmergencyReview, ...]:
    """The overdue reviews of *environment*: each refuses the next ordinary promotion into it."""
    return tuple(review for review in reviews if review.environment == environment and review.is_overdue(now))


def overdue_text(reviews: Iterable[EmergencyReview]) -> str:
    """The overdue *reviews* in one phrase."""
    return few([str(review) for review in reviews], 3)
