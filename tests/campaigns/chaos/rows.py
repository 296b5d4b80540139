"""The whole table: every room of it is imported here."""

from tests.campaigns.chaos import (
    ansible,
    clocks,
    contention,
    hosts,
    kinds,
    limits,
    processes,
    stacks,
    stores,
    votes,
    ways_back,
)
from tests.campaigns.chaos.table import ROWS

ROOMS = (processes, kinds, stores, limits, clocks, hosts, stacks, ansible, ways_back, contention, votes)
__all__ = ["ROOMS", "ROWS"]
