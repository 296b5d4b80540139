"""Hostile input, generated, for each line of attack: `python -m tests.campaigns.hostile`. `make hostile` runs it.

It prints for each line how many cases there were, how many of them were accepted, wrote or read outside, left a process, or
raised an exception, and ends with 1 if any did. With `--without` it removes a defence first, and ends with 1 if nothing was
found then.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.campaigns.chaos.table import Shared
from tests.campaigns.hostile.runner import Figures, defences, lines, run

WANTED = tuple(f"S{number}" for number in range(1, 24))
FEWEST = 50  # cases of different structure, in each line


def main() -> int:
    """Run what the command line asks for."""
    given = _arguments()
    known = lines()
    if given.list:
        for name, line in known.items():
            print(f"{name} {line.ABOUT}\n    defences: {', '.join(line.DEFENCES)}")
        return 0
    chosen = given.lines.split(",") if given.lines else list(known)
    missing = [name for name in (given.lines.split(",") if given.lines else WANTED) if name not in known]
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        shared = Shared(Path(folder))
        try:
            if given.without is not None:
                return _without(given, shared)
            return _all([name for name in chosen if name in known], missing, given, shared)
        finally:
            shared.forget()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hostile", description=__doc__)
    parser.add_argument("--cases", type=int, default=0, help="at most so many cases of each line (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="from which the order and the values follow")
    parser.add_argument("--lines", default="", help="these lines only, such as S8,S17")
    parser.add_argument("--without", metavar="DEFENCE", help="remove a defence, such as S8.content, or `all` in turn")
    parser.add_argument("--list", action="store_true", help="print the lines and their defences")
    return parser.parse_args()


def _all(names: list[str], missing: list[str], given: argparse.Namespace, shared: Shared) -> int:
    print(Figures.HEAD)
    total, few = Figures("all"), []
    for name in names:
        line = lines()[name]
        figures = run(line, shared, given.seed, given.cases)
        print(figures.row, line.ABOUT, flush=True)
        for text in figures.found[:20]:
            print(f"      {text}")
        total.add(figures)
        few += [name] if not given.cases and figures.cases < FEWEST else []
    print(total.row)
    for name in missing:
        print(f"{name}: there are no cases")
    for name in few:
        print(f"{name}: fewer than {FEWEST} cases")
    return int(bool(total.found or missing or few))


def _without(given: argparse.Namespace, shared: Shared) -> int:
    """Remove one defence after another: whatever finds nothing then is of no use."""
    blind = []
    for name, line, defence in defences(given.lines.split(",") if given.lines else None):
        if given.without not in {"all", name}:
            continue
        with defence():
            figures = run(line, shared, given.seed, given.cases, enough=1)
        first = figures.found[0] if figures.found else "nothing is found"
        print(f"without {name}: {first}", flush=True)
        blind += [] if figures.found else [name]
        shared.forget()
    print(f"not noticed: {', '.join(blind) or 'none'}")
    return int(bool(blind))


if __name__ == "__main__":
    sys.exit(main())
