"""Deaths at every write about a promotion that waits: of the register and of the journal, before and after it.

    python -m tests.campaigns.request_sweep --runs 2000 --seed 1

A process that dies is followed by another one, which repeats its command; it dies a second time at every later write.
Random orders with random deaths follow. The checker is that of `tests.campaigns.waiting_promotion`.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from itertools import product

from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.journal import QueuedRequest, Run
from tests.campaigns import plan_sweep
from tests.campaigns.deaths import Deaths, DyingRegister, Killed
from tests.campaigns.waiting_promotion import EVENTS, Runs, Scene, lay

ORDERS = (
    ("request", "bob", "start"),
    ("request", "bob", "take back", "cid", "start"),
    ("request", "bob", "edit", "start", "cid", "start"),
    ("request", "bob", "freeze", "start", "freeze", "start"),
    ("request", "bob", "expire", "start", "bob", "start"),
    ("request", "withdraw", "request", "cid", "start"),
)
"""Each of them ends with exactly one effect of the last request."""
SECOND = 12
"""The writes of a recovery at which it dies as well, at most."""


class DyingRuns(Runs):
    """Runs whose process dies at one of its writes."""

    deaths = Deaths()

    def submit(self, work: QueuedRequest, run: Run) -> bool:
        """As in the other campaign, or death."""
        return self.deaths.around(lambda: Runs.submit(self, work, run))


def follow(order: Sequence[str], deaths: Iterator[Deaths], *, waves: bool = False) -> int:
    """Do *order* with one process after the other, each of which dies as *deaths* gives it. Returns the deaths.

    With *waves* the request is for a rollout to two environments.
    """
    register = DyingRegister()
    scene = lay(register, 1)
    runs = DyingRuns()
    scene.runs, scene.waves, died = runs, waves, 0
    register.deaths = runs.deaths = next(deaths, Deaths())
    for event in order:
        while True:
            try:
                scene.do(event)
                break
            except Killed:
                died += 1
                register.deaths = runs.deaths = next(deaths, Deaths())
    register.deaths = runs.deaths = Deaths()
    scene.no_rollback_is_held()
    _settled(scene, order)
    return died


def _settled(scene: Scene, order: Sequence[str]) -> None:
    """What is started has ended with one effect, after a scheduler has looked again."""
    scene.do("start")
    request = scene.current()
    if tuple(order) in ORDERS:
        assert request is not None
        assert request.state is RequestState.FINISHED, request.state
        assert [started for started, _ in scene.log.effects] == [request.id]


def sweep(second: int = SECOND) -> tuple[int, int]:
    """Every death of every order, and one at each of the next *second* writes. Returns how often it was done, and how many deaths there were."""
    done = died = 0
    for order, waves in product(ORDERS, (False, True)):
        for first in _points():
            deaths = follow(order, iter([Deaths(*first[:1], after=first[1])]), waves=waves)
            done, died = done + 1, died + deaths
            if not deaths:
                break
            for at in range(1, second):
                pair = [Deaths(first[0], after=first[1]), Deaths(at, after=bool(at % 2))]
                died += follow(order, iter(pair), waves=waves)
                done += 1
    return done, died


def _points() -> Iterator[tuple[int, bool]]:
    at = 0
    while True:
        at += 1
        yield at, False
        yield at, True


def chance(runs: int, seed: int) -> int:
    """Random orders with random deaths. Returns the deaths."""
    died = 0
    for number in range(runs):
        draw = random.Random(seed * 1_000_003 + number)
        order = ("request", *(draw.choice(EVENTS) for _ in range(draw.randint(3, 25))))
        deaths = (Deaths(draw.randint(1, 12), after=draw.random() < 0.5) for _ in range(4))
        died += follow(order, deaths, waves=number % 2 == 1)
    return died


def main(words: list[str] | None = None) -> int:
    """Do what the command line says, and print the figures."""
    parser = argparse.ArgumentParser(description="Deaths at every write about a promotion that waits.")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(words)
    done, died = sweep()
    print(f"{done} orders with a death at every write, {died} deaths")
    done, died = plan_sweep.sweep()
    print(f"{done} promotions through an implementation plan with a death at every write, {died} deaths")
    print(f"{chosen.runs} random orders by the seed {chosen.seed}, {chance(chosen.runs, chosen.seed)} deaths")
    return 0


if __name__ == "__main__":
    sys.exit(main())
