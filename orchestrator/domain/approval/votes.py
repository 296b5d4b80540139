"""Votes, which of them count, and what is missing: pure functions of the votes, the directory and the clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import StringConstraints

from orchestrator.domain.access.authorize import Target, role_held
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.approval.matching import Ballot, matched
from orchestrator.domain.approval.policy import Quorum, Requirement
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment, Now, moment_text, span
from orchestrator.domain.text import counted, few


class Decision(StrEnum):
    """A vote. There is no default: an empty answer is not a vote."""

    APPROVE = "approve"
    REJECT = "reject"


class Vote(Model):
    """The vote of a user for one plan, and for what was shown of it (*rendered*, the digest of the rendered plan).

    *role* is the one that was held. *deputy_for* is the absent user whose right was used.
    """

    plan: Digest
    rendered: Digest
    by: Annotated[str, StringConstraints(min_length=1)]
    decision: Decision
    role: str = ""
    deputy_for: str | None = None
    comment: str = ""
    at: Moment
    withdrawn_at: Moment | None = None


@dataclass(frozen=True)
class Subject:
    """What is voted on: the plan and its rendering, with the users behind it and where it runs."""

    plan: str
    rendered: str
    requester: str
    builder: str
    target: Target
    verifier: str = ""


class Void(StrEnum):
    """Why a vote does not count."""

    OTHER_PLAN = "it is for another plan"
    OTHER_RENDERING = "it is for another rendering of the plan"
    WITHDRAWN = "it was withdrawn"
    EXPIRED = "it has expired"
    DISABLED = "the user is disabled"
    REQUESTER = "the user requested the promotion"
    BUILDER = "the user built the package"
    VERIFIER = "the user verified the release"
    ROLE_LOST = "the user does not hold a role that approves"
    NOT_DEPUTY = "the user was not the deputy when voting"
    RIGHT_USED = "the right was used by another vote"
    NO_TEAM = "the user has no team, and distinct teams are required"
    SAME_TEAM = "another approver is of the same team"


@dataclass(frozen=True)
class QuorumVerdict:
    """How far a quorum is reached: the *counted* voters, how many are *missing*, and who *could* vote."""

    quorum: Quorum
    counted: tuple[str, ...]
    could: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many approvals are missing."""
        return max(0, self.quorum.count - len(self.counted))

    def __str__(self) -> str:
        roles = f" (role {' or '.join(self.quorum.roles)})" if self.quorum.roles else ""
        teams = " from distinct teams" if self.quorum.distinct_teams else ""
        who = f"can be given by {few(self.could)}" if self.could else "no user can give it"
        return f"waiting for {self.missing} of {counted(self.quorum.count, 'approval')}{roles}{teams}: {who}"


@dataclass(frozen=True)
class ApprovalVerdict:
    """Whether a plan is approved. *void* has the reason for every newest vote that does not count, by user.

    *expires* is when the first vote that counts expires; None if no vote counts. *rejected_by* are the users whose
    rejection counts.
    """

    quorums: tuple[QuorumVerdict, ...]
    void: tuple[tuple[str, Void], ...] = ()
    rejected_by: tuple[str, ...] = ()
    expires: datetime | None = None

    @property
    def satisfied(self) -> bool:
        """Whether every quorum is reached and no rejection counts."""
        return not self.rejected_by and all(quorum.missing == 0 for quorum in self.quorums)

    @property
    def counted(self) -> tuple[str, ...]:
        """The users whose approval counts for any quorum."""
        return tuple(sorted({name for quorum in self.quorums for name in quorum.counted}))

    @property
    def could(self) -> tuple[str, ...]:
        """The users who could give a missing approval."""
        return tuple(sorted({name for quorum in self.quorums if quorum.missing for name in quorum.could}))

    @property
    def reason(self) -> str:
        """What is missing, in one phrase; empty if the plan is approved."""
        if self.rejected_by:
            return f"rejected by {few(self.rejected_by)}"
        parts = [str(quorum) for quorum in self.quorums if quorum.missing]
        return "; ".join([*parts, *(f"the vote of {by} does not count: {why}" for by, why in self.void if parts)])

    def to_json(self) -> dict[str, Any]:
        """The verdict as data for documents."""
        return {
            "satisfied": self.satisfied,
            "reason": self.reason,
            "counted": list(self.counted),
            "missing": sum(quorum.missing for quorum in self.quorums),
            "could": list(self.could),
            "rejected_by": list(self.rejected_by),
            "void": {by: why.value for by, why in self.void},
            "expires": moment_text(self.expires) if self.expires else None,
        }


def newest_votes(votes: Iterable[Vote]) -> dict[str, Vote]:
    """The newest vote of each user, by user. Of two votes at one moment the later in the sequence is the newer."""
    newest: dict[str, Vote] = {}
    for vote in votes:
        if vote.by not in newest or newest[vote.by].at <= vote.at:
            newest[vote.by] = vote
    return newest


