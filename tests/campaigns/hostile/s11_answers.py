"""S11: hosts that answer with what no host would answer, in each part of an inspection, a snapshot and a result."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from orchestrator.adapters.ansible import events, snapshot
from orchestrator.domain import host_answer
from tests.campaigns.hostile.answers import SNAPSHOT, VALID, in_a_run, judged, of_task
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.flow.test_promotion import Stage

LINE, ABOUT = "S11", "answers of hosts"
VALUES = {
    "nothing": "",
    "a superscript": "²",
    "5000 digits": "9" * 5000,
    "a list": "[1]",
    "an object of another shape": '{"current": [], "digest": {"a": 1}}',
    "a digest that is none": '{"digest": "sha256:x", "current": {"folder": "x", "digest": "x"}}',
    "brackets without end": "[" * 15_000,
    "half of a surrogate pair": '{"digest": "\\ud800"}',
    "what a terminal obeys": "\x1b]0;x\x07\x1b[2J\u202e\u061c\u200b",
    "a template": "{{ lookup('pipe', 'id') }}",
    "a very long line": "x" * 200_000,
}
PORTS = (
    "tcp ZZZZZZZZ:GGGG 0A 1", "tcp 0100007F:² 0A 1", "tcp6 0:1 0A 1", "udp 0100007F: 07 1", "tcp :: 0A 1", "tcp 0100007F 0A 1",
    "udp6 00000000000000000000000001000000:12345 07 1",
)  # fmt: skip
FIELDS = ("release", "linked", "link", "fence", "disk", "memory", "serves", "command", "ledger")
SEEN = ("state", "installed", "f", "d", "l", "s", "n", "i", "p", "no", "fact")
RESULTS: dict[str, Any] = {
    "a list": [1, 2],
    "a text": "x",
    "a number": 5,
    "deep": json.loads('{"msg": ' * 200 + "1" + "}" * 200),
    "lists where texts are": {"msg": [1], "stdout": {"a": 1}, "stderr": 5, "rc": "x", "results": "abc", "diff": 7},
    "a release that is a text": {"orchestrator_release": "sha256:x"},
    "a digest that is a list": {"orchestrator_release": {"digest": [1]}},
    "a digest without end": {"orchestrator_release": {"digest": "sha256:" + "a" * 100_000}},
    "differences without end": {"diff": [{"before": "a\n" * 200_000, "after": "b\n" * 200_000}]},
    "a prepared difference without a space": {"diff": {"prepared": "/ansible-tmp-" * 20_000}},
    "names of files without end": {"diff": [{"before": "", "after": "", "before_header": "/" * 300_000}]},
}


def cases(seed: int) -> Iterator[Case]:
    """Each value in each field, whole answers of pieces, and results of tasks."""
    random = Random(seed)
    for field in FIELDS:
        for name, value in VALUES.items():
            yield Case(f"{name} as {field}", partial(_answer, _with(VALID, field, value)))
    for field in SEEN:
        for name, value in VALUES.items():
            yield Case(f"{name} as {field} of a snapshot", partial(_snapshot, _with(SNAPSHOT, field, value)))
    for port in PORTS:
        yield Case(f"the port {port}", partial(_snapshot, _with(SNAPSHOT, "n", port)))
    for name, result in RESULTS.items():
        yield Case(f"a result that is {name}", partial(_result, result))
    lines = VALID.splitlines()
    random.shuffle(lines)
    yield Case("lines in another order", partial(_answer, "\n".join(lines)))
    yield Case("every line a thousand times", partial(_answer, "\n".join(lines * 1000)))
    yield Case("no line at all", partial(_answer, ""))
    yield Case("no line end", partial(_answer, VALID.replace("\n", "")))
    yield Case("other line ends", partial(_answer, VALID.replace("\n", "\u2028")))


def _with(text: str, field: str, value: str) -> str:
    """*text* with *value* in the line of *field*."""
    rest = [line for line in text.splitlines() if not line.startswith(f"@{field} ")]
    return "\n".join([f"@{field} {value}", *rest])


def _answer(text: str, yard: Yard) -> Outcome:
    """The answer of one host of three, in an observation, a promotion and by itself."""
    stage = Stage(yard.inside)
    stage.walk("1.0.0")
    return _outcome([*judged(text), *in_a_run(stage, text)])


def _snapshot(text: str, _yard: Yard) -> Outcome:
    return _outcome(judged(text))


def _result(result: Any, _yard: Yard) -> Outcome:
    return _outcome(of_task(result, Path("/nowhere")))


def _outcome(wrong: list[str]) -> Outcome:
    return Outcome(accepted="; ".join(wrong)) if wrong else HELD


DEFENCES: dict[str, Defence] = {
    "digest": lambda: replaced(host_answer, "_digest", lambda value: str(value) if value else None),
    "token": lambda: replaced(host_answer, "read_token", int),
    "result": lambda: replaced(events, "_task_or_invalid", vars(events)["_task"]),
    "ports": lambda: replaced(snapshot, "SOCKET", re.compile(r"(.*?):(.*)")),
}
