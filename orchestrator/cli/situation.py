"""The facts of an environment as text: problems first, then runs, then hosts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Cell, folded, paint, screen, table
from orchestrator.cli.words import activity_words, release_of, side_of, truth_of, when
from orchestrator.domain.admission.conditions import ConditionState
from orchestrator.domain.admission.documents import NextPromotion
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.facts import EnvironmentFacts, Problem, Remedy, RunFacts
from orchestrator.domain.moments import minute_text
from orchestrator.domain.plan import HostState
from orchestrator.domain.text import LISTED, clean_text, counted, few, list_names, short

if TYPE_CHECKING:
    from orchestrator.app.application import Application

COLOURS = {
    "intervention": "red",
    "interrupted": "magenta",
    "service": "red",
    "unknown": "yellow",
    "unrecorded": "yellow",
}


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Each problem with its reason and the commands that help; those that need intervention first."""
    order = list(COLOURS)
    lines: list[str] = []
    for problem in sorted(problems, key=lambda found: order.index(found.kind)):
        head = f"✘ {problem.environment}: {problem.text}"
        lines += [paint(line, fg=COLOURS[problem.kind], bold=True) for line in folded(head, indent=2)]
        if problem.reason:
            lines += folded(f"    reason: {clean_text(problem.reason)}", indent=12)
        lines += remedy_lines(problem.remedies, "    ")
    return lines


def remedy_lines(found: Sequence[Remedy], lead: str = "") -> list[str]:
    """The commands that help, each with its effect, on lines that start with *lead*."""
    lines: list[str] = []
    for number, remedy in enumerate(found):
        mark = "next:  " if not number else "       "
        lines += folded(f"{lead}{mark} {remedy.command}  ({remedy.effect})", indent=len(lead) + 10)
    return lines


def status_lines(facts: EnvironmentFacts, *, every: bool = False) -> list[str]:
    """One environment: its release, its runs, who holds it, and its hosts."""
    lines = [f"{paint(facts.name, bold=True)}: {headline(facts)}"]
    if not facts.recorded:
        for problem in facts.problems:
            lines += remedy_lines(problem.remedies, "  ")
    lines += [f"  {line}" for line in calendar_lines(facts.calendar)]
    lines += next_lines(facts.next_promotion)
    for run in facts.open_runs:
        lines += folded(f"  {run_line(run, holder=facts.holder)}", indent=4)
    lease = facts.lease
    if lease is not None and lease.locked:
        end = f" until {when(lease.until)}" if lease.until else ""
        lines.append(f"  {paint('locked', fg='yellow')} by {lease.by}{end}: {clean_text(lease.reason)}")
    elif lease is not None and facts.holder is None:
        lines.append(f"  held by {lease.holder}, by {lease.by or 'unknown'}, since {when(lease.since)}")
    for wait in facts.waiting:
        if wait.run not in {run.id for run in facts.open_runs}:
            lines.append(f"  {wait.run} waits since {when(wait.since)}: orchestrator queue {facts.name}")
    return lines + [f"  {line}" for line in host_lines(facts.hosts, every=every)]


def calendars_of(app: "Application", names: Iterable[str]) -> dict[str, EnvironmentCalendar]:
    """Whether each of the environments *names* is open, and when that changes; without those that do not exist."""
    wanted = [name for name in names if name in app.environments]
    states = app.calendar_states() if wanted else {}
    return {name: states[name] for name in wanted}


def calendar_data(calendars: Mapping[str, EnvironmentCalendar]) -> dict[str, Any]:
    """*calendars* as JSON data."""
    return {name: state.to_json() for name, state in calendars.items()}


def closed_lines(calendars: Mapping[str, EnvironmentCalendar]) -> list[str]:
    """The environments that are closed, or will close, with their reasons."""
    return [f"{name}: {line}" for name, state in calendars.items() for line in calendar_lines(state)]


def calendar_lines(calendar: EnvironmentCalendar | None) -> list[str]:
    """Whether the environment is closed, or closes at a known time; nothing if it is open without an end."""
    if calendar is None or (calendar.open and calendar.next_close is None):
        return []
    if calendar.open:
        end = f"{minute_text(calendar.next_close)}: {calendar.next_close_reason}" if calendar.next_close else ""
        return folded(f"open until {end}", indent=2)
    opens = f"; opens {minute_text(calendar.next_open)}" if calendar.next_open else ""
    return folded(f"{paint('closed', fg='yellow')}: {clean_text(calendar.reason)}{opens}", indent=2)


