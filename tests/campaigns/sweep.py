"""Die at every named point of every scenario, and again while recovering: `python -m tests.campaigns.sweep --depth 2`."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.campaigns.judge import judged
from tests.campaigns.simulated import SCENARIOS, Scenario, ending, prepared

STRIDE = 7  # of the points of a recovery, every so many is a second crash; which of them turns with the first crash


def main() -> int:
    """Sweep; the exit status is 1 when a point was not recovered from, or there were fewer points than wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=2, choices=(1, 2), help="2: crash in the recovery as well")
    parser.add_argument("--stride", type=int, default=STRIDE, help="of a recovery's points, every so many")
    parser.add_argument("--least", type=int, default=1000, help="points that there must be at least")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    chosen = parser.parse_args()
    began, counts, bad = time.monotonic(), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for scenario in SCENARIOS:
            if chosen.only in scenario.name:
                found, failures = sweep(scenario, Path(folder), chosen.depth, chosen.stride)
                counts += found
                bad += failures
                print(f"{scenario.name}: {found['points']} points, {found['nested']} nested, {len(failures)} bad")
    for line in bad[:20]:
        print(f"  {line}")
    took = time.monotonic() - began
    total = counts["points"] + counts["nested"]
    print(
        f"{counts['points']} points, {counts['nested']} crashes in a recovery, {total - len(bad)} recovered, {took:.0f} s"
    )
    print(f"{total - len(bad)} passed, {len(bad)} failed")
    return 1 if bad or counts["points"] < chosen.least else 0


def sweep(scenario: Scenario, folder: Path, depth: int, stride: int) -> tuple[Counter[str], list[str]]:
    """Every point of *scenario*. Returns how many there were, and what was not recovered from."""
    wrong, count = attempt(scenario, folder, ())
    counts, bad = Counter(points=count), [f"{scenario.name}, undisturbed: {text}" for text in wrong]
    for first in range(1, count + 1):
        said, reached = attempt(scenario, folder, (first,))
        bad += [f"{scenario.name} at {first}: {text}" for text in said]
        if depth > 1:
            for second in range(first + 1 + first % stride, reached + 1, stride):
                said, _ = attempt(scenario, folder, (first, second))
                bad += [f"{scenario.name} at {first} and {second}: {text}" for text in said]
                counts["nested"] += 1
    return counts, bad


def attempt(scenario: Scenario, folder: Path, at: tuple[int, ...]) -> tuple[list[str], int]:
    """One run that dies at the points *at*. Returns what is wrong with its end, and how many points it reached."""
    simulation = prepared(scenario, folder)
    try:
        root = simulation.play(at)
    except AssertionError as error:
        return [f"I6: {error}"], simulation.kept.points.count
    reached, end = simulation.kept.points.count, ending(simulation, root).value
    wrong = judged(simulation, root)
    if end != scenario.ends and not (at and end in _also(scenario)):
        wrong.append(f"it ended as {end}, and should have {scenario.ends}")
    return wrong, reached


def _also(scenario: Scenario) -> set[str]:
    """How else a disturbed run may end: a wish that came while a step had been begun takes effect at the next one."""
    return {"rolled back", "failed", "succeeded"} if scenario.wishes else set()


if __name__ == "__main__":
    sys.exit(main())
