"""Both ways of one project beside each other, difference by difference."""

import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from orchestrator.hosts import loopback
from orchestrator.processes import kill_tree
from tests.shared_hosts import state_in
from tests.unchanged import by_hand, effects, through
from tests.unchanged.by_hand import Results
from tests.unchanged.project import Project, commit, lay_down

NONE = "nothing"


@dataclass(frozen=True)
class Difference:
    """One difference: what it is about, what by hand left or reported, and what the product did."""

    about: str
    by_hand: str
    product: str

    def __str__(self) -> str:
        return f"{self.about}: by hand {_short(self.by_hand)}; product {_short(self.product)}"


@dataclass
class Comparison:
    """What came of one project."""

    project: str
    effects: int = 0
    tasks: int = 0
    tests: int = 0
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    printed: str = ""

    def to_json(self) -> str:
        """One line, for the process that waits for it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Comparison":
        """What `to_json` wrote."""
        data = json.loads(line)
        return cls(**{**data, "differences": [Difference(**item) for item in data["differences"]]})


@dataclass
class Side:
    """One way: where the project lies, its hosts, and what was reported."""

    root: Path
    hosts: dict[str, loopback.Host]
    places: list[tuple[str, str]]
    results: Results
    left: dict[str, str]


def compare(project: Project, product: str = sys.executable) -> Comparison:
    """Run *project* both ways, each on hosts of its own, and compare. *product* is the interpreter of the product.

    With another product than ours it is not run by hand where that product does not end as the project says.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="unchanged-") as folder:
        place = Path(folder).resolve()
        theirs = _run(project, place / "product", product)
        if product != sys.executable and theirs.results.good is not project.good:
            word = "succeeded" if project.good else "failed"
            made = Comparison(project.name, differences=[Difference("the result", word, _good(theirs.results))])
        else:
            hand = _run(project, place / "hand", None)
            made = Comparison(project.name, effects=len(hand.left), tests=len(hand.results.tests))
            made.tasks = len(hand.results.tasks)
            made.differences = list(_differences(hand, theirs, good=project.good))
            if made.differences:
                made.printed = f"--- hand\n{hand.results.printed}\n--- product\n{theirs.results.printed}"
    made.seconds = time.monotonic() - began
    return made


def _run(project: Project, folder: Path, product: str | None) -> Side:
    """Run *project* one way in *folder*, by hand or with the interpreter of a *product*; its hosts are gone afterwards, and what they held is remembered."""
    state, root = folder / "state", folder / "project"
    state.mkdir(parents=True)
    with state_in(state):
        try:
            hosts = {host: loopback.start("unchanged", host) for host in project.hosts}
            lay_down(project, root, hosts)
            if product is not None:
                through.add_files(project, root)
            if (root / ".gitignore").exists():
                commit(root)
            if product is not None:
                results = through.run(project, root, folder / "home", folder / "backend", product)
            else:
                results = by_hand.run(project, root, folder / "home", folder / "backend")
            places = _places(root, folder, hosts)
            left = effects.of_hosts(hosts, places) | effects.of_controller(results.written, places)
            return Side(root, hosts, places, results, left)
        finally:
            kill_tree(f"HOME={folder / 'home'}")  # what an interruption has left of the programs of this way
            for host in loopback.recorded(state):
                loopback.remove_host(host)


def _places(root: Path, folder: Path, hosts: Mapping[str, loopback.Host]) -> list[tuple[str, str]]:
    """The places of one way that have other names in the other."""
    found = [(str(root), "<PROJECT>"), (str(folder), "<FOLDER>")]
    for job in (root / ".orchestrator" / "jobs").glob("*"):
        found += [(f"{job}/content", "<PROJECT>"), (str(job), "<JOB>")]
    for kept in sorted((root / ".orchestrator" / "packages").glob("*/content")):
        found.append((str(kept), "<PROJECT>"))
    for name, host in hosts.items():
        found += [(host.root, f"<{name}>"), (host.address, f"<{name}.address>"), (str(host.folder), f"<{name}.folder>")]
    return found


def _differences(hand: Side, product: Side, *, good: bool) -> Iterator[Difference]:
    """Every difference: whether it was as *good* as it has to be, files and variables, tasks, tests, outputs."""
    if not hand.results.good == product.results.good == good:
        yield Difference("the result", _good(hand.results), _good(product.results))
        return  # everything else follows from that
    yield from _of_mappings(hand.left, product.left, "")
    yield from _of_tasks(hand.results, product.results)
    by_hand, by_product = (
        {f"{name} on {host}": outcome for (name, host), outcome in side.results.tests.items()}
        for side in (hand, product)
    )
    yield from _of_mappings(by_hand, by_product, "test ")
    yield from _of_mappings(hand.results.outputs, product.results.outputs, "output ")


def _of_mappings(hand: Mapping[str, object], product: Mapping[str, object], what: str) -> Iterator[Difference]:
    for name in sorted({*hand, *product}):
        if hand.get(name) != product.get(name):
            yield Difference(f"{what}{name}", str(hand.get(name, NONE)), str(product.get(name, NONE)))


def _of_tasks(hand: Results, product: Results) -> Iterator[Difference]:
    """Task results, each host's in order."""
    for host in sorted({task[1] for task in (*hand.tasks, *product.tasks)}):
        first, second = (
            [(task, outcome) for task, on, outcome in side.tasks if on == host] for side in (hand, product)
        )
        counted, told = Counter(first), Counter(second)
        for task, outcome in sorted({*counted, *told}):
            if counted[task, outcome] != told[task, outcome]:
                times = f"{counted[task, outcome]} times", f"{told[task, outcome]} times"
                yield Difference(f"task {task!r} on {host} {outcome}", *times)
        if counted == told and first != second:
            yield Difference(f"the order of the tasks on {host}", str(first), str(second))


def _good(results: Results) -> str:
    """The result, with the error where there is one."""
    if results.good:
        return "succeeded"
    lines = [line.strip() for line in results.printed.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"error|✗|needs intervention", line)]
    errors += [line for line in lines if re.match(r"fatal|\[?ERROR", line)]
    return "failed: " + " / ".join((errors or lines[-1:])[:3])


def _short(text: str) -> str:
    text = text.replace("\n", "\\n")
    return text if len(text) <= 240 else f"{text[:237]}..."
