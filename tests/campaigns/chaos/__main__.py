"""Faults in real processes, networks and stores: `python -m tests.campaigns.chaos --runs 60 --seed 1`.

Each row of the catalogue of faults is injected at least once, on the real engines over real SSH. What does not hold is
printed with the seed that replays it: `--seed N --rows 24`. A row that this machine does not let us inject is told
with the reason, and counts as missed.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns.chaos.rows import ROWS
from tests.campaigns.chaos.table import WANTED, Came, Row, Shared, execute


def main() -> int:
    """Run the campaign; the exit status is 1 when something did not hold, or a row was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=0, help="so many executions, each row once at least; 0: each once")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--rows", default="", help="only these, as in 14,20-26")
    chosen = parser.parse_args()
    wanted = chosen_rows(chosen.rows)
    os.environ["NO_COLOR"] = "1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    began, came = time.monotonic(), list[Came]()
    with tempfile.TemporaryDirectory(prefix="orchestrator-chaos-") as folder:
        shared = Shared(Path(folder))
        try:
            for number, item in enumerate(plan(wanted, chosen.runs)):
                came.append(execute(item, f"{chosen.seed}:{item.number}:{number}", shared))
                print(came[-1].line, flush=True)
        finally:
            shared.forget()
    return told(came, wanted, chosen.seed, time.monotonic() - began)


def chosen_rows(text: str) -> list[int]:
    """The numbers that *text* names; all that are wanted when it is empty."""
    found = list[int]()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found or list(WANTED)


def plan(wanted: list[int], runs: int) -> list[Row]:
    """What is executed, in order: every function of every row, then all of them again, until there are *runs*."""
    once = [item for number in wanted for item in ROWS.get(number, [])]
    return [once[at % len(once)] for at in range(max(runs, len(once)))] if once else []


def told(came: list[Came], wanted: list[int], seed: int, took: float) -> int:
    """Print the figures; 1 when the campaign has missed something."""
    broken = [one for one in came if one.how == "broken"]
    held = {one.row.number for one in came if one.how == "held"}
    missed = [number for number in wanted if number not in held]
    for number in missed:
        whys = sorted({one.says.splitlines()[0] for one in came if one.row.number == number}) or [
            "no function injects it"
        ]
        print(f"missed: row {number}: {'; '.join(whys)}")
    print(f"seed {seed}: {len(came)} executions of {len(wanted)} rows in {took:.0f} s")
    print(f"{len(came) - len(broken)} passed, {len(broken)} failed, {len(missed)} rows missed")
    return 1 if broken or missed else 0


if __name__ == "__main__":
    sys.exit(main())
