"""The short form of `make growth`."""

from tests.campaigns import growth


def test_the_state_folder_does_not_grow_with_promotions() -> None:
    """After 30 promotions the state folder is at most 1.2 times its size after 10, without journal and evidence."""
    assert growth.main(["--promotions", "30", "--first", "10", "--runs", "9d", "--keep", "3"]) == 0
