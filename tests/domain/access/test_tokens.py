"""Tokens and absences, with values."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.access.absences import check_absence
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import Absence, Actor, Method, Scope
from orchestrator.domain.access.tokens import (
    Token,
    TokenState,
    authenticates,
    exceeding,
    token_hash,
    token_prefix,
    token_text,
)
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, moment_text, parse_moment

START = parse_moment("2026-11-29T12:00:00Z")
DAY = timedelta(days=1)
TEXT = token_text("abcd1234", bytes(range(32)))
ACCESS = Access.from_json(
    {
        "users": [{"name": "ann"}, {"name": "bob"}, {"name": "cid", "disabled_at": moment_text(START)}],
        "bindings": [{"role": "operator", "to": "user:ann", "environment": "staging"}],
    }
)


def token(**fields: Any) -> Token:
    return Token.from_json({
        "prefix": "abcd1234", "sha256": token_hash(TEXT), "owner": "ann", "created_at": moment_text(START),
        "expires_at": moment_text(START + 30 * DAY), **fields,
    })  # fmt: skip


def test_a_token_is_found_by_its_prefix_and_stored_as_a_hash() -> None:
    """Nothing that is stored contains the secret."""
    assert token_prefix(TEXT) == "abcd1234"
    assert TEXT.rpartition("_")[2] not in str(token().to_json())
    assert token_prefix("orch_abcd1234_short") is None
    assert token_prefix(f"{TEXT}\n") is None
    with pytest.raises(ValueError, match="32 bytes"):
        token_text("abcd1234", b"short")


def test_a_token_authenticates_its_owner_until_it_expires() -> None:
    """Not with another secret, not when revoked, and in doubt not at its end."""
    assert authenticates(token(), TEXT, Now.at(START))
    assert not authenticates(token(), token_text("abcd1234", bytes(32)), Now.at(START))
    assert not authenticates(token(revoked_at=moment_text(START)), TEXT, Now.at(START))
    assert not authenticates(token(), TEXT, Now.at(START + 30 * DAY))
    assert not authenticates(token(), TEXT, Now(START, START + 30 * DAY))
    actor = token().actor()
    assert (actor.name, actor.method, actor.credential) == ("ann", Method.TOKEN, "abcd1234")


def test_a_rotated_token_is_valid_for_a_grace_time() -> None:
    """For 24 hours, never longer than before, and a second rotation does not prolong it."""
    rotated = token().rotated(START)
    assert rotated.state(Now.at(START + 0.9 * DAY)) is TokenState.GRACE
    assert rotated.state(Now.at(START + DAY)) is TokenState.EXPIRED
    assert rotated.rotated(START + 0.5 * DAY).grace_until == rotated.grace_until
    late = token().rotated(START + 29.5 * DAY)
    assert late.grace_until == START + 30 * DAY


def test_scopes_beyond_the_rights_of_the_owner_are_named() -> None:
    """A token is not created with them."""
    scopes = (Scope(actions=(Action.ROLL_BACK, Action.PROMOTE), environment="*"),)
    owner = Actor(name="ann", method=Method.TOKEN)
    found = exceeding(scopes, owner, "shop", ["staging", "production"], Directory(ACCESS), Now.at(START))
    assert found == (
        (Action.ROLL_BACK, "production"),
        (Action.PROMOTE, "production"),
        (Action.PROMOTE, "staging"),
    )


def absence(user: str, deputy: str, first: float, last: float) -> Absence:
    return Absence(user=user, deputy=deputy, start=START + first * DAY, end=START + last * DAY)


def test_a_user_has_one_deputy_at_a_time() -> None:
    """Absences that touch are possible, those that overlap are refused, as are unknown and disabled users."""
    access = ACCESS.model_copy(update={"absences": (absence("ann", "bob", 1, 3),)})
    check_absence(access, absence("ann", "bob", 3, 4))
    check_absence(access, absence("bob", "ann", 2, 4))
    with pytest.raises(OrchestratorError, match=r"A106.*has bob as the deputy from 2026-11-30 12:00 UTC"):
        check_absence(access, absence("ann", "bob", 2, 4))
    for name in ("cid", "zoe"):
        with pytest.raises(OrchestratorError, match=f"{name} is not an active user"):
            check_absence(access, absence("ann", name, 5, 6))
    with pytest.raises(ValueError, match="names the absent user as the deputy"):
        absence("ann", "ann", 1, 2)
    with pytest.raises(ValueError, match="ends before it starts"):
        absence("ann", "bob", 2, 2)
