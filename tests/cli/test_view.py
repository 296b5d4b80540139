"""What is drawn while a run goes on, on a terminal and elsewhere."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.cli.output import folded, width
from orchestrator.cli.view import step_lines
from orchestrator.domain.step import Outcome

CODE = """
import sys
from orchestrator.cli.view import open_view
from orchestrator.domain.journal import Record, Run
from orchestrator.domain.story import RunView

run = Run(id="abc-staging", root="abc", kind="provision", environment="staging", by="ann")
story = RunView(run)
records = [
    Record(run=run.id, seq=1, at="2026-01-01T00:00:00+00:00", kind="step.started", step="one", data={"label": "first"}),
    Record(run=run.id, seq=2, at="2026-01-01T00:00:01+00:00", kind="step.finished", step="one",
           data={"outcome": "succeeded", "message": "done → here"}),
    Record(run=run.id, seq=3, at="2026-01-01T00:00:02+00:00", kind="step.started", step="two", data={"label": "other"}),
]
with open_view() as view:
    view.begin(story)
    for record in records:
        story.take(record)
        view.take(story, record)
    view.draw([story])
"""


def _on_a_terminal(code: str = CODE, /, **env: str) -> str:
    """What the code writes to a terminal."""
    ours, theirs = pty.openpty()
    surroundings = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path.cwd()), **env}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings
    )
    os.close(theirs)
    said, deadline = b"", time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    said += os.read(ours, 65536)
                except OSError:  # the other side was closed
                    break
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return said.decode()


def test_a_terminal_with_every_character_gets_them() -> None:
    """On a UTF-8 terminal the live view has its own marks, its arrow and its turning sign."""
    said = _on_a_terminal(PYTHONIOENCODING="utf-8")
    assert "✔" in said
    assert "done → here" in said
    assert re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", said)


def test_a_terminal_without_them_gets_plain_ones() -> None:
    """On an ASCII terminal there is no character that it cannot write, and none that means *unknown*."""
    said = _on_a_terminal(PYTHONIOENCODING="ascii")
    assert said.isascii()
    assert "done -> here" in said
    assert "?" not in re.sub("\x1b\\[\\?[0-9]*[hl]", "", said)


BESIDE = """
import sys
from datetime import UTC, datetime, timedelta
from orchestrator.cli.view import open_view
from orchestrator.domain.journal import Record, Run
from orchestrator.domain.story import RunView

until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
walk = {"name": "regions", "environments": [["eu-1"], ["eu-2", "us-1"]], "soak": "5m"}

def story(name, kind, records):
    run = Run(id=f"abc-{name}", root="abc", kind=kind, environment=name, by="ann")
    made = RunView(run)
    for number, (what, step, data) in enumerate(records, start=1):
        record = Record(run=run.id, seq=number, at="2026-01-01T00:00:00+00:00", kind=what, step=step, data=data)
        made.take(record)
        view.take(made, record)
    return made

with open_view() as view:
    view.beside = True
    top = story("regions", "waves", [
        ("planned", "", {"plan": None, "rollout": walk, "already_deployed": []}),
        ("wave", "", {"event": "begun", "number": 1, "runs": {"eu-1": "abc-eu-1"}}),
        ("wave", "", {"event": "soaking", "number": 1, "until": until}),
    ])
    sides = [story(name, "promotion", [("step.started", "deploy.1", {"label": f"deploy to {name}"})])
             for name in ("eu-2", "us-1")]
    view.draw([top, *sides])
"""


def test_several_environments_are_drawn_side_by_side() -> None:
    """What goes on in each environment of a wave has its own lines, with its name, and a soak says how long it is still."""
    said = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", _on_a_terminal(BESIDE, PYTHONIOENCODING="utf-8"))
    assert "wave 1 of 2: eu-1" in said
    assert re.search(r"eu-2 +[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] deploy to eu-2", said)
    assert re.search(r"us-1 +[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] deploy to us-1", said)
    assert re.search(r"wave 1 soaks: 4 m 5\d s left|wave 1 soaks: 5 m 0 s left", said)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_step_takes_no_more_than_the_terminals_width(columns: int) -> None:
    """The line of a step that went well fits; that of one that did not is folded, with nothing left out."""
    text = "smoke everywhere: " + "a rather long message of a test that tells what it has seen " * 3
    good = step_lines(Outcome.SUCCEEDED, text, "12.3 s", columns)
    assert [width(line) <= columns for line in good] == [True]
    bad = step_lines(Outcome.FAILED, text, "12.3 s", columns)
    assert all(width(line) <= columns for line in bad)
    told = " ".join(" ".join(bad).split()).removeprefix("✘ ").replace("12.3 s", "")
    assert " ".join(told.split()) == text.strip()


def test_a_line_is_folded_without_its_colours_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coloured line is folded where the same line without colours is, and a word that is too long stays whole."""
    monkeypatch.setattr("orchestrator.cli.output.terminal", lambda _stream=None: True)
    monkeypatch.setenv("COLUMNS", "20")
    plain, coloured = "  ! one two three four five", "  \x1b[33m!\x1b[0m one two \x1b[1mthree four five\x1b[0m"
    assert folded(plain, 4) == ["  ! one two three", "    four five"]
    assert [re.sub("\x1b\\[[0-9]*m", "", line) for line in folded(coloured, 4)] == folded(plain, 4)
    digest = "a" * 40
    assert folded(f"Digest   {digest} x", 9) == [f"Digest   {digest}", "      x"]


UNDONE = """
from orchestrator.cli.view import open_view
from orchestrator.domain.journal import Record, Run
from orchestrator.domain.story import RunView

with open_view() as view:
    for target in (None, {"release": {"name": "shop", "version": "1.0.0"}}):
        run = Run(id="abc-staging", root="abc", kind="promotion", environment="staging", by="ann")
        story = RunView(run)
        planned, undo = {"plan": None, "rollback_target": target}, {"from": "halting", "event": "undo", "to": "undoing"}
        for number, (kind, data) in enumerate([("planned", planned), ("state", undo)], 1):
            record = Record(run=run.id, seq=number, at="2026-01-01T00:00:00+00:00", kind=kind, data=data)
            story.take(record)
            view.take(story, record)
"""


def test_a_rollback_names_the_release_that_was_there() -> None:
    """The line of a rollback names its target, and says so when no release was there before."""
    said = _on_a_terminal(UNDONE)
    assert "rolling back: no release was here before" in said
    assert "rolling back to shop 1.0.0" in said
