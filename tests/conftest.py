"""What every test may use."""

from collections.abc import Iterator

import pytest

from tests.postgres import Server, serving


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A Postgres server that lives as long as the tests of this process; each test takes a database of its own."""
    with serving() as server:
        yield server
