"""What lists of the store take and return: filters, pages, and the rows of the read model.

The read model is derived from the journal. It is written in the transaction of each journal entry, and can be rebuilt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.domain.journal import Kind, Run
from orchestrator.domain.model import Model
from orchestrator.domain.plan.hosts import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.step import Outcome

PAGE_SIZE = 50
"""The number of rows of a page when none is given."""
MOST_ROWS = 1000
"""How many rows a client gets at once at most."""


class RunFilter(Model):
    """Which runs are listed. A field that is None does not limit the list.

    *request_id* is the request that a run belongs to (`Run.root`), *digest* the one of its release, *plan* the one of
    its plan, *project_definition* that of the project definition, *is_open* whether the run has not ended. Runs were
    requested *before* a moment, as `moment_text` has it.
    """

    environment: str | None = None
    plan: str | None = None
    project_definition: str | None = None
    request_id: str | None = None
    digest: str | None = None
    name: str | None = None
    states: tuple[State, ...] | None = None
    kinds: tuple[Kind, ...] | None = None
    is_open: bool | None = None
    before: str | None = None

    def accepts(self, run: Run) -> bool:
        """Whether *run* is on the list."""
        return (
            self.environment in {None, run.environment}
            and self.plan in {None, run.plan}
            and self.project_definition in {None, run.project_definition}
            and self.request_id in {None, run.root}
            and self._accepts_release(run.release)
            and (self.states is None or run.state in self.states)
            and (self.kinds is None or run.kind in self.kinds)
            and self.is_open in {None, not run.ended}
            and (self.before is None or run.requested_at < self.before)
        )

    def _accepts_release(self, release: PackageRef | None) -> bool:
        known = (release.digest, release.name) if release is not None else (None, None)
        return all(wanted in {None, got} for wanted, got in zip((self.digest, self.name), known, strict=True))


ALL_RUNS = RunFilter()


class ReleaseFilter(Model):
    """Which releases are listed: those named *name*, or of *digests*. A field that is None does not limit the list."""

    name: str | None = None
    digests: tuple[str, ...] | None = None

    def accepts(self, ref: PackageRef) -> bool:
        """Whether *ref* is on the list."""
        return self.name in {None, ref.name} and (self.digests is None or ref.digest in self.digests)


ALL_RELEASES = ReleaseFilter()
RUN_CURSOR = re.compile(r"[0-9]{1,18}")
"""The cursor of a list of runs: the number of one."""
RELEASE_CURSOR = re.compile(r"[0-9]{1,18}|[^/]{1,200}/[^/]{1,200}/sha256:[0-9a-f]{64}")
"""The cursor of a list of releases: the number of a run, or a release that no run was for."""

T = TypeVar("T")


class Page(Model, Generic[T]):
    """One page of a list. *cursor* is what the next page is requested with; None on the last page."""

    items: tuple[T, ...]
    cursor: str | None = None


class StepRow(Model):
    """One step of a run. *first_seq* and *last_seq* are the seqs of the entries that started and finished it."""

    name: str
    verb: str
    label: str
    started_at: str
    finished_at: str | None = None
    outcome: Outcome | None = None
    message: str = ""
    code: str | None = None
    log: str = ""
    hosts_ok: int = 0
    hosts_bad: int = 0
    hosts_unknown: int = 0
    tests_ok: int = 0
    tests_bad: int = 0
    first_seq: int
    last_seq: int | None = None


class ReleaseRow(Model):
    """A release that a run was for. *number* rises with the first run of each release."""

    release: PackageRef
    number: int
    first_run: str
    last_run: str


def has_words(ref: PackageRef, words: Sequence[str]) -> bool:
    """Whether each of *words*, in lower case, is part of the name, the version or the digest of *ref*."""
    text = release_text(ref.name, ref.version, ref.digest)
    return all(word in text for word in words)


def release_text(name: str, version: str, digest: str) -> str:
    """The text in which a search for a release finds words."""
    return f"{name} {version} {name}-{version} {digest}".lower()


class ReleasePlace(Model):
    """A release in one environment. *on_hosts* are the hosts it runs on, *standby_hosts* those of them on standby.

    *run* is its newest promotion, rehearsal or rollback there that may have changed the environment.
    """

    environment: str
    digest: str
    on_hosts: int = 0
    standby_hosts: int = 0
    verified_at: str | None = None
    verified_by_run: str | None = None
    run: str | None = None
    run_kind: Kind | None = None
    run_state: State | None = None


class HostRow(Model):
    """What is known of one host of an *environment*."""

    environment: str
    state: HostState


class EnvironmentSummary(Model):
    """An environment in one row: the last verified release, the newest run, and counts of hosts and open runs."""

    environment: str
    release: PackageRef | None = None
    verified_at: str | None = None
    verified_by_run: str | None = None
    run: str | None = None
    run_kind: Kind | None = None
    run_state: State | None = None
    run_at: str | None = None
    hosts: int = 0
    hosts_on: int = 0
    hosts_unknown: int = 0
    open_runs: int = 0


class RunFigures(Model):
    """The *number* of kept runs of one *kind* in one *state*, and the *seconds* from their requests to their ends."""

    kind: str
    state: str
    number: int
    seconds: float


class StoreFigures(Model):
    """What monitoring reads of a store: its *runs* by kind and state, and its *size_bytes* (0 if it has none)."""

    runs: tuple[RunFigures, ...]
    size_bytes: int


class FeedEntry(Model):
    """One journal entry in the order over all runs. *cursor* is its place in that order."""

    cursor: str
    at: str
    environment: str
    run: str
    seq: int
    kind: str


@dataclass(frozen=True)
class FeedChanges:
    """The *environments* with entries after a cursor, and the *cursor* for the next question."""

    environments: frozenset[str]
    cursor: str | None
