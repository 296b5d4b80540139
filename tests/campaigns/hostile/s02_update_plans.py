"""S2: Pulumi's saved update plan, replaced or changed beside the plan that names it."""

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi import update_plan
from orchestrator.ports import SavedPlan
from tests.campaigns.hostile.case import Case, Defence, Outcome, Yard, refused, replaced
from tests.campaigns.hostile.s01_plans import kinds

LINE, ABOUT = "S2", "saved update plans of Pulumi that were changed"

GOOD: dict[str, Any] = {
    "manifest": {"time": "2026-01-01T00:00:00Z", "magic": "x", "version": "v3.259.0"},
    "config": {"shop:size": {"value": "small", "secure": False}},
    "resourcePlans": {
        "urn:pulumi:production::shop::pulumi:pulumi:Stack::shop": {"steps": ["same"], "state": "", "seed": "eA=="},
        "urn:pulumi:production::shop::loopback:host::web1": {
            "goal": {"type": "loopback:host", "name": "web1", "custom": True, "protect": False, "inputDiff": {}},
            "steps": ["create"],
            "seed": "eA==",
        },
        "urn:pulumi:production::shop::loopback:host::web2": {
            "goal": {"type": "loopback:host", "name": "web2", "inputDiff": {"adds": {"port": 1}, "deletes": ["old"]}},
            "steps": ["update"],
            "outputs": {"address": "127.0.0.2"},
        },
    },
}
DATA = json.dumps(GOOD).encode()
NOT_COVERED = {"time", "seed"}
"""What differs between two previews that found the same: the digest of the content leaves it out."""

Change = Callable[[Path], object]


def _linked(file: Path) -> None:
    file.with_name("x").write_bytes(b"{}")
    file.symlink_to("x")


RAW: dict[str, Change] = {
    "nothing in it": lambda file: file.write_bytes(b""),
    "a blank behind it": lambda file: file.write_bytes(DATA + b" "),
    "half of it": lambda file: file.write_bytes(DATA[: len(DATA) // 2]),
    "two of it": lambda file: file.write_bytes(DATA * 2),
    "a key twice": lambda file: file.write_bytes(b'{"resourcePlans": {}, ' + DATA[1:]),
    "another order": lambda file: file.write_bytes(json.dumps(dict(reversed(GOOD.items()))).encode()),
    "a mark at its beginning": lambda file: file.write_bytes(b"\xef\xbb\xbf" + DATA),
    "bytes that are no text": lambda file: file.write_bytes(b"\xff" * 40),
    "a list": lambda file: file.write_bytes(b"[]"),
    "levels without an end": lambda file: file.write_bytes(b"[" * 100_000),
    "a number without an end": lambda file: file.write_bytes(b'{"resourcePlans": ' + b"9" * 100_000 + b"}"),
    "no file": lambda file: file.unlink(missing_ok=True),
    "a folder": lambda file: file.mkdir(),
    "a link to nothing": lambda file: file.symlink_to("nowhere"),
    "a link to itself": lambda file: file.symlink_to(file.name),
    "a link to another": _linked,
}


def _raw(change: Change, yard: Yard) -> Outcome:
    file = yard.inside / "update.json"
    change(file)
    return _read(file, exact=True)


def _changed(text: str, exact: bool, yard: Yard) -> Outcome:
    file = yard.inside / "update.json"
    file.write_text(text)
    return _read(file, exact=exact)


def _read(file: Path, *, exact: bool) -> Outcome:
    digest = update_plan.file_digest(DATA) if exact else None
    saved = SavedPlan(file, update_plan.content_digest(DATA), digest, None)
    return refused(("E162", "E163"), lambda: update_plan.read_update_plan(saved))


def cases(seed: int) -> Iterator[Case]:
    """Each value replaced, removed and added to, where the file or only its content is stated; and other files."""
    found = [Case(f"{what} in its place", partial(_raw, change)) for what, change in RAW.items()]
    for what, path, text in kinds(GOOD):
        found.append(Case(what, partial(_changed, text, True)))
        if path[-1] not in NOT_COVERED:
            found.append(Case(f"{what}, by its content", partial(_changed, text, False)))
    random.Random(seed).shuffle(found)
    yield from found


DEFENCES: dict[str, Defence] = {
    "the file": lambda: replaced(update_plan, "file_digest", lambda _data: "same"),
    "the content": lambda: replaced(update_plan, "content_digest", lambda _data: "same"),
}
