"""The plug is pulled in each of provision, deploy, verify and rollback: the status is true at once, and it comes to its end."""

from collections.abc import Callable, Iterator

import pytest

from tests.campaigns.real import Attempt, prepare
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


@pytest.mark.parametrize("step", ["provision", "deploy.1", "verify.smoke.deploy.1", "restore.deploy"])
def test_the_plug_is_pulled(running: Project, step: str) -> None:
    """After `kill -9` while an engine works, `status` is true within 5 s, `resume` ends the run within 60 s, and no process, lease, host or resource is left wrong."""
    attempt = Attempt(running, f"job {step}:event 1")
    attempt.run()
    assert attempt.wrong == []
