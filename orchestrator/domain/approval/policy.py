"""What has to be approved by how many and by whom: `approvals:` of an environment and `policy:` of the project."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from orchestrator.domain.model import Model, Name
from orchestrator.domain.moments import span
from orchestrator.domain.quantities import Duration
from orchestrator.domain.risk.kinds import ChangeKind, Level

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Identity = Literal["requester", "builder", "approver", "verifier"]


class Quorum(Model):
    """*count* approvals by users with one of *roles* (any role that approves, if empty), with *distinct_teams*.

    A count of 0 requires no vote.
    """

    count: int = Field(ge=0, le=100)
    roles: tuple[Name, ...] = ()
    distinct_teams: bool = False

    def __str__(self) -> str:
        roles = f" (role {' or '.join(self.roles)})" if self.roles else ""
        return f"{self.count}{roles}{' from distinct teams' if self.distinct_teams else ''}"


class Approvals(Model):
    """Who must approve a promotion before it starts: `approvals:` in `environment.yaml`.

    *not_requester* and *not_builder* refuse the votes of those who requested the promotion or built the package.
    *expire* is how long a vote counts. *by_kind* and *by_risk* are quorums that take the place of *count*, *roles* and
    *distinct_teams* for a kind of change, and that are added to them at a level of risk. *separate* are identities
    that must be different users. *review_within* is the time for the approval after an emergency.
    """

    count: int = Field(ge=1, le=100)
    roles: tuple[Name, ...] = ()
    not_requester: bool = True
    not_builder: bool = False
    distinct_teams: bool = False
    expire: Duration = "8h"
    by_kind: dict[ChangeKind, Quorum] = Field(default_factory=dict)
    by_risk: dict[Level, Quorum] = Field(default_factory=dict)
    separate: tuple[Identity, ...] = ()
    review_within: Duration = "3d"

    @property
    def quorum(self) -> Quorum:
        """The quorum of a normal change without rules."""
        return Quorum(count=self.count, roles=self.roles, distinct_teams=self.distinct_teams)


class RuleCondition(Model):
    """When a rule of the policy matches: every field that is given fits. *packages* and *environments* are patterns."""

    packages: tuple[Pattern, ...] = ()
    environments: tuple[Pattern, ...] = ()
    level: tuple[Level, ...] = ()
    kind: tuple[ChangeKind, ...] = ()

    def matches(self, package: str, environment: str, level: Level, kind: ChangeKind) -> bool:
        """Whether a promotion fits every field."""
        return (
            _any(self.packages, package)
            and _any(self.environments, environment)
            and (not self.level or level in self.level)
            and (not self.kind or kind in self.kind)
        )


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


class RuleEffect(Model):
    """What a rule of the policy requires. *kind* makes a change standard, or keeps it normal."""

    kind: Literal[ChangeKind.STANDARD, ChangeKind.NORMAL] | None = None
    count: int | None = Field(default=None, ge=0, le=100)
    roles: tuple[Name, ...] = ()
    distinct_teams: bool = False

    @property
    def quorum(self) -> Quorum | None:
        """The quorum that the rule requires; None if it has no count."""
        if self.count is None:
            return None
        return Quorum(count=self.count, roles=self.roles, distinct_teams=self.distinct_teams)


class PolicyRule(Model):
    """One rule of `policy:` in `orchestrator.yaml`."""

    name: Name
    when: RuleCondition = RuleCondition()
    then: RuleEffect


class Requirement(Model):
    """What one run request needs: every one of *quorums*. It is recorded with the plan.

    *kind* is the kind of change that the policy found, *rules* are the names of the rules that matched.
    """

    kind: ChangeKind = ChangeKind.NORMAL
    quorums: tuple[Quorum, ...] = ()
    rules: tuple[str, ...] = ()
    not_requester: bool = True
    not_builder: bool = False
    separate: tuple[Identity, ...] = ()
    expire: Duration = "8h"

    @property
    def needs_votes(self) -> bool:
        """Whether any vote is needed."""
        return any(quorum.count for quorum in self.quorums)


def requirement(
    approvals: Approvals | None,
    rules: Iterable[PolicyRule],
    *,
    package: str,
    environment: str,
    level: Level,
    requested: ChangeKind = ChangeKind.NORMAL,
) -> Requirement:
    """What a promotion of *package* into *environment* at this *level* of risk needs.

    *requested* is normal or emergency. A rule can make a normal change standard; if one that matches keeps it normal,
    it is normal. Of the rules that match every quorum applies, which is at least the strictest one. Without a rule
    that has a quorum, `approvals:` applies alone.
    """
    matching = [rule for rule in rules if rule.when.matches(package, environment, level, requested)]
    kind = _kind(requested, {rule.then.kind for rule in matching})
    if kind is not requested:
        matching = [rule for rule in matching if not rule.when.kind or kind in rule.when.kind or rule.then.kind]
    quorums = tuple(quorum for rule in matching if (quorum := rule.then.quorum) is not None)
    given = approvals or Approvals(count=1)
    return Requirement(
        kind=kind,
        quorums=combined(quorums or _of_environment(approvals, kind, level)),
        rules=tuple(rule.name for rule in matching),
        not_requester=given.not_requester,
        not_builder=given.not_builder,
        separate=given.separate,
        expire=given.expire,
    )


@dataclass(frozen=True)
class ApprovalRules:
    """What the files of a project require: `approvals:` by environment, and the rules of `policy:`."""

    approvals: Mapping[str, Approvals] = field(default_factory=dict)
    policy: tuple[PolicyRule, ...] = ()

    def govern(self, package: str, environment: str) -> bool:
        """Whether a promotion of *package* into *environment* may need a vote: it then needs a run request."""
        return environment in self.approvals or any(
            rule.then.count and _any(rule.when.packages, package) and _any(rule.when.environments, environment)
            for rule in self.policy
        )

    def requirement(self, package: str, environment: str, level: Level, requested: ChangeKind) -> Requirement:
        """What a promotion needs, as `requirement` returns it."""
        return requirement(
            self.approvals.get(environment),
            self.policy,
            package=package,
            environment=environment,
            level=level,
            requested=requested,
        )

    def review_within(self, environment: str) -> timedelta:
        """The time for the approval after an emergency."""
        return span(self.approvals.get(environment, Approvals(count=1)).review_within)


def stricter(recorded: Requirement, current: Requirement) -> Requirement:
    """*recorded* with everything that *current* requires as well: rules that were loosened since do not count."""
    short = min(recorded.expire, current.expire, key=span)
    return recorded.model_copy(
        update={
            "quorums": combined((*recorded.quorums, *current.quorums)),
            "rules": tuple(dict.fromkeys((*recorded.rules, *current.rules))),
            "not_requester": recorded.not_requester or current.not_requester,
            "not_builder": recorded.not_builder or current.not_builder,
            "separate": tuple(dict.fromkeys((*recorded.separate, *current.separate))),
            "expire": short,
        }
    )


def _kind(requested: ChangeKind, given: set[ChangeKind | None]) -> ChangeKind:
    if requested is ChangeKind.EMERGENCY or ChangeKind.NORMAL in given:
        return requested
    return ChangeKind.STANDARD if ChangeKind.STANDARD in given else requested


def _of_environment(approvals: Approvals | None, kind: ChangeKind, level: Level) -> tuple[Quorum, ...]:
    """The quorums of `approvals:`. An emergency has one of its own, by default one vote; a standard change has none."""
    if approvals is None:
        return ()
    own = approvals.by_kind.get(kind)
    match kind:
        case ChangeKind.STANDARD:
            return (own,) if own else ()
        case ChangeKind.EMERGENCY:
            return (own or Quorum(count=1, roles=approvals.roles),)
        case _:
            by_risk = approvals.by_risk.get(level)
            return (own or approvals.quorum, *((by_risk,) if by_risk else ()))


def combined(quorums: Iterable[Quorum]) -> tuple[Quorum, ...]:
    """The same requirements with one quorum for each set of roles: the larger count, and teams if any requires them."""
    found: dict[tuple[str, ...], Quorum] = {}
    for quorum in quorums:
        roles = tuple(sorted(set(quorum.roles)))
        other = found.get(roles, Quorum(count=0, roles=roles))
        found[roles] = Quorum(
            count=max(quorum.count, other.count),
            roles=roles,
            distinct_teams=(quorum.distinct_teams and quorum.count > 0) or other.distinct_teams,
        )
    return tuple(found[roles] for roles in sorted(found) if found[roles].count)
