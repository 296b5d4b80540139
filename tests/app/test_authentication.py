"""Requests to a server are authenticated by tokens and sessions."""

from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.adapters.memory.sign_ins import MemorySignIns
from orchestrator.adapters.passwords import Argon2Passwords
from orchestrator.app.acting import Acting
from orchestrator.app.authentication import Authentication, Source
from orchestrator.app.people import disable_user
from orchestrator.app.sign_in_links import create_first_link, create_link
from orchestrator.domain.access.principals import Actor, Method
from orchestrator.domain.access.sign_in import IDLE, LINK_LIFETIME, LONGEST
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import PASSWORDS, SIGN_IN_LINKS
from tests.app.desk import ENVIRONMENTS, Desk

HASHES = Argon2Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
HERE = Source("192.0.2.1", "a browser")
GOOD = "correct horse battery"


def authentication(desk: Desk, local: str = "machine") -> Authentication:
    acting = Acting(desk.register, Actor(name=local), desk.clock, ENVIRONMENTS)
    return Authentication(desk.register, MemorySignIns(), HASHES, desk.clock, acting)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def door(desk: Desk) -> Authentication:
    """The user `viewer` has a password."""
    made = authentication(desk)
    made.set_password(create_link(desk.acting("root"), "viewer").text, "", GOOD, HERE)
    return made


def test_a_sign_in_makes_a_session_of_the_user(door: Authentication) -> None:
    """A correct password gives a session whose value is nowhere in what is kept, with an actor of its user."""
    made = door.sign_in("viewer", GOOD, HERE)
    found = door.session(made.value)
    assert found is not None
    assert (found.actor().name, found.actor().method, found.address) == ("viewer", Method.SESSION, HERE.address)
    assert made.value not in repr(door.sign_ins.sessions_of("viewer"))
    door.sign_out(found)
    assert door.session(made.value) is None


@pytest.mark.parametrize("name", ["viewer", "nobody", "root"])
def test_a_wrong_name_and_a_wrong_password_have_one_response(door: Authentication, name: str) -> None:
    """An unknown user, a user without a password and a wrong password are refused with the same words."""
    with pytest.raises(OrchestratorError) as refused:
        door.sign_in(name, "something else", HERE)
    assert (refused.value.code, refused.value.message) == ("N121", "the name or the password is wrong")


def test_a_session_ends(door: Authentication, desk: Desk) -> None:
    """A session ends 12 hours after its last use, and after 7 days although it is used."""
    value = door.sign_in("viewer", GOOD, HERE).value
    for _ in range(int(LONGEST / (IDLE / 2)) - 1):
        desk.clock.sleep((IDLE / 2).total_seconds())
        assert door.session(value) is not None
    desk.clock.sleep((IDLE / 2).total_seconds())
    assert door.session(value) is None
    other = door.sign_in("viewer", GOOD, HERE).value
    desk.clock.sleep(IDLE.total_seconds())
    assert door.session(other) is None


def test_a_disabled_user_has_no_session(door: Authentication, desk: Desk) -> None:
    """A user who is disabled cannot sign in, and existing sessions authenticate nobody from that moment."""
    value = door.sign_in("viewer", GOOD, HERE).value
    disable_user(desk.acting("root"), "viewer")
    assert door.session(value) is None
    with pytest.raises(OrchestratorError, match="wrong"):
        door.sign_in("viewer", GOOD, HERE)


def test_failures_delay_also_the_correct_password(door: Authentication, desk: Desk) -> None:
    """After five failures a sign-in is delayed whatever the password is, twice as long with each, and one entry is written."""
    before = desk.entries
    for _ in range(6):
        with pytest.raises(OrchestratorError, match="is wrong"):
            door.sign_in("viewer", "wrong", HERE)
    assert desk.entries == before + 2  # one for the account, one for the address
    with pytest.raises(OrchestratorError) as delayed:
        door.sign_in("viewer", GOOD, HERE)
    assert delayed.value.code == "N123"
    desk.clock.sleep(1)
    with pytest.raises(OrchestratorError, match="is wrong"):
        door.sign_in("viewer", "wrong", HERE)
    desk.clock.sleep(1)
    with pytest.raises(OrchestratorError, match="too many"):
        door.sign_in("viewer", GOOD, HERE)
    desk.clock.sleep(1)
    assert door.sign_in("viewer", GOOD, HERE)
    assert desk.entries == before + 3


def test_an_address_is_delayed_for_all_names(door: Authentication) -> None:
    """Guesses of many names from one address are delayed, and another address is not."""
    for count in range(6):
        with pytest.raises(OrchestratorError, match="is wrong"):
            door.sign_in(f"guess{count}", "wrong", HERE)
    with pytest.raises(OrchestratorError, match="too many"):
        door.sign_in("viewer", GOOD, HERE)
    assert door.sign_in("viewer", GOOD, replace(HERE, address="192.0.2.2"))


