"""The arithmetic of the measures: single cases with values, and a long history against a second, naive computation."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import pytest

from orchestrator.domain.journal import Kind, Run
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.management.measures.charts import length_text, measures_report, trends, value_text
from orchestrator.management.measures.compute import compute_measures
from orchestrator.management.measures.deployments import RunDetails, deployments_of
from orchestrator.management.measures.model import Measure, Measures, MeasureSpan
from orchestrator.management.measures.queries import MeasureFilter, show_measures
from tests.app.desk import NOON, Desk

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPAN = MeasureSpan(since=NOON, until=NOON + 30 * DAY)
BAD = (State.ROLLED_BACK, State.NEEDS_INTERVENTION)


def package(version: str, name: str = "shop") -> PackageRef:
    return PackageRef(name=name, version=version, digest="sha256:" + f"{name} {version}".encode().hex().rjust(64, "0"))


def run(number: int, version: str, state: State, at: timedelta, kind: Kind = "promotion", name: str = "shop") -> Run:
    """A run of an hour in production that was requested *at* after the start of the period."""
    start = NOON + at
    return Run(
        id=f"{number:06}-production",
        root=f"{number:06}",
        kind=kind,
        environment="production",
        release=package(version, name),
        state=state,
        requested_at=moment_text(start),
        ended_at=moment_text(start + HOUR),
    )


def measured(runs: list[Run], details: RunDetails | None = None, span: MeasureSpan = SPAN) -> Measures:
    found = deployments_of(runs, details or RunDetails())
    return compute_measures(found, span, ("production",), ("staging",))


def of(measures: Measures, name: str) -> Measure:
    return next(each for each in measures.measures if each.name == name)


def test_a_deployment_that_fails_twice_counts_once() -> None:
    """A deployment with a manual rollback and a second one after it is one failed deployment, not two."""
    runs = [
        run(1, "1.0.0", State.SUCCEEDED, -20 * DAY),
        run(2, "1.1.0", State.SUCCEEDED, DAY),
        run(3, "1.0.0", State.SUCCEEDED, 2 * DAY, "rollback"),
        run(4, "1.0.0", State.SUCCEEDED, 3 * DAY, "rollback"),
        run(5, "1.2.0", State.SUCCEEDED, 20 * DAY),
    ]
    found = of(measured(runs), "change-failure-rate")
    assert (found.value, found.count, found.of) == (0.5, 1, 2)
    assert [each.run for each in found.runs] == ["000002-production"]
    recovery = of(measured(runs), "recovery-time")
    assert (recovery.value, [each.run for each in recovery.runs]) == (3600.0, ["000002-production"])


def test_a_late_rollback_is_no_failure_of_a_deployment() -> None:
    """A manual rollback more than 7 days after the end of a deployment does not count against it."""
    runs = [
        run(1, "1.0.0", State.SUCCEEDED, timedelta()),
        run(2, "1.1.0", State.SUCCEEDED, DAY),
        run(3, "1.0.0", State.SUCCEEDED, 9 * DAY, "rollback"),
    ]
    assert of(measured(runs), "change-failure-rate").value == 0.0
    assert of(measured([*runs[:2], runs[2].model_copy(update={"requested_at": moment_text(NOON + 8 * DAY)})]),
              "change-failure-rate").value == 0.5  # fmt: skip


@pytest.mark.parametrize(("days", "rework"), [(6, 1), (8, 0)])
def test_rework_follows_a_rollback_of_the_same_package(days: int, rework: int) -> None:
    """A promotion within 7 days after a rollback of its package is rework, a later one and other packages are not."""
    runs = [
        run(1, "1.0.0", State.ROLLED_BACK, timedelta()),
        run(2, "1.0.1", State.SUCCEEDED, days * DAY),
        run(3, "2.0.0", State.SUCCEEDED, DAY, name="pay"),
    ]
    found = of(measured(runs), "rework-rate")
    assert (found.count, found.of) == (rework, 3)


@dataclass
class Journal:
    """The runs of production, of which those that ended after a moment are read."""

    runs: list[Run]

    def previous(self) -> dict[str, str | None]:
        return {"production": None}

    def ended_runs(self, environment: str, since: datetime) -> tuple[Run, ...]:
        assert environment == "production"
        return tuple(run for run in self.runs if run.ended_at is not None and run.ended_at >= moment_text(since))

    def failures(self, runs: tuple[str, ...]) -> dict[str, datetime]:
        return dict.fromkeys(runs, NOON)

    def commit_times(self, releases: frozenset[PackageRef]) -> dict[str, datetime]:
        return {release.digest: NOON for release in releases}


def test_the_start_of_the_period_does_not_decide_what_is_rework() -> None:
    """A promotion after a manual rollback is rework, although what was rolled back ended more than 7 days before the period."""
    runs = [
        run(1, "1.0.0", State.SUCCEEDED, -20 * DAY),
        run(2, "1.1.0", State.SUCCEEDED, -8 * DAY),
        run(3, "1.0.0", State.SUCCEEDED, -2 * DAY, "rollback"),
        run(4, "1.2.0", State.SUCCEEDED, DAY),
    ]
    viewer, journal = Desk().acting("viewer"), Journal(runs)
    for since in (NOON, NOON - 30 * DAY):
        found = show_measures(viewer, journal, MeasureFilter(since=since, until=NOON + 30 * DAY))
        assert [each.run for each in of(found, "rework-rate").runs] == ["000004-production"]


def test_an_emergency_is_rework() -> None:
    """A promotion that was an emergency is rework, without a rollback before it."""
    found = of(
        measured([run(1, "1.0.0", State.SUCCEEDED, DAY)], RunDetails(emergencies=frozenset({"000001"}))), "rework-rate"
    )
    assert [each.run for each in found.runs] == ["000001-production"]


def test_intervention_lasts_until_a_release_is_verified_again() -> None:
    """The recovery of a run that needs intervention ends with the next run that verifies a release of its package."""
    runs = [
        run(1, "1.1.0", State.NEEDS_INTERVENTION, DAY),
        run(2, "3.0.0", State.SUCCEEDED, 2 * DAY, name="pay"),
        run(3, "1.0.0", State.SUCCEEDED, 3 * DAY, "rollback"),
    ]
    details = RunDetails(failed_at={"000001-production": NOON + DAY})
    assert of(measured(runs, details), "recovery-time").value == 49 * 3600.0
    assert of(measured(runs[:2], details), "recovery-time").value is None


def test_what_changed_nothing_is_not_a_deployment() -> None:
    """A promotion that failed before its first effect, and runs of other kinds, count in no measure."""
    runs = [run(1, "1.0.0", State.FAILED, DAY), run(2, "1.0.0", State.SUCCEEDED, DAY, "observe")]
    assert {(each.count, each.of) for each in measured(runs).measures} == {(0, 0)}


def test_lead_time_begins_at_the_commit() -> None:
    """The lead time is the median time from the commit to the verification; unknown commits are left out."""
    runs = [run(number, f"1.{number}.0", State.SUCCEEDED, number * DAY) for number in (1, 2, 3)]
    commits = {package("1.1.0").digest: NOON, package("1.2.0").digest: NOON + DAY}
    found = of(measured(runs, RunDetails(commit_at=commits)), "lead-time")
    assert (found.value, found.count, found.of) == (25 * 3600.0, 2, 3)


def test_a_report_needs_nothing_else_and_escapes_names() -> None:
    """The report is one file with five pictures, without addresses, and a name of HTML is text in it."""
    measures = measured([run(1, "1.0.0", State.SUCCEEDED, DAY), run(2, "1.1.0", State.ROLLED_BACK, 2 * DAY)])
    page = measures_report("<script>shop", measures)
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert "src=" not in page
    assert "href=" not in page
    assert next(title for title, _ in trends(measures)) == "Deployments a week"
    assert "000002-production" in page


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (60, "1 m 0 s"), (7500, "2 h 5 m"), (266_400, "3 d 2 h")]
)
def test_lengths_of_time_have_two_units(seconds: int, text: str) -> None:
    """A length of time is written in its two largest units."""
    assert length_text(seconds) == text


# -- ten thousand runs against a naive computation ---------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """A *run* with the *name* of its package, its first failure, the commit of its package, and whether it is an emergency."""

    run: Run
    name: str
    failed: datetime | None
    commit: datetime
    emergency: bool

    @property
    def start(self) -> datetime:
        return parse_moment(self.run.requested_at)

    @property
    def end(self) -> datetime:
        return parse_moment(str(self.run.ended_at))

    @property
    def verified(self) -> bool:
        return self.run.state in {State.SUCCEEDED, State.ROLLED_BACK}


def history(chance: random.Random, count: int, pace: int = 1) -> Iterator[Fact]:
    """Runs of production, one after the other; a larger *pace* means more time between them."""
    at = timedelta(days=-20)
    for number in range(count):
        at += timedelta(minutes=chance.randint(61, 600) * pace)
        name = chance.choice(["shop", "pay"])
        kind: Kind = "rollback" if chance.random() < 0.15 else "promotion"
        state = chance.choices([State.SUCCEEDED, *BAD, State.FAILED], [80, 12, 3, 5])[0]
        version = f"1.{max(0, number - chance.randint(0, 3))}.0" if kind == "promotion" else f"1.{number // 2}.0"
        made = run(number, version, state, at, kind, name)
        failed = NOON + at + timedelta(minutes=chance.randint(0, 59)) if state in BAD else None
        commit = NOON - DAY * (30 + len(version) + int(version[2:-2]) % 9)
        yield Fact(made, name, failed, commit, chance.random() < 0.02)


def naive(facts: list[Fact], span: MeasureSpan) -> dict[str, tuple[float | None, int, int]]:
    """The measures from loops over everything, without any of the code that is tested."""
    deployments = [each for each in facts if each.run.kind == "promotion" and each.run.state != State.FAILED]
    undone: dict[str, Fact] = {}
    for rollback in facts:
        if rollback.run.kind != "rollback" or rollback.run.state == State.FAILED:
            continue
        best = None
        for one in deployments:
            near = timedelta(0) <= rollback.start - one.end <= 7 * DAY
            other = one.name == rollback.name and one.run.release != rollback.run.release
            if near and other and one.run.state == State.SUCCEEDED and one.run.id not in undone:
                best = one
        if best is not None:
            undone[best.run.id] = rollback
    every = [each for each in deployments if span.has(each.end)]
    good = [each for each in every if each.run.state == State.SUCCEEDED]
    bad = [each for each in every if each.run.state in BAD or each.run.id in undone]
    times = [restored(each, facts, undone) for each in bad]
    recoveries = [(end - start).total_seconds() for start, end in times if end is not None]
    reworked = sum(each.emergency or follows(each, deployments, facts, undone) for each in every)
    lead = [(each.end - each.commit).total_seconds() for each in good]
    days = (span.until - span.since).total_seconds() / 86400
    return {
        "deployment-frequency": (len(good) / days, len(good), len(every)),
        "lead-time": (median(lead) if lead else None, len(lead), len(good)),
        "change-failure-rate": (len(bad) / len(every) if every else None, len(bad), len(every)),
        "recovery-time": (median(recoveries) if recoveries else None, len(recoveries), len(bad)),
        "rework-rate": (reworked / len(every) if every else None, reworked, len(every)),
    }


def restored(one: Fact, facts: list[Fact], undone: dict[str, Fact]) -> tuple[datetime, datetime | None]:
    """When *one* failed, and when a release was verified again."""
    start = undone[one.run.id].start if one.run.id in undone else one.failed
    assert start is not None
    if one.run.state == State.ROLLED_BACK:
        return start, one.end
    later = [f.end for f in facts if f.run.id != one.run.id and f.verified and f.end >= start and f.name == one.name]
    return start, min(later, default=None)


def follows(one: Fact, deployments: list[Fact], facts: list[Fact], undone: dict[str, Fact]) -> bool:
    """Whether a rollback of the package ended at most 7 days before *one* was requested."""
    for other in deployments:
        if other.name == one.name and (other.run.state == State.ROLLED_BACK or other.run.id in undone):
            back = restored(other, facts, undone)[1] or other.end
            if timedelta(0) <= one.start - back <= 7 * DAY:
                return True
    return False


@pytest.mark.parametrize("seed", range(20))
def test_measures_equal_a_naive_computation(seed: int) -> None:
    """Twenty histories of 500 runs give the same measures as loops over everything."""
    facts = list(history(random.Random(seed), 500, pace=1 + seed % 5 * 7))
    details = RunDetails(
        failed_at={each.run.id: each.failed for each in facts if each.failed is not None},
        commit_at={each.run.release.digest: each.commit for each in facts if each.run.release is not None},
        emergencies=frozenset(each.run.root for each in facts if each.emergency),
    )
    found = measured([each.run for each in facts], details)
    expected = naive(facts, SPAN)
    got = {each.name: (each.value, each.count, each.of) for each in found.measures if each.name != "failed-before"}
    assert got == {
        name: (pytest.approx(value) if value is not None else None, n, of_)
        for name, (value, n, of_) in expected.items()
    }
    assert sum(week.deployments for week in found.weeks) == expected["deployment-frequency"][1]
    assert all(value_text(each) for each in found.measures)
