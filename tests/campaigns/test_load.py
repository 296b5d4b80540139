"""The short form of `make load`."""

import pytest

from tests.campaigns import load


@pytest.mark.long
def test_listeners_lose_nothing_while_a_promotion_runs() -> None:
    """Every page and list responds while a promotion runs, and each of 60 listeners gets each event once, in order."""
    words = "--environments 6 --runs 200 --rate 8 --alone 0 --each 0 --seconds 10 --listeners 60 --pause 0.02 --counts"
    assert load.main(words.split()) == 0
