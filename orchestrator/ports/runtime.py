"""What a flow runs on: time, notifications, durable steps, and ownership of a run."""

from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol, TypeVar

from orchestrator.domain.journal import Run

T = TypeVar("T")


class Clock(Protocol):
    """Time: passed in, never read by the domain."""

    def now(self) -> str:
        """Wall-clock time, UTC, ISO 8601 with milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Notifier(Protocol):
    """Notifies users."""

    def notify(self, run: Run, what: str) -> None:
        """Send one sentence about *run*. Never raises: a deaf receiver stops no release."""


class Durable(Protocol):
    """What makes a flow durable: replay, or run and record."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        """The recorded answer of the step *name*, or *work()*'s, recorded before it is returned. JSON data only."""

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """Wait, across restarts; no longer once *awake* returns true."""


class Parallel(Durable, Protocol):
    """A `Durable` whose workflow can execute several parts in parallel, each of which is durable on its own."""

    def together(self, parts: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """Execute all *parts* in parallel, and return their answers once all have ended.

        Each is a workflow of its own, named by its run, and gets its data (JSON). What was recorded of it is not
        repeated, whatever the results of the others.
        """


class RunOwnership(Protocol):
    """The process that acts for a run: who it is, and whether it still may."""

    worker: str

    def check(self) -> None:
        """Return when this process may act, and never when another one has taken over."""

    def acting(self, run: str | None, known: str = "") -> None:
        """Work for *run* starts (None: it has ended): a control request to abort stops the jobs that are running.

        *known* is the time of the control request that this work ignores or follows: a rollback after an abort.
        """

    def park(self) -> None:
        """Park, so that the process can end and the run be resumed from here.

        It returns only if other runs continue in this process, and a user has resumed this one as well.
        """

    def taken_over(self) -> NoReturn:
        """Another process has taken over: park, and change nothing more."""
