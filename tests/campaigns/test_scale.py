"""The short form of `make scale`."""

import pytest

from tests.campaigns import scale


@pytest.mark.long
def test_lists_cost_the_same_at_ten_thousand_runs() -> None:
    """Each list and document stays within its limit at 10,000 runs, and costs at most three times what it does at 1,000."""
    words = "--environments 50 --runs 10000 --stores sqlite --repeats 20 --commands 0"
    assert scale.main(words.split()) == 0
