"""Child processes that outlive us and are found again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestrator.domain.journal import Entry
from orchestrator.domain.view import View

Emit = Callable[[Entry], None]
"""Called for each event as it happens; it only enqueues."""
SECRETS_FOLDER = "secrets"
"""The folder of the secret files of a job, in the folder of the job."""


@dataclass(frozen=True)
class Job:
    """A child process to be run once under a key.

    Args:
        key: its folder's name and identity; derived from the run, step, batch and attempt only.
        argv: the command; it finds its folder in the environment variable `ORCHESTRATOR_JOB`.
        env: the whole environment of the process; nothing is inherited.
        cwd: where it starts.
        files: files to be put into its folder (mode 0600) before it starts, by relative name.
        secrets: files to be found in `secrets/` of its folder, by name. They end with the job: they are only in memory
            where the job is isolated, and are removed when it has ended where it is not.
        timeout: seconds after which the whole process tree is stopped; None for no limit.
        view: what it finds of the controller besides its own folder; None: it runs our own code only.
        outlived: whether processes that it starts may outlive it: loopback hosts, and an engine that ends what it has
            started. Processes of an isolated job end with its command.
        halt: lets its processes complete what they have started if its supervisor was killed; the others are killed.
        server: a command outside of the view that serves an isolated job at a socket; empty for none.
        writes: folders in its own folder. The files that it writes there are masked when it has ended.
        unmasked: files and folders in these that stay as they are.
    """

    key: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    files: Mapping[str, bytes] = field(default_factory=dict)
    timeout: float | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    outlived: bool = False
    halt: Callable[[], None] | None = field(default=None, compare=False)
    server: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()
    view: View | None = field(kw_only=True)


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended: its exit code (None when it was stopped or lost), and its folder.

    *how* is `exited`, `timeout`, `stopped` (on request) or `lost` (it died without a result, or failed
    while the disk was full).
    """

    how: str
    code: int | None
    folder: Path
    seconds: float


class Jobs(Protocol):
    """Runs child processes that outlive us and are found again.

    The child writes one JSON object a line to the path that `processes.events_of` returns, and leaves its answer in
    files in its folder; its standard output and error go to `output.log`. Known secrets are masked before anything is
    on disk.
    """

    def run(self, job: Job, on_event: Callable[[int, dict[str, object]], None] | None = None) -> JobOutcome:
        """Start *job*, or attach to it when it is running, or return at once when it has ended.

        *on_event* is called with the line number (from 0) and the object, in order, from the first line on,
        also when the job had ended before.
        """

    def folder(self, key: str) -> Path:
        """The folder of the job *key*, whether or not it exists."""

    def stop(self, key: str) -> None:
        """Stop the job's whole process tree and wait until nothing of it is left. Safe when it has ended."""

    def mask(self, key: str) -> None:
        """Mask the files of the ended job *key* by the secrets that are known now, also those that it made."""

    def hold(self, until: Callable[[], float], bound: Path | None = None) -> None:
        """Start no job after the time that *until* returns (seconds since 1970): this process may be replaced after it.

        No job continues after the time in the file *bound*; without one, jobs outlive this process.
        """

    def active(self) -> list[str]:
        """The keys of the jobs that this process currently waits for."""
