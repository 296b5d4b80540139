"""Who may do what: values for each rule, and properties over all of them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.access.access_file import AccessFile, difference, problems
from orchestrator.domain.access.actions import BUILT_IN, OWN, READING, Action
from orchestrator.domain.access.administrators import administrators, check_administrator
from orchestrator.domain.access.authorize import (
    Basis,
    Target,
    Verdict,
    as_deputy,
    authorize,
    granting,
    may,
    refusal_text,
    users_with_right,
)
from orchestrator.domain.access.directory import Access, Directory, with_local_rights
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor, ActorKind, Method, Trust
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, parse_moment

NOW = Now.at("2026-11-29T12:00:00Z")
PROD, STAGING, PROJECT = Target("shop", "production"), Target("shop", "staging"), Target("shop")
ACCESS: dict[str, Any] = {
    "users": [
        {"name": "ann", "team": "web"},
        {"name": "bob", "team": "ops"},
        {"name": "cid", "disabled_at": "2026-11-01T00:00:00Z"},
        {"name": "dan", "local": "daniel"},
    ],
    "groups": [{"name": "managers", "members": ["ann", "cid"]}],
    "service_accounts": [{"name": "ci"}],
    "roles": [{"name": "deployer", "actions": ["promote", "approve"]}],
    "bindings": [
        {"role": "administrator", "to": "user:dan"},
        {"role": "release-manager", "to": "group:managers", "project": "shop", "environment": "prod*"},
        {"role": "operator", "to": "user:bob", "until": "2026-11-29T12:00:01Z"},
        {"role": "deployer", "to": "service-account:ci", "environment": "staging"},
        {"role": "release-manager", "to": "user:bob", "project": "other"},
    ],
}


def access(**fields: Any) -> Access:
    return Access.from_json({**ACCESS, **fields})


def decide(name: str, action: Action, target: Target = PROD, now: Now = NOW, **fields: Any) -> Verdict:
    actor = Actor(name=name, method=Method.TOKEN, **fields)
    return authorize(actor, action, target, Directory(access()), now)


def test_a_binding_of_a_group_gives_its_members_the_role() -> None:
    """The verdict names the binding, and its reason is a sentence."""
    verdict = decide("ann", Action.PROMOTE)
    assert verdict.allowed
    assert verdict.reason == "ann may promote in production: group:managers has release-manager in shop/prod*"


def test_a_refusal_names_what_is_missing_and_who_could() -> None:
    """Every binding of the actor is listed with what it lacks."""
    verdict = decide("bob", Action.PROMOTE)
    assert not verdict.allowed
    assert verdict.basis is Basis.MISSING
    assert verdict.could == ("ann",)
    assert verdict.near == (
        "user:bob has operator in */*: the role operator does not contain promote",
        "user:bob has release-manager in other/*: it is for the project other",
    )
    assert refusal_text(verdict) == "bob has no role with promote in production; these users may: ann"


def test_the_right_to_promote_is_separate_for_each_environment() -> None:
    """A binding for production gives nothing in staging, or in the whole project."""
    assert decide("ann", Action.PROMOTE, PROD).allowed
    assert not decide("ann", Action.PROMOTE, STAGING).allowed
    assert not decide("ann", Action.VIEW, PROJECT).allowed
    assert decide("dan", Action.MANAGE_PEOPLE, PROJECT).allowed
    assert not decide("dan", Action.PROMOTE, PROD).allowed


def test_a_binding_ends() -> None:
    """At its end it gives nothing, and with an uncertain clock it has ended in doubt."""
    end = parse_moment("2026-11-29T12:00:01Z")
    assert decide("bob", Action.ROLL_BACK).until == end
    assert not decide("bob", Action.ROLL_BACK, now=Now.at(end)).allowed
    assert not decide("bob", Action.ROLL_BACK, now=Now(NOW.earliest, end)).allowed


@pytest.mark.parametrize(
    ("name", "basis"), [("cid", Basis.DISABLED), ("eve", Basis.UNKNOWN_ACTOR), ("daniel", Basis.UNKNOWN_ACTOR)]
)
def test_disabled_and_unknown_users_may_nothing(name: str, basis: Basis) -> None:
    """A binding does not help a disabled user."""
    assert decide(name, Action.PROMOTE).basis is basis


def test_a_token_has_no_more_rights_than_its_owner_and_its_scopes() -> None:
    """Both the owner's bindings and the scopes of the token must allow an action."""
    from orchestrator.domain.access.principals import Scope

    scopes = (Scope(actions=(Action.PROMOTE, Action.RESTORE), environment="production"),)
    assert decide("ann", Action.PROMOTE, scopes=scopes).allowed
    assert decide("ann", Action.ROLL_BACK, scopes=scopes).basis is Basis.OUT_OF_SCOPE
    assert decide("ann", Action.RESTORE, scopes=scopes).basis is Basis.MISSING


