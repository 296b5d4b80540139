"""Train lines, trains and prognoses as users read them: in words, and as data for documents."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Cell, out_folded, print_json

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.management.trains.model import Boarding, Train, TrainLine, TrainRun
    from orchestrator.management.trains.prognosis import BoardingPrognosis, Prognosis

HEADS = ("train", "state", "line", "departs", "boarding until", "packages")
LINE_HEADS = ("line", "stops", "departures", "boarding closes", "conductor")
SIGNS = {"succeeded": "✔", "failed": "✘", "needs-help": "!", "started": "▶"}


def train_item(train: "Train") -> dict[str, Any]:
    """The train as data for documents."""
    return {"id": train.id, "train": train.to_json()}


def train_row(train: "Train") -> list[Cell]:
    """The train as a row of a table."""
    from orchestrator.domain.moments import minute_text

    aboard = ", ".join(str(member.release) for member in train.members if member.state != "withdrawn")
    times = [minute_text(train.departs_at), minute_text(train.boarding_closes_at)]
    return [train.id, train.state.value, train.line, *times, aboard or "–"]


def shown_train(train: "Train") -> Iterator[str]:
    """The train with its packages, its stops and its runs."""
    from orchestrator.domain.moments import minute_text

    yield f"{train.id} {train.state}: {train.line}, departs {minute_text(train.departs_at)}"
    yield f"  boarding until {minute_text(train.boarding_closes_at)}, conductor {train.conductor}"
    for number, stop in enumerate(train.stops, 1):
        reached = "reached" if train.stops_completed >= number else "not reached"
        when = f", from {stop.after_s} s after the departure" if stop.after_s else ""
        yield f"  stop {number}  {stop}{when}: {reached}"
    for member in train.members:
        yield f"  {member_text(member)}"
    if train.set_digest:
        yield f"  set    {train.set_digest}"
    for run in train.runs:
        yield f"  {train_run_line(run)}"
    if train.note:
        yield f"  note   {train.note}"


def member_text(member: "Boarding") -> str:
    """A package aboard, in a line."""
    parts = [f"{member.release} {member.state}", f"by {member.boarded_by}"]
    parts += [f"after {', '.join(member.after)}"] if member.after else []
    parts += [f"late: {member.late}"] if member.late else []
    why = f"{member.reason}: {member.note}" if member.reason is not None else member.note
    return ", ".join([*parts, *([why] if why else [])])


def train_run_line(run: "TrainRun") -> str:
    """A run of a train, in a line."""
    from orchestrator.management.trains.progress import run_text

    parts = [f"{SIGNS[run.state.value]} stop {run.stop}, {run_text(run)}: {run.state}"]
    parts += [f"as {run.followed}"] if run.followed and run.kind != "verification" else []
    parts += [run.note] if run.note else []
    return ", ".join(parts)


def print_train(train: "Train", *, as_json: bool) -> None:
    """Print a train."""
    if as_json:
        print_json("Train", train_item(train))
        return
    for line in shown_train(train):
        out_folded(line)


def line_row(line: "TrainLine") -> list[Cell]:
    """The line as a row of a table."""
    name = f"{line.name} (archived)" if line.is_archived else line.name
    stops = " → ".join(str(stop) for stop in line.stops)
    return [name, stops, cadence_text(line), closing_text(line.boarding_s), str(line.conductor)]


def cadence_text(line: "TrainLine") -> str:
    """When the trains of a line depart, in a phrase."""
    parts = [f"{line.start:%Y-%m-%d %H:%M}"] if line.start is not None else []
    parts += [line.rule] if line.rule is not None else []
    parts += [f"{date:%Y-%m-%d %H:%M}" for date in line.dates[:3]]
    parts += [f"and {len(line.dates) - 3} more dates"] if len(line.dates) > 3 else []
    return f"{', '.join(parts)} ({line.zone})"


def closing_text(boarding_s: int) -> str:
    """When boarding closes, in a phrase."""
    from orchestrator.cli.words import duration_text  # it imports models

    return f"{duration_text(boarding_s)} before" if boarding_s else "at the departure"


def print_line(line: "TrainLine", coming: "tuple[datetime, ...]", *, as_json: bool) -> None:
    """Print a line with its next departures."""
    from orchestrator.domain.moments import minute_text, moment_text

    if as_json:
        print_json("TrainLine", {"line": line.to_json(), "departures": [moment_text(each) for each in coming]})
        return
    state = " (archived)" if line.is_archived else ""
    out_folded(f"{line.name}{state}: {' → '.join(str(stop) for stop in line.stops)}")
    out_folded(f"  departs   {cadence_text(line)}")
    out_folded(f"  boarding  closes {closing_text(line.boarding_s)}, conductor {line.conductor}")
    if line.rehearse:
        out_folded("  rehearsal of the set at the first stop")
    for each in coming:
        out_folded(f"  next      {minute_text(each)}")


def prognosis_lines(found: "Prognosis") -> Iterator[str]:
    """What would leave, what stays or waits, and why."""
    from orchestrator.domain.moments import minute_text

    leaving = len(found.leaving)
    yield f"{found.train}, departure {minute_text(found.departs_at)}: {leaving} of {len(found.members)} would leave"
    for stop in found.stops:
        waits = f", waits until {minute_text(stop.until)}" if stop.until is not None else ""
        yield f"  stop {stop.number}, {', '.join(stop.environments)}: {minute_text(stop.at)}{waits}"
    for member in found.members:
        yield from _member_lines(member)
    if not found.members:
        yield "  no package is aboard"


def _member_lines(member: "BoardingPrognosis") -> Iterator[str]:
    from orchestrator.domain.moments import minute_text

    where = f" to {', '.join(member.environments)}" if member.environments else ""
    yield f"  {'✔' if member.leaves else '✘'} {member.package} {'leaves' if member.leaves else 'stays'}{where}"
    for each in member.obstacles:
        until = f" (until {minute_text(each.until)})" if each.until is not None else ""
        yield f"      {'waits' if each.waits else 'stays'}: {each.reason}: {each.text}{until}"
