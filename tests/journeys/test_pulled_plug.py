"""The plug is pulled in each of provision, inspection, deploy and rollback: the status is true at once, and it comes to its end."""

from collections.abc import Callable, Iterator

import pytest

from tests.campaigns.real import ENGINE, WHOLE, Attempt, prepare
from tests.journeys.conftest import Project


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """The small shop, where 1.2.0 changes production's stack, works on its first host, and fails on the second."""
    made = Project(tmp_path_factory.mktemp("plug") / "project", env=store())
    made.root.mkdir()
    try:
        prepare(made)
        yield made
    finally:
        made.clean()


POINTS = (
    pytest.param(f"provision:event 1{WHOLE}", marks=pytest.mark.rare),  # nothing was begun: it is done once more
    pytest.param(
        f"require:spawned{ENGINE}", marks=pytest.mark.rare
    ),  # an inspection, after which every host must be what it was
    pytest.param("deploy.1:event 1", marks=pytest.mark.rare),
    "restore.deploy:event 1",
)


@pytest.mark.parametrize("point", POINTS)
def test_the_plug_is_pulled(running: Project, point: str) -> None:
    """After `kill -9` while an engine works, `status` is true within 5 s, `resume` ends the run within 60 s, and no process, lease, host or resource is left wrong."""
    attempt = Attempt(running, f"job {point}")
    attempt.run()
    assert attempt.wrong == []
