"""`make audit-mutate`: random changes of a recorded audit stream, each of which `verify` has to name.

The stream is made by the register. A mutation edits a field or a character of one entry, removes, moves, swaps or
repeats entries, cuts the end, or rewrites the rest with another key. What verification has to report is computed from
the mutation, without the code that verifies.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError

from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.domain.access.principals import Actor, User
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, AuditRecord, Finding, head_of, record_by
from orchestrator.domain.register import USERS
from orchestrator.register_ports import Changes

START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS, OTHER = MemoryKeys(), MemoryKeys(bytes(reversed(range(32))))
Rows = list[str]
"""The entries as the database has them: one JSON text for each."""


@dataclass(frozen=True)
class Mutation:
    """The *rows* after a change, and the first *index* that is wrong or missing. None: nothing is changed."""

    rows: Rows
    index: int | None


def stream(length: int) -> tuple[Rows, AuditHead]:
    """The rows and the head of a stream that the register made."""
    register = MemoryRegister()

    def add(changes: Changes, number: int) -> None:
        changes.put(USERS, User(name=f"u{number}"))
        at = START + timedelta(minutes=number)
        about = {"project": "shop", "at": at, "action": "people:manage", "object": f"user:u{number}"}
        changes.record(record_by(Actor(name="ann"), reason=f"reason {number}", **about))

    for number in range(length):
        register.changing("ann", partial(add, number=number))
    entries = register.reading(lambda records: records.audit())
    return [entry.model_dump_json() for entry in entries], head_of(entries[-1])


def edit_field(rows: Rows, draw: random.Random) -> Mutation:
    """Another value in one field of one entry."""
    place = draw.randrange(len(rows))
    data = json.loads(rows[place])
    name = draw.choice(sorted(set(data) - {"index"}))
    data[name] = {"detail": {"a": draw.randrange(9)}, "at": "2020-01-01T00:00:00.000Z"}.get(
        name, f"x{draw.randrange(9)}"
    )
    return Mutation([*rows[:place], json.dumps(data), *rows[place + 1 :]], place + 1)


def edit_character(rows: Rows, draw: random.Random) -> Mutation:
    """Another character in the text of one entry."""
    place = draw.randrange(len(rows))
    text = rows[place]
    at = draw.randrange(len(text))
    new = chr((ord(text[at]) - 32 + draw.randrange(1, 95)) % 95 + 32)
    changed = text[:at] + new + text[at + 1 :]
    try:
        same = AuditEntry.model_validate_json(changed) == AuditEntry.model_validate_json(text)
        moved = AuditEntry.model_validate_json(changed).index
    except (ValidationError, ValueError):
        same, moved = False, place + 1
    if same:
        return Mutation(rows, None)
    wrong = min(place + 1, moved)
    return Mutation([*rows[:place], changed, *rows[place + 1 :]], wrong)


def remove(rows: Rows, draw: random.Random) -> Mutation:
    """Entries are removed, also at the end."""
    place = draw.randrange(len(rows))
    return Mutation([*rows[:place], *rows[place + draw.randrange(1, 4) :]], place + 1)


def truncate(rows: Rows, draw: random.Random) -> Mutation:
    """The end is cut."""
    left = draw.randrange(len(rows))
    return Mutation(rows[:left], left + 1)


def swap(rows: Rows, draw: random.Random) -> Mutation:
    """Two entries change places."""
    one, other = sorted(draw.sample(range(len(rows)), 2))
    changed = list(rows)
    changed[one], changed[other] = changed[other], changed[one]
    return Mutation(changed, one + 1)


def repeat(rows: Rows, draw: random.Random) -> Mutation:
    """An entry is in the stream a second time, after itself."""
    place = draw.randrange(len(rows))
    return Mutation([*rows[: place + 1], rows[place], *rows[place + 1 :]], place + 1)


def rewrite(rows: Rows, draw: random.Random) -> Mutation:
    """One entry is edited, and everything from it on is made again with another key."""
    place = draw.randrange(len(rows))
    entries = [AuditEntry.model_validate_json(row) for row in rows[:place]]
    head = head_of(entries[-1]) if entries else AuditHead(project="shop", index=0, code="0" * 64)
    for row in rows[place:]:
        data = json.loads(row)
        record = {name: value for name, value in data.items() if name in AuditRecord.model_fields}
        record["actor"] = "eve" if data["index"] == place + 1 else data["actor"]
        entries.append(OTHER.chained(head, AuditRecord.from_json(record)))
        head = head_of(entries[-1])
    return Mutation([entry.model_dump_json() for entry in entries], place + 1)


MUTATIONS: tuple[Callable[[Rows, random.Random], Mutation], ...] = (
    edit_field, edit_character, remove, truncate, swap, repeat, rewrite,
)  # fmt: skip


def found(rows: Rows, head: AuditHead) -> int | None:
    """The first index that reading or verification reports."""
    entries: list[AuditEntry] = []
    for place, row in enumerate(rows):
        try:
            entries.append(AuditEntry.model_validate_json(row))
        except (ValidationError, ValueError):
            broken: Finding | Any = KEYS.broken(entries)
            return broken.index if broken else place + 1
    finding = KEYS.broken(entries, head=head)
    return finding.index if finding else None


def run(number: int, seed: int, length: int = 12) -> Counter[str]:
    """Mutate *number* times. Raises `AssertionError` with the seed of the first mutation that is not named."""
    rows, head = stream(length)
    assert found(rows, head) is None, "an unchanged stream is reported"
    counts: Counter[str] = Counter()
    for at in range(number):
        draw = random.Random(f"{seed}:{at}")
        mutate = draw.choice(MUTATIONS)
        mutation = mutate(rows, draw)
        index = found(mutation.rows, head)
        assert index == mutation.index, f"{mutate.__name__}, seed {seed}:{at}: {index} and not {mutation.index}"
        counts[mutate.__name__ if mutation.index else "no change"] += 1
    return counts


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Mutate a recorded audit stream, and verify that each is named.")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = run(options.runs, options.seed)
    listed = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    print(f"audit-mutate: {options.runs} mutations, every one named ({listed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
