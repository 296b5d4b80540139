"""Which votes count, what is missing and until when: values for each rule, and a naive count of every set of votes."""

from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.access.authorize import Target
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.approval.policy import Approvals, PolicyRule, Quorum, Requirement, combined, requirement
from orchestrator.domain.approval.votes import (
    ApprovalVerdict,
    Decision,
    Subject,
    Void,
    Vote,
    new_vote,
    satisfied,
    separation,
    voting_right,
)
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, moment_text, parse_moment
from orchestrator.domain.risk.kinds import ChangeKind, Level

PLAN, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
START = parse_moment("2026-11-29T12:00:00Z")
NOW = Now.at(START + timedelta(hours=1))
SUBJECT = Subject(PLAN, OTHER, "ann", "bob", Target("shop", "production"), verifier="eve")
ACCESS: dict[str, Any] = {
    "users": [
        {"name": "ann", "team": "web"},
        {"name": "bob", "team": "web"},
        {"name": "cid", "team": "ops"},
        {"name": "dan", "team": "ops"},
        {"name": "eve", "team": "dba"},
        {"name": "fay"},
        {"name": "gus", "team": "web"},
    ],
    "bindings": [{"role": "approver", "to": f"user:{name}"} for name in ("ann", "bob", "cid", "dan", "eve")],
    "absences": [
        {"user": "eve", "deputy": "fay", "start": "2026-11-29T00:00:00Z", "end": "2026-11-30T00:00:00Z"},
        {"user": "eve", "deputy": "gus", "start": "2026-11-29T00:00:00Z", "end": "2026-11-30T00:00:00Z"},
        {"user": "ann", "deputy": "gus", "start": "2026-11-29T00:00:00Z", "end": "2026-11-30T00:00:00Z"},
    ],
}


def vote(by: str, minute: float = 0, decision: str = "approve", **fields: Any) -> Vote:
    at = moment_text(START + timedelta(minutes=minute))
    return Vote.from_json({"plan": PLAN, "rendered": OTHER, "by": by, "decision": decision, "at": at, **fields})


def need(count: int = 2, **fields: Any) -> Requirement:
    quorum = {name: fields.pop(name) for name in ("roles", "distinct_teams") if name in fields}
    return Requirement.from_json({"quorums": [{"count": count, **quorum}], **fields})


def count(votes: list[Vote], required: Requirement, now: Now = NOW, **access: Any) -> ApprovalVerdict:
    return satisfied(required, votes, SUBJECT, Directory(Access.from_json({**ACCESS, **access})), now)


def test_a_verdict_names_what_is_missing_and_who_can_give_it() -> None:
    """The sentence of a waiting request."""
    verdict = count([vote("cid")], need(roles=["approver"]))
    assert not verdict.satisfied
    assert verdict.counted == ("cid",)
    assert verdict.could == ("bob", "dan", "eve", "fay", "gus")
    assert verdict.reason == "waiting for 1 of 2 approvals (role approver): can be given by bob, dan, eve, fay, gus"
    assert verdict.expires == START + timedelta(hours=8)
    assert count([vote("cid"), vote("dan")], need()).satisfied


@pytest.mark.parametrize(
    ("cast", "fields", "reason"),
    [
        (vote("ann"), {}, Void.REQUESTER),
        (vote("bob"), {"not_builder": True}, Void.BUILDER),
        (vote("eve"), {"separate": ["approver", "verifier"]}, Void.VERIFIER),
        (vote("ann"), {"not_requester": False, "separate": ["approver", "requester"]}, Void.REQUESTER),
        (vote("cid", plan=OTHER), {}, Void.OTHER_PLAN),
        (vote("cid", rendered=PLAN), {}, Void.OTHER_RENDERING),
        (vote("cid", withdrawn_at="2026-11-29T12:01:00Z"), {}, Void.WITHDRAWN),
        (vote("cid"), {"expire": "60m"}, Void.EXPIRED),
        (vote("cid"), {"roles": ["dba"]}, Void.ROLE_LOST),
        (vote("fay"), {}, Void.ROLE_LOST),
        (vote("nobody"), {}, Void.DISABLED),
        (vote("fay", deputy_for="dan"), {}, Void.NOT_DEPUTY),
        (vote("gus", deputy_for="ann"), {}, Void.REQUESTER),
        (vote("fay", deputy_for="eve"), {"distinct_teams": True}, Void.NO_TEAM),
    ],
)
def test_a_vote_that_does_not_count_has_a_reason(cast: Vote, fields: dict[str, Any], reason: Void) -> None:
    """Each rule makes exactly that vote void."""
    verdict = count([cast], need(1, **fields))
    assert not verdict.satisfied
    assert verdict.void == ((cast.by, reason),)
    assert f"the vote of {cast.by} does not count: {reason.value}" in verdict.reason