def next_lines(found: NextPromotion | None) -> list[str]:
    """The release that the environment gets next, with the conditions that it does not meet, and warnings."""
    if found is None:
        return []
    start = "may start" if found.may_start else f"not before {minute_text(found.until)}" if found.until else "waits"
    lines = [f"  next: {found.release}: {start}"]
    for each in found.conditions:
        sign = "! " if each.state is ConditionState.WARNING else ""
        if each.code is not None or sign:
            lines += folded(f"    {sign}{each.condition.value}: {clean_text(each.reason)}", indent=6)
    return lines


def headline(facts: EnvironmentFacts) -> str:
    """The state of the environment, in a few words."""
    if facts.destroyed is not None:
        gone = facts.destroyed
        return f"destroyed by {gone.by or 'unknown'}, {when(gone.at)}, run {gone.run}"
    if not facts.recorded:
        return "no records here"
    if facts.intervention is not None:
        last = f"; last verified: {facts.release}, {when(facts.verified_at)}" if facts.release else ""
        return f"{paint('needs manual intervention', fg='red', bold=True)}{last}"
    if facts.release is None:
        return "no verified release"
    return f"{facts.release}, verified {when(facts.verified_at)}"


def run_line(run: RunFacts, *, holder: RunFacts | None = None) -> str:
    """A run that has not ended: what it does, who started it, and the command that follows or resumes it."""
    colour = {"working": "cyan", "interrupted": "magenta"}.get(run.activity, "yellow")
    holds = ", holds the environment" if holder is not None and holder.id == run.id else ""
    verb = "resume" if run.activity in {"interrupted", "paused"} else "watch"
    what = f"{run.kind} {run.id}" + (f" of {run.release}" if run.release else "")
    how = paint(activity_words(run), fg=colour)
    helps = f"implementation status {run.waits_for}" if run.waits_for else f"{verb} {run.id}"
    return f"{what}: {how}, by {run.by or 'unknown'}{holds}: orchestrator {helps}"


def host_lines(hosts: Sequence[HostState], *, every: bool = False) -> list[str]:
    """Hosts as a table: one row a host, or of many hosts one row for all that are alike."""
    if not hosts:
        return []
    sided = any(state.side is not None for state in hosts)
    if len(hosts) > LISTED and not every:
        return [*_grouped(hosts, sided=sided), f"{counted(len(hosts), 'host')}; list them with --hosts"]
    rows = [
        [
            state.host,
            release_of(state, digest=False),
            short(state.digest),
            truth_of(state),
            *([side_of(state)] if sided else []),
            when(state.since),
            state.run or "–",
        ]
        for state in hosts
    ]
    heads = ["host", "release", "digest", "truth", *(["side"] if sided else []), "since", "run"]
    return table(heads, rows, columns=_columns()).splitlines()


def _grouped(hosts: Sequence[HostState], *, sided: bool) -> list[str]:
    groups: dict[tuple[object, ...], list[HostState]] = {}
    for state in hosts:
        key = (release_of(state), state.truth, state.side, state.is_standby, state.switch_uncertain)
        groups.setdefault(key, []).append(state)
    rows: list[list[Cell]] = []
    for members in groups.values():
        first, newest = members[0], max(state.since or "" for state in members)
        names = few([state.host for state in members], 3)
        side = [side_of(first)] if sided else []
        rows.append([str(len(members)), release_of(first), truth_of(first), *side, when(newest or None), names])
    heads = ["hosts", "release", "truth", *(["side"] if sided else []), "since", "names"]
    return table(heads, rows, columns=_columns()).splitlines()


def _columns() -> int | None:
    wide = screen()
    return wide - 2 if wide is not None else None


def hosts_summary(hosts: Sequence[HostState]) -> str:
    """Which release runs on which hosts, in one line: names of few hosts, a count of many."""
    groups: dict[str, list[str]] = {}
    for state in hosts:
        what = release_of(state) if state.truth in {"seen", "empty"} else f"{release_of(state)} ({state.truth})"
        what += " (standby)" if state.is_standby and not state.switch_uncertain else ""
        groups.setdefault(what, []).append(state.host)
    return "; ".join(f"{what} on {list_names(names)}" for what, names in groups.items())
