"""Promotions by chance in a world of faults: `python -m tests.campaigns.sim --runs 200000 --seed 1`.

Each run has a seed of its own, which is printed when it fails and replays it: `--seed N --runs 1 --from K`.
"""

import argparse
import gc
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.judge import judged
from tests.campaigns.simulated import Journal, ending, prepared, scenario_of

CHUNK = 1000  # runs that one process makes; a new one is cheaper than to collect what the runs have left
TOLD = 10_000  # runs after which it is said how far it has come
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # kept plans are files
YEAR = 365 * 86400.0
JUMPS = (60.0, -60.0, 3600.0, -3600.0, 10 * YEAR, -10 * YEAR)  # seconds by which a wall clock is set, at the most
WORLDS = 12  # scenarios that they draw from: a new world costs more than a run in it


def main() -> int:
    """Simulate; the exit status is 1 when an invariant was violated, or it was slower than wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--from", dest="first", type=int, default=0, help="begin with this run")
    parser.add_argument("--rate", type=float, default=0, help="runs a minute that there must be at least")
    chosen = parser.parse_args()
    began, counts, bad = time.monotonic(), Counter[str](), list[str]()
    chunks = [
        (chosen.seed, first, min(CHUNK, chosen.first + chosen.runs - first))
        for first in range(chosen.first, chosen.first + chosen.runs, CHUNK)
    ]
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for number, (found, failures) in enumerate(pool.imap(_chunk, chunks), start=1):
            counts += found
            bad += failures
            if number * CHUNK % TOLD == 0:
                print(f"{number * CHUNK} runs, {len(bad)} violations", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    rate = 60 * chosen.runs / took
    for line in bad[:20]:
        print(f"  {line}")
    print(", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
    print(f"seed {chosen.seed}: {chosen.runs} runs in {took:.0f} s, {rate:.0f} a minute, {len(bad)} violations")
    print(f"{chosen.runs - len(bad)} passed, {len(bad)} failed")
    return 1 if bad or rate < chosen.rate else 0


def _chunk(chunk: tuple[int, int, int]) -> tuple[Counter[str], list[str]]:
    seed, first, count = chunk
    counts, bad = Counter[str](), list[str]()
    gc.disable()  # nearly all of it lives as long as this process, which ends with it
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        for number in range(first, first + count):
            kind, end, wrong = one(seed, number, Path(folder))
            counts[end] += 1
            counts[kind] += 1
            bad += [f"seed {seed} run {number} ({kind}): {text}" for text in wrong]
    return counts, bad


def _events(rng: random.Random, store: Journal) -> list[Callable[[], None]]:
    """What happens to the machine at some points: its clock is set, its disk is full, its database does not answer."""
    found: list[Callable[[], None]] = []
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        jump, times = rng.choice(JUMPS) * rng.random(), rng.randint(1, 3)
        found.append(
            rng.choice(
                (
                    lambda jump=jump: store.clock.jump(jump),
                    lambda times=times: setattr(store, "full", times),
                    lambda: setattr(store, "unanswered", 1),
                )
            )
        )
    return found


def one(seed: int, number: int, folder: Path) -> tuple[str, str, list[str]]:
    """One run: what was done to it, how it ended, and what is wrong."""
    rng = random.Random(f"{seed}:{number}")
    world = f"{seed}:{number // CHUNK}:{rng.randrange(WORLDS)}"
    scenario = scenario_of(random.Random(f"world {world}"), f"world {world}")
    simulation = prepared(scenario, folder)
    kept = simulation.kept
    kind = rng.choice(("crashes", "crashes", "a worker outlasted", "both"))
    kept.points.happens = {rng.randint(1, 400): event for event in _events(rng, kept.store)}
    try:
        if kind == "crashes":
            root = simulation.play(sorted(rng.sample(range(1, 400), rng.randint(0, 4))))
        else:
            if kind == "both":
                kept.points.at = frozenset(rng.sample(range(1, 400), rng.randint(1, 3)))
            root = simulation.ask("promotion", simulation.new, "production")
            simulation.outlast(root, kept.points.count + rng.randint(1, 160))
            simulation.finish(root)
    except AssertionError as error:
        return kind, "no end", [f"I6: {error}"]
    return kind, ending(simulation, root).value, judged(simulation, root)


if __name__ == "__main__":
    sys.exit(main())
