"""What every test may use."""

import gc
import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from orchestrator.__main__ import open_real_machine, open_real_project
from orchestrator.app.opening import compose
from orchestrator.isolation.find import available
from tests import postgres as databases
from tests import s3 as buckets
from tests import web
from tests.cost import Costs
from tests.leftovers import Leftovers

# How fast examples are drawn says something of the machine, and nothing of what is tested.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

compose(
    open_real_project, open_real_machine
)  # commands that a test calls in its own process open projects with the real wiring

LONGEST = ("journeys", "unchanged", "packaging", "campaigns")
"""The folders whose tests take longest: they begin first, so that no processor waits for the last of them."""


def pytest_configure(config: pytest.Config) -> None:
    """Measure the cost of each test, and end what failed tests leave, here and in the processes of xdist."""
    config.pluginmanager.register(Costs(), "costs")
    config.pluginmanager.register(Leftovers(), "leftovers")
    # Without it DBOS adds a handler for the standard error of its first test, which is closed in the next one.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # fixtures end what they have started


def pytest_xdist_auto_num_workers() -> int:
    """Two processes for each processor: tests of whole releases wait for engines and hosts more than half their time."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Keep tests that share what their module sets up in one process, and let what takes longest begin first.

    That is, in the folders whose tests take longest, the largest groups of tests that share something.
    """
    for item in items:
        if _shares(item) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}-{item.path.stem}"))
    here = Path(__file__).parent
    folders = dict(zip(LONGEST, range(len(LONGEST)), strict=True))
    sizes = Counter(_group(item) for item in items)

    def last(item: pytest.Item) -> tuple[int, int, int]:
        folder = folders.get(item.path.relative_to(here).parts[0], len(folders))
        return int(folder == len(folders)), -sizes[_group(item)], folder

    items.sort(key=last)
    yield
    for item in items:
        _name_with_group(item)


def _name_with_group(item: Any) -> None:
    """Let pytest report the name that xdist gave to *item*: it ends with the group, which decides the process.

    pytest-xdist 3.8 writes it to an attribute that pytest has not read since 9.2, so that groups had no effect.
    """
    named = getattr(item, "_nodeid", item.nodeid)
    if named != item.nodeid:
        item._id = type(item._id).parse(named)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Report a test by its own name, which also selects it again: the group behind it is for xdist alone."""
    if "PYTEST_XDIST_WORKER" not in os.environ and report.nodeid.rfind("@") > report.nodeid.rfind("]"):
        report.nodeid = report.nodeid.rpartition("@")[0]


def _group(item: pytest.Item) -> str:
    """The group of tests that *item* shares something with; its own name where there is none."""
    marker = item.get_closest_marker("xdist_group")
    return item.nodeid if marker is None else str(marker.args[0])


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of every later search for garbage."""
    gc.freeze()


def _shares(item: pytest.Item) -> bool:
    """Whether *item* uses a fixture that is set up once for all tests of a module."""
    found: Any = getattr(item, "_fixtureinfo", None)  # pytest has no public name for it
    return found is not None and any(
        fixtures[-1].scope == "module" for fixtures in found.name2fixturedefs.values() if fixtures
    )


@pytest.fixture
def isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are isolated in this test, as in a project with `isolation: auto`."""
    if not available(os.environ["PATH"]).isolates:
        pytest.skip("processes are not isolated here")
    monkeypatch.setenv("ORCHESTRATOR_JOB_ISOLATION", "auto")


@pytest.fixture
def not_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are not isolated in this test: it is about what is left for that case."""
    monkeypatch.setenv("ORCHESTRATOR_JOB_ISOLATION", "off")


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Server]:
    """A Postgres server that lives as long as the tests of this process; each test takes a database of its own."""
    with databases.serving() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[buckets.Bucketeer]:
    """An S3 server that lives as long as the tests of this process; each test takes a bucket of its own."""
    with buckets.serving() as server:
        yield server


@pytest.fixture
def server() -> Iterator[web.Server]:
    """A web server that answers as the test says, for one test."""
    with web.serving() as made:
        yield made
