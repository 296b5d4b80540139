"""The files of a project as Git would check them out: tracked files and files that Git does not ignore.

Without Git these are all files but caches, editors' files, and what `.orchestratorignore` names. Links are listed, and
never followed.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Commit, CommitMessage, Revision
from orchestrator.domain.text import clean_text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE = ".orchestratorignore"
NEVER = {".git", ".hg", ".svn", ".orchestrator"}
CACHES = {
    "__pycache__", ".venv", "node_modules", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".idea", ".vscode",
    ".cache", ".DS_Store", ".galaxy_install_info",
}  # fmt: skip
LEFT_OVER = (".pyc", ".pyo", ".retry", ".swp", ".swo", "~")
TIMEOUT = 120.0  # seconds, for one Git command
COMMITS = 500  # at most, between two revisions


@dataclass(frozen=True)
class Listing:
    """The *names* of a project's files and links, relative to its folder, and its Git revision if it has one.

    *absent* are submodules that are not checked out.
    """

    names: frozenset[str]
    revision: Revision | None = None
    absent: tuple[str, ...] = ()


def list_project(project: Path, environ: Mapping[str, str] = os.environ) -> Listing:
    """The files of *project*. Raises P109 if a folder cannot be read, and P119 if Git cannot list them."""
    git = Git(environ)
    if git.manages(project):
        absent: list[str] = []
        names = _below_git(git, project, "", absent)
        found = Listing(frozenset(_kept(names)), git.revision(project), tuple(sorted(absent)))
    else:
        found = Listing(frozenset(_below(project)))
    spec = _patterns(project / IGNORE)
    return Listing(frozenset(spec.match_files(found.names, negate=True)), found.revision, found.absent)


def below(project: Path, folder: str) -> Iterator[str]:
    """All files and links of *folder* in *project*, whatever Git ignores, but for caches and editors' files."""
    return _kept(_below(project, folder))


def commits_between(
    project: Path, before: Revision, after: Revision, environ: Mapping[str, str] = os.environ
) -> tuple[Commit, ...]:
    """The commits of *project* in which two revisions differ, newest first. Raises P119 if one of them is not known."""
    git = Git(environ)
    if not git.manages(project):
        raise _unlisted(project, "the folder is not in a work tree")
    return tuple(git.commits(project, before.commit, after.commit))


def files_between(
    project: Path, before: Revision, after: Revision, folders: Sequence[str], environ: Mapping[str, str] = os.environ
) -> tuple[tuple[str, str], ...]:
    """The files in *folders* of *project* in which two revisions differ: `A`, `D` or `M`, and the path. Raises P119."""
    return tuple(Git(environ).differences(project, before.commit, after.commit, folders))


def is_cache(name: str) -> bool:
    """Whether the file *name* lies in a cache or is one that editors and tools leave behind."""
    parts = name.split("/")
    if not (NEVER | CACHES).isdisjoint(parts):
        return True
    return parts[-1].endswith(LEFT_OVER) or parts[-1].startswith(".#")


def _kept(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if not is_cache(name))


def _patterns(file: Path) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # its modules are many, and few commands list files

    try:
        return GitIgnoreSpec.from_lines(file.read_text("utf-8").splitlines())
    except FileNotFoundError:
        return GitIgnoreSpec.from_lines([])
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise OrchestratorError("P109", f"cannot read {file}: {clean_text(str(error), 200)}") from error


