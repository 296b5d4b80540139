"""The risk of a promotion, with its arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.risk.assessment import FACTORS, RiskFacts, assess, raise_risk
from orchestrator.domain.risk.kinds import Level, level_of

COUNTS = st.integers(0, 1000)
FACTS = st.builds(
    RiskFacts,
    hosts=COUNTS, batches=COUNTS, replaced=COUNTS, deleted=COUNTS, no_return=COUNTS, opaque_tasks=COUNTS,
    rehearsed=st.none() | st.booleans(), promotions=COUNTS, rollbacks=COUNTS, days_since=st.none() | COUNTS,
    parity_differences=COUNTS, drift_differences=COUNTS,
)  # fmt: skip


def test_the_arithmetic_is_shown() -> None:
    """Each factor has a line; the sum names its level."""
    risk = assess(RiskFacts(hosts=4, batches=2, deleted=1, rehearsed=False, promotions=10, rollbacks=1, days_since=31))
    assert risk.arithmetic == "4 + 10 + 10 + 2 + 3 = 29 (low)"
    assert str(risk.lines[3]) == "deleted resources: 1 deleted → 10 of 20"
    assert risk.level is Level.LOW


@pytest.mark.parametrize(
    ("score", "level"), [(0, "low"), (29, "low"), (30, "medium"), (59, "medium"), (60, "high"), (100, "high")]
)
def test_levels_have_fixed_limits(score: int, level: str) -> None:
    """Low below 30, medium below 60, otherwise high."""
    assert level_of(score) is Level(level)


@given(FACTS)
def test_a_risk_is_the_sum_of_its_lines_from_0_to_100(facts: RiskFacts) -> None:
    """No factor has more points than the table allows."""
    risk = assess(facts)
    assert 0 <= risk.score <= 100
    assert risk.score == min(100, sum(line.points for line in risk.lines))
    assert all(0 <= line.points <= line.most for line in risk.lines)
    assert [line.factor for line in risk.lines] == [factor.name for factor in FACTORS]


@given(
    FACTS,
    st.sampled_from(
        ["hosts", "replaced", "deleted", "no_return", "opaque_tasks", "parity_differences", "drift_differences"]
    ),
)
def test_more_of_anything_is_never_less_risk(facts: RiskFacts, name: str) -> None:
    """The risk grows with every fact that adds to it."""
    more = facts.model_copy(update={name: getattr(facts, name) + 1})
    assert assess(more).score >= assess(facts).score


def test_a_risk_is_raised_by_hand_and_never_lowered() -> None:
    """The level that was set is shown with its reason; the score stays."""
    risk = raise_risk(
        assess(RiskFacts(days_since=0, promotions=1)), Level.HIGH, "ann", "first release of the new queue"
    )
    assert (risk.score, risk.level) == (0, Level.HIGH)
    assert risk.arithmetic == "0 = 0 (low, set to high by ann: first release of the new queue)"
    with pytest.raises(ValueError, match="can be raised only"):
        raise_risk(risk, Level.MEDIUM, "bob", "no")
    with pytest.raises(ValueError, match="reason"):
        raise_risk(assess(RiskFacts()), Level.HIGH, "ann", " ")
