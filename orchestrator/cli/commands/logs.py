"""`orchestrator logs`: the output of a run's steps and hosts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, out, paint, print_json_line

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.journal import Record

KINDS = {"task", "test", "resource", "notice", "files", "step.started", "step.finished", "wave"}
COLOURS = {"ok": "green", "succeeded": "green", "failed": "red", "errored": "magenta", "unreachable": "yellow"}


@click.command("logs")
@click.argument("run", shell_complete=completing.complete_runs)
@click.option(
    "--step",
    metavar="NAME",
    shell_complete=completing.steps,
    help="Only this step (its name, or the first characters of it).",
)
@click.option("--host", metavar="HOST", help="Only this host.")
@click.option("-f", "--follow", is_flag=True, help="Continue until the run ends.")
@click.option("--output", is_flag=True, help="Print the output of the engines instead.")
@click.option("--files", is_flag=True, help="List the files that playbooks wrote on this machine instead.")
@click.option(
    "--save", type=click.Path(file_okay=False, path_type=Path), help="With --files, copy these files into this folder."
)
@json_option
def command(
    run: str,
    step: str | None,
    host: str | None,
    follow: bool,
    output: bool,
    files: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """Print the log of RUN: each task on each host, each test, each resource, each message.

    With --output, prints the standard output and error of Pulumi, Ansible and pytest, job by job. If the project shares
    artifacts, this includes jobs that ran on other machines.

    With --files, lists the files that playbooks wrote on the controller beside their sources: logs, fact caches,
    fetched and generated files. Later runs do not see them.

    Terminal control characters are removed from the output of hosts. With --json each record is one line.
    """
    import time

    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    found = app.queries.find_run(app.actor, run)
    if files or save is not None:
        _print_files(app, found.id, step, save, as_json=as_json)
        return
    if output:
        _print_output(app, found.id, step, as_json=as_json)
        return
    reader = app.queries.reader(app.actor)
    last, shown = 0, 0
    while True:
        working = follow and not reader.run(found.id).ended and reader.has_worker(found.root)
        for record in reader.records(found.id, last):
            last = record.seq
            if _wanted(record, step, host):
                shown += 1
                _print(record, as_json=as_json)
        if not working:
            break
        time.sleep(0.1)
    if not shown and (step or host):
        names = sorted({r.step for r in reader.records(found.id) if r.step})
        raise _no_records(found.id, step, host, names)


def _no_records(run: str, step: str | None, host: str | None, names: list[str]) -> "OrchestratorError":
    """The error R142 of a *run* that has the steps *names*, and no record of *step* or *host*."""
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.text import few, nearest

    what = " and ".join([*([f"step {step!r}"] if step else []), *([f"host {host!r}"] if host else [])])
    hint = nearest(step, names) if step else f"its steps: {few(names, 12)}"
    return OrchestratorError("R142", f"{run} has no records of {what}", hint=hint)


def _print_output(app: "Application", run: str, step: str | None, *, as_json: bool) -> None:
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.domain.text import clean_text

    shown = 0
    for printed in app.queries.printed(app.actor, run):
        if step is not None and printed.step != step and not printed.step.startswith(f"{step}."):
            continue
        shown += 1
        with printed.file.open(encoding="utf-8", errors="replace") as lines:
            if as_json:
                about = {"step": printed.step, "job": printed.job, "digest": printed.digest}
                print_json_line("Output", {**about, "text": lines.read()})
                continue
            out(paint(printed.job, bold=True))
            for line in lines:
                out(clean_text(line.rstrip("\n"), None))
    if not shown and step:
        raise OrchestratorError("R142", f"no job of {run} has printed anything in {step!r}")


def _print_files(app: "Application", run: str, step: str | None, save: Path | None, *, as_json: bool) -> None:
    from orchestrator.app.run_output import copy_written
    from orchestrator.domain.text import clean_text

    for job, folder, files in app.queries.written(app.actor, run):
        name = job.removeprefix(f"{run}.")
        if step is not None and name != step and not name.startswith(f"{step}."):
            continue
        if as_json:
            print_json_line("Files", {"job": job, "step": name, "folder": str(folder), "files": files})
        for item in files:
            path = f"{item['more']} more files" if "more" in item else clean_text(str(item["path"]), 500)
            if not as_json:
                note = "" if item["kept"] else "  (not kept)"
                out(f"{name:<16} {item['change']:<8} {item['size']:>10} B  {path}{note}")
            if save is not None and item["kept"]:
                copy_written(folder, str(item["path"]), save / name)


def _wanted(record: "Record", step: str | None, host: str | None) -> bool:
    named = step is None or record.step == step or record.step.startswith(f"{step}.")
    return record.kind in KINDS and named and (host is None or record.host == host)


def _print(record: "Record", *, as_json: bool) -> None:
    if as_json:
        print_json_line("Record", record.to_json())
        return
    for line in _lines(record):
        out(f"{paint(record.at[11:23], fg='bright_black')} {line}")


def _lines(record: "Record") -> Iterator[str]:
    from orchestrator.domain.text import clean_text

    where = f"{record.step:<16}"
    if record.kind in _LINES:
        yield from _LINES[record.kind](record, where)
    else:
        yield from (f"{where} {line}" for line in clean_text(str(record.data.get("text", ""))).splitlines())


def _started(record: "Record", where: str) -> Iterator[str]:
    yield f"{where} {paint(str(record.data.get('label', '')), bold=True)}"


def _finished(record: "Record", where: str) -> Iterator[str]:
    from orchestrator.domain.text import clean_text

    yield f"{where} {_word(str(record.data['outcome']))} {clean_text(str(record.data.get('message', '')))}".rstrip()


def _task(record: "Record", where: str) -> Iterator[str]:
    from orchestrator.domain.text import clean_text

    data = record.data
    message = f"  {data['message']}" if data.get("message") else ""
    at = f"  {data['where']}" if data.get("where") else ""
    first, *rest = clean_text(f"{message}{at}").splitlines() or [""]
    yield f"{where} {record.host:<12} {_word(str(data['outcome']))} {clean_text(str(data['task']))}{first}"
    yield from (f"{where} {'':<12} {line}" for line in rest)


def _test(record: "Record", where: str) -> Iterator[str]:
    from orchestrator.domain.text import clean_text

    data = record.data
    yield f"{where} {record.host:<12} {_word(str(data['outcome']))} {data['name']}  {data['where']}".rstrip()
    yield from (f"{where} {'':<12}   {line}" for line in clean_text(str(data["message"])).splitlines())


def _wave(record: "Record", where: str) -> Iterator[str]:
    del where
    about = {name: value for name, value in record.data.items() if name != "event"}
    yield f"{record.data['event']:<16} {', '.join(f'{name} {_plain(value)}' for name, value in about.items())}"


def _files(record: "Record", where: str) -> Iterator[str]:
    from orchestrator.domain.text import clean_text

    listed = ", ".join(f"{item['path']} ({item['change']})" for item in record.data["files"])
    yield f"{where} wrote {record.data['count']} files on the controller: {clean_text(listed, 2000)}"


def _resource(record: "Record", where: str) -> Iterator[str]:
    data = record.data
    yield f"{where} {_word(str(data['status']))} {data['op']} {data['type']} {data['name']}"


_LINES: "dict[str, Callable[[Record, str], Iterator[str]]]" = {
    "step.started": _started,
    "step.finished": _finished,
    "task": _task,
    "test": _test,
    "wave": _wave,
    "files": _files,
    "resource": _resource,
}
"""How each kind of record is printed; the others are printed as their text."""


def _plain(value: object) -> str:
    items = [f"{name}: {each}" for name, each in value.items()] if isinstance(value, dict) else value
    return f"({', '.join(map(str, items))})" if isinstance(items, list) else str(items)


def _word(word: str) -> str:
    return paint(f"{word:<11}", fg=COLOURS.get(word))
