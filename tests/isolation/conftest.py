"""Isolators of this machine: each test runs with all of them that work here."""

import os

import pytest

from orchestrator.isolation.isolator import Isolator
from tests.isolators import working


@pytest.fixture(params=["bubblewrap", "namespaces"])
def isolator(request: pytest.FixtureRequest) -> Isolator:
    """What isolates jobs: bubblewrap, and then the namespaces of the kernel."""
    return working(request.param)


@pytest.fixture(params=["bubblewrap", "namespaces", "none"])
def either(request: pytest.FixtureRequest) -> Isolator:
    """What isolates jobs, and then nothing that does."""
    return working(request.param)


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment of a job."""
    return {"PATH": os.environ["PATH"]}
