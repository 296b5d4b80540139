"""A commit that was pushed is checked out beside the project, and nothing of the project changes."""

from pathlib import Path

import pytest

from orchestrator.adapters.archive.checkout import checkout_fault, commit_checkout
from orchestrator.domain.errors import OrchestratorError
from tests.adapters.archive.test_tree import committed, git


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a project below the clone of a repository, which has got a newer commit since."""
    source = tmp_path / "source"
    (source / "app").mkdir(parents=True)
    (source / "app" / "version").write_text("1")
    committed(source)
    git(source, "branch", "-M", "main")
    git(tmp_path, "clone", "-q", str(source), "clone")
    (source / "app" / "version").write_text("2")
    git(source, "commit", "-qam", "two")
    git(source, "branch", "other", "HEAD~1")
    return tmp_path / "clone" / "app"


def pushed(project: Path) -> str:
    """The newest commit of the remote repository."""
    return git(project.parents[1] / "source", "rev-parse", "main")


def test_a_pushed_commit_is_checked_out_beside_the_project(project: Path) -> None:
    """The folder of the project at the commit is given; its branch, its files and its worktrees stay as they are."""
    hook = project.parent / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {project.parents[1]}/ran\n")
    hook.chmod(0o755)
    before = git(project, "rev-parse", "HEAD"), git(project, "for-each-ref")
    with commit_checkout(project, "refs/heads/main", pushed(project)) as root:
        assert ((root / "version").read_text(), root.name, root == project) == ("2", "app", False)
    assert (git(project, "rev-parse", "HEAD"), git(project, "for-each-ref")) == before
    assert (project / "version").read_text() == "1"
    assert len(git(project, "worktree", "list").splitlines()) == 1
    assert not root.exists()
    assert not (project.parents[1] / "ran").exists()


def test_a_commit_must_belong_to_the_branch_that_was_reported(project: Path) -> None:
    """A commit that the branch does not contain, an unknown branch, and a folder without a remote are refused (P125)."""
    for ref, commit in (
        ("refs/heads/other", pushed(project)),
        ("refs/heads/main", "a" * 40),
        ("refs/heads/x", "a" * 40),
    ):
        with pytest.raises(OrchestratorError) as refused, commit_checkout(project, ref, commit):
            raise AssertionError
        assert refused.value.code == "P125"
    assert checkout_fault(project) == ""
    git(project, "remote", "remove", "origin")
    assert checkout_fault(project) == "the repository has no remote called origin"
    plain = project.parents[1] / "plain"
    plain.mkdir()
    assert checkout_fault(plain).endswith("is not a Git checkout")