def test_only_the_newest_vote_of_a_user_counts() -> None:
    """Two votes of one user are not two approvals; a newer rejection replaces an approval, and the reverse."""
    assert count([vote("cid"), vote("cid", 1)], need()).counted == ("cid",)
    changed = count([vote("cid"), vote("dan"), vote("dan", 1, "reject")], need())
    assert changed.rejected_by == ("dan",)
    assert changed.reason == "rejected by dan"
    assert count([vote("dan", 1), vote("dan", 0, "reject"), vote("cid")], need()).satisfied
    withdrawn = vote("dan", 2, withdrawn_at="2026-11-29T12:03:00Z")
    assert count([vote("cid"), vote("dan"), withdrawn], need()).counted == ("cid",)


def test_a_rejection_counts_by_right_only() -> None:
    """The requester may reject, a user without a role may not, and a rejection does not expire."""
    assert count([vote("cid"), vote("dan"), vote("ann", 0, "reject")], need()).rejected_by == ("ann",)
    assert count([vote("cid"), vote("dan"), vote("fay", 0, "reject")], need()).satisfied
    late = Now.at(START + timedelta(days=20))
    assert count([vote("cid", 0, "reject")], need(), late).rejected_by == ("cid",)
    assert count([vote("cid", 0, "reject", plan=OTHER)], need()).rejected_by == ()


def test_the_role_must_be_held_at_the_start_too() -> None:
    """A binding that was revoked after the vote makes it void."""
    fewer = [binding for binding in ACCESS["bindings"] if binding["to"] != "user:cid"]
    assert count([vote("cid"), vote("dan")], need(), bindings=fewer).void == (("cid", Void.ROLE_LOST),)
    disabled = [
        {**user, "disabled_at": "2026-11-29T12:30:00Z"} if user["name"] == "cid" else user for user in ACCESS["users"]
    ]
    assert count([vote("cid"), vote("dan")], need(), users=disabled).void == (("cid", Void.DISABLED),)


def test_expiry_is_closed_when_in_doubt() -> None:
    """At the moment of expiry, and when the clock may be past it, the vote does not count."""
    end = START + timedelta(hours=8)
    before = end - timedelta(seconds=1)
    assert count([vote("cid")], need(1), Now.at(before)).satisfied
    assert not count([vote("cid")], need(1), Now.at(end)).satisfied
    assert not count([vote("cid")], need(1), Now(START, end)).satisfied


def test_a_right_counts_once_however_many_use_it() -> None:
    """The absent user and the deputies together have one vote; a deputy votes for that time only."""
    assert count([vote("fay", deputy_for="eve"), vote("gus", deputy_for="eve")], need()).counted == ("fay",)
    both = count([vote("fay", deputy_for="eve"), vote("eve", 9)], need())
    assert both.counted == ("eve",)
    assert both.void == (("fay", Void.RIGHT_USED),)
    later = Now.at("2026-12-01T12:00:00Z")
    assert count([vote("fay", 10, deputy_for="eve")], need(1, expire="9d"), later).satisfied
    assert not count([vote("fay", -1000, deputy_for="eve")], need(1, expire="9d")).satisfied


def test_distinct_teams_count_each_team_once() -> None:
    """The reason and the users who could vote take teams into account."""
    verdict = count([vote("cid"), vote("dan", 1)], need(distinct_teams=True))
    assert verdict.counted == ("cid",)
    assert verdict.void == (("dan", Void.SAME_TEAM),)
    assert verdict.could == ("bob", "eve", "gus")
    assert verdict.reason.startswith("waiting for 1 of 2 approvals from distinct teams: can be given by bob, eve, gus")


