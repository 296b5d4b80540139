"""A commit of a project, checked out beside it, without a change of the project's own files.

The commit comes from the remote repository `origin` of the project's folder, and from no other address. It must belong
to the branch or tag that was reported. Hooks of Git are not run.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestrator.adapters.archive.tree import Git
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.text import clean_text
from orchestrator.trees import temporary_folder

REMOTE = "origin"
NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
FETCH = ("-q", "--refmap=", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
PRIVATE = "refs/orchestrator/"
"""Where fetched branches and tags are for a moment: they replace none of the project."""


def checkout_fault(project: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Why no commit can be fetched into *project*; empty if one can."""
    git = Git(environ)
    try:
        if not git.manages(project):
            return f"{project} is not a Git checkout"
        has_remote = git.run(project, "remote", "get-url", REMOTE)[0] == 0
    except OrchestratorError as error:
        return error.message
    return "" if has_remote else f"the repository has no remote called {REMOTE}"


@contextmanager
def commit_checkout(project: Path, ref: str, commit: str, environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """The folder of *project* as *commit* of *ref* has it, fetched from `origin`. Raises P125."""
    git, fault = Git(environ), checkout_fault(project, environ)
    if fault:
        raise OrchestratorError("P125", fault)
    prefix = _run(git, project, "rev-parse", "--show-prefix").strip()
    fetched = f"{PRIVATE}{commit}"
    with temporary_folder("orchestrator-checkout-") as folder:
        place = Path(folder) / "tree"
        try:
            _run(git, project, "fetch", *FETCH, REMOTE, f"+{ref}:{fetched}")
            _check_contains(git, project, ref, fetched, commit)
            _run(git, project, *NO_HOOKS, "worktree", "add", "-q", "--detach", str(place), f"{commit}^{{commit}}")
            yield place / prefix
        finally:
            git.run(project, "worktree", "remove", "--force", str(place))
            git.run(project, "update-ref", "-d", fetched)


def _check_contains(git: Git, project: Path, ref: str, fetched: str, commit: str) -> None:
    """Return if *ref*, which was *fetched*, contains *commit*. Raises P125."""
    if git.run(project, "merge-base", "--is-ancestor", commit, fetched)[0]:
        raise OrchestratorError("P125", f"{clean_text(ref, 80)} of {REMOTE} does not contain {commit[:12]}")


def _run(git: Git, folder: Path, *words: str) -> str:
    """The output of a command of Git. Raises P125."""
    code, out, error = git.run(folder, *words)
    if code:
        verb = next(word for word in words if word not in NO_HOOKS)
        raise OrchestratorError("P125", f"git {verb} failed: {error}")
    return os.fsdecode(out)
