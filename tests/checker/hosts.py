"""What hosts say of themselves, by their own files: read with none of our code.

A host that carries a release folder of the collection says in `state.json` what is current there. One that ordinary
playbooks act on has a file `app.conf` with lines `name = value`, the digest of the release among them, and a file
`effects` with a line `time began|ended run step` for each thing that a playbook did. Both have our ledger.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.checker.invariants import Done

OURS = {".orchestrator", ".ansible", "effects", "hold"}
"""What a host keeps whatever runs there: no part of a release."""


@dataclass(frozen=True)
class Noted:
    """One line that a playbook wrote on its host: it *began* (or ended) *step* of *run* at *time*."""

    host: str
    time: float
    began: bool
    run: str
    step: str


def running(root: Path) -> str | None:
    """The digest of the release that runs on the host."""
    state = root / ".orchestrator" / "state.json"
    if state.exists():
        current: dict[str, Any] = json.loads(state.read_text(encoding="utf-8")).get("current") or {}
        return current.get("digest")
    return configured(root).get("digest")


def configured(root: Path) -> dict[str, str]:
    """What ordinary playbooks have configured; nothing where they did not, or have taken it back."""
    try:
        lines = (root / "app.conf").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split(" = ", 1) for line in lines)


def noted(host: str, root: Path) -> list[Noted]:
    """What ordinary playbooks did there, in order."""
    try:
        lines = (root / "effects").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    words = (line.split() for line in lines)
    return [Noted(host, float(time), what == "began", run, step) for time, what, run, step in words]


def files(root: Path) -> dict[str, bytes]:
    """The files that releases have put there, by name."""
    found = (path for path in sorted(root.rglob("*")) if path.relative_to(root).parts[0] not in OURS)
    return {str(path.relative_to(root)): path.read_bytes() for path in found if path.is_file()}


def claimed(host: str, root: Path) -> set[tuple[str, str, str]]:
    """The host, run and step of each line of the ledger."""
    return {(host, line["run"], line["step"]) for line in _lines(root)}


def done(host: str, root: Path) -> list[Done]:
    """What the ledger says was begun and came to its end, in order."""
    return [
        Done(host, line["run"], f"{line['step']}/{line['part']}", int(line["fence"])) for line in _effects(_lines(root))
    ]


def _effects(lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was begun and came to its end. A *done* that nobody began says that an earlier attempt had done it."""
    begun = set[tuple[Any, ...]]()
    for line in lines:
        attempt = tuple(line[name] for name in ("run", "step", "part", "attempt", "fence"))
        if line["outcome"] == "began":
            begun.add(attempt)
        elif attempt in begun:
            begun.discard(attempt)
            if line["outcome"] == "done":
                yield line


def _lines(root: Path) -> list[dict[str, Any]]:
    try:
        text = (root / ".orchestrator" / "ledger.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