def _below(project: Path, start: str = "") -> Iterator[str]:
    """The names of all files and links below *start*, which may be a file itself."""
    waiting = [start]
    if start and not (project / start).is_symlink() and not (project / start).is_dir():
        yield start
        return
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(project / folder))
        except OSError as error:
            raise OrchestratorError("P109", f"cannot read the folder {project / folder}: {error.strerror}") from error
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if is_cache(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            else:
                yield name


# -- Git -----------------------------------------------------------------------------------------------------------


def commits_after(
    project: Path, base: str, environ: Mapping[str, str] = os.environ
) -> tuple[str, tuple[CommitMessage, ...]]:
    """The commit that *base* names, and the commits of *project* since then, newest first, without merges.

    Raises P119 if it is not known.
    """
    git = Git(environ)
    if not git.manages(project):
        raise _unlisted(project, "the folder is not in a work tree")
    commit = git.resolved(project, base)
    return commit, tuple(git.messages(project, commit))


def commit_times(project: Path, commits: frozenset[str], environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The time (ISO 8601) of each of *commits* that the repository of *project* has. Raises P119."""
    git = Git(environ)
    return dict(git.times(project, sorted(commits))) if git.manages(project) else {}


class Git:
    """The `git` program, with settings that make its answers plain."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
        self._environ |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

    def manages(self, project: Path) -> bool:
        """Whether *project* lies in a Git work tree that does not ignore it. Raises P119."""
        if not any(os.path.lexists(folder / ".git") for folder in (project, *project.parents)):
            return False
        code, out, error = self.run(project, "rev-parse", "--is-inside-work-tree")
        if code and error.startswith("fatal: not a git repository (or any"):
            return False  # a folder that is called .git, and nothing else
        if code or out.strip() != b"true":
            raise _unlisted(project, error or "the folder is not in a work tree")
        return self.run(project, "check-ignore", "-q", ".")[0] != 0

    def files(self, folder: Path) -> list[str]:
        """Tracked files and files that are not ignored, relative to *folder*; other repositories end with a slash."""
        code, out, error = self.run(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        if code:
            raise _unlisted(folder, error)
        return sorted({os.fsdecode(name) for name in out.split(b"\0") if name})

    def revision(self, project: Path) -> Revision | None:
        """The commit that is checked out; None before the first one. Raises P119."""
        code, out, _ = self.run(project, "rev-parse", "--verify", "-q", "HEAD")
        if code:
            return None
        code, changes, error = self.run(project, "status", "--porcelain", "-z", "--", ".")
        if code:
            raise _unlisted(project, error)
        return Revision(commit=out.decode().strip(), dirty=bool(changes))

    def commits(self, project: Path, before: str, after: str) -> Iterator[Commit]:
        """The commits below *project* that only one of two commits has. Raises P119."""
        for commit in (before, after):
            if self.run(project, "cat-file", "-e", f"{commit}^{{commit}}")[0]:
                raise OrchestratorError("P119", f"the repository does not have the commit {commit[:12]}; fetch it")
        form = "--format=%m%x00%H%x00%cI%x00%an%x00%s"
        words = ("log", "--left-right", "--no-show-signature", f"--max-count={COMMITS}", form, f"{before}...{after}")
        code, out, error = self.run(project, *words, "--", ".")
        if code:
            raise _unlisted(project, error)
        for line in out.decode("utf-8", "replace").split("\n"):
            if line:
                side, commit, at, author, subject = line.split("\0", 4)
                change: Literal["added", "removed"] = "added" if side == ">" else "removed"
                texts = {"author": clean_text(author, 80), "subject": clean_text(subject, 160)}
                yield Commit(change=change, commit=commit, at=at, **texts)

    def differences(self, project: Path, before: str, after: str, folders: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The files in *folders* in which two commits differ, with `A`, `D` or `M`. Raises P119."""
        words = ("diff", "--name-status", "-z", "--no-renames", "--relative", before, after)
        code, out, error = self.run(project, *words, "--", *folders)
        if code:
            raise _unlisted(project, error)
        fields = out.decode("utf-8", "replace").split("\0")
        for state, path in zip(fields[0::2], fields[1::2], strict=False):
            yield state, clean_text(path, 1024)

    def resolved(self, project: Path, name: str) -> str:
        """The commit that *name* means: a hash, a tag or a branch. Raises P119."""
        words = ("rev-parse", "--verify", "-q", "--end-of-options", f"{name}^{{commit}}")
        code, out, _ = self.run(project, *words)
        if code:
            raise OrchestratorError("P119", f"the repository does not have the commit {clean_text(name, 80)}; fetch it")
        return out.decode().strip()

    def messages(self, project: Path, base: str) -> Iterator[CommitMessage]:
        """The commits below *project* that HEAD has and *base* has not. Raises P119."""
        form = "--format=%H%x00%cI%x00%an%x00%B%x00"
        words = ("log", "-z", "--no-merges", "--no-show-signature", f"--max-count={COMMITS}", form, f"{base}..HEAD")
        code, out, error = self.run(project, *words, "--", ".")
        if code:
            raise _unlisted(project, error)
        fields = out.decode("utf-8", "replace").split("\0")
        for at in range(0, len(fields) - 4, 5):  # four fields and the end of the record
            commit, when, author, message = fields[at : at + 4]
            yield CommitMessage(commit=commit, at=when, author=clean_text(author, 80), message=clean_text(message))

    def times(self, project: Path, commits: list[str]) -> Iterator[tuple[str, str]]:
        """The time of each of *commits* that the repository has. Raises P119."""
        words = (
            "rev-list",
            "--no-walk=unsorted",
            "--ignore-missing",
            "--no-commit-header",
            "--format=%H %cI",
            "--stdin",
        )
        code, out, error = self.run(project, *words, given="".join(f"{commit}\n" for commit in commits))
        if code:
            raise _unlisted(project, error)
        for line in out.decode("ascii", "replace").splitlines():
            commit, _, when = line.partition(" ")
            yield commit, when

    def run(self, folder: Path, *words: str, given: str = "") -> tuple[int, bytes, str]:
        """The exit status, the output and the errors of a command of Git in *folder*. Raises P119."""
        command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *words]
        try:
            done = subprocess.run(
                command, cwd=folder, env=self._environ, input=given.encode(), capture_output=True, timeout=TIMEOUT
            )
        except FileNotFoundError as error:
            raise _unlisted(folder, "there is no git program on the PATH") from error
        except subprocess.TimeoutExpired as error:
            raise _unlisted(folder, f"git {words[0]} took longer than {TIMEOUT:.0f} s") from error
        return done.returncode, done.stdout, clean_text(done.stderr.decode("utf-8", "replace").strip(), 600)


def _unlisted(folder: Path, why: str) -> OrchestratorError:
    hint = "run git status in that folder, and correct what it reports"
    return OrchestratorError("P119", f"Git cannot list the files of {folder}: {why}", hint=hint)


def _below_git(git: Git, folder: Path, prefix: str, absent: list[str]) -> Iterator[str]:
    """The files of the repository at *folder*, and of the submodules and repositories in it, with *prefix*."""
    for name in git.files(folder):
        path = folder / name
        if not os.path.lexists(path):
            continue  # deleted, and the deletion is not committed yet
        if not path.is_dir() or path.is_symlink():
            yield prefix + name
        elif os.path.lexists(path / ".git"):
            yield from _below_git(git, path, f"{prefix}{name.rstrip('/')}/", absent)
        elif any(path.iterdir()):
            yield from (prefix + inner for inner in _below(folder, name.rstrip("/")))
        else:
            absent.append(prefix + name.rstrip("/"))
