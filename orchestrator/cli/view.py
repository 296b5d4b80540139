"""A run while it is executed: what has ended as lines that stay, what is running as a few lines that are redrawn.

On a terminal the second part is redrawn below the first. Without a terminal there are only lines, so that the log of a
CI job has the same content.
"""

import contextlib
import sys
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from orchestrator.cli import output
from orchestrator.cli.words import duration_text, mark, state_words, when
from orchestrator.domain.journal import PROMOTION_KINDS, Record
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.rollback_text import rollback_lines
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.story import RunView, StepStory, reason_of
from orchestrator.domain.text import counted, first_line
from orchestrator.domain.waves import Progress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BESIDE = 3  # of each run, when several run side by side
SHOWN = 8  # hosts and resources of a step that are drawn at once
QUIET = {"lease", "hosts", "close", "current"}  # steps that are only worth a line when they fail
OWN = {"F", "P", "R", "S"}  # the first letters of the codes of files, packages, runs and the store
TURNS, PLAIN_TURNS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
COLUMNS = 80  # the width of lines without a terminal
TIME = 8  # columns for the seconds at the end of a line


class Lines:
    """Lines on standard error. Of several runs *beside* each other, each line starts with its environment.

    The journal is read every *every* seconds: less often if the view is not redrawn.
    """

    every = 0.25
    beside = False
    _whose = ""

    def begin(self, story: RunView) -> None:
        """Print the release and the environment of the run, with its id."""
        run = story.run
        what = f"{run.release} → {run.environment}" if run.release else f"{run.kind} of {run.environment}"
        what = f"rollback of {run.environment} to {run.release}" if run.kind == "rollback" else what
        with self._of(story):
            self.write(f"{output.paint(what, bold=True, err=True)}  (run {run.id}, by {run.by or 'unknown'})")

    def take(self, story: RunView, record: Record) -> None:
        """Print what has ended."""
        with self._of(story):
            self._take(story, record)

    @contextlib.contextmanager
    def _of(self, story: RunView) -> Iterator[None]:
        self._whose = whose(story) if self.beside else ""
        try:
            yield
        finally:
            self._whose = ""

    def _take(self, story: RunView, record: Record) -> None:
        if record.kind == "step.finished":
            self._step(story.steps[record.step], story.run.id)
        elif record.kind == "planned":
            for note in record.data.get("notes", ()):
                self.write(f"  {output.paint('!', fg='yellow', err=True)} {note}")
        elif record.kind == "notice" and _worth_saying(record):
            self.write(f"  {output.paint('○', fg='yellow', err=True)} {record.data['text']}")
        elif record.kind == "control" and record.data["control"]:
            by = record.data.get("by") or "unknown"
            self.write(f"  {output.paint('!', fg='yellow', err=True)} {by} requested: {record.data['control']}")
        elif record.kind == "state":
            self._state(story, record)
        elif record.kind == "wave" and story.wave_progress is not None:
            for line in wave_lines(story.wave_progress, record.data):
                self.write(line)
        elif record.kind == "ended":
            self._ended(story)

    @property
    def columns(self) -> int | None:
        """How wide lines may be; None without a terminal."""
        return None

    def draw(self, stories: list[RunView]) -> None:
        """Nothing is redrawn."""

    def stop(self) -> None:
        """Give the terminal back."""

    def write(self, line: str) -> None:
        """Write one line."""
        output.note(f"{self._whose}{line}")

    def _step(self, step: StepStory, run: str) -> None:
        result = step.result
        assert result is not None
        if step.name in QUIET and result.good:
            return
        text = f"{step.label}: {first_line(result.message)}" if result.message else step.label
        columns = self.columns - output.width(self._whose) if self.columns is not None else None
        for line in step_lines(result.outcome, text, duration_text(step.seconds), columns):
            self.write(line)
        for line in detail(step, run):
            self.write(f"      {line}")

    def _state(self, story: RunView, record: Record) -> None:
        if record.data.get("event") == Event.UNDO.value and story.run.kind in PROMOTION_KINDS:
            back = (story.planned.get("rollback_target") or {}).get("release") or {}
            where = f"{back.get('name', '')} {back.get('version', '')}".strip()
            text = f"rolling back to {where}" if where else "rolling back: no release was here before"
            self.write(output.paint(f"  ← {text}", fg="yellow", bold=True, err=True))
            for line in rollback_lines(story.rollback_plan):
                self.write(f"    {line}")

    def _ended(self, story: RunView) -> None:
        ending = story.ending or {}
        good = story.run.state in {State.SUCCEEDED, State.ROLLED_BACK}
        outcome = Outcome.SUCCEEDED if good and ending.get("exit") == 0 else Outcome.FAILED
        text = f"{state_words(story.run.state)}: {first_line(str(ending.get('message', '')), 300)}"
        if story.recovery is not None:
            text += f" ({duration_text(story.recovery)} from the failure to the restored release's tests)"
        self.write(f"{mark(outcome, err=True)} {output.paint(text, bold=True, err=True)}")


