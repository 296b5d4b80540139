"""How commands write: data to standard output, progress to standard error, plainly where a terminal is not one.

Text may hold the pictures of `_ASCII`; where the stream's encoding cannot write them, plain characters take their
place. Colours are left out without a terminal, with `NO_COLOR` or `--no-color`, and on a dumb terminal.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO, TypeVar

import click

from orchestrator import API_VERSION
from orchestrator.app.own_process import mask_data, mask_text
from orchestrator.cli import completing
from orchestrator.cli.durations import DURATION
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.text import clean_text, coloured, is_seen
from orchestrator.structured_logs import FORMATS, TEXT

F = TypeVar("F", bound=Callable[..., Any])
Cell = str | tuple[str, str]
"""A table's cell: text, or text and the name of its colour."""

FOR_EVER = "3650d"  # longer than any queue
SHORTEST = 8  # columns that a cell keeps where a table is too wide
LABEL = 9  # columns of what a line is about, where several lines are about one thing: `Step 1   `
_WORD = re.compile(r"\s*\S+")

_ASCII = str.maketrans(
    {
        "✔": "+", "✘": "x", "●": "*", "◐": "~", "○": "o", "→": "->", "←": "<-", "…": "...", "–": "-", "—": "-",
        "├": "|", "└": "`", "│": "|", "─": "-", "·": "-", "×": "x", "“": '"', "”": '"', "’": "'", "≥": ">=", "≤": "<=",
    }
)  # fmt: skip


def json_option(function: F) -> F:
    """The option `--json`, which arrives as *as_json*."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")(function)


def log_format_option(function: F) -> F:
    """The option `--log-format`, which arrives as *log_format*."""
    return click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default=TEXT,
        show_default=True,
        help="The format of the log on standard error.",
    )(function)


ROWS = click.IntRange(1, 1000)
"""How many rows a list can have: at most `MOST_ROWS`, whose module `--help` does not import."""


def page_options(items: str, limit: int = 50) -> Callable[[F], F]:
    """The options `--limit` and `--cursor` of a list of *items*, which arrive as *limit* and *cursor*."""

    def decorate(function: F) -> F:
        cursor = click.option("--cursor", help="Continue after the page that printed this cursor.")
        help_ = f"Maximum number of {items}."
        maximum = click.option("-n", "--limit", type=ROWS, metavar="N", default=limit, show_default=True, help=help_)
        return maximum(cursor(function))

    return decorate


def sort_option(*orders: str, default: str | None, help_: str) -> Callable[[F], F]:
    """The option `--sort` of a list, with one of *orders* or each with a `-` before it. It arrives as *sort*."""
    names = [name for order in orders for name in (order, f"-{order}")]
    return click.option("--sort", type=click.Choice(names), default=default, show_default=default or False, help=help_)


def cursor_option_value(cursor: str | None, form: re.Pattern[str]) -> str | None:
    """*cursor*, if it has the *form* of those of a list. Raises click.BadParameter."""
    if cursor is not None and not form.fullmatch(cursor):
        raise click.BadParameter(f"{cursor!r} is not a cursor of this list", param_hint="--cursor")
    return cursor


def yes_option(function: F) -> F:
    """The option `--yes`, which arrives as *yes*."""
    return click.option("-y", "--yes", is_flag=True, help="Do not prompt for confirmation.")(function)


def wait_option(function: F) -> F:
    """The option `--wait`, which arrives as *wait*: seconds to wait for a busy environment, 0 for not at all."""
    help_ = "Wait for a busy environment, without a limit or at most TIME (30s, 5m, 4h)."
    option = click.option(
        "--wait", type=DURATION, is_flag=False, flag_value=FOR_EVER, default="0s", metavar="[TIME]", help=help_
    )
    return option(function)


def queue_option(function: F) -> F:
    """The option `--queue`, which arrives as *queue*: the workers that are to do it, empty for this process."""
    help_ = "Queue the request for the workers of this queue, and return at once."
    return click.option("--queue", default="", metavar="NAME", help=help_)(function)


def detach_option(function: F) -> F:
    """The option `--detach`, which arrives as *detach*."""
    return click.option("--detach", is_flag=True, help="Run in the background, and return at once.")(function)


def named_options(function: F) -> F:
    """The options `--replace` and `--point-of-no-return`, which arrive as *replace* and *points_of_no_return*."""
    steps = "Agree to this step, which cannot be undone. May be repeated."
    option = click.option("--point-of-no-return", "points_of_no_return", multiple=True, metavar="STEP", help=steps)
    return replace_option(option(function))


def replace_option(function: F) -> F:
    """The option `--replace`, which arrives as *replace*."""
    lost = "Agree that the update replaces or deletes this stateful resource (name or URN). May be repeated."
    return click.option("--replace", multiple=True, metavar="NAME", help=lost)(function)


def delete_option(function: F) -> F:
    """The option `--delete`, which arrives as *delete*."""
    lost = "Agree to delete this stateful resource (name or URN). May be repeated."
    return click.option("--delete", multiple=True, metavar="NAME", help=lost)(function)


def environment_argument(*, required: bool = True) -> Callable[[F], F]:
    """The argument ENVIRONMENT, which arrives as *environment*, with its completion."""
    return click.argument("environment", required=required, shell_complete=completing.environments)


def to_option(help_: str) -> Callable[[F], F]:
    """The option `--to`, which arrives as *environment*: an environment or a list of waves, with their completion."""
    return click.option("--to", "environment", metavar="ENV|WAVES", help=help_, shell_complete=completing.places)


_lasting = False


def ignore_broken_pipe() -> None:
    """Ignore from here on that a reader has closed a stream: the command completes its work without it."""
    global _lasting  # noqa: PLW0603 - there is one process, and one pair of streams
    _lasting = True


def silence(stream: TextIO) -> None:
    """Let *stream* lead nowhere, with what it still holds: the interpreter would try to write it at the end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def write(text: str, stream: TextIO) -> None:
    """Write a line to *stream*, with known secrets masked.

    Raises `OSError` when the reader has closed the stream, unless :func:`ignore_broken_pipe` was called.
    """
    try:
        click.echo(masked(text), file=stream)
    except OSError:
        silence(stream)
        if not _lasting:
            raise


