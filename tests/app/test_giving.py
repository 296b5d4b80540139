"""No credential, binding or membership has more power than the actor who makes it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.app import access, calendar_addresses, people, sign_in_links, tokens
from orchestrator.app.acting import Acting, Denied
from orchestrator.domain.access.access_file import AccessFile
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.powers import pattern_is_within
from orchestrator.domain.access.principals import (
    Actor,
    ActorKind,
    Binding,
    Group,
    Method,
    Role,
    Scope,
    ServiceAccount,
    Trust,
    User,
)
from orchestrator.domain.access.tokens import Token, token_hash
from orchestrator.domain.register import BINDINGS, GROUPS, ROLES, SERVICE_ACCOUNTS, TOKENS, USERS
from orchestrator.management.hooks.decisions import add_hook
from orchestrator.management.hooks.model import HookDraft, HookForm
from tests.app.desk import NOON, Desk
from tests.management.calls import HOOK_PROJECT

A = Action
MANAGE = (A.MANAGE_TOKENS, A.MANAGE_PEOPLE, A.MANAGE_ACCESS, A.VIEW)
DAY = timedelta(days=1)
TRUST = Trust(issuer="https://ci.example", audience="shop", claims={"ref": "main"}, actions=(A.PROMOTE,))
HOOK = HookDraft(
    name="main", form=HookForm.GENERIC, account="ci", release="shop", events=("release",), then="promote",
    environment="staging",
)  # fmt: skip

OLD = Token(
    prefix="rotation", sha256=token_hash("x"), owner="ci", owner_kind=ActorKind.SERVICE_ACCOUNT, created_at=NOON,
    expires_at=NOON + 30 * DAY,
)  # fmt: skip
KEPT = Token(
    prefix="keptoken", sha256=token_hash("y"), owner="keeper", created_at=NOON, expires_at=NOON + timedelta(minutes=5)
)


def keeper(*actions: Action, scopes: tuple[Scope, ...] | None = None, until: timedelta | None = None) -> Acting:
    """The user `keeper`, whose role has *actions*, with a token that has *scopes*; at a register with others to take over."""
    desk = Desk()
    desk.write(ROLES, Role(name="keeping", actions=actions), Role(name="light", actions=(A.VIEW,)))
    desk.write(USERS, User(name="keeper"), User(name="off", disabled_at=NOON), User(name="plain"))
    end = NOON + until if until is not None else None
    desk.write(BINDINGS, Binding(role="keeping", to="user:keeper", until=end))
    desk.write(GROUPS, Group(name="strong", members=()), Group(name="weak", members=("plain",)))
    desk.write(SERVICE_ACCOUNTS, ServiceAccount(name="ci"))
    desk.write(BINDINGS, Binding(role="release-manager", to="group:strong"))
    desk.write(BINDINGS, Binding(role="release-manager", to="user:off"))
    desk.write(BINDINGS, Binding(role="release-manager", to="service-account:ci"))
    desk.write(BINDINGS, Binding(role="light", to="user:plain"))
    desk.write(TOKENS, OLD, KEPT)
    method = Method.LOCAL if scopes is None else Method.TOKEN
    return replace(desk.acting("keeper"), actor=Actor(name="keeper", method=method, scopes=scopes, credential="k"))


WAYS: dict[str, Callable[[Acting], object]] = {
    "a token of an account": lambda it: tokens.create_token(it, "ci", lifetime=DAY),
    "a token of a user": lambda it: tokens.create_token(it, "release-manager", lifetime=DAY),
    "a scoped token of an account": lambda it: tokens.create_token(
        it, "ci", lifetime=DAY, scopes=(Scope(actions=(A.PROMOTE,), environment="staging"),)
    ),
    "a rotated token": lambda it: tokens.rotate_token(it, "rotation"),
    "trust in CI jobs": lambda it: tokens.trust_issuer(it, "ci", TRUST),
    "a link": lambda it: sign_in_links.create_link(it, "release-manager"),
    "a link of the enabled": lambda it: people.edit_user(it, "off", {"disabled_at": None}),
    "a name on machines": lambda it: people.edit_user(it, "release-manager", {"local": "me"}),
    "a member": lambda it: people.set_members(it, "strong", ["plain"], []),
    "a deputy": lambda it: people.add_absence(it, "approver", "plain", NOON, NOON + DAY),
    "a hook": lambda it: add_hook(it, HOOK, HOOK_PROJECT),
}
"""Ways to get the rights of others, each with a right to manage that does not include them."""
SCOPED: dict[str, Callable[[Acting], object]] = {
    "an account with trust": lambda it: people.add_service_account(it, ServiceAccount(name="other", trust=(TRUST,))),
    "a binding": lambda it: access.grant(it, Binding(role="release-manager", to="user:plain")),
    "a binding of an empty group": lambda it: access.grant(it, Binding(role="approver", to="group:strong")),
    "a larger role": lambda it: access.apply(
        it,
        AccessFile(
            apiVersion="orchestrator/v1", kind="Access", roles=(Role(name="light", actions=(A.VIEW, A.PROMOTE)),)
        ),
        prune=False,
    ),
}
"""What users may do who manage access or accounts, and a token only within its scopes."""


@pytest.mark.parametrize("way", WAYS)
def test_who_manages_users_or_tokens_gives_no_more_than_they_have(way: str) -> None:
    """Without the right to manage access, the rights of a stronger user or account are out of reach by every way."""
    acting = keeper(A.MANAGE_TOKENS, A.MANAGE_PEOPLE, A.VIEW)
    before = acting.register.reading(lambda records: records.head().index)
    with pytest.raises(Denied, match="may not give"):
        WAYS[way](acting)
    last = acting.register.reading(lambda records: records.audit(after=before))
    assert [(each.outcome, each.detail["rule"]) for each in last] == [("denied", "more than the actor's own")]


@pytest.mark.parametrize("way", WAYS | SCOPED)
def test_a_token_gives_nothing_outside_of_its_scopes(way: str) -> None:
    """A token whose scopes are those to manage gives no other right, although its owner may give every one."""
    acting = keeper(*Action, scopes=(Scope(actions=MANAGE),))
    with pytest.raises(Denied, match="the token has no such scope"):
        (WAYS | SCOPED)[way](acting)


@pytest.mark.parametrize("way", WAYS | SCOPED)
def test_who_manages_access_gives_every_right(way: str) -> None:
    """An actor with the right to manage access, and without scopes, may do all of this: that is what the right is."""
    (WAYS | SCOPED)[way](keeper(*MANAGE))


@pytest.mark.parametrize("way", WAYS)
def test_who_has_the_rights_may_give_them(way: str) -> None:
    """Without the right to manage access, what the actor has can be given."""
    WAYS[way](keeper(*(set(Action) - {A.MANAGE_ACCESS})))


@pytest.mark.parametrize(
    ("scopes", "fits"),
    [
        (None, False),
        ((Scope(actions=(A.MANAGE_TOKENS,)),), True),
        ((Scope(actions=(A.VIEW,), environment="staging"),), True),
        ((Scope(actions=(A.VIEW,), environment="prod-*"),), False),
        ((Scope(actions=(A.VIEW,)),), False),
        ((Scope(actions=(A.VIEW, A.PLAN), environment="staging"),), False),
        ((Scope(actions=(A.MANAGE_TOKENS,)), Scope(actions=(A.PROMOTE,), environment="staging")), False),
    ],
)
def test_a_token_creates_tokens_of_its_owner_within_its_scopes(scopes: tuple[Scope, ...] | None, fits: bool) -> None:
    """Each scope of the new token is within one of the token that creates it; a token without scopes has every one."""
    own = (Scope(actions=(A.MANAGE_TOKENS,)), Scope(actions=(A.VIEW,), environment="stag*"))
    acting = keeper(*Action, scopes=own)
    if fits:
        assert tokens.create_token(acting, "keeper", lifetime=DAY, scopes=scopes).token.scopes == scopes
    else:
        with pytest.raises(Denied):
            tokens.create_token(acting, "keeper", lifetime=DAY, scopes=scopes)


def test_a_token_creates_none_that_ends_later() -> None:
    """The token or link that a token creates ends with it at the latest, but a token that rotates itself keeps its length."""
    acting = keeper(*Action)
    by, ends = replace(acting, actor=KEPT.actor()), KEPT.expires_at
    assert tokens.create_token(by, "keeper", lifetime=DAY).token.expires_at == ends
    assert tokens.create_token(by, "ci", lifetime=timedelta(minutes=1)).token.expires_at < ends
    assert tokens.rotate_token(by, "rotation").token.expires_at == ends
    assert sign_in_links.create_link(by, "viewer").link.expires_at == ends
    acting.clock.sleep(60)
    assert tokens.rotate_token(by, "keptoken").token.expires_at >= ends + timedelta(minutes=1)


def test_a_right_to_manage_that_ends_makes_no_manager_who_stays() -> None:
    """An administrator until tomorrow gives other roles without an end, and the right to manage only as long as their own."""
    acting = keeper(*MANAGE, until=DAY)
    access.grant(acting, Binding(role="release-manager", to="user:plain"))
    access.grant(acting, Binding(role="administrator", to="user:plain", until=NOON + DAY))
    for until in (None, NOON + 2 * DAY):
        with pytest.raises(Denied, match="right to manage ends at"):
            access.grant(acting, Binding(role="administrator", to="user:keeper", until=until))


def test_an_address_of_a_calendar_needs_the_scope_to_view() -> None:
    """A token that may only manage tokens makes no address that shows the calendar."""
    with pytest.raises(Denied):
        calendar_addresses.create_calendar_address(keeper(*Action, scopes=(Scope(actions=(A.MANAGE_TOKENS,)),)))
    assert calendar_addresses.create_calendar_address(
        keeper(*Action, scopes=(Scope(actions=(A.MANAGE_TOKENS, A.VIEW)),))
    )


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        ("*", "*", True),
        ("staging", "*", True),
        ("*", "**", False),
        ("prod-*", "prod-*", True),
        ("prod-1", "prod-*", True),
        ("prod-*", "prod-1", False),
        ("prod-*", "prod-?", False),
        ("prod-*", "prod-??*", False),
        ("prod-?*", "prod-*", True),
        ("*-eu", "*eu", True),
        ("*eu", "*-eu", False),
    ],
)
def test_patterns_are_compared_for_every_environment(inner: str, outer: str, within: bool) -> None:
    """A pattern is within another one only if that has every name of it, also of environments that do not exist yet."""
    assert pattern_is_within(inner, outer) is within
