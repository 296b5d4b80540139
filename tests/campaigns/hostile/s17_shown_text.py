"""S17: characters that act on a terminal, hide, or change the order of text, in everything that is shown."""

import contextlib
import io
import json
import random
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial

from orchestrator.cli import output, report
from orchestrator.domain import text as encoder
from orchestrator.domain.errors import OrchestratorError, Where
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S17", "characters that act on a terminal, or hide"

SEQUENCES = {
    "a colour": "\x1b[31m",
    "hidden text": "\x1b[8m",
    "blinking text": "\x1b[5;7m",
    "a cleared screen": "\x1b[2J\x1b[H",
    "a moved cursor": "\x1b[1A\x1b[2K",
    "a saved cursor": "\x1b7\x1b8",
    "a reset": "\x1bc",
    "a title": "\x1b]0;owned\x07",
    "a title that is not ended": "\x1b]0;owned",
    "a hyperlink": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "the clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "a request of a device": "\x1b[c\x1b[6n",
    "a device control string": "\x1bP$q\x1b\\",
    "an application command": "\x1b_evil\x1b\\",
    "a privacy message": "\x1b^evil\x1b\\",
    "a start of string": "\x1bXevil\x1b\\",
    "another character set": "\x1b(0",
    "a mode of the mouse": "\x1b[?1000h",
    "the alternate screen": "\x1b[?1049h",
    "an eight-bit sequence": "\x9b31m",
    "an eight-bit title": "\x9d0;owned\x9c",
    "a sequence in a sequence": "\x1b[3\x1b[31m1m",
    "a sequence that is torn": "\x1b[31",
    "an escape alone": "\x1b",
    "a carriage return": "good\rbad",
    "backspaces": "bad\b\b\bok",
    "a bell": "\x07",
    "a zero byte": "a\x00b",
    "a delete": "a\x7fb",
    "a vertical tab": "a\x0bb",
    "a form feed": "a\x0cb",
    "a next line": "a\x85b",
    "a shift out": "\x0e\x0f",
}
SINGLE = {
    "an embedding to the right": "\u202b",
    "an override": "\u202e",
    "a pop of direction": "\u202c",
    "an isolate": "\u2067",
    "a pop of an isolate": "\u2069",
    "a mark to the right": "\u200f",
    "a mark of Arabic letters": "\u061c",
    "a space of width zero": "\u200b",
    "a joiner": "\u200d",
    "a word joiner": "\u2060",
    "an invisible operator": "\u2063",
    "a deprecated format character": "\u206f",
    "a soft hyphen": "\u00ad",
    "a byte order mark": "\ufeff",
    "a separator of Mongolian vowels": "\u180e",
    "an annotation": "\ufff9",
    "a tag": "\U000e0041",
    "a selector of variants": "\ufe0f",
    "a further selector of variants": "\U000e0100",
    "a joiner of graphemes": "\u034f",
    "a filler of Hangul": "\u3164",
    "a half filler of Hangul": "\uffa0",
    "a blank of Braille": "\u2800",
    "a separator of lines": "\u2028",
    "a separator of paragraphs": "\u2029",
    "a private character": "\ue000",
    "a private character of another plane": "\U0010fffd",
    "a character that is none": "\ufffe",
    "an unassigned character": "\u0378",
    "half of a pair": "\ud800",
    "a space that does not break": "\u00a0",
    "an ideographic space": "\u3000",
    "a space of musical notes": "\U0001d173",
}
INVISIBLE = set("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
OURS = re.compile(r"\x1b\[(?:[01]|3[0-7]|9[0-7])m")


def strange(text: str) -> list[str]:
    """The characters of *text* that are not on the list; what the product thinks of them does not matter here."""
    return [
        f"U+{ord(char):04X}"
        for char in OURS.sub("", text)
        if char not in " \n\t" and (unicodedata.category(char)[0] in "CZ" or char in INVISIBLE)
    ]


# -- where text is shown -----------------------------------------------------------------------------------------------


def _captured(work: Callable[[], object], encoding: str = "utf-8") -> tuple[str, str]:
    """What *work* writes to standard output and standard error."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, errors="surrogatepass") for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        work()
    found = []
    for stream in streams:
        stream.flush()
        buffer = stream.buffer
        assert isinstance(buffer, io.BytesIO)
        found.append(buffer.getvalue().decode(encoding, "surrogatepass"))
    return found[0], found[1]


def _plain(work: Callable[[str], object], text: str, _yard: Yard) -> Outcome:
    wrong = strange("".join(_captured(lambda: work(text))))
    return Outcome(accepted=", ".join(wrong)) if wrong else HELD


def _json(work: Callable[[str], object], text: str, _yard: Yard) -> Outcome:
    shown, _ = _captured(lambda: work(text))
    wrong = strange(shown)
    data = json.loads(shown)
    same = data.get("text", text) == text
    return HELD if same and not wrong else Outcome(accepted=", ".join(wrong) or "the text is another one")


def _error(text: str) -> OrchestratorError:
    return OrchestratorError("M101", text, hint=text, where=Where(text, 1, 3, f"key: {text}", 2))


Attempt = Callable[[str, Yard], Outcome]
OUTLETS: dict[str, Attempt] = {
    "a line of data": partial(_plain, output.out),
    "a line of progress": partial(_plain, output.note),
    "a folded line": partial(_plain, output.out_folded),
    "the live view": partial(_plain, lambda text: sys.stdout.write(output.writable(text, sys.stdout))),
    "a table": partial(_plain, lambda text: output.out(output.table(["name"], [[text], [(text, "red")]]))),
    "an error": partial(_plain, lambda text: report.show([_error(text)], as_json=False)),
    "a warning": partial(_plain, lambda text: report.warn(_error(text))),
    "a crash": partial(_plain, lambda text: output.note(encoder.first_line(text) + encoder.last_line(text))),
    "text that is kept": lambda text, _yard: (
        Outcome(accepted="kept") if strange(encoder.clean_text(text, 50)) else HELD
    ),
    "JSON": partial(_json, lambda text: output.print_json("Test", {"text": text})),
    "a line of JSON": partial(_json, lambda text: output.print_json_line("Test", {"text": text})),
    "an error in JSON": partial(_json, lambda text: report.show([_error(text)], as_json=True)),
}


def cases(seed: int) -> Iterator[Case]:
    """Every sequence and character in every place, between random letters."""
    chance = random.Random(seed)
    found = []
    for what, hostile in {**SEQUENCES, **SINGLE}.items():
        for where, attempt in OUTLETS.items():
            before, after = ("".join(chance.choices("abc xyz", k=4)) for _ in range(2))
            found.append(Case(f"{what} in {where}", partial(_attempt, attempt, before + hostile + after)))
    chance.shuffle(found)
    yield from found


def _attempt(attempt: Attempt, text: str, yard: Yard) -> Outcome:
    return attempt(text, yard)


DEFENCES: dict[str, Defence] = {
    "encoder": lambda: replaced(encoder, "_seen", lambda text: text),
    "lines": lambda: replaced(output, "coloured", lambda text: text),
    "unseen letters": lambda: replaced(encoder, "_UNSEEN", re.compile("(?!)")),
    "colours": lambda: replaced(encoder, "_COLOURS", re.compile(r"(\x1b\[[0-9;]*m)")),
    "JSON": lambda: replaced(
        output, "_json", lambda document, **form: json.dumps(document, ensure_ascii=False, **form)
    ),
}
