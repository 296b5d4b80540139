"""The cause of a test's failure, in one line: from pytest's account of it, without objects of testinfra or of ours."""

import re

TRACEBACK = "Traceback (most recent call last):"
QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
COMMAND = re.compile(
    rf"CommandResult\(command=(?P<command>{QUOTED}), exit_status=(?P<code>\d+), said=(?P<said>{QUOTED})\)"
)
OF_TESTINFRA = re.compile(r"(?:[\w.]+: )?(?:Unexpected (?:exit code -?\d+ for|output) )?CommandResult\(")
"""The start of a line that consists of a command's result, alone or in a sentence of testinfra's."""
BACKEND = re.compile(r"backend=<[^>]*>, ")
OBJECT = re.compile(r"<(?:[\w.]+\.)?(\w+) object at 0x[0-9a-f]+>")
COMPARED = re.compile(r"^assert (?:not )?(?P<value>True|False|None)$")
WHERE = re.compile(r"^\s*\+\s+where (?:True|False|None) = (?P<expression>.+)$")
LIMIT = 500


def cause(message: str) -> str:
    """The line of *message* (as pytest reports a failure) with the cause of the failure.

    The last line of a traceback or of the output of a command; otherwise the text of the test's author; otherwise what
    the assertion compared.
    """
    marked = next((line[2:].strip() for line in message.splitlines() if line.startswith("E  ")), "")
    own, explanation = _parted(marked or plain(message))
    return (_own(own) or _explained(explanation) or "no message")[:LIMIT]


def plain(message: str) -> str:
    """*message* without the addresses and the inner parts of objects."""
    return OBJECT.sub(r"<\1>", BACKEND.sub("", message))


def result_text(command: str, code: int, stdout: str, stderr: str) -> str:
    """How the result of a command is shown in pytest's account: short enough that pytest leaves its end in place."""
    output = _last(stderr) or _last(stdout)
    return f"CommandResult(command={_short(command, 60)!r}, exit_status={code}, said={_short(output, 120)!r})"


def _parted(message: str) -> tuple[list[str], list[str]]:
    """The lines that the failing code wrote, and the lines in which pytest explains an assertion."""
    lines = [line.rstrip() for line in message.removeprefix("AssertionError").removeprefix(": ").splitlines()]
    at = next((number for number, line in enumerate(lines) if re.match(r"assert\b", line)), len(lines))
    return [line for line in lines[:at] if line.strip()], [line for line in lines[at:] if line.strip()]


def _own(lines: list[str]) -> str:
    """The cause in what the failing code wrote."""
    if not lines:
        return ""
    ran = COMMAND.search(" ".join(lines))
    if ran is not None and OF_TESTINFRA.match(lines[0]):
        return _ended(ran)
    first, last = lines[0].strip(), lines[-1].strip()
    if len(lines) == 1 or TRACEBACK in "\n".join(lines):
        return last
    return f"{first} … {last}"


def _explained(lines: list[str]) -> str:
    """The cause in pytest's explanation of an assertion without a message."""
    if not lines:
        return ""
    ran = COMMAND.search(" ".join(lines))
    if ran is not None and int(ran["code"]) != 0:
        return _ended(ran)
    compared, where = COMPARED.match(lines[0]), WHERE.match(lines[1]) if len(lines) > 1 else None
    if compared is not None and where is not None:
        return f"{where['expression']} is {compared['value']}"
    return lines[0]


def _ended(ran: "re.Match[str]") -> str:
    """How a command ended, with the last line that it printed."""
    output = _unquoted(ran["said"])
    return f"`{_unquoted(ran['command'])}` ended with {ran['code']}" + (f": {output}" if output else "")


def _unquoted(text: str) -> str:
    """The words of a quoted text."""
    return re.sub(r"\\(['\"\\])", r"\1", text[1:-1])


def _last(text: str) -> str:
    """The last line of *text* that has words."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _short(text: str, limit: int) -> str:
    """*text* in one line of at most *limit* characters; its middle is left out."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-limit // 2 :]}"