VOTERS = ("ann", "bob", "cid", "dan", "eve", "fay", "gus")
VOTES = st.lists(
    st.builds(
        lambda by, minute, decision, plan, absent: vote(by, minute, decision, plan=plan, deputy_for=absent),
        st.sampled_from(VOTERS),
        st.integers(0, 59),
        st.sampled_from(["approve", "approve", "approve", "reject"]),
        st.sampled_from([PLAN, PLAN, PLAN, OTHER]),
        st.sampled_from([None, "eve", "ann"]),
    ),
    max_size=7,
)


@settings(max_examples=150, deadline=None)
@given(VOTES, st.integers(0, 4), st.booleans(), st.booleans(), st.booleans())
def test_a_quorum_is_as_a_naive_search_over_all_sets_of_votes(
    votes: list[Vote], needed: int, teams: bool, requester: bool, builder: bool
) -> None:
    """A plan is approved exactly if some set of users, each with a right of its own, is large enough."""
    verdict = count(votes, need(needed, distinct_teams=teams, not_requester=requester, not_builder=builder))
    team = {user["name"]: user.get("team") for user in ACCESS["users"]}
    last = {v.by: v for v in sorted(votes, key=lambda v: v.at)}
    excluded = ({"ann"} if requester else set()) | ({"bob"} if builder else set())
    rights = {}
    for by, v in last.items():
        own = by in {"ann", "bob", "cid", "dan", "eve"}
        deputy = {"fay": {"eve"}, "gus": {"eve", "ann"}}.get(by, set())
        right = by if own else v.deputy_for if v.deputy_for in deputy else None
        if v.plan == PLAN and v.decision == "approve" and right and not {by, right} & excluded:
            rights[by] = right
    possible = any(
        len({rights[by] for by in some}) == needed and (not teams or (None not in {team[by] for by in some} and len({team[by] for by in some}) == needed))
        for some in combinations(rights, needed)
    )  # fmt: skip
    rejected = any(
        v.plan == PLAN and v.decision == "reject" and (by in {"ann", "bob", "cid", "dan", "eve"} or v.deputy_for)
        for by, v in last.items()
    )
    assert verdict.satisfied is (possible and not rejected)
    if not verdict.satisfied and not verdict.rejected_by:
        required = need(needed, distinct_teams=teams, not_requester=requester, not_builder=builder)
        for name in set(VOTERS) - set(verdict.counted):
            more = [count([*votes, vote(name, 59, deputy_for=absent)], required) for absent in (None, "eve", "ann")]
            assert (name in verdict.could) is any(len(each.counted) > len(verdict.counted) for each in more)


def test_a_user_votes_with_their_own_right_first() -> None:
    """The role and the absent user are recorded in the vote."""
    directory = Directory(Access.from_json(ACCESS))
    assert voting_right("cid", need(), SUBJECT, directory, NOW) == ("approver", None)
    assert voting_right("gus", need(), SUBJECT, directory, NOW) == ("approver", "eve")
    assert voting_right("ann", need(), SUBJECT, directory, NOW) is Void.REQUESTER
    assert voting_right("fay", need(roles=["dba"]), SUBJECT, directory, NOW) is Void.ROLE_LOST
    assert voting_right("zoe", need(), SUBJECT, directory, NOW) is Void.DISABLED


def test_identities_that_must_be_separate_are_named() -> None:
    """Requester, builder, approver and verifier can be required to be four users."""
    required = need(separate=["requester", "builder", "approver", "verifier"])
    assert separation(required, SUBJECT, ["cid"]) == ()
    assert separation(required, SUBJECT, ["cid", "eve"]) == ("eve is approver and verifier",)


def rules(*data: dict[str, Any]) -> list[PolicyRule]:
    return [PolicyRule.from_json({"name": f"rule-{index}", **each}) for index, each in enumerate(data)]


def resolve(
    approvals: dict[str, Any] | None, *data: dict[str, Any], level: Level = Level.LOW, **fields: Any
) -> Requirement:
    given = Approvals.from_json(approvals) if approvals else None
    return requirement(given, rules(*data), package="shop-web", environment="production", level=level, **fields)