_reveal = False


@contextlib.contextmanager
def revealed(*, clear: bool) -> Iterator[None]:
    """Print secrets in clear within this block, if *clear*: only if an operator has requested it by an option."""
    global _reveal  # noqa: PLW0603 - there is one process, and one command
    before, _reveal = _reveal, clear
    try:
        yield
    finally:
        _reveal = before


def masked(text: str) -> str:
    """*text* with known secrets masked, except within :func:`revealed`."""
    return text if _reveal else mask_text(text)


def print_json(kind: str, data: dict[str, Any]) -> None:
    """Write *data* to standard output as one JSON document with `apiVersion` and `kind`."""
    document = {"apiVersion": API_VERSION, "kind": kind, **_masked_data(data)}
    write(_json(document, indent=2), sys.stdout)


def print_json_line(kind: str, data: dict[str, Any]) -> None:
    """Write *data* as one line of JSON with `apiVersion` and `kind`: for commands that follow something."""
    document = {"apiVersion": API_VERSION, "kind": kind, **_masked_data(data)}
    write(_json(document, separators=(",", ":")), sys.stdout)


def _json(document: dict[str, Any], **form: Any) -> str:
    """*document* as JSON in which characters that are not shown, or act on a terminal, are escaped."""
    text = json.dumps(document, ensure_ascii=not unicode(sys.stdout), **form)
    if is_seen(text.replace("\n", "")):
        return text
    return "".join(char if char == "\n" or is_seen(char) else json.dumps(char)[1:-1] for char in text)


def _masked_data(data: dict[str, Any]) -> dict[str, Any]:
    """*data* with known secrets masked, so that it stays JSON."""
    return data if _reveal else mask_data(data)


def out(text: str = "") -> None:
    """Write a line of data to standard output."""
    write(writable(text, sys.stdout), sys.stdout)


def note(text: str = "") -> None:
    """Write a line of progress to standard error."""
    write(writable(text, sys.stderr), sys.stderr)


def unicode(stream: TextIO) -> bool:
    """Whether *stream* can write every character."""
    return (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")


def terminal(stream: TextIO | None = None) -> bool:
    """Whether *stream* (by default standard error) is a terminal that can redraw lines."""
    chosen = stream or sys.stderr
    return chosen.isatty() and os.environ.get("TERM", "") != "dumb"


def colour(stream: TextIO) -> bool:
    """Whether colours are used on *stream*."""
    return not os.environ.get("NO_COLOR") and terminal(stream)


def paint(text: str, *, fg: str | None = None, bold: bool = False, err: bool = False) -> str:
    """*text* in a colour, where standard output (or error, with *err*) takes one."""
    return click.style(text, fg=fg, bold=bold) if colour(sys.stderr if err else sys.stdout) else text


def writable(text: str, stream: TextIO) -> str:
    """*text* in characters that *stream* can write, masked, and with nothing that a terminal obeys but colours."""
    text = coloured(masked(text))
    if unicode(stream):
        return text
    encoding = getattr(stream, "encoding", None) or "ascii"
    return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)


