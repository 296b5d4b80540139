"""What a flow runs on: time, messages to people, durable steps, and ownership of a run."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

from orchestrator.domain.journal import Run


class Clock(Protocol):
    """Time: passed in, never read by the domain."""

    def now(self) -> str:
        """Wall-clock time, UTC, ISO 8601 with milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Notifier(Protocol):
    """Tells people."""

    def notify(self, run: Run, what: str) -> None:
        """Send one sentence about *run*. Never raises: a deaf receiver stops no release."""


class Durable(Protocol):
    """What a flow is given to survive: replay, else run, then record."""

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """The recorded answer of the step *name*, or *work()*'s, recorded before it is returned. JSON data only."""

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """Wait, across restarts; no longer once *awake* says so."""


class Parallel(Durable, Protocol):
    """A `Durable` whose walk can do several things side by side, each of which survives by itself."""

    def together(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Do all *parts* at once, and return their answers once all have ended.

        Each is a walk of its own, named by the run that it does, and is given its data (JSON). What was recorded of it
        is not done again, whatever became of the others.
        """


class RunOwnership(Protocol):
    """The process that acts for a run: who it is, and whether it still may."""

    worker: str

    def check(self) -> None:
        """Return when this process may act, and never when another one has taken over."""

    def acting(self, run: str | None, known: str = "") -> None:
        """Work for *run* begins (None: it has ended): a control request to abort stops the jobs that go on.

        *known* is the time of the control request that this work ignores or follows: a rollback after an abort.
        """

    def park(self) -> None:
        """Stand still, so that the process can end and the run be taken up again from here.

        It returns only where other runs go on beside this one, and a person has let this one go on as well.
        """

    def taken_over(self) -> NoReturn:
        """Another process has taken over: stand still, and touch nothing more."""