def test_a_service_account_does_not_approve_by_default() -> None:
    """Even a role that approves does not help, unless the account may approve."""
    ci = Actor(name="ci", kind=ActorKind.SERVICE_ACCOUNT, method=Method.OIDC)
    assert authorize(ci, Action.PROMOTE, STAGING, Directory(access()), NOW).allowed
    assert authorize(ci, Action.APPROVE, STAGING, Directory(access()), NOW).basis is Basis.MACHINE
    other = access(service_accounts=[{"name": "ci", "may_approve": True}])
    assert authorize(ci, Action.APPROVE, STAGING, Directory(other), NOW).allowed


def test_without_bindings_the_local_user_has_every_right_and_others_none() -> None:
    """Local use is as simple as before; a token has no owner with rights yet."""
    empty = Directory(Access())
    for action in Action:
        assert authorize(Actor(name="me"), action, PROD, empty, NOW).basis is Basis.NO_BINDINGS_YET
    assert not authorize(Actor(name="me", method=Method.TOKEN), Action.VIEW, PROD, empty, NOW).allowed
    assert Directory(with_local_rights(Access(), "me")).bindings_of("user", "me")
    assert with_local_rights(access(), "me") == access()


def test_users_have_their_own_absences_and_tokens() -> None:
    """For those of others the right is needed."""
    assert decide("bob", Action.MANAGE_TOKENS, Target("shop", owner="bob")).basis is Basis.OWN
    assert not decide("bob", Action.MANAGE_TOKENS, Target("shop", owner="ann")).allowed


def test_the_local_name_of_a_user_is_found() -> None:
    """A user is found by the name on the machine, where it has one."""
    directory = Directory(access())
    assert [user.name if (user := directory.user_of(name)) else None for name in ("daniel", "dan", "ann")] == [
        "dan",
        None,
        "ann",
    ]


def test_the_system_does_only_what_is_listed() -> None:
    """The system rolls back and starts what was approved; it approves nothing."""
    assert authorize(SYSTEM_ACTOR, Action.ROLL_BACK, PROD, Directory(access()), NOW).allowed
    assert not authorize(SYSTEM_ACTOR, Action.APPROVE, PROD, Directory(access()), NOW).allowed
    impostor = SYSTEM_ACTOR.model_copy(update={"method": Method.TOKEN})
    assert not authorize(impostor, Action.ROLL_BACK, PROD, Directory(access()), NOW).allowed


