"""A late failure of a release that also changed the stack: everything that was touched is what it was before."""

from collections.abc import Iterator

import pytest

from tests.campaigns.chains import TALES, Chain, plain_project
from tests.campaigns.plain import LIVE, Plain

KILLED = ("provision", "deploy.2", "restore.stack")
"""In the first all of the job dies, in the second only its orchestrator, in the third its engine."""


@pytest.fixture
def plain() -> Iterator[Plain]:
    """A project with ordinary playbooks and an inventory of its own, with nothing in it yet."""
    with plain_project() as project:
        yield project


@pytest.mark.timeout(900)
def test_each_host_is_what_it_was_though_job_after_job_was_killed(plain: Plain) -> None:
    """A release with another stack fails on its last host, and the run is killed in three of its jobs: each host has the files that it had, with the variables of the restored stack, status, show and journal say so, and `drift` finds nothing."""
    chain = Chain(plain, TALES[0], jobs=KILLED).run()
    assert chain.wrong == []
    assert len(chain.killed) == len(KILLED)
    plain.run("drift", LIVE)
