"""Answers of hosts, generated: `python -m tests.campaigns.hostile.answers --count 100000 --seed 1`.

Half of them are valid answers that were changed: characters, numbers, lines and JSON are replaced by what does harm elsewhere. The
others are built of such pieces alone. Each one is read as an inspection, as a snapshot, and as the result of a task. What comes
of it must be of its type and within its bounds, in bounded time, and without an exception. Each thousandth is the answer of one
host of three in a run: the other two must not be affected.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from orchestrator.adapters.ansible import snapshot
from orchestrator.adapters.ansible.events import Translator
from orchestrator.adapters.ansible.tally import Tally
from orchestrator.domain.environment import SnapshotRule
from orchestrator.domain.fencing import LARGEST
from orchestrator.domain.host_answer import ANSWER, LEDGER_LINES, SERVED, HostAnswer, read_answer
from orchestrator.domain.model import DIGEST
from orchestrator.domain.promotion import State
from orchestrator.domain.snapshot import HostSnapshot
from orchestrator.domain.text import clean_text
from tests.flow.test_observe import PLACE, do
from tests.flow.test_promotion import Stage

LONGEST = 4_000_000  # characters of one answer
SLOW = 2.0  # seconds of processor time for one answer
DIGEST_A = "sha256:" + "a" * 64
LEDGER = {
    "run": "r1", "step": "deploy.1", "host": "web1", "part": "", "attempt": 1, "fence": 12, "digest": DIGEST_A,
    "outcome": "done", "at": "2026-01-01T00:00:00Z",
}  # fmt: skip
STATE = {"current": {"digest": DIGEST_A, "folder": "shop-1.0.0-aaaaaaaaaaaa", "fence": 12}}
VALID = f"""\
@disk 123456
@memory 654321
@command python3
@release {json.dumps(STATE)}
@link releases/shop-1.0.0-aaaaaaaaaaaa
@linked {json.dumps({"digest": DIGEST_A})}
@serves 1.0.0
@fence 12
@ledger {json.dumps(LEDGER)}
"""
SNAPSHOT = f"""\
@link releases/shop-1.0.0-aaaaaaaaaaaa
@state {json.dumps(STATE)}
@linked {json.dumps({"digest": DIGEST_A})}
@installed {json.dumps({"app": "a" * 64})}
@f regular file|644|root:root|./etc/x
@d {"a" * 64} *./etc/x
@l ./etc/y|x
@s ssh.service running
@n tcp 0100007F:1F90 0A 12345
@n tcp6 00000000000000000000000001000000:1F90 0A 12345
@i 12345
@fact system Linux
@p ii  bash:amd64 5.2
@no there is no stat
@end
"""
WORDS = (
    "disk", "memory", "command", "release", "link", "linked", "serves", "fence", "ledger", "state", "installed", "f", "d", "l",
    "s", "n", "i", "p", "no", "fact", "end", "mine",
)  # fmt: skip
PIECES = (
    "", "0", "-1", "+1", "1e9", "0x10", "1_0", " 12 ", "012", "²", "١٢", "１２", "½", "9" * 15, "9" * 16, "9" * 26, "9" * 5000,
    str(2**31), str(2**63), str(2**64), "inf", "NaN", "null", "true", "[]", "{}", '""', '{"digest": 5}',
    '{"digest": "sha256:' + "A" * 64 + '"}', '{"digest": "sha256:' + "a" * 64 + '\\n"}', '{"current": []}', '{"current": "x"}',
    '{"current": {"folder": "", "digest": []}}', "[" * 20000, '{"a":' * 20000, '"' + "\\" * 9999, '{"a": 1e999}',
    '{"digest": NaN}', '{"digest": -Infinity}', '{"fence": ' + "9" * 4400 + "}", '{"a": "\\ud800"}', "\ud800", "\x00", "\x1b[2J",
    "\u202e", "\u061c", "\u200b", "\ufeff", "\u2028", "\x85", "\x0b", "\r", "\t", "../../etc/passwd", "/", "//", "a" * 20000, "%s%n",
    "{{ 1 }}", "$(reboot)", "`id`", "';--", "\\", "|", "||||", ":", "::", "FFFFFFFF:FFFF", "0100007F:", ":1F90", "GG:GG",
    "0" * 33 + ":0001", "é" * 64, "sha256:", "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha512:" + "a" * 128,
)  # fmt: skip


@dataclass
class Figures:
    """How many answers were read, how many of them were refused as invalid, and what went wrong."""

    answers: int = 0
    invalid: int = 0
    runs: int = 0
    slowest: float = 0.0
    found: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.answers} answers, {self.invalid} invalid, {self.runs} in runs, slowest {self.slowest:.3f} s"
        return f"{text}, {len(self.found)} problems"


def answers(random: Random) -> Iterator[str]:
    """Answers without an end; which ones follows from *random* alone."""
    while True:
        valid = random.choice((VALID, SNAPSHOT))
        yield (changed(valid, random) if random.random() < 0.5 else built(random))[:LONGEST]


def changed(text: str, random: Random) -> str:
    """A valid answer in which a few places are others."""
    for _ in range(random.randrange(1, 5)):
        text = random.choice(CHANGES)(text, random)
    return text


def built(random: Random) -> str:
    """An answer of pieces."""
    lines = []
    for _ in range(random.randrange(1, 12)):
        words = [random.choice(PIECES) for _ in range(random.randrange(4))]
        lines.append(
            f"@{random.choice((*WORDS, random.choice(PIECES)))}{random.choice((' ', '', chr(9)))}{' '.join(words)}"
        )
    return "\n".join(lines)


def _piece(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(PIECES) + text[at + random.randrange(3) :]


def _value(text: str, random: Random) -> str:
    lines = text.split("\n")
    at = random.randrange(len(lines))
    lines[at] = f"{lines[at].partition(' ')[0]} {random.choice(PIECES)}"
    return "\n".join(lines)


def _line(text: str, random: Random) -> str:
    lines = text.split("\n")
    at = random.randrange(len(lines))
    return "\n".join([*lines[:at], *[lines[at]] * random.choice((0, 2, 500)), *lines[at + 1 :]])


def _character(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + chr(random.choice((random.randrange(128), random.randrange(0x11_0000)))) + text[at + 1 :]


CHANGES: tuple[Callable[[str, Random], str], ...] = (_piece, _value, _line, _character)


def fuzz(count: int, seed: int) -> Figures:
    """Read *count* answers in each way, and judge what comes of them."""
    random, figures = Random(seed), Figures()
    with tempfile.TemporaryDirectory(prefix="answers-") as folder:
        stage = Stage(Path(folder))
        stage.walk("1.0.0")
        for number, text in zip(range(count), answers(random), strict=False):
            wrong = judged(text, figures)
            if number % 1000 == 0:
                wrong += in_a_run(stage, text)
                figures.runs += 1
            figures.answers += 1
            if wrong:
                figures.found.append(f"answer {number} of seed {seed}: {'; '.join(wrong)}: {text[:200]!r}")
    return figures


def judged(text: str, figures: Figures | None = None) -> list[str]:
    """What is wrong with what comes of *text*."""
    begin, wrong = time.process_time(), list[str]()
    try:
        answer = read_answer(clean_text(text))
        wrong += _of_answer(answer)
        if figures is not None:
            figures.invalid += bool(answer.faults)
        seen = snapshot.parse_snapshot(clean_text(text), SnapshotRule())
        wrong += _of_snapshot(seen)
        wrong += _of_task(text)
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        wrong.append(f"an exception: {type(error).__name__}: {error}")
    took = time.process_time() - begin
    if figures is not None:
        figures.slowest = max(figures.slowest, took)
    if took > SLOW:
        wrong.append(f"it took {took:.1f} s")
    return wrong


def _of_answer(answer: HostAnswer) -> list[str]:
    checks = {
        "a digest": answer.release is None or DIGEST.fullmatch(answer.release) is not None,
        "a token": answer.fence is None or 0 <= answer.fence <= LARGEST,
        "a size": all(size is None or 0 <= size < 10**15 for size in (answer.disk, answer.memory)),
        "a version": answer.served is None
        or (len(answer.served) <= SERVED and clean_text(answer.served) == answer.served),
        "a ledger": len(answer.ledger) <= LEDGER_LINES and all(line.fence <= LARGEST for line in answer.ledger),
        "a reason of one line": "\n" not in answer.invalid and len(answer.invalid) < 1000,
        "JSON": HostAnswer.from_json(answer.to_json()) == answer,
    }
    return [f"not {name}: {str(answer)[:200]}" for name, holds in checks.items() if not holds]


def _of_snapshot(seen: HostSnapshot | str) -> list[str]:
    if isinstance(seen, str):
        return [] if "\n" not in seen else ["a reason of several lines"]
    good = seen.release is None or DIGEST.fullmatch(seen.release)
    modes = all(set(state.mode) <= set("01234567") for state in seen.files.values())
    return [] if good and modes and HostSnapshot.from_json(seen.to_json()) == seen else ["a snapshot that is none"]


def _of_task(text: str) -> list[str]:
    """The result of a task with *text* in it, or as it is."""
    try:
        parsed: Any = json.loads(text.partition(" ")[2].partition("\n")[0])
    except (ValueError, RecursionError):
        parsed = text
    results = (
        parsed,
        {"orchestrator_release": parsed, "msg": parsed, "diff": parsed, "stdout": parsed, "rc": parsed},
        {"orchestrator_release": {"digest": parsed}, "diff": [{"before": parsed, "after": text}], "results": parsed},
        {"diff": {"prepared": parsed, "before_header": parsed}, "changed": parsed},
    )
    return [wrong for result in results for wrong in of_task(result, Path("/nowhere"), text[:200])]


def of_task(result: Any, folder: Path, said: str = "") -> list[str]:
    """What is wrong with what comes of the *result* of a task of the collection."""
    spec = {"project": "/content", "own": "/job/around.yml", "check": True, "stdout": ANSWER}
    tally = Tally("deploy", ("web1",), lambda _entry: None, "job")
    for number, kind in enumerate(("runner_on_ok", "runner_on_failed")):
        data = {"host": "web1", "task": "Deploy", "task_action": "orchestrator.release.deploy", "res": result}
        line = Translator(spec, folder).translate({"event": kind, "event_data": data, "stdout": said})
        tally.take(number, json.loads(json.dumps(line)))
    ended = tally.host("web1")
    good = not ended.release or DIGEST.fullmatch(ended.release)
    return [] if good and "\n" not in ended.invalid else [f"a result that is none: {ended}"]


def in_a_run(stage: Stage, text: str) -> list[str]:
    """What is wrong when one host of three answers with *text* in an observation and in a promotion."""
    stage.world.answers["p2"] = text
    do(stage, "observe")
    known = {state.host: state.truth for state in stage.store.hosts(PLACE)}
    others = {known["p1"], known["p3"]} == {"seen"}
    ended = stage.walk(f"1.{stage.count}.0")
    blocked = stage.failure(ended).get("failure") or {}
    good = ended.state is State.SUCCEEDED or blocked.get("code") == "D183"
    return [] if others and good else [f"other hosts are {known}, the promotion {ended.state}: {blocked}"]


def main() -> int:
    """Read as many answers as the command line says, and print the figures."""
    parser = argparse.ArgumentParser(prog="answers", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    figures = fuzz(given.count, given.seed)
    print(figures)
    for text in figures.found[:20]:
        print(f"  {text}")
    return int(bool(figures.found))


if __name__ == "__main__":
    sys.exit(main())
