"""The edge: whatever a command raises becomes a diagnostic, or a JSON document, and an exit status.

error[F123]: version must be text; YAML reads this as the number 1.1
  --> release.yaml:4:10
   |
 4 | version: 1.10
   |          ^^^^
   = hint: write version: "1.10"
   = docs: orchestrator explain F123
"""

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from orchestrator.app.own_process import exhaustion, mask_text
from orchestrator.cli import output
from orchestrator.domain.errors import Exit, OrchestratorError, OrchestratorErrors, Where
from orchestrator.domain.text import clean_text

BROKEN_PIPE = 141  # 128 + SIGPIPE: what a shell sees of any program whose reader has gone
WINDOW = 100  # columns of a long line that are shown
COLOURS = {"error": "red", "warning": "yellow"}


class OutputClosed(Exception):
    """The reader of the output of a command has closed it."""


@contextlib.contextmanager
def detect_closed_pipe() -> Iterator[None]:
    """Raise `OutputClosed` for a closed pipe: of the error itself, click makes an exit status of its own."""
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosed from error


RENAMED_OPTIONS = {"--again": "--allow-rolled-back", "--no-return": "--skip-irreversible"}
"""The options that were renamed, each with its new name."""


class UsageProblem(click.UsageError):
    """A wrong command line, and what would be right."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def run_guarded(run: Callable[[], Any], words: Sequence[str]) -> int:  # noqa: PLR0911 - one for each way to end
    """Call *run* and return the exit status. *words* are the command line, which is searched for `--json`."""
    as_json = "--json" in words
    try:
        answer = run()
        sys.stdout.flush()
        return answer if isinstance(answer, int) else Exit.OK
    except OrchestratorErrors as found:
        return show(found.errors, as_json)
    except OrchestratorError as error:
        return show([error], as_json)
    except click.exceptions.NoArgsIsHelpError as error:
        output.note(error.ctx.get_help() if error.ctx else error.format_message())
        return Exit.USAGE
    except click.ClickException as error:
        return _usage(error, as_json)
    except (KeyboardInterrupt, click.Abort):
        output.note()
        return show([OrchestratorError("M103", "interrupted")], as_json)
    except (OutputClosed, BrokenPipeError):
        output.silence(sys.stdout)  # what is still buffered must not be written at exit
        output.silence(sys.stderr)
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last net: everything else was caught by its name
        exhausted = exhaustion(error)
        return show([exhausted], as_json) if exhausted is not None else _crash(error, as_json)


def show(errors: Sequence[OrchestratorError], as_json: bool) -> int:
    """Write *errors* to standard error, or as JSON to standard output; the exit status is the first one's."""
    if as_json:
        output.print_json("Error", {"errors": [error.to_json() for error in errors]})
    else:
        output.note("\n\n".join(diagnostic(error) for error in errors))
        if len(errors) > 1:
            output.note(f"\n{len(errors)} errors")
    return errors[0].exit


def warn(error: OrchestratorError) -> None:
    """Write *error* to standard error as a warning."""
    output.note(diagnostic(error, "warning") + "\n")


def building(source: Path) -> None:
    """Print that a package is built of *source*, which takes a while."""
    output.note(f"building a package from {source.parent} …")


def _usage(error: click.ClickException, as_json: bool) -> int:
    message = error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    hint = getattr(error, "hint", None)
    ctx = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption) and (new := _new_name(error)):
        message = f"the option {error.option_name!r} is now {new!r}"
    if hint is None and ctx is not None:
        hint = f"{ctx.command_path} --help describes it"
    return show([OrchestratorError("M101", message, hint=hint)], as_json)


def _new_name(error: click.NoSuchOption) -> str:
    """The current name of an option that was renamed; empty if the command of *error* has none."""
    new = RENAMED_OPTIONS.get(error.option_name, "")
    params = error.ctx.command.params if error.ctx is not None else []
    return new if any(new in param.opts for param in params) else ""


def _crash(error: Exception, as_json: bool) -> int:
    """Keep the traceback in a file that only the user can read, and name it."""
    folder = next((path for path in _crash_folders() if path.is_dir() and os.access(path, os.W_OK)), None)
    descriptor, name = tempfile.mkstemp(prefix="crash-", suffix=".log", dir=folder)
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123 - it is open
        file.write(mask_text("".join(traceback.format_exception(error))))
    kind = type(error).__name__
    hint = f"the details are in {name}"
    return show(
        [OrchestratorError("M199", f"internal error: {kind}: {clean_text(str(error), 500)}", hint=hint)], as_json
    )


def _crash_folders() -> list[Path]:
    here = Path.cwd()
    chosen = os.environ.get("ORCHESTRATOR_STATE")
    return [Path(chosen)] if chosen else [folder / ".orchestrator" for folder in (here, *here.parents)]


def diagnostic(error: OrchestratorError, level: str = "error") -> str:
    """The error as text: message, place, line, caret, hint, and where to read more."""
    head = output.paint(f"{level}[{error.code}]", fg=COLOURS[level], bold=True, err=True)
    where = error.where
    number = str(where.line) if where and where.line else ""
    pad = " " * max(1, len(number))
    bar = output.paint("|", fg="blue", err=True)
    lines = [f"{head}: {clean_text(error.message)}"]
    if where is not None:
        lines.append(f"{pad} {output.paint('-->', fg='blue', err=True)} {clean_text(str(where))}")
        lines += [f"{pad} {bar}", *_excerpt(where, number, bar, level)]
    if error.hint:
        lines.append(f"{pad} = hint: {clean_text(error.hint)}")
    lines.append(f"{pad} = docs: orchestrator explain {error.code}")
    return "\n".join(lines)


def _excerpt(where: Where, number: str, bar: str, level: str) -> list[str]:
    """The line, or the part of it around the place, and carets below the place."""
    if where.line is None or where.text is None:
        return []
    column = max(1, where.column or 1)
    start = max(0, column - 1 - WINDOW // 2) if len(where.text) > WINDOW else 0
    before = _shown(where.text[start : column - 1])
    marked = _shown(where.text[column - 1 : column - 1 + where.width][: WINDOW // 2])
    after = _shown(where.text[column - 1 + where.width :][: max(0, WINDOW - len(before) - len(marked))])
    caret = output.paint("^" * max(1, output.width(marked)), fg=COLOURS[level], bold=True, err=True)
    line = f"{'…' if start else ''}{before}{marked}{after}".rstrip()
    indent = " " * (output.width(before) + bool(start))
    return [f"{number} {bar} {line}", f"{' ' * len(number)} {bar} {indent}{caret}"]


def _shown(text: str) -> str:
    """*text* as it can be aligned and shown: tabs are two spaces, and what a terminal would obey is a full stop."""
    return "".join("  " if c == "\t" else c if clean_text(c) == c and c != "\n" else "." for c in text)
