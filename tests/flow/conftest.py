"""What holds after every test with a stage: each step of each of its runs has declared what it changed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.flow.declared import undeclared


@pytest.fixture(autouse=True)
def changes_are_declared(request: pytest.FixtureRequest) -> Iterator[None]:
    """Judge the runs of the stage of the test after it."""
    stage: Any = request.getfixturevalue("stage") if "stage" in request.fixturenames else None
    yield
    for run in stage.store.runs() if stage is not None else ():
        assert undeclared(stage.store.records(run.id)) == []
