"""What each test costs: processor time of its process and of all that it has waited for, beside the wall clock.

On a busy machine the wall clock says little; processor time says what a test takes from the others. Processes that
outlive a test, and those that others wait for, are not counted.
"""

import resource
import time
from collections.abc import Generator
from typing import Any

import pytest

SLOWEST = 20
NAME = "cost"


def used() -> float:
    """Seconds of processor time, of this process and of its children that have ended."""
    mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


class Costs:
    """Notes the cost of each test in its last report, and prints the dearest in the end."""

    def __init__(self) -> None:
        self.found: list[tuple[float, float, str]] = []
        self._began: dict[str, tuple[float, float]] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._began[nodeid] = used(), time.monotonic()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
        del call
        report = yield
        if report.when == "teardown" and item.nodeid in self._began:
            processor, wall = self._began[item.nodeid]
            report.user_properties.append((NAME, [used() - processor, time.monotonic() - wall]))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        cost: Any = dict(report.user_properties).get(NAME)
        if report.when == "teardown" and cost is not None:
            self.found.append((*cost, report.nodeid))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.found:
            return
        total, wall = sum(cost[0] for cost in self.found), sum(cost[1] for cost in self.found)
        terminalreporter.section(
            f"{SLOWEST} slowest of {len(self.found)} tests: {total:.0f} s of processor time, {wall:.0f} s"
        )
        for processor, seconds, name in sorted(self.found, reverse=True)[:SLOWEST]:
            terminalreporter.write_line(f"{processor:7.1f} s of processor time, {seconds:7.1f} s: {name}")
        folders: dict[str, float] = {}
        for processor, _, name in self.found:
            file = name.partition("::")[0]
            folders[file] = folders.get(file, 0.0) + processor
        terminalreporter.write_line("by file:")
        for file, processor in sorted(folders.items(), key=lambda item: -item[1])[:SLOWEST]:
            terminalreporter.write_line(f"{processor:7.1f} s of processor time: {file}")