class Live(Lines):
    """The same lines, and below them what is running. A context: entered, it owns the terminal's last lines."""

    every = 0.08

    def __init__(self) -> None:
        self._console: Console | None = None
        self._live: Any = None
        self.note = ""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live as Region

        self._console = Console(stderr=True, highlight=False, no_color=not output.colour(sys.stderr))
        # What takes the place of standard error would hide its encoding, and whether it is a terminal.
        self._live = Region(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        with self._as_long_as_it_is_there():
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def columns(self) -> int | None:
        """The terminal's width, which may change."""
        return self._console.width if self._console else None

    def stop(self) -> None:
        """Give the terminal back."""
        with self._as_long_as_it_is_there():
            self._live.stop()

    def write(self, line: str) -> None:
        """Write one line above the region."""
        from rich.text import Text

        assert self._console is not None
        with self._as_long_as_it_is_there():
            self._console.print(Text.from_ansi(output.writable(f"{self._whose}{line}", sys.stderr)), soft_wrap=True)

    def draw(self, stories: list[RunView]) -> None:
        """Draw what is running."""
        with self._as_long_as_it_is_there():
            self._live.update(self._region(stories), refresh=True)

    @contextlib.contextmanager
    def _as_long_as_it_is_there(self) -> Iterator[None]:
        """Draw nothing more if the terminal was closed: that does not end a run."""
        try:
            yield
        except OSError:
            assert self._console is not None
            self._console.quiet = True

    def _region(self, stories: list[RunView]) -> "RenderableType":
        from rich.text import Text

        pictures = output.unicode(sys.stderr)
        turns = TURNS if pictures else PLAIN_TURNS
        turn = turns[int(time.monotonic() * 10) % len(turns)]
        lines: list[str] = []
        for story in stories:
            before, most = (whose(story), BESIDE) if self.beside else ("", SHOWN)
            lines += [f"{before}{line}" for step in story.running for line in _going_on(step, turn, most)]
            lines += [f"  {text}" for text in soaking(story)]
        lines += [f"  {self.note}"] if self.note else []
        text = Text.from_ansi("\n".join(output.writable(line, sys.stderr) for line in lines))
        text.no_wrap, text.overflow = True, "ellipsis" if pictures else "crop"
        return text


@contextlib.contextmanager
def open_view() -> Iterator[Lines]:
    """The view for where standard error leads."""
    if output.terminal(sys.stderr):
        with Live() as live:
            yield live
    else:
        yield Lines()


def whose(story: RunView) -> str:
    """The prefix of a line of *story* among parallel runs; empty for the run of the whole request."""
    return "" if story.run.kind == "waves" else output.paint(f"{story.run.environment} ", fg="cyan", err=True)


def soaking(story: RunView) -> Iterator[str]:
    """The wave that soaks now, and for how long it will."""
    progress = story.wave_progress
    if progress is not None and progress.soaking and not story.run.ended:
        left = datetime.fromisoformat(progress.until[progress.soaking]) - datetime.now(UTC)
        yield f"○ wave {progress.soaking} soaks: {duration_text(max(0.0, left.total_seconds()))} left"


def wave_lines(progress: Progress, data: dict[str, Any]) -> Iterator[str]:
    """The lines that a record of the kind `wave` is shown as."""
    event, runs = data["event"], ", ".join(data.get("runs", {}))
    if event == "begun":
        title = f"wave {data['number']} of {len(progress.waves.environments)}: {runs}"
        yield output.paint(title, bold=True, err=True)
    elif event == "soaking":
        yield f"  ○ wave {data['number']} soaks for {progress.waves.soak}, until {when(data['until'])}"
    elif event == "held":
        yield output.paint(f"  ! not started: {', '.join(data['environments'])} ({data['why']})", fg="yellow", err=True)
    elif event == "returning":
        yield output.paint(f"  ← wave {data['number']} rolls back: {runs}", fg="yellow", bold=True, err=True)
    elif event == "stays":
        yield f"  ! {data['environment']} stays as it is: {data['why']}"


def _worth_saying(record: Record) -> bool:
    """Whether a notice is shown as it comes: what is waited for, what hosts knew better, what a play wrote."""
    differs = record.step == "observe" and record.data.get("level") == "warning"
    is_notable = any(record.data.get(name) for name in ("reconciled", "flaky", "alert", "written"))
    return record.step == "lease" or differs or is_notable


def detail(step: StepStory, run: str = "") -> list[str]:
    """The lines about a step that has ended: each bad host and test with its reason, and where to read more."""
    result = step.result
    assert result is not None
    if result.good:
        return _changes(result)
    lines = [f"{mark(test.outcome, err=True)} {_test(test.name, test.host)}  {test.where}" for test in step.bad_tests()]
    bad = step.bad_hosts()
    if not lines and len(bad) == 1 and bad[0].where:  # the step's own message has the rest
        lines = [f"at {bad[0].where}"]
    elif not lines and len(bad) > 1:
        lines = [_bad_host(host) for host in bad[:SHOWN]]
    code = result.code
    more = [f"orchestrator explain {code}"] if code else []
    log = [log_command(step, run)] if run and not _refused(step, code) else []
    return lines[: SHOWN * 2] + log + more


def _refused(step: StepStory, code: str | None) -> bool:
    """Whether the orchestrator refused the step itself: its message has all of it, and no engine printed more."""
    return bool(code) and str(code)[0] in OWN and not (step.bad_hosts() or step.bad_tests())


def _bad_host(host: HostResult) -> str:
    task = f" [{host.task}]" if host.task else ""
    where = f"  {host.where}" if host.where else ""
    return f"{mark(host.outcome, err=True)} {host.host}{task} {reason_of(host.message)}{where}".rstrip()


def log_command(step: StepStory, run: str) -> str:
    """The command that prints all of what the step printed."""
    bad = step.bad_hosts()
    what = f" --host {bad[0].host}" if len(bad) == 1 else "" if bad or step.bad_tests() else " --output"
    return f"log: orchestrator logs {run} --step {step.name}{what}"


def _changes(result: StepResult) -> list[str]:
    changed = [f"{host.host} {host.changed} changed" for host in result.hosts if host.changed]
    return [_dim(", ".join(changed))] if changed and len(changed) <= SHOWN else []


def _test(name: str, host: str) -> str:
    short = name.rpartition("::")[2]
    return f"{short} on {host}" if host else short


def _going_on(step: StepStory, turn: str, most: int) -> Iterator[str]:
    yield f"  {output.paint(turn, fg='cyan', err=True)} {step.label}"
    if step.resources:
        open_ = [item for item in step.resources.values() if item.get("status") != "done"]
        for item in open_[:most]:
            yield _dim(f"      {item['op']} {item['type'].rpartition(':')[2]} {item['name']}")
    elif step.tests:
        bad = sum(not test.outcome.good for test in step.tests)
        yield _dim(f"      {counted(len(step.tests), 'test')} ended" + (f", {bad} not passed" if bad else ""))
    else:
        for host, task in list(step.tasks.items())[-most:]:
            yield _dim(f"      {host}: {first_line(str(task.get('task', '')), 80)}")


def step_lines(outcome: Outcome, text: str, took: str, columns: int | None) -> list[str]:
    """A step that is over, in lines of at most so many *columns* (None: one line, however long).

    A good one is cut if it does not fit. A bad one is folded, so that nothing of it is lost.
    """
    room = (columns or COLUMNS) - 5 - max(TIME, len(took))  # the mark is before it, the time after it
    lines = [text]
    if columns is not None:
        lines = [output.cut(text, room)] if outcome.good else textwrap.wrap(text, room, break_on_hyphens=False)
    first, *rest = lines or [""]
    padding = " " * max(0, room - output.width(first))
    head = f"  {mark(outcome, err=True)} {first}{padding} {_dim(took.rjust(TIME))}".rstrip()
    return [head, *(f"    {line}" for line in rest)]


def _dim(text: str) -> str:
    return output.paint(text, fg="bright_black", err=True)
