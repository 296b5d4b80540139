"""The import of commits: where it starts is a fact of the project, and the commits are those of a clone of it."""

from dataclasses import dataclass

from orchestrator.management.change_requests.commits import Scope, changes_of
from orchestrator.management.change_requests.imports import Incoming, Skipped, of_commits
from orchestrator.management.change_requests.ports import ImportFiles
from orchestrator.management.change_requests.queries import ImportStart


@dataclass(frozen=True)
class CommitImport:
    """The commits that are changes (*incoming*), and those that are *skipped*. *start* is the commit before them."""

    incoming: tuple[Incoming, ...]
    skipped: tuple[Skipped, ...] = ()
    start: str = ""


def read_commits(files: ImportFiles, start: ImportStart, packages: tuple[str, ...] = ()) -> CommitImport:
    """The commits of *files* after *start*, as changes of *packages*.

    A commit whose scope is a package changes that one. Without *packages* the only package of a project is meant.
    Raises P119.
    """
    found, known, environment = files.commits_after(start.base), start.packages, start.environment
    chosen = packages or (tuple(known) if len(known) == 1 else ())
    incoming, skipped = of_commits(changes_of(found.commits, Scope((environment,), chosen, known)))
    release = f" ({start.release} in {environment})" if start.release else ""
    return CommitImport(incoming, skipped, f"{found.base[:12]}{release}")