def satisfied(
    requirement: Requirement, votes: Iterable[Vote], subject: Subject, directory: Directory, now: Now
) -> ApprovalVerdict:
    """Whether the plan of *subject* is approved *now*, what is missing, who can give it, and until when it holds."""
    newest = newest_votes(votes)
    count = _Count(requirement, subject, directory, now)
    void = {by: reason for by, vote in newest.items() if (reason := count.void(vote)) is not None}
    approving = [v for by, v in newest.items() if by not in void and v.decision is Decision.APPROVE]
    found = [count.quorum(quorum, approving, void) for quorum in requirement.quorums]
    used = {by for quorum in found for by in quorum.counted}
    life = span(requirement.expire)
    return ApprovalVerdict(
        quorums=tuple(found),
        void=tuple(sorted((by, reason) for by, reason in void.items() if by not in used)),
        rejected_by=tuple(sorted(by for by, v in newest.items() if count.rejects(v))),
        expires=min((vote.at + life for vote in approving if vote.by in used), default=None),
    )


def approval_everywhere(verdicts: Sequence[ApprovalVerdict]) -> ApprovalVerdict:
    """Whether a plan over several environments is approved: it is where every one of *verdicts* is satisfied."""
    counted = {name for verdict in verdicts for name in verdict.counted}
    void = {by: reason for verdict in reversed(verdicts) for by, reason in verdict.void if by not in counted}
    ends = [verdict.expires for verdict in verdicts if verdict.expires is not None]
    return ApprovalVerdict(
        quorums=tuple(dict.fromkeys(quorum for verdict in verdicts for quorum in verdict.quorums)),
        void=tuple(sorted(void.items())),
        rejected_by=tuple(sorted({name for verdict in verdicts for name in verdict.rejected_by})),
        expires=min(ends, default=None),
    )


@dataclass(frozen=True)
class _Count:
    """The counting of votes for one plan."""

    requirement: Requirement
    subject: Subject
    directory: Directory
    now: Now

    def void(self, vote: Vote) -> Void | None:
        """Why *vote* counts for no quorum, whatever the other votes are; None if it may count."""
        if vote.plan != self.subject.plan:
            return Void.OTHER_PLAN
        if vote.rendered != self.subject.rendered:
            return Void.OTHER_RENDERING
        if vote.withdrawn_at is not None:
            return Void.WITHDRAWN
        return None if vote.decision is Decision.REJECT else self._void_approval(vote)

    def _void_approval(self, vote: Vote) -> Void | None:
        if self.now.may_have_reached(vote.at + span(self.requirement.expire)):
            return Void.EXPIRED
        return self.excluded(vote.by) if self.directory.is_active_user(vote.by) else Void.DISABLED

    def excluded(self, user: str) -> Void | None:
        """Why a vote of *user*, or with the right of *user*, does not count; None if it may."""
        subject, apart = self.subject, "approver" in self.requirement.separate
        if user == subject.requester and (
            self.requirement.not_requester or (apart and "requester" in self.requirement.separate)
        ):
            return Void.REQUESTER
        if user == subject.builder and (
            self.requirement.not_builder or (apart and "builder" in self.requirement.separate)
        ):
            return Void.BUILDER
        if user == subject.verifier and apart and "verifier" in self.requirement.separate:
            return Void.VERIFIER
        return None

    def rejects(self, vote: Vote) -> bool:
        """Whether *vote* is a rejection that counts: for this plan, by an active user who may approve it.

        A rejection does not expire, and those who requested or built may reject.
        """
        if vote.decision is not Decision.REJECT or self.void(vote) is not None:
            return False
        roles = tuple(role for quorum in self.requirement.quorums for role in quorum.roles)
        return self.directory.is_active_user(vote.by) and bool(
            role_held(vote.by, roles, self.subject.target, self.directory, self.now)
            or (vote.deputy_for and role_held(vote.deputy_for, roles, self.subject.target, self.directory, self.now))
        )

    def right(self, vote: Vote, quorum: Quorum) -> str | Void:
        """The user whose right *vote* uses for *quorum*: the voter, or the absent user; or why it has none."""
        if role_held(vote.by, quorum.roles, self.subject.target, self.directory, self.now):
            return vote.by
        absent = vote.deputy_for
        if absent is None:
            return Void.ROLE_LOST
        if (reason := self.excluded(absent)) is not None:
            return reason
        if not self._was_deputy(vote.by, absent, vote.at):
            return Void.NOT_DEPUTY
        held = self.directory.is_active_user(absent) and role_held(
            absent, quorum.roles, self.subject.target, self.directory, self.now
        )
        return absent if held else Void.ROLE_LOST

    def _was_deputy(self, deputy: str, absent: str, at: datetime) -> bool:
        return any(
            absence.deputy == deputy and absence.user == absent and absence.start <= at < absence.end
            for absence in self.directory.access.absences
        )

    def quorum(self, quorum: Quorum, approving: Sequence[Vote], void: dict[str, Void]) -> QuorumVerdict:
        """How far *quorum* is reached by *approving*. The reason of each vote that it does not count goes to *void*."""
        ballots: list[Ballot] = []
        for vote in sorted(approving, key=lambda vote: (vote.at, vote.by)):
            right = self.right(vote, quorum)
            if isinstance(right, Void):
                void.setdefault(vote.by, right)
            elif quorum.distinct_teams and not self._team(vote.by):
                void.setdefault(vote.by, Void.NO_TEAM)
            else:
                ballots.append(self._ballot(vote.by, right, quorum))
        ballots.sort(key=lambda ballot: ballot.right != ballot.voter)
        counting = matched(ballots)
        rights = {ballot.right for ballot in counting}
        for ballot in ballots:
            if ballot not in counting:
                void.setdefault(ballot.voter, Void.RIGHT_USED if ballot.right in rights else Void.SAME_TEAM)
        names = tuple(sorted(ballot.voter for ballot in counting))
        return QuorumVerdict(quorum, names, self._candidates(quorum, ballots, names))

    def _team(self, user: str) -> str:
        return self.directory.users[user].team or ""

    def _ballot(self, voter: str, right: str, quorum: Quorum) -> Ballot:
        return Ballot(voter, right, self._team(voter) if quorum.distinct_teams else voter)

    def _candidates(self, quorum: Quorum, ballots: list[Ballot], counted: tuple[str, ...]) -> tuple[str, ...]:
        """The users whose (new) vote would be one more approval, sorted."""
        return tuple(
            name
            for name in self.directory.active_users
            if name not in counted
            and self.excluded(name) is None
            and (self._team(name) or not quorum.distinct_teams)
            and self._adds(name, quorum, ballots, len(counted))
        )

    def _adds(self, name: str, quorum: Quorum, ballots: list[Ballot], counting: int) -> bool:
        others = [ballot for ballot in ballots if ballot.voter != name]
        return any(
            len(matched([*others, self._ballot(name, right, quorum)])) > counting
            for right in self._rights(name, quorum)
        )

    def _rights(self, name: str, quorum: Quorum) -> tuple[str, ...]:
        """The users whose right *name* could vote with: their own, otherwise those of absent users."""
        target, now = self.subject.target, self.now
        if role_held(name, quorum.roles, target, self.directory, now):
            return (name,)
        return tuple(
            absent
            for absent in self.directory.deputised_by(name, now)
            if self.excluded(absent) is None and role_held(absent, quorum.roles, target, self.directory, now)
        )