def test_the_built_in_roles_keep_duties_apart() -> None:
    """An auditor changes nothing, an administrator neither promotes nor approves, and only approvers approve."""
    assert BUILT_IN["auditor"] <= READING
    assert BUILT_IN["viewer"] <= BUILT_IN["auditor"]
    assert not BUILT_IN["administrator"] & {Action.PROMOTE, Action.APPROVE, Action.PROMOTE_EMERGENCY}
    assert [name for name, actions in BUILT_IN.items() if Action.APPROVE in actions] == ["approver"]
    assert set().union(*BUILT_IN.values()) == set(Action)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["ann", "bob", "cid", "dan", "eve"]),
    st.sampled_from(Action),
    st.sampled_from([PROD, STAGING, PROJECT]),
    st.lists(st.integers(0, 4), max_size=5, unique=True),
)
def test_less_access_never_allows_more(name: str, action: Action, target: Target, kept: list[int]) -> None:
    """Removing bindings never gives a right, and each refusal lists exactly the users who are allowed."""
    actor = Actor(name=name, method=Method.TOKEN)
    fewer = access(bindings=[ACCESS["bindings"][index] for index in kept])
    whole, part = (authorize(actor, action, target, Directory(each), NOW) for each in (access(), fewer))
    assert whole.allowed or not part.allowed
    if not whole.allowed:
        others = [Actor(name=user.name, method=Method.TOKEN) for user in access().users]
        assert whole.could == tuple(
            other.name for other in others if authorize(other, action, target, Directory(access()), NOW).allowed
        )


