"""How many votes count together: each right once, and each team once where distinct teams are required."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ballot:
    """An approval of *voter* with the *right* of a user (their own, or that of an absent one), for a *seat*.

    The seat is the voter's team where distinct teams are required, otherwise the voter.
    """

    voter: str
    right: str
    seat: str


def matched(ballots: Iterable[Ballot]) -> tuple[Ballot, ...]:
    """The most ballots that count together: no right and no seat is used twice. Earlier ballots are preferred.

    A maximum matching between rights and seats, by augmenting paths. Taking ballots one by one would count too few:
    with (X, red), (X, blue), (Y, red) the first one would exclude both others.
    """
    by_right: dict[str, list[Ballot]] = {}
    for ballot in ballots:
        by_right.setdefault(ballot.right, []).append(ballot)
    seats: dict[str, Ballot] = {}
    for right in by_right:
        _place(right, by_right, seats, set())
    return tuple(seats.values())


def _place(right: str, by_right: dict[str, list[Ballot]], seats: dict[str, Ballot], tried: set[str]) -> bool:
    """Give *right* a seat, if necessary by moving another right to another seat. Whether that was possible."""
    for ballot in by_right[right]:
        if ballot.seat in tried:
            continue
        tried.add(ballot.seat)
        taken = seats.get(ballot.seat)
        if taken is None or _place(taken.right, by_right, seats, tried):
            seats[ballot.seat] = ballot
            return True
    return False
