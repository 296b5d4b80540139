"""What every test may use."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres as databases
from tests import s3 as buckets
from tests import web
from tests.cost import Costs

# How fast examples are drawn says something of the machine, and nothing of what is tested.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Have the cost of each test measured, here and in the processes of xdist."""
    config.pluginmanager.register(Costs(), "costs")


def pytest_xdist_auto_num_workers() -> int:
    """Three processes for two processors: tests of whole releases wait for engines and hosts much of their time."""
    return max(2, 3 * (os.cpu_count() or 1) // 2)


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
