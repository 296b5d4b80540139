"""Whether a promotion fits into the time that is left: an estimate from measured runs against the next close."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from statistics import median

from orchestrator.domain.calendar.intervals import Interval, next_free_slot
from orchestrator.domain.calendar.verdict import (
    HORIZON,
    Calendar,
    CalendarQuestion,
    CalendarVerdict,
    Closed,
    open_times,
)
from orchestrator.domain.moments import Now, minute_text
from orchestrator.domain.text import age, counted

NEWEST = 20
"""How many runs are measured: the newest ones of this package that succeeded in this environment."""
ENOUGH = 5
"""From how many runs the 90th percentile counts. With fewer, twice the median does."""
STEP_S, HOST_S = 60.0, 5.0
"""Without a measured run: seconds for each step in each batch, and for each host in each step."""


class Basis(StrEnum):
    """What an estimate rests on."""

    MEASURED = "measured"
    FEW_RUNS = "few runs"
    NO_RUNS = "no runs"
    NO_PACKAGE = "no package"
    """No run was measured, and the steps are not known."""


@dataclass(frozen=True)
class Estimate:
    """How long a promotion takes. *expected_s* is shown; *counts_s* is compared with the time that is left."""

    basis: Basis
    runs: int
    expected_s: float
    counts_s: float

    def __str__(self) -> str:
        shown, most = age(self.expected_s), age(self.counts_s)
        match self.basis:
            case Basis.MEASURED:
                return f"estimated {shown}, p90 {most} of the last {counted(self.runs, 'run')}"
            case Basis.FEW_RUNS:
                return f"estimated {shown} by {counted(self.runs, 'run')}, counted twice: {most}"
            case Basis.NO_RUNS:
                return f"estimated {shown} by steps and hosts, with no measured run"
            case Basis.NO_PACKAGE:
                return "of unknown duration: no run was measured, and its package is not kept on this machine"


def estimate(durations_s: Sequence[float], *, steps: int, hosts: int, batches: int = 1) -> Estimate:
    """The estimate by *durations_s*, in seconds, the newest first; without any, by steps, hosts and batches."""
    newest = sorted(durations_s[:NEWEST])
    if not newest:
        guess = STEP_S * steps * max(1, batches) + HOST_S * hosts * steps
        return Estimate(Basis.NO_RUNS, 0, guess, guess)
    middle = median(newest)
    if len(newest) < ENOUGH:
        return Estimate(Basis.FEW_RUNS, len(newest), middle, 2 * middle)
    return Estimate(Basis.MEASURED, len(newest), middle, newest[ceil(0.9 * len(newest)) - 1])


UNKNOWN = Estimate(Basis.NO_PACKAGE, 0, 0.0, 0.0)
"""What is known about a promotion without a measured run, whose package is not kept on this machine."""


class Fit(StrEnum):
    """Whether the estimate fits before the next close."""

    FITS = "fits"
    MAY_NOT_FIT = "may not fit"
    """It would not fit, but the estimate has no measured run: a warning."""
    DOES_NOT_FIT = "does not fit"
    """It would not fit: refused unless an overrun is allowed."""


@dataclass(frozen=True)
class FitVerdict:
    """Whether a promotion that starts now ends before *next_close*. *latest_start* is the last start that fits."""

    fit: Fit
    estimate: Estimate
    next_close: datetime | None = None
    reason: str = ""
    latest_start: datetime | None = None

    def __str__(self) -> str:
        if self.next_close is None:
            return f"{self.estimate}; no close is known"
        end = f"{minute_text(self.next_close)} ({self.reason})" if self.reason else minute_text(self.next_close)
        if self.estimate.basis is Basis.NO_PACKAGE:
            verb = "may run into"
        else:
            verb = "ends before" if self.fit is Fit.FITS else "would run into"
        return f"this promotion ({self.estimate}) {verb} {end}"


def fit(verdict: CalendarVerdict, measured: Estimate, now: Now) -> FitVerdict:
    """Whether a promotion that starts *now* ends by the next close of *verdict*. An interval ends before its end."""
    if isinstance(verdict, Closed) or verdict.next_close is None:
        return FitVerdict(Fit.FITS, measured)
    reason = str(verdict.closing) if verdict.closing else ""
    if measured.basis is Basis.NO_PACKAGE:
        return FitVerdict(Fit.MAY_NOT_FIT, measured, verdict.next_close, reason)
    needed = timedelta(seconds=measured.counts_s)
    latest = verdict.next_close - needed
    if now.latest <= latest:
        return FitVerdict(Fit.FITS, measured, verdict.next_close, reason, latest)
    found = Fit.MAY_NOT_FIT if measured.basis is Basis.NO_RUNS else Fit.DOES_NOT_FIT
    return FitVerdict(found, measured, verdict.next_close, reason, latest)


def next_slot(
    calendar: Calendar, question: CalendarQuestion, length: timedelta, now: Now, busy: Iterable[Interval] = ()
) -> Interval | None:
    """The first time of *length* at which the environment is open and not in *busy* (expected ends of leases).

    A promotion that does not fit now fits from its start on. None if there is not any within the horizon.
    """
    horizon = Interval(now.latest, now.latest + HORIZON)
    return next_free_slot(open_times(calendar, question, horizon), busy, length)
