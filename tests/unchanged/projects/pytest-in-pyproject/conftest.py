import pytest


@pytest.fixture(scope="session")
def expected():
    return "Hello"
