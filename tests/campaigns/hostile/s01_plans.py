"""S1: plan documents in which something was changed, also with their digest and their code computed again."""

import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.domain.plan import Acknowledgements
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package
from orchestrator.planning import survey
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.flow.test_promotion import Stage
from tests.flow.test_verified_at_use import changes, execute, losing, planned, resigned

LINE, ABOUT = "S1", "plan documents that were changed"

FILE = {"R121", "R122", "R240", "R241", "R242"}
"""How a document is refused that this project did not make."""
STATED = {"E140", "E162", "E163", "E164", "R120"}
"""How one is refused that states something else than Pulumi's saved update plan."""
Texts = dict[str, str]
"""Changed documents, by what was changed."""


@dataclass(frozen=True)
class Made:
    """A plan in its file, and its changed documents: as they are, and with a valid code."""

    stage: Stage
    package: Package
    plain: Texts
    coded: Texts


def _made(folder: Path) -> Made:
    stage = losing(folder)
    package, file = planned(stage, Acknowledgements(replace=("p4",)))
    return Made(stage, package, _plain(file.read_text()), _coded(file.read_text()))


def _part(folder: Path, _end: ExitStack) -> Made:
    return _made(folder)


def _words(path: tuple[Any, ...]) -> str:
    """The place of a value; it is the same for each item of a list."""
    return ".".join("*" if isinstance(key, int) else str(key) for key in path)


def _plain(text: str) -> Texts:
    return {what: changed for what, _, changed in kinds(json.loads(text))}


def _coded(text: str) -> Texts:
    """Changes of what the document states of the stack, with the digest and the code that belong to them."""
    document, found = json.loads(text), Texts()
    part = {name: document.pop(name) for name in ("stack", "losses")}
    for what, path, changed in kinds(part):
        try:
            whole = resigned(json.dumps({**document, **json.loads(changed)}))
        except ValueError:  # no plan at all
            continue
        if json.loads(whole)["stack"] != part["stack"] or path[0] != "stack":
            found[what] = whole
    return found


def kinds(document: Any) -> Iterator[tuple[str, tuple[Any, ...], str]]:
    """Each change of a document in words, its place, and the changed text."""
    before, count = tuple[Any, ...](), 0
    for path, text in changes(document):
        count = count + 1 if path == before else 0
        before = path
        yield f"{('another', 'without', 'more in')[min(count, 2)]} {_words(path)}", path, text


def _attempt(what: str, coded: bool, yard: Yard) -> Outcome:
    made = yard.shared.part("plans", _part)
    before, copy = list(made.stage.world.ledger), yard.inside / "plan.json"
    copy.write_text((made.coded if coded else made.plain)[what])
    result = execute(made.stage, made.package, copy)
    if result in (STATED if coded else FILE) and made.stage.world.ledger == before:
        return HELD
    return Outcome(accepted=str(result.value if isinstance(result, State) else result))


def cases(seed: int) -> Iterator[Case]:
    """Each value of a plan replaced, removed and added to; of what it states of the stack also with a valid code."""
    with tempfile.TemporaryDirectory() as folder:
        made = _made(Path(folder))
    found = [Case(what, partial(_attempt, what, False)) for what in made.plain]
    found += [Case(f"{what} with a valid code", partial(_attempt, what, True)) for what in made.coded]
    random.Random(seed).shuffle(found)
    yield from found


DEFENCES: dict[str, Defence] = {
    "the code": lambda: replaced(MemoryKeys, "verify", lambda _self, _document: None),
    "the saved plan": lambda: replaced(survey, "_derived", lambda _setting, plan, _spec: plan.stack),
}
