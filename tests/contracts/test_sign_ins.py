"""The contract of the `SignIns` port, kept by every adapter of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.adapters.database.sign_ins import DatabaseSignIns
from orchestrator.adapters.memory.sign_ins import MemorySignIns
from orchestrator.domain.access.sign_in import Origin, Session, value_hash
from orchestrator.register_ports import SignIns

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SignIns]:
    made: SignIns = MemorySignIns()
    if request.param == "sqlite":
        made = DatabaseSignIns(f"sqlite:///{tmp_path}/state.db", "shop")
    if request.param == "postgres":
        made = DatabaseSignIns(request.getfixturevalue("postgres").fresh(), "shop")
    yield made
    made.close()


def session(name: str, user: str = "ann", at: datetime = NOON) -> Session:
    return Session(sha256=value_hash(name), user=user, started_at=at, used_at=at, address="127.0.0.1")


def test_a_session_is_kept_until_it_is_ended(kept: SignIns) -> None:
    """A session is found by its hash, its later use is recorded, and after its end a late use does not revive it."""
    one = session("one")
    kept.start(one)
    later = one.model_copy(update={"used_at": NOON + timedelta(hours=1)})
    kept.use(later)
    assert (kept.session(one.sha256), kept.session(value_hash("other"))) == (later, None)
    assert (kept.end(one.sha256), kept.end(one.sha256)) == (True, False)
    kept.use(later)
    assert kept.session(one.sha256) is None


def test_all_sessions_of_a_user_end_together(kept: SignIns) -> None:
    """The sessions of one user are listed with the newest first, and end together; those of others stay."""
    for each in (session("a"), session("b", at=NOON + timedelta(hours=1)), session("c", user="bob")):
        kept.start(each)
    assert [each.sha256 for each in kept.sessions_of("ann")] == [value_hash("b"), value_hash("a")]
    assert (kept.end_all("ann"), kept.sessions_of("ann"), len(kept.sessions_of("bob"))) == (2, (), 1)


def test_sessions_are_found_by_that_of_their_provider(kept: SignIns) -> None:
    """The sessions that come from one session of a provider are found together, and keep their origin."""
    origin = Origin(provider="company", account=value_hash("account"), session=value_hash("there"))
    one = session("a").model_copy(update={"origin": origin})
    other = session("b").model_copy(update={"origin": origin.model_copy(update={"session": None})})
    for each in (one, other, session("c")):
        kept.start(each)
    assert kept.sessions_from(value_hash("there")) == (one,)
    assert kept.sessions_from(value_hash("elsewhere")) == ()


def test_a_kept_text_is_taken_once(kept: SignIns) -> None:
    """A key is kept once until it is taken, and of several callers at the same moment one gets the text."""
    assert (kept.keep_once("a", "text", NOON), kept.keep_once("a", "other", NOON)) == (True, False)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: kept.take_once("a"), range(8)))
    assert sorted(found, key=str) == [None] * 7 + ["text"]
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: kept.keep_once("a", "", NOON), range(8))) == [False] * 7 + [True]


def test_failures_are_counted_until_a_success(kept: SignIns) -> None:
    """Each failure of a source is counted with its time, and a success forgets them; sources are apart."""
    kept.fail("user:ann", NOON)
    later = kept.fail("user:ann", NOON + timedelta(seconds=9))
    kept.fail("address:::1", NOON)
    assert (later.count, later.last_at, kept.failures("user:ann")) == (2, NOON + timedelta(seconds=9), later)
    kept.succeed("user:ann")
    rest = kept.failures("address:::1")
    assert (kept.failures("user:ann"), rest and rest.count) == (None, 1)


def test_a_part_of_the_failures_is_forgotten(kept: SignIns) -> None:
    """Of an address the failures of one name are forgotten once, the others keep their time, and none are below zero."""
    for source, count in (("address:::1", 5), ("user:ann address:::1", 2), ("user:bob address:::1", 4)):
        for second in range(count):
            kept.fail(source, NOON + timedelta(seconds=second))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: kept.forgive("address:::1", "user:ann address:::1"), range(4)))
    rest = kept.failures("address:::1")
    assert rest is not None
    assert (rest.count, rest.last_at) == (3, NOON + timedelta(seconds=4))
    assert kept.failures("user:ann address:::1") is None
    kept.forgive("address:::1", "user:bob address:::1")
    assert kept.failures("address:::1") is None
    kept.forgive("address:::1", "user:bob address:::1")


def test_what_is_over_is_removed(kept: SignIns) -> None:
    """Sessions and failures from before the given times are removed, and newer ones stay."""
    kept.start(session("old", at=NOON - timedelta(days=8)))
    kept.start(session("new"))
    kept.fail("user:old", NOON - timedelta(days=1))
    kept.fail("user:new", NOON)
    kept.keep_once("over", "", NOON - timedelta(seconds=1))
    kept.keep_once("lasts", "", NOON)
    kept.remove_before(NOON - timedelta(days=7), NOON - timedelta(hours=1), NOON)
    assert (kept.keep_once("over", "", NOON), kept.keep_once("lasts", "", NOON)) == (True, False)
    assert [each.sha256 for each in kept.sessions_of("ann")] == [value_hash("new")]
    assert (kept.failures("user:old"), kept.failures("user:new") is not None) == (None, True)
