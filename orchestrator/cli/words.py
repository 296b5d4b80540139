"""Small pieces of text that several commands share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.cli.output import Cell, paint, table
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.plan import HostState
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.promotion import State
from orchestrator.domain.rollback_plan import RollbackForecast
from orchestrator.domain.step import Outcome
from orchestrator.domain.text import age, clean_text, counted, list_names, short
from orchestrator.domain.waves import WaveStatus

MARKS = {
    Outcome.SUCCEEDED: ("✔", "green"),
    Outcome.SKIPPED: ("–", "bright_black"),
    Outcome.WAITING: ("○", "yellow"),
    Outcome.ABORTED: ("✘", "yellow"),
    Outcome.FAILED: ("✘", "red"),
    Outcome.ERRORED: ("✘", "magenta"),
    Outcome.UNKNOWN: ("?", "yellow"),
}
STATES = {
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.ROLLED_BACK: "yellow",
    State.NEEDS_INTERVENTION: "red",
    State.HELD: "yellow",
}
WALKED = {"waiting": "bright_black", "already deployed": "bright_black", "not started": "yellow"}
WALKED |= {"not rolled back": "red"} | {state.value: colour for state, colour in STATES.items()}
ACTIVITIES = {"interrupted": "magenta", "paused": "yellow", "queued": "yellow", "waiting": "yellow"}
TRUTHS = {
    "seen": "green",
    "assumed": "",
    "changing": "cyan",
    "unknown": "yellow",
    "empty": "bright_black",
    "gone": "bright_black",
}


def mark(outcome: Outcome, *, err: bool = False) -> str:
    """One character for an outcome, coloured if colours are used."""
    sign, colour = MARKS[outcome]
    return paint(sign, fg=colour, err=err)


def duration_text(value: float | None) -> str:
    """`0.4 s`, `3 m 20 s`, `2 h 5 m`."""
    if value is None:
        return ""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    return f"{minutes // 60} h {minutes % 60} m"


def when(at: str | None, now: datetime | None = None) -> str:
    """A time of the journal in local time, in short, with its age: `17:41 (2 h ago)`, `11-27 17:41 (1 d ago)`."""
    if not at:
        return "–"
    moment, today = datetime.fromisoformat(at).astimezone(), (now or datetime.now(UTC)).astimezone()
    passed = (today - moment).total_seconds()
    return f"{clock(at, today)} ({age(passed)} ago)" if passed >= 0 else f"{clock(at, today)} (in {age(-passed)})"


def clock(at: str, now: datetime | None = None) -> str:
    """A time of the journal in local time, without its age; the date only where it is another day."""
    moment, today = datetime.fromisoformat(at).astimezone(), (now or datetime.now(UTC)).astimezone()
    if moment.date() == today.date():
        return moment.strftime("%H:%M")
    return moment.strftime("%m-%d %H:%M" if moment.year == today.year else "%Y-%m-%d %H:%M")


def release_of(state: HostState, *, digest: bool = True) -> str:
    """The version that runs on a host, or why none is named; and that of its service, where it is another one.

    A release that is not known here is named by its *digest*, unless that is shown beside it.
    """
    if state.release is None:
        return "nothing" if state.truth in {"empty", "gone", "assumed"} else "?"
    if state.release.name == "unknown":
        return f"unknown {short(state.release.digest)}" if digest else "unknown"
    return f"{state.release.version} (serves {state.serves})" if state.differs else state.release.version


def side_of(state: HostState) -> Cell:
    """The side that a host is on, and whether that is live."""
    if state.side is None:
        return "–"
    if state.switch_uncertain:
        return (f"{state.side}, uncertain", "yellow")
    return f"{state.side}, standby" if state.is_standby else (f"{state.side}, live", "green")


def truth_of(state: HostState) -> Cell:
    """How much is known of a host."""
    return (state.truth, TRUTHS[state.truth]) if TRUTHS[state.truth] else state.truth


def play_lines(plays: Iterable[PlannedPlay], *, err: bool = False) -> Iterator[str]:
    """Every play of a playbook: its hosts, how often it runs, and what batches do to it."""
    for play in plays:
        on = "hosts known when it runs" if play.on is None else list_names(play.on) or "no host"
        often = "" if play.times in {None, 0} else f", {counted(play.times or 0, 'time')}"
        yield clean_text(f"play {play.name} ({play.where}): {play.hosts} → {on}{often}")
        for text in play.effects:
            yield f"  {paint('!', fg='yellow', err=err)} {clean_text(text)}"
        if play.repeats:
            yield clean_text(f"  does its work again when the step is repeated: {', '.join(play.repeats)}")
        if play.unseen:
            yield clean_text(f"  known only when it runs: {', '.join(play.unseen)}")


def listed_plays(plays: Iterable[Mapping[str, Any]]) -> list[str]:
    """The lines about *plays*, in their JSON form, below the line about their playbook."""
    return [f"  {line}" for line in play_lines(map(PlannedPlay.from_json, plays))]


def waves(story: Sequence[WaveStatus], columns: int | None = None) -> str:
    """A promotion in waves as a table of at most so many *columns*."""
    rows: list[list[Cell]] = [
        [
            str(wave.number) if not place else "",
            found.environment,
            (found.state, WALKED.get(found.state, "cyan")),
            found.back or found.run or "–",
            found.why,
        ]
        for wave in story
        for place, found in enumerate(wave.environments)
    ]
    return table(["wave", "environment", "state", "run", ""], rows, columns)


def outlook(seen: RollbackForecast | None) -> list[str]:
    """The lines about the effect of a rollback on the stack, as far as it is known; empty without a stack."""
    if seen is None:
        return []
    source = "by a current preview of Pulumi" if seen.how == "preview" else "by the plan of the promotion"
    lines = [f"Pulumi did not preview it: {seen.why}"] if seen.why else []
    if seen.losses or seen.refused:
        what = f"it would {'; '.join(map(str, seen.losses))}" if seen.losses else seen.refused
        lines.append(f"! {source}, {what}: the infrastructure would stay, and the run would need intervention (R202)")
    else:
        counts = ", ".join(f"{count} {op}" for op, count in sorted(seen.counts.items()) if count)
        lines.append(f"{source}, nothing stateful would be replaced or deleted" + (f" ({counts})" if counts else ""))
    return [clean_text(line) for line in [*lines, "the rollback previews again before it changes the infrastructure"]]


def state_words(state: State | str) -> str:
    """A run's state as it is shown."""
    return str(State(state).value)


def state_cell(state: State, activity: str = "ended") -> Cell:
    """A run's state as a cell of a table; of one that no process works on, that it is paused, queued or interrupted."""
    if activity in ACTIVITIES:
        return (activity, ACTIVITIES[activity])
    return (state_words(state), STATES.get(state, "cyan"))


def activity_words(run: RunFacts) -> str:
    """What a run is doing, in the same words for every command."""
    if run.activity == "paused" and run.waits_for:
        return f"waiting for the end of {run.waits_for}"
    if run.activity == "paused":
        return f"paused by {run.control_by or 'unknown'}"
    if run.activity == "queued":
        return "waiting for a worker"
    if run.activity == "waiting":
        return "waiting for the environment"
    if run.activity == "working":
        return f"running ({state_words(run.state)})"
    return "interrupted" if run.activity == "interrupted" else state_words(run.state)
