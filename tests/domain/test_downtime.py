"""The downtime of a service, derived from the samples of a probe."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.downtime import SERVICE, ProbeSample, measured


def turns(at: float, target: str, *times: tuple[float, bool]) -> list[ProbeSample]:
    return [ProbeSample(kind="turn", at=at + later, target=target, up=up, requests=1) for later, up in times]


def segment(start: float, end: float, *sights: list[ProbeSample]) -> list[ProbeSample]:
    inner = sorted((sight for group in sights for sight in group), key=lambda sight: sight.at)
    return [ProbeSample(kind="begin", at=start), *inner, ProbeSample(kind="end", at=end)]


def test_hosts_one_after_the_other() -> None:
    """Two hosts that go one after the other leave the service there all the time, and one at most is away."""
    seen = segment(
        0, 10, turns(0, "a", (0, True), (1, False), (3, True)), turns(0, "b", (0, True), (4, False), (5, True))
    )
    found = measured([seen], 0, 10, 0.1)
    assert (found.downtime, found.most_unavailable, found.hosts, found.host_downtime) == (0, 1, 2, {"a": 2, "b": 1})
    assert (found.measured, found.gaps, found.requests) == (10, (), 6)


def test_hosts_all_at_once() -> None:
    """While no host answers the service is away, for as long as all of them are."""
    seen = segment(
        0, 10, turns(0, "a", (0, True), (1, False), (4, True)), turns(0, "b", (0, True), (2, False), (5, True))
    )
    found = measured([seen], 0, 10, 0.1)
    assert (found.downtime, found.longest, found.most_unavailable) == (2, 2, 2)
    assert found.by == "hosts"


def test_the_service_has_a_word_of_its_own() -> None:
    """With a URL of the whole service its downtime is what that URL says, whatever the hosts do."""
    seen = segment(0, 9, turns(0, SERVICE, (0, True), (2, False), (2.5, True)), turns(0, "a", (0, True), (1, False)))
    found = measured([seen], 0, 9, 0.1)
    assert (found.downtime, found.by, found.host_downtime) == (0.5, "service", {"a": 8})


def test_what_was_never_there_is_not_away() -> None:
    """A host that has not answered yet counts as nothing: a first release takes no service away."""
    found = measured([segment(0, 9, turns(0, "a", (0, False), (5, True)), turns(0, "b", (0, False)))], 0, 9, 0.1)
    assert (found.downtime, found.most_unavailable, found.hosts) == (0, 0, 1)


def test_gaps_are_told() -> None:
    """A time in which nobody looked, at the beginning, in between or at the end, is told as a gap and never as service."""
    found = measured(
        [segment(2, 4, turns(2, "a", (0, True), (1, False))), segment(8, 9, turns(8, "a", (0, False)))], 0, 15, 0.1
    )
    assert [(gap.since, gap.until) for gap in found.gaps] == [(0, 2), (4, 8), (9, 15)]
    assert (found.measured, found.downtime) == (3, 2)
    assert "not measured: 12.0 s of 15.0 s" in found.text


def test_nothing_was_measured() -> None:
    """Without a single sight the sentence says so, and no figure looks like one."""
    assert measured([], 0, 5, 0.1).text == "nothing was measured"


TURNS = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 100), st.booleans()), max_size=30)


@given(TURNS)
def test_figures_are_of_one_piece(found: list[tuple[str, int, bool]]) -> None:
    """The service is unavailable for no longer than the host with the least downtime, and no more hosts are unavailable than there are."""
    seen = segment(0, 100, *(turns(at, host, (0, up)) for host, at, up in found))
    told = measured([seen], 0, 100, 0.1)
    least = min((told.host_downtime.get(host, 0.0) for host in {host for host, _, up in found if up}), default=0.0)
    assert 0 <= told.longest <= told.downtime <= least
    assert told.most_unavailable <= told.hosts
    assert (told.most_unavailable == told.hosts and told.hosts > 0) or told.downtime == 0
