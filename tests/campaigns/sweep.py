"""Die at every named point of every scenario, and again while recovering: `python -m tests.campaigns.sweep --depth 2`."""

import argparse
import gc
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

from tests.campaigns.judge import judged
from tests.campaigns.simulated import SCENARIOS, Scenario, Simulation, ending, forget, prepared

STRIDE = 7  # of the points of a recovery, every so many is a second crash; which of them turns with the first crash
CHUNK = 5  # first crashes that one process takes at a time


def main() -> int:
    """Sweep; the exit status is 1 when a point was not recovered from, or there were fewer points than wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=2, choices=(1, 2), help="2: crash in the recovery as well")
    parser.add_argument("--stride", type=int, default=STRIDE, help="of a recovery's points, every so many")
    parser.add_argument("--least", type=int, default=1000, help="points that there must be at least")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    chosen = parser.parse_args()
    began, counts, bad = time.monotonic(), Counter[str](), list[str]()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for place, scenario in enumerate(SCENARIOS):
            if chosen.only in scenario.name:
                found, failures = sweep(pool, place, chosen.depth, chosen.stride)
                counts += found
                bad += failures
                told = f"{scenario.name}: {found['points']} points, {found['nested']} nested, {len(failures)} bad"
                print(told, flush=True)
    for line in bad[:20]:
        print(f"  {line}")
    took = time.monotonic() - began
    total = counts["points"] + counts["nested"]
    print(
        f"{counts['points']} points, {counts['nested']} crashes in a recovery, {total - len(bad)} recovered, {took:.0f} s"
    )
    print(f"{total - len(bad)} passed, {len(bad)} failed")
    return 1 if bad or counts["points"] < chosen.least else 0


def sweep(pool: Executor, place: int, depth: int, stride: int) -> tuple[Counter[str], list[str]]:
    """Every point of the scenario at *place*. Returns how many there were, and what was not recovered from."""
    scenario = SCENARIOS[place]
    with tempfile.TemporaryDirectory() as folder:
        wrong, count = attempt(scenario, Path(folder), ())
    counts, bad = Counter(points=count), [f"{scenario.name}, undisturbed: {text}" for text in wrong]
    chunks = [(place, first, min(first + CHUNK, count + 1), depth, stride) for first in range(1, count + 1, CHUNK)]
    for nested, failures in pool.map(_chunk, chunks):
        counts["nested"] += nested
        bad += failures
    return counts, bad


def _chunk(chunk: tuple[int, int, int, int, int]) -> tuple[int, list[str]]:
    """Some of a scenario's points as the first crash, each with all of its second ones."""
    place, begin, end, depth, stride = chunk
    scenario, nested, bad = SCENARIOS[place], 0, list[str]()
    gc.disable()  # as in the simulation
    with tempfile.TemporaryDirectory() as folder:
        for first in range(begin, end):
            said, reached = attempt(scenario, Path(folder), (first,))
            bad += [f"{scenario.name} at {first}: {text}" for text in said]
            for second in range(first + 1 + first % stride, reached + 1, stride) if depth > 1 else ():
                said, _ = attempt(scenario, Path(folder), (first, second))
                bad += [f"{scenario.name} at {first} and {second}: {text}" for text in said]
                nested += 1
            gc.collect()
        forget(Path(folder))
    return nested, bad


def attempt(scenario: Scenario, folder: Path, at: tuple[int, ...]) -> tuple[list[str], int]:
    """One run that dies at the points *at*. Returns what is wrong with its end, and how many points it reached."""
    simulation = prepared(scenario, folder)
    before = _recorded(simulation)
    try:
        root = simulation.play(at)
    except AssertionError as error:
        return [f"I6: {error}"], simulation.kept.points.count
    reached, end = simulation.kept.points.count, ending(simulation, root).value
    wrong = judged(simulation, root)
    if end != scenario.ends and not (at and end in _also(scenario)):
        wrong.append(f"it ended as {end}, and should have {scenario.ends}")
    if not at:
        wrong += _other_records(scenario, simulation, before)
    return wrong, reached


def _recorded(simulation: Simulation) -> dict[str, tuple[str, str | None]]:
    """What is recorded of each host: how it is known, and which release."""
    return {state.host: (state.truth, state.digest) for state in simulation.kept.store.hosts("production")}


def _other_records(
    scenario: Scenario, simulation: Simulation, before: dict[str, tuple[str, str | None]]
) -> Iterable[str]:
    """Records of hosts that an undisturbed run had no effect on, and of which it yet records something else."""
    after, left = _recorded(simulation), {host for _, host in scenario.leaves}
    changed = {effect.host for effect in simulation.kept.effects} | left
    for host in sorted(before.keys() - changed):
        if after.get(host) != before[host]:
            yield f"I3: {host} was not touched and is recorded as {after.get(host)}, before as {before[host]}"
    for host in sorted({host for host, (truth, _) in after.items() if truth == "unknown"} ^ left):
        yield f"I3: {host} is {'' if host in left else 'not '}gone and is recorded as {after[host][0]}"


def _also(scenario: Scenario) -> set[str]:
    """How else a disturbed run may end: a wish that came while a step had been begun takes effect at the next one."""
    return {"rolled back", "failed", "succeeded"} if scenario.wishes else set()


if __name__ == "__main__":
    sys.exit(main())
