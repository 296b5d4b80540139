"""The rules of walks in waves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.promotion import ENDINGS, State
from orchestrator.domain.waves import BAD, Progress, Waves, ending, outcome, why_held

NAMES = ("a", "b", "c", "d")
ENDED = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from([State.SUCCEEDED, State.FAILED, State.ROLLED_BACK, State.NEEDS_INTERVENTION]),
)


def waves(**more: object) -> Waves:
    return Waves.from_json({"name": "all", "environments": [["a"], ["b", "c"], ["d"]], **more})


@given(ended=ENDED, allowed=st.integers(0, 4))
def test_a_walk_is_held_by_more_failures_than_allowed_or_by_a_person(ended: dict[str, State], allowed: int) -> None:
    """The next wave begins exactly when no more have failed than may, and nobody is needed."""
    failed = sum(state in BAD for state in ended.values())
    stuck = State.NEEDS_INTERVENTION in ended.values()
    assert bool(why_held(waves(max_failures=allowed), ended)) is (stuck or failed > allowed)


@given(ended=ENDED, back=st.none() | st.booleans(), why=st.sampled_from(["", "because"]))
def test_no_ending_can_be_taken_for_another(ended: dict[str, State], back: bool | None, why: str) -> None:
    """Failed means that nothing was changed, rolled back that nothing of it stays, held that something does."""
    promoted = [name for name, state in ended.items() if state is State.SUCCEEDED]
    returned = None if back is None else dict.fromkeys(promoted, back)
    state = ending(ended, returned, why)
    assert state in ENDINGS
    assert (state is State.SUCCEEDED) is (not why)
    if state is State.FAILED:
        assert set(ended.values()) <= {State.FAILED}
    if state is State.HELD:
        assert promoted
        assert returned is None
    if state is State.ROLLED_BACK:
        assert all((returned or {}).get(name) for name in promoted)
    if why and State.NEEDS_INTERVENTION in ended.values():
        assert state is State.NEEDS_INTERVENTION


def test_an_ending_is_said_in_a_sentence() -> None:
    """It names what failed, what went back and what keeps the release."""
    ended = {"a": State.SUCCEEDED, "b": State.ROLLED_BACK, "c": State.SUCCEEDED}
    said = outcome(waves(), ended, {"c": True, "a": False}, "b failed")
    assert said == "all: held: b failed; rolled back: c; keeps the release: a"
    assert outcome(waves(), {"a": State.SUCCEEDED}, None, "") == "all: 1 environment promoted"


def test_a_walk_is_folded_from_its_records() -> None:
    """What became of each environment follows from the journal, one record after the other."""
    walk = Progress.begun({"rollout": waves(soak="5m").to_json(), "already_deployed": ["b"]})
    assert walk.left == ("a", "c", "d")
    assert walk.take({"event": "begun", "number": 1, "runs": {"a": "r-a"}}) == ("r-a",)
    walk.take({"event": "ended", "number": 1, "ended": {"a": "succeeded"}})
    walk.take({"event": "soaking", "number": 1, "until": "2026-01-01T00:05:00Z"})
    assert (walk.soaking, walk.story[0].until) == (1, "2026-01-01T00:05:00Z")
    walk.take({"event": "begun", "number": 2, "runs": {"c": "r-c"}})
    assert walk.soaking == 0
    walk.take({"event": "ended", "number": 2, "ended": {"c": "failed"}})
    walk.take({"event": "held", "environments": ["d"], "why": "c failed"})
    walk.take({"event": "returning", "number": 1, "runs": {"a": "r-a_back"}})
    walk.take({"event": "returned", "number": 1, "returned": {"a": True}})
    found = {
        place.environment: (place.state, place.back, place.why) for wave in walk.story for place in wave.environments
    }
    assert found == {
        "a": ("rolled back", "r-a_back", ""),
        "b": ("already deployed", None, ""),
        "c": ("failed", None, ""),
        "d": ("not started", None, "c failed"),
    }


@pytest.mark.parametrize(("name", "before"), [("a", set()), ("c", {"a"}), ("d", {"a", "b", "c"})])
def test_earlier_waves_are_known(name: str, before: set[str]) -> None:
    """Before an environment come those of earlier waves, and none of its own."""
    assert waves().before(name) == before
