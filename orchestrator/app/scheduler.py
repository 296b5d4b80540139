"""The scheduler: what is due is done by one process at a time, under a fenced lease. Every worker contains one.

A duty is a small class: it checks whether it is due, and does it. Duties change the register as the system, with the
fencing token of the lease, so that a process that woke up too late changes nothing.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol, TypeVar

from orchestrator.app.acting import Acting
from orchestrator.background import repeated
from orchestrator.domain.error_codes import TAKEN_OVER
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.register import SchedulerLease

LEASE_LASTS = timedelta(seconds=30)
"""After which another process may take the lease. It is extended while a duty takes longer."""
LONGEST_DUTY = timedelta(hours=1)
"""For how long the lease is extended for one duty. One that takes longer hangs, and another process takes over."""
T = TypeVar("T")


class Duty(Protocol):
    """Something that the clock or a change makes due."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def due(self, now: Now) -> bool:
        """Whether there may be something to do at *now*. It changes nothing, and is cheap."""

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do what is due, as *acting*. Yields a phrase for each thing that was done; twice is as once."""


def do_each(items: Iterable[T], work: Callable[[T], Iterable[str]], name_of: Callable[[T], str] = str) -> Iterator[str]:
    """What *work* yields for each of *items*. One that fails keeps no other from being done.

    Raises the first error at the end, with the names of all that failed. An error of the database, and the loss of the
    lease, end it at once.
    """
    failed: list[tuple[T, OrchestratorError]] = []
    for item in items:
        try:
            yield from work(item)
        except OrchestratorError as error:
            if error.code in {*STORE_FAILURES, TAKEN_OVER}:
                raise
            failed.append((item, error))
    if failed:
        code = failed[0][1].code
        texts = [f"{name_of(item)}: {e.message}{'' if e.code == code else f' ({e.code})'}" for item, e in failed]
        raise OrchestratorError(code, "; ".join(texts))


@dataclass(frozen=True)
class DutyReport:
    """What a *duty* did, in one phrase, or *failed* to do."""

    duty: str
    text: str
    failed: bool = False


@dataclass(frozen=True)
class Scheduler:
    """Does the *duties* that are due, in their order. *acting* is the system at the register, *holder* this process.

    Its lease *lasts* a time, and is extended while it works: the verification of an environment takes minutes.
    """

    acting: Acting
    holder: str
    duties: Sequence[Duty]
    lasts: timedelta = LEASE_LASTS

    def run(self) -> Iterator[DutyReport]:
        """Take or extend the lease, and do what is due. Nothing happens if another process has the lease.

        A duty that fails is reported, and does not keep the others from being done.
        """
        lease = self._take()
        if lease is None:
            return
        acting = replace(self.acting, fence=lease.fence)
        now = acting.register.reading(acting.now)
        for duty in self.duties:
            try:
                if duty.due(now):
                    with self._extended(lease):
                        yield from (DutyReport(duty.name, text) for text in duty.do(acting, now))
            except OrchestratorError as error:
                yield DutyReport(duty.name, f"{error.code}: {error.message}", failed=True)

    def _take(self) -> SchedulerLease | None:
        until = parse_moment(self.acting.clock.now()) + self.lasts
        return self.acting.register.take_scheduler(self.holder, until)

    def _extended(self, lease: SchedulerLease) -> AbstractContextManager[None]:
        """Extend *lease* until the end of the context, three times in its length. A process that dies does not."""
        latest = time.monotonic() + LONGEST_DUTY.total_seconds()

        def extend() -> bool:
            if time.monotonic() >= latest:
                return False
            with contextlib.suppress(OrchestratorError):  # the database is away for a moment
                taken = self._take()
                if taken is None:
                    return False
                if taken.fence != lease.fence:  # another process had it: what is in progress has the fence of before
                    self.release_lease()
                    return False
            return True

        return repeated(extend, self.lasts.total_seconds() / 3)

    def release_lease(self) -> None:
        """Let another process take the lease at once."""
        self.acting.register.release_scheduler(self.holder)


def is_running(lease: SchedulerLease | None, now: Now) -> bool:
    """Whether some worker does what is due: *lease* has not ended."""
    return lease is not None and not lease.has_ended(now.earliest)