@given(
    st.sampled_from(["ann", "bob", "cid", "dan", "eve", "fay"]),
    st.sampled_from(Action),
    st.sampled_from([PROD, STAGING, PROJECT]),
    st.sets(st.integers(0, 4)),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_the_short_decision_is_that_of_the_verdict(
    name: str, action: Action, target: Target, kept: set[int], deputy: bool
) -> None:
    """Whether an actor may do something is the same without reasons, also as a deputy, and who could do it is exact."""
    absences = [{"user": "ann", "deputy": "eve", "start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"}]
    users = [*ACCESS["users"], {"name": "eve"}]
    bindings = [each for place, each in enumerate(ACCESS["bindings"]) if place in kept]
    directory = Directory(access(users=users, bindings=bindings, absences=absences if deputy else []))
    actor = Actor(name=name, method=Method.TOKEN)
    verdict = as_deputy(authorize(actor, action, target, directory, NOW), actor, target, directory, NOW)
    assert may(actor, action, target, directory, NOW) is verdict.allowed
    could = tuple(
        user
        for user in sorted(directory.users)
        if directory.is_active_user(user) and granting(ActorKind.USER, user, action, target, directory, NOW)
    )
    assert users_with_right(action, target, directory, NOW) == could


def test_the_last_administrator_stays() -> None:
    """A change that would leave no administrator is refused, also a first binding of another role and the removal of the last binding."""
    assert administrators(access(), "shop", NOW) == ("dan",)
    check_administrator(Access(), Access(), "shop", NOW)
    check_administrator(Access(), access(), "shop", NOW)
    for after in (
        access(users=[{"name": "dan", "disabled_at": "2026-11-01T00:00:00Z"}, {"name": "ann"}]),
        access(bindings=ACCESS["bindings"][1:]),
        access(bindings=[{"role": "administrator", "to": "user:dan", "until": "2027-01-01T00:00:00Z"}]),
        access(bindings=[{"role": "administrator", "to": "user:dan", "environment": "prod*"}]),
    ):
        for before in (Access(), access()):
            with pytest.raises(OrchestratorError, match=r"A103.*administrator"):
                check_administrator(before, after, "shop", NOW)
    with pytest.raises(OrchestratorError, match=r"A103.*administrator"):
        check_administrator(access(), access(bindings=[]), "shop", NOW)


def file(**fields: Any) -> AccessFile:
    return AccessFile.from_json({"apiVersion": "orchestrator/v1", "kind": "Access", **fields})


def of_record() -> dict[str, Any]:
    return {("people" if key == "users" else key): value for key, value in ACCESS.items()}


def test_applying_the_same_file_twice_changes_nothing() -> None:
    """The second difference is empty."""
    first = difference(Access(), file(**of_record()), prune=True, at="2026-11-29T12:00:00Z")
    assert len(first.changes) == 12
    assert first.after == access()
    assert difference(first.after, file(**of_record()), prune=True, at="2026-11-29T12:00:00Z").is_empty


def test_removals_are_shown_and_need_prune() -> None:
    """Without it nothing goes; with it users are disabled and not deleted."""
    less = file(**{**of_record(), "people": ACCESS["users"][1:], "bindings": ACCESS["bindings"][:2]})
    shown = difference(access(), less, prune=False, at="2026-11-29T12:00:00Z")
    assert str(shown.removals[0]) == "disable people: ann"
    assert len(shown.removals) == 4
    assert all(each.is_removal for each in shown.removals)
    assert {user.name for user in shown.after.users if user.is_active} == {"ann", "bob", "dan"}
    pruned = difference(access(), less, prune=True, at="2026-11-29T12:00:00Z")
    assert {user.name for user in pruned.after.users} == {"ann", "bob", "cid", "dan"}
    assert {user.name for user in pruned.after.users if user.is_active} == {"bob", "dan"}
    assert len(pruned.after.bindings) == 2


def test_a_file_does_not_enable_a_disabled_user() -> None:
    """A user who was disabled by name stays disabled."""
    again = file(people=[{"name": "cid", "team": "web"}])
    found = difference(access(), again, prune=False, at="2026-11-29T12:00:00Z")
    assert [str(each) for each in found.changes] == ["change people: cid (team)"]
    assert not Directory(found.after).is_active_user("cid")


def test_unknown_and_repeated_names_in_a_file_are_problems_with_their_place() -> None:
    """Each problem has the path in the file, a code and a hint."""
    bad = file(
        people=[{"name": "ann", "local": "x"}, {"name": "bob", "local": "x"}, {"name": "ann"}],
        groups=[{"name": "g", "members": ["anne"]}],
        bindings=[{"role": "aprover", "to": "user:ann"}, {"role": "viewer", "to": "group:h"}],
    )
    assert [(p.path, p.code, p.message, p.hint) for p in problems(bad)] == [
        (("people", 2), "A105", "ann is in the file twice", ""),
        (("people", 1, "local"), "A105", "two users have the local name x", ""),
        (("groups", 0, "members", 0), "A104", "unknown user anne", "did you mean 'ann'?"),
        (("bindings", 0, "role"), "A104", "unknown role aprover", "did you mean 'approver'?"),
        (("bindings", 1, "to"), "A104", "unknown group h", "there are: g"),
    ]
    assert not problems(file(**of_record()))


@pytest.mark.parametrize(
    "fields",
    [
        {"roles": [{"name": "viewer", "actions": ["view"]}]},
        {"roles": [{"name": "mine", "actions": ["fly"]}]},
        {"roles": [{"name": "mine", "actions": []}]},
        {"bindings": [{"role": "viewer", "to": "ann"}]},
        {"bindings": [{"role": "viewer", "to": "user:ann", "until": "2027-01-01T00:00:00"}]},
        {"people": [{"name": "Ann"}]},
        {"people": [{"name": "ann", "zone": "Mars"}]},
        {"persons": []},
    ],
)
def test_a_file_with_anything_unknown_is_refused(fields: dict[str, Any]) -> None:
    """The document is strict."""
    with pytest.raises(ValidationError):
        file(**fields)


def test_an_oidc_token_is_accepted_by_exact_claims() -> None:
    """Issuer, audience and every claim must be as declared; an absent claim is not a match."""
    trust = Trust(issuer="https://ci.example", audience="orchestrator", claims={"repository": "shop", "ref": "main"})
    good: dict[str, object] = {"repository": "shop", "ref": "main", "actor": "ann"}
    assert trust.accepts("https://ci.example", ("x", "orchestrator"), good)
    assert not trust.accepts("https://ci.example/", ("orchestrator",), good)
    assert not trust.accepts("https://ci.example", ("other",), good)
    assert not trust.accepts("https://ci.example", ("orchestrator",), {**good, "ref": "dev"})
    assert not trust.accepts("https://ci.example", ("orchestrator",), {"repository": "shop"})


def test_own_actions_are_real_actions() -> None:
    """What users may do for their own is in the closed list."""
    assert set(Action) >= OWN