def voting_right(
    user: str, requirement: Requirement, subject: Subject, directory: Directory, now: Now
) -> tuple[str, str | None] | Void:
    """The role that *user* votes with, and the absent user whose right it is (None for their own); or why not.

    A user with a role of their own does not vote as a deputy.
    """
    if not directory.is_active_user(user):
        return Void.DISABLED
    count = _Count(requirement, subject, directory, now)
    if (reason := count.excluded(user)) is not None:
        return reason
    refused = Void.ROLE_LOST
    absent = directory.deputised_by(user, now)
    for holder in (user, *absent):
        if holder != user and (excluded := count.excluded(holder)) is not None:
            refused = excluded
            continue
        for quorum in requirement.quorums or (Quorum(count=1),):
            if role := role_held(holder, quorum.roles, subject.target, directory, now):
                return role, None if holder == user else holder
    return refused


def new_vote(
    user: str,
    decision: Decision,
    comment: str,
    requirement: Requirement,
    subject: Subject,
    directory: Directory,
    now: Now,
) -> Vote:
    """The vote of *user* on the plan of *subject*, with the right that it uses. Raises A204.

    Those who may not approve because they requested, built or verified may reject with a role of their own.
    """
    right = voting_right(user, requirement, subject, directory, now)
    if isinstance(right, Void):
        own = role_held(user, (), subject.target, directory, now) if decision is Decision.REJECT else None
        if own is None or not directory.is_active_user(user):
            raise OrchestratorError("A204", f"the vote of {user} would not count: {right.value}")
        right = (own, None)
    role, absent = right
    return Vote(
        plan=subject.plan,
        rendered=subject.rendered,
        by=user,
        decision=decision,
        role=role,
        deputy_for=absent,
        comment=comment,
        at=now.earliest,
    )


def separation(requirement: Requirement, subject: Subject, approvers: Iterable[str]) -> tuple[str, ...]:
    """Each pair of identities that must be different users and are not, as a phrase."""
    users = {
        "requester": {subject.requester},
        "builder": {subject.builder},
        "verifier": {subject.verifier} - {""},
        "approver": set(approvers),
    }
    names = [name for name in ("requester", "builder", "approver", "verifier") if name in requirement.separate]
    return tuple(
        f"{few(sorted(same))} is {first} and {second}"
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if (same := users[first] & users[second])
    )
