"""The downtime of a service during a rollout, derived from the samples of a probe."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from orchestrator.domain.model import Model

SERVICE = ""  # the name of the one target that represents the whole service
SHORTEST_GAP = 1.0  # seconds: a probe needs some time to start, and is silent for less between two signs of life


class ProbeSample(Model):
    """A record of a probe at the time *at* (seconds since 1970).

    `begin` and `end` bound a time of measurement, `beat` is a sign of life. A `turn` states that *target* (a host, or
    empty: the service) responds from *at* on (*up*), or no longer. *requests* counts those since the previous sample.
    """

    kind: Literal["begin", "turn", "beat", "end"]
    at: float
    target: str = ""
    up: bool = False
    requests: int = 0


class Gap(Model):
    """A time without measurements, in seconds since 1970."""

    since: float
    until: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return round(self.until - self.since, 3)


class AvailabilityReport(Model):
    """The measurements of a probe. Times are in seconds, and right to within *every*.

    *downtime* is the total downtime of the service, *longest* the longest interruption. They are measured by its own
    URL, otherwise as the time without a response of any host. *most_unavailable* is the largest number of hosts that
    were unavailable at once, of all *hosts* that ever responded. *host_downtime* is the downtime of each. A host that
    has not responded yet does not count. *measured* is the time of measurement, *gaps* are the times without one, and
    *requests* is the number of requests.
    """

    downtime: float = 0.0
    longest: float = 0.0
    most_unavailable: int = 0
    hosts: int = 0
    host_downtime: dict[str, float] = Field(default_factory=dict)
    measured: float = 0.0
    gaps: tuple[Gap, ...] = ()
    requests: int = 0
    every: float = 0.0
    by: Literal["service", "hosts"] = "hosts"

    @property
    def text(self) -> str:
        """The figures in one sentence."""
        if not self.measured:
            return "nothing was measured"
        whole = (
            f"the service was unavailable for {self.downtime:.1f} s"
            if self.downtime
            else "the service was always available"
        )
        most = f", at most {self.most_unavailable} of {self.hosts} hosts at once" if self.hosts else ""
        missing = sum(gap.seconds for gap in self.gaps)
        gap = f" (not measured: {missing:.1f} s of {missing + self.measured:.1f} s)" if missing else ""
        return f"{whole}{most}{gap}"


Span = tuple[float, float]


def measured(segments: Iterable[Sequence[ProbeSample]], since: float, until: float, every: float) -> AvailabilityReport:
    """The figures of all *segments* (each what was measured in one go, in order) between *since* and *until*."""
    found = sorted((list(sights) for sights in segments if sights), key=lambda sights: sights[0].at)
    spans = [(sights[0].at, sights[-1].at) for sights in found]
    down = _down(found)
    hosts = {target: times for target, times in down.items() if target != SERVICE}
    most, none = _together(hosts)
    gone = down.get(SERVICE, none)
    return AvailabilityReport(
        downtime=_sum(gone),
        longest=round(max((end - start for start, end in gone), default=0.0), 3),
        most_unavailable=most,
        hosts=len(hosts),
        host_downtime={host: _sum(times) for host, times in hosts.items() if times},
        measured=_sum(spans),
        gaps=_gaps(spans, since, until),
        requests=sum(sight.requests for sights in found for sight in sights),
        every=every,
        by="service" if SERVICE in down else "hosts",
    )


def _sum(spans: Iterable[Span]) -> float:
    return round(sum(end - start for start, end in spans), 3)


def _gaps(spans: list[Span], since: float, until: float) -> tuple[Gap, ...]:
    edges = [since, *(edge for span in spans for edge in span), until]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return tuple(Gap(since=start, until=end) for start, end in pairs if end - start >= SHORTEST_GAP)


def _down(segments: list[list[ProbeSample]]) -> dict[str, list[Span]]:
    """When each target that ever responded was unavailable, from its first response on."""
    found: dict[str, list[Span]] = {}
    for sights in segments:
        open_: dict[str, float] = {}
        for sight in sights:
            if sight.kind != "turn":
                continue
            if sight.up:
                times = found.setdefault(sight.target, [])
                if sight.target in open_:
                    times.append((open_.pop(sight.target), sight.at))
            elif sight.target in found:
                open_.setdefault(sight.target, sight.at)
        for target, start in open_.items():
            found[target].append((start, sights[-1].at))
    return found


def _together(hosts: dict[str, list[Span]]) -> tuple[int, list[Span]]:
    """The largest number of hosts that were unavailable at once, and when all of them were."""
    spans = [span for times in hosts.values() for span in times]
    edges = sorted([*((start, 1) for start, _ in spans), *((end, -1) for _, end in spans)])
    away, most = 0, 0
    none: list[Span] = []
    start = 0.0
    for at, step in edges:
        before, away = away, away + step
        most = max(most, away)
        if away == len(hosts) and step > 0:
            start = at
        elif before == len(hosts) and step < 0 and at > start:
            none.append((start, at))
    return most, none