def width(text: str) -> int:
    """How many columns of a terminal *text* takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, columns: int) -> str:
    """*text* in at most so many *columns*, with an ellipsis where something was left out."""
    if width(text) <= columns:
        return text
    while text and width(text) >= columns:
        text = text[:-1]
    return f"{text}…"


def screen(stream: TextIO | None = None) -> int | None:
    """How many columns the terminal has that *stream* (by default standard output) leads to; None without one."""
    return shutil.get_terminal_size().columns if terminal(stream or sys.stdout) else None


def folded(text: str, indent: int = 0, stream: TextIO | None = None) -> list[str]:
    """*text* in lines of the width of *stream*, cut between words; the second and later ones are indented.

    It is one line if *stream* (by default standard output) is not a terminal. A word that is wider than the screen
    stays whole, so that it can be copied.
    """
    wide = screen(stream)
    if wide is None or width(click.unstyle(text)) <= wide:
        return [text]
    margin = " " * min(indent, wide // 3)
    lines, line = [], ""
    for word in _WORD.findall(text):
        alone = margin + word.lstrip()
        if line.strip() and width(click.unstyle(line + word)) > wide >= width(click.unstyle(alone)):
            lines.append(line)
            line = alone
        else:
            line += word
    return [*lines, line]


def out_folded(text: str) -> None:
    """Write a line of data to standard output, folded to the screen below the column in which its content starts."""
    for line in folded(text, _hanging(text)):
        out(line)


def note_folded(text: str) -> None:
    """Write a line of progress to standard error, folded as by :func:`out_folded`."""
    for line in folded(text, _hanging(text), sys.stderr):
        note(line)


def _hanging(text: str) -> int:
    """The indent of what follows *text*: below the content after a label of `LABEL` columns, or a little deeper."""
    plain = click.unstyle(text)
    spaces = len(plain) - len(plain.lstrip())
    if not spaces and plain[LABEL - 1 : LABEL] == " ":
        return LABEL
    return spaces + 2


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]], columns: int | None = None) -> str:
    """Columns with *headers*, as wide as their longest cell. Cells are cleaned: they may come from anywhere.

    Where that takes more than so many *columns*, digests are left out first, and then the longest cells are cut.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    heads = [(head.upper(), "bright_black") for head in headers]
    if columns is not None and _wide(heads, cells) > columns and ("DIGEST", "bright_black") in heads:
        drop = heads.index(("DIGEST", "bright_black"))
        heads, cells = _without(heads, drop), [_without(row, drop) for row in cells]
    widths = _widths(heads, cells)
    while columns is not None and sum(widths) + 2 * (len(widths) - 1) > columns and max(widths) > SHORTEST:
        widths[widths.index(max(widths))] -= 1
    short = [[(cut(text, wide), style) for (text, style), wide in zip(row, widths, strict=True)] for row in cells]
    return "\n".join(_row(row, widths) for row in [heads, *short])


def _widths(heads: Sequence[tuple[str, str]], cells: Sequence[Sequence[tuple[str, str]]]) -> list[int]:
    return [max(width(row[at][0]) for row in [heads, *cells]) for at in range(len(heads))]


def _wide(heads: Sequence[tuple[str, str]], cells: Sequence[Sequence[tuple[str, str]]]) -> int:
    return sum(_widths(heads, cells)) + 2 * (len(heads) - 1)


def _without(row: Sequence[tuple[str, str]], place: int) -> list[tuple[str, str]]:
    return [cell for at, cell in enumerate(row) if at != place]


def _cell(cell: Cell) -> tuple[str, str]:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return clean_text(text).replace("\n", " "), style


def _row(row: Sequence[tuple[str, str]], widths: Sequence[int]) -> str:
    parts = [
        (paint(text, fg=style) if style else text) + " " * (wide - width(text))
        for (text, style), wide in zip(row, widths, strict=True)
    ]
    return "  ".join(parts).rstrip()


def confirm(question: str, yes: bool) -> None:
    """Return if *yes* was given or the user confirms. Raises M102 without a terminal, otherwise `click.Abort`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise OrchestratorError("M102", f"{question} There is no terminal for a prompt", hint="add --yes")
    click.confirm(writable(question, sys.stderr), abort=True, err=True)