def test_a_success_takes_away_the_failures_of_its_own_name_only(door: Authentication, desk: Desk) -> None:
    """With one account of their own, attackers cannot go on guessing the passwords of others from an address."""
    door.set_password(create_link(desk.acting("root"), "operator").text, "", GOOD, HERE)
    for count in range(5):
        with pytest.raises(OrchestratorError, match="is wrong"):
            door.sign_in("viewer" if count % 2 else "nobody", "wrong", HERE)
        assert door.sign_in("operator", GOOD, HERE)
    with pytest.raises(OrchestratorError, match="is wrong"):
        door.sign_in("nobody", "wrong", HERE)
    with pytest.raises(OrchestratorError, match="too many"):
        door.sign_in("operator", GOOD, HERE)
    desk.clock.sleep(1)
    assert door.sign_in("operator", GOOD, HERE)
    with pytest.raises(OrchestratorError, match="is wrong"):
        door.sign_in("viewer", "wrong", HERE)
    with pytest.raises(OrchestratorError, match="too many"):
        door.sign_in("operator", GOOD, HERE)


def test_users_behind_one_address_are_not_delayed_by_mistakes_that_they_corrected(door: Authentication) -> None:
    """Each wrong password that its user follows with the correct one is no guess any more."""
    for _ in range(20):
        with pytest.raises(OrchestratorError, match="is wrong"):
            door.sign_in("viewer", "wrong", HERE)
        assert door.sign_in("viewer", GOOD, HERE)


def test_a_link_works_once_and_for_an_hour(door: Authentication, desk: Desk) -> None:
    """A link sets one password within an hour; a second use, a late use and an older link are refused."""
    older = create_link(desk.acting("root"), "operator").text
    newer = create_link(desk.acting("root"), "operator").text
    with pytest.raises(OrchestratorError, match="unknown"):
        door.set_password(older, "", GOOD, HERE)
    with pytest.raises(OrchestratorError, match="12 to 256"):
        door.set_password(newer, "", "short", HERE)
    value = door.set_password(newer, "", GOOD, HERE).value
    assert door.session(value) is not None
    with pytest.raises(OrchestratorError, match="has been used"):
        door.set_password(newer, "", GOOD, HERE)
    late = create_link(desk.acting("root"), "operator").text
    desk.clock.sleep(LINK_LIFETIME.total_seconds())
    with pytest.raises(OrchestratorError, match="has expired"):
        door.set_password(late, "", GOOD, HERE)


def test_a_new_password_ends_all_sessions(door: Authentication, desk: Desk) -> None:
    """Who resets a password also ends the sessions of a thief."""
    stolen = door.sign_in("viewer", GOOD, HERE).value
    mine = door.set_password(create_link(desk.acting("root"), "viewer").text, "", "another password", HERE).value
    assert (door.session(stolen), door.session(mine) is not None) == (None, True)
    with pytest.raises(OrchestratorError, match="is wrong"):
        door.sign_in("viewer", GOOD, HERE)


def test_a_sign_in_with_a_password_that_is_replaced_meanwhile_is_refused(door: Authentication, desk: Desk) -> None:
    """The session of a thief whose password was being checked when the user set another one does not outlive that."""

    class Slow:
        """Checks a password, and has it replaced before the answer."""

        def hashed(self, password: str) -> str:
            return HASHES.hashed(password)

        def fits(self, hashed: str | None, password: str) -> bool:
            found = HASHES.fits(hashed, password)
            door.set_password(create_link(desk.acting("root"), "viewer").text, "", "another password", HERE)
            return found

    with pytest.raises(OrchestratorError, match="is wrong"):
        replace(door, hashes=Slow()).sign_in("viewer", GOOD, HERE)
    assert len(door.sign_ins.sessions_of("viewer")) == 1


def test_the_first_link_creates_the_administrator() -> None:
    """In a project without bindings the first link creates a user with every right, and no second one."""
    acting = Acting(MemoryRegister(), Actor(name="machine"), Desk().clock, ENVIRONMENTS)
    door = Authentication(acting.register, MemorySignIns(), HASHES, acting.clock, acting)
    first = create_first_link(door.local).text
    session = door.set_password(first, "zoe", GOOD, HERE).session
    assert create_link(replace(door.local, actor=session.actor()), "zoe").link.user == "zoe"
    with pytest.raises(OrchestratorError, match="not a known user"):
        create_first_link(door.local)


def test_no_secret_is_kept(door: Authentication, desk: Desk) -> None:
    """The register and the audit stream have neither a password nor the text of a link."""
    link = create_link(desk.acting("root"), "auditor")
    kept = desk.register.reading(
        lambda records: repr((records.all(PASSWORDS), records.all(SIGN_IN_LINKS), records.audit()))
    )
    assert (GOOD in kept, link.text in kept, "argon2id" in kept) == (False, False, True)