def test_the_strictest_rule_that_matches_applies() -> None:
    """Quorums of one set of roles become one with the larger count; other roles are required too."""
    found = resolve(
        {"count": 1},
        {"when": {"packages": ["shop-*"]}, "then": {"count": 2, "roles": ["approver"]}},
        {"when": {"level": ["high"]}, "then": {"count": 3, "roles": ["approver"], "distinct_teams": True}},
        {"when": {"environments": ["prod*"]}, "then": {"count": 1, "roles": ["dba"]}},
        {"when": {"kind": ["emergency"]}, "then": {"count": 9}},
        level=Level.HIGH,
    )
    assert found.quorums == (Quorum(count=3, roles=("approver",), distinct_teams=True), Quorum(count=1, roles=("dba",)))
    assert found.rules == ("rule-0", "rule-1", "rule-2")


def test_approvals_alone_apply_without_a_rule() -> None:
    """The environment's quorum, with the one for its risk; without approvals nothing is needed."""
    approvals = {
        "count": 1,
        "by_risk": {"high": {"count": 2, "roles": ["dba"]}},
        "by_kind": {"emergency": {"count": 2}},
    }
    assert resolve(approvals).quorums == (Quorum(count=1),)
    assert resolve(approvals, level=Level.HIGH).quorums == (Quorum(count=1), Quorum(count=2, roles=("dba",)))
    assert resolve(approvals, requested=ChangeKind.EMERGENCY, level=Level.HIGH).quorums == (Quorum(count=2),)
    assert resolve({"count": 4, "roles": ["approver"]}, requested=ChangeKind.EMERGENCY).quorums == (
        Quorum(count=1, roles=("approver",)),
    )
    assert not resolve(None).needs_votes


def test_a_standard_change_is_approved_beforehand() -> None:
    """A rule makes it standard; a stricter one keeps it normal; an emergency stays one."""
    standard = {"when": {"level": ["low"]}, "then": {"kind": "standard"}}
    normal = {"when": {"packages": ["shop-*"]}, "then": {"kind": "normal"}}
    assert resolve({"count": 2}, standard).kind is ChangeKind.STANDARD
    assert not resolve({"count": 2}, standard).needs_votes
    assert resolve({"count": 2}, standard, level=Level.HIGH).needs_votes
    assert resolve({"count": 2}, standard, normal).quorums == (Quorum(count=2),)
    assert resolve({"count": 2}, standard, requested=ChangeKind.EMERGENCY).kind is ChangeKind.EMERGENCY


@given(
    st.lists(
        st.builds(
            lambda c, r, t: Quorum(count=c, roles=r, distinct_teams=t),
            st.integers(0, 3),
            st.sampled_from([(), ("a",), ("b", "a"), ("a", "b")]),
            st.booleans(),
        )
    )
)
def test_combined_quorums_are_at_least_as_strict_as_each(quorums: list[Quorum]) -> None:
    """None is lost, and none is weaker."""
    result = {quorum.roles: quorum for quorum in combined(quorums)}
    for quorum in quorums:
        if quorum.count:
            found = result[tuple(sorted(quorum.roles))]
            assert found.count >= quorum.count
            assert found.distinct_teams >= quorum.distinct_teams


@pytest.mark.parametrize("decision", ["", None, True, "yes", "Approve"])
def test_an_empty_answer_is_never_a_yes(decision: object) -> None:
    """Only the two words are decisions."""
    with pytest.raises(ValidationError):
        Vote.from_json({**vote("cid").to_json(), "decision": decision})


def test_a_vote_is_recorded_with_its_right_or_refused() -> None:
    """A vote that would not count is not recorded; those who may not approve may reject."""
    directory = Directory(Access.from_json(ACCESS))
    made = new_vote("gus", Decision.APPROVE, "seen", need(), SUBJECT, directory, NOW)
    assert (made.role, made.deputy_for, made.at) == ("approver", "eve", NOW.earliest)
    assert satisfied(need(1), [made], SUBJECT, directory, NOW).satisfied
    with pytest.raises(OrchestratorError, match=r"A204.*the user requested the promotion"):
        new_vote("ann", Decision.APPROVE, "", need(), SUBJECT, directory, NOW)
    rejection = new_vote("ann", Decision.REJECT, "not yet", need(), SUBJECT, directory, NOW)
    assert satisfied(need(1), [rejection], SUBJECT, directory, NOW).rejected_by == ("ann",)
    with pytest.raises(OrchestratorError, match="A204"):
        new_vote("zoe", Decision.REJECT, "", need(), SUBJECT, directory, NOW)
