"""A short form of `make calendar`: verdicts are those of a second, naive implementation."""

from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.campaigns.calendar import CASES, compare


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(CASES)
def test_verdicts_are_those_of_the_naive_implementation(case: tuple[Any, ...]) -> None:
    """At any moment the environment is open in both or in neither, and changes at the same moment."""
    compare(case)
