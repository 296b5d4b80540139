"""Users, groups, tokens and who acts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.app import access, people, tokens
from orchestrator.app.acting import Acting, Denied
from orchestrator.app.actor import current_actor
from orchestrator.domain.access.access_file import AccessFile
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor, Binding, Method, Scope, ServiceAccount, User
from orchestrator.domain.access.tokens import TokenRules
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.domain.register import TOKENS
from tests.app.desk import NOON, Desk

DAY = timedelta(days=1)


def code(error: pytest.ExceptionInfo[OrchestratorError]) -> str:
    return error.value.code


def test_without_bindings_the_local_user_has_every_right() -> None:
    """In a new project the local user can do everything, and every change has an audit entry."""
    register = MemoryRegister()
    acting = Acting(register, current_actor(register, {}, "ann", ManualClock(NOON)), ManualClock(NOON), ("staging",))
    people.add_user(acting, User(name="bob"))
    access.grant(acting, Binding(role="administrator", to="user:bob"))
    entries = register.reading(lambda records: records.audit())
    assert [(entry.actor, entry.action) for entry in entries] == [("ann", "people:manage"), ("ann", "access:manage")]
    with pytest.raises(Denied):
        people.add_user(acting, User(name="eve"))


def test_the_first_binding_is_an_administrators() -> None:
    """A first binding that would leave nobody to manage access is refused with A103, and changes nothing."""
    register = MemoryRegister()
    acting = Acting(register, Actor(name="ann"), ManualClock(NOON))
    people.add_user(acting, User(name="ann"))
    with pytest.raises(OrchestratorError) as caught:
        access.grant(acting, Binding(role="viewer", to="user:ann"))
    assert code(caught) == "A103"
    assert people.show_access(acting).bindings == ()


def test_the_last_administrator_stays() -> None:
    """The last administrator can be neither disabled nor revoked, also by a file that prunes."""
    desk = Desk()
    access.revoke(desk.acting("root"), "administrator", "user:administrator", "*", "*")
    empty = AccessFile(apiVersion="orchestrator/v1", kind="Access", people=(User(name="zoe"),))
    binding = AccessFile(
        apiVersion="orchestrator/v1",
        kind="Access",
        people=(User(name="zoe"),),
        bindings=(Binding(role="viewer", to="user:zoe"),),
    )
    for attempt in (
        lambda: people.disable_user(desk.acting("root"), "root"),
        lambda: access.revoke(desk.acting("root"), "administrator", "user:root", "*", "*"),
        lambda: access.apply(desk.acting("root"), binding, prune=True),
        lambda: access.apply(desk.acting("root"), empty, prune=True),
    ):
        with pytest.raises(OrchestratorError) as caught:
            attempt()
        assert code(caught) == "A103"
    assert access.preview(desk.acting("root"), empty, prune=True).removals


def test_a_file_is_applied_and_what_it_lacks_is_kept_without_prune() -> None:
    """Applying a file adds and changes its entries, and a second time changes nothing."""
    desk = Desk()
    file = AccessFile(
        apiVersion="orchestrator/v1", kind="Access", people=(User(name="root", team="red"), User(name="zoe"))
    )
    found = access.apply(desk.acting("root"), file, prune=False)
    assert [str(change) for change in found.changes] == ["change people: root (team)", "add people: zoe"]
    assert "viewer" in {user.name for user in people.show_access(desk.acting("root")).users}
    entries = desk.entries
    assert access.apply(desk.acting("root"), file, prune=False).changes == ()
    assert desk.entries == entries


def test_unknown_names_have_a_hint() -> None:
    """An unknown user, group member or role is refused with the nearest name."""
    desk = Desk()
    with pytest.raises(OrchestratorError) as caught:
        people.disable_user(desk.acting("root"), "viewr")
    assert (code(caught), "viewer" in str(caught.value.hint)) == ("A110", True)
    with pytest.raises(OrchestratorError) as caught:
        people.add_group(desk.acting("root"), "ops", ["operater"])
    assert code(caught) == "A110"
    with pytest.raises(OrchestratorError) as caught:
        access.grant(desk.acting("root"), Binding(role="operater", to="user:viewer"))
    assert (code(caught), "operator" in str(caught.value.hint)) == ("A104", True)


def test_a_token_acts_as_its_owner_in_its_scopes() -> None:
    """The owner of a token acts with it; its scopes limit what the owner may do, and it is stored without its secret."""
    desk = Desk()
    scope = (Scope(actions=(Action.STOP_LINE,), environment="staging"),)
    new = tokens.create_token(desk.acting("operator"), "operator", lifetime=DAY, scopes=scope)
    actor = current_actor(desk.register, {"ORCHESTRATOR_TOKEN": new.text}, "root", desk.clock)
    assert (actor.name, actor.method, actor.credential) == ("operator", Method.TOKEN, new.token.prefix)
    acting = Acting(desk.register, actor, desk.clock, ("staging", "production"))
    with pytest.raises(Denied):
        people.show_access(acting)
    kept = desk.register.reading(lambda records: records.get(TOKENS, new.token.prefix))
    assert kept is not None
    assert kept.last_used_at is not None
    assert new.text not in str(desk.register.reading(lambda records: (records.all(TOKENS), records.audit())))


@pytest.mark.parametrize("text", ["", "x", "orch_aaaaaaaa_" + "A" * 43])
def test_a_token_that_is_set_and_wrong_is_never_the_local_user(text: str) -> None:
    """An empty, malformed or unknown ORCHESTRATOR_TOKEN is refused with A108."""
    with pytest.raises(OrchestratorError) as caught:
        current_actor(MemoryRegister(), {"ORCHESTRATOR_TOKEN": text}, "root", ManualClock(NOON))
    assert code(caught) == "A108"


def test_a_rotated_token_is_valid_for_the_grace_time_and_a_revoked_one_at_once_not() -> None:
    """After a rotation both tokens are valid for a day; a revoked and an expired token are refused."""
    desk = Desk()
    old = tokens.create_token(desk.acting("operator"), "operator", lifetime=3 * DAY)
    new = tokens.rotate_token(desk.acting("operator"), old.token.prefix)

    def accepted(text: str) -> bool:
        try:
            current_actor(desk.register, {"ORCHESTRATOR_TOKEN": text}, "root", desk.clock)
        except OrchestratorError:
            return False
        return True

    assert (accepted(old.text), accepted(new.text)) == (True, True)
    desk.clock.sleep(DAY.total_seconds())
    assert (accepted(old.text), accepted(new.text)) == (False, True)
    tokens.revoke_token(desk.acting("operator"), new.token.prefix)
    assert not accepted(new.text)


def test_a_token_has_at_most_the_rights_of_its_owner() -> None:
    """A scope with a right that the owner lacks, or a lifetime of more than a year, is refused with A109."""
    desk = Desk()
    people.add_service_account(desk.acting("root"), ServiceAccount(name="ci"))
    scope = (Scope(actions=(Action.PROMOTE,), environment="production"),)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: tokens.create_token(desk.acting("viewer"), "viewer", lifetime=DAY, scopes=scope),
        lambda: tokens.create_token(desk.acting("viewer"), "viewer", lifetime=366 * DAY),
    )
    for attempt in attempts:
        with pytest.raises(OrchestratorError) as caught:
            attempt()
        assert code(caught) == "A109"
    with pytest.raises(Denied):
        tokens.create_token(desk.acting("viewer"), "ci", lifetime=DAY)


def test_a_user_manages_their_own_absence_only() -> None:
    """A user without any right to manage people records an absence of their own, and not that of another user."""
    desk = Desk()
    people.add_absence(desk.acting("approver"), "approver", "operator", NOON, NOON + DAY)
    with pytest.raises(Denied):
        people.add_absence(desk.acting("approver"), "viewer", "operator", NOON, NOON + DAY)
    with pytest.raises(OrchestratorError) as caught:
        people.add_absence(desk.acting("approver"), "approver", "viewer", NOON, NOON + DAY)
    assert code(caught) == "A106"


def test_an_actor_whose_clock_was_set_back_has_no_ended_binding_again() -> None:
    """When the clock is set back behind the audit stream, a binding that has ended stays ended."""
    desk = Desk()
    access.grant(desk.acting("root"), Binding(role="operator", to="user:viewer", until=NOON + DAY))
    desk.clock.sleep(2 * DAY.total_seconds())
    people.add_user(desk.acting("root"), User(name="later"))
    desk.clock.jump(-2 * DAY.total_seconds())
    question = access.Question(action=Action.LOCK, environment="staging", name="viewer")
    assert not access.can_i(desk.acting("root"), question).allowed


def test_a_project_sets_how_long_tokens_are_valid() -> None:
    """With `tokens: {lifetime: 30d}` no token is created for longer, and a rotation does not prolong an older one."""
    desk = Desk()
    older = tokens.create_token(desk.acting("root"), "root", lifetime=90 * DAY)
    acting = replace(desk.acting("root"), tokens=TokenRules(lifetime="30d"))
    with pytest.raises(OrchestratorError, match="at most 30d"):
        tokens.create_token(acting, "root", lifetime=31 * DAY)
    assert tokens.create_token(acting, "root", lifetime=30 * DAY).token.is_valid(Now.at(NOON))
    new = tokens.rotate_token(acting, older.token.prefix).token
    assert new.expires_at - new.created_at == 30 * DAY
    for wrong in ("0s", "366d"):
        with pytest.raises(ValueError, match="at most 365d"):
            TokenRules(lifetime=wrong)
