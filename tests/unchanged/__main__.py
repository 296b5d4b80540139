"""`make unchanged`: every project of the corpus by hand and through the product, and what differs."""

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed

from tests.unchanged import undo
from tests.unchanged.compare import Comparison, Difference, compare
from tests.unchanged.known import PENDING, SHORT, by_design
from tests.unchanged.processes import in_a_process, interrupting
from tests.unchanged.project import Project, corpus
from tests.unchanged.undoings import coverage


def main(argv: list[str]) -> int:
    """Compare what is asked for; 0 when nothing differs but what is documented."""
    parser = argparse.ArgumentParser(prog="make unchanged", description=__doc__)
    parser.add_argument("names", nargs="*", help="projects, or parts of the names of mends (default: all)")
    parser.add_argument("--jobs", type=int, default=3, help="projects at once (default: 3)")
    parser.add_argument("--short", action="store_true", help="the short form")
    parser.add_argument("--undo", action="store_true", help="undo each mend, and see that a project is not the same")
    parser.add_argument("--table", action="store_true", help="print which projects cover which line, for the docs")
    parser.add_argument("--product", default=sys.executable, help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-v", "--verbose", action="store_true", help="what both ways printed, where they differ")
    words = parser.parse_args(argv)
    if words.table:
        print("\n".join(coverage()))
        return 0
    if words.undo:
        return undo.main(words.names, words.jobs)
    projects = chosen(words.names or (SHORT if words.short else ()))
    if words.one:
        print(compare(projects[0], words.product).to_json())
        return 0
    began = time.monotonic()
    made = list(run(projects, words.jobs, verbose=words.verbose))
    bad = sum(bool(unexpected(item)) for item in made)
    print(
        f"{len(made)} projects, {sum(item.effects for item in made)} effects and variables, "
        f"{sum(item.tasks for item in made)} task results, {sum(item.tests for item in made)} test outcomes; "
        f"{sum(len(item.differences) - len(unexpected(item)) for item in made)} differences by design or not mended yet, "
        f"{bad} projects with other differences; {time.monotonic() - began:.0f} s"
    )
    for row in PENDING:
        print(f"not yet the same: {', '.join(row.projects)}: {row.row}")
    return 1 if bad else 0


def chosen(names: Iterable[str]) -> list[Project]:
    """The projects of those *names*; all without."""
    known = {project.name: project for project in corpus()}
    return [known[name] for name in names] if names else list(known.values())


def unexpected(made: Comparison) -> list[Difference]:
    """The differences that no row of the documented table explains."""
    return [difference for difference in made.differences if not by_design(made.project, difference)]


def run(projects: list[Project], jobs: int, *, verbose: bool = False) -> Iterable[Comparison]:
    """Compare *projects*, several at once, each in a process of its own; print a line for each."""
    with ThreadPoolExecutor(jobs) as pool, interrupting(pool):
        waiting = {pool.submit(in_a_process, project): project for project in projects}
        for done in as_completed(waiting):
            made = done.result()
            bad = unexpected(made)
            word = "✗" if bad else "✔"
            print(
                f"{word} {made.project}: {made.effects} effects, {made.tasks} tasks, {made.tests} tests, "
                f"{len(made.differences)} differences, {made.seconds:.1f} s",
                flush=True,
            )
            for difference in bad:
                print(f"    {difference}", flush=True)
            if bad and verbose:
                print(made.printed, flush=True)
            yield made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
