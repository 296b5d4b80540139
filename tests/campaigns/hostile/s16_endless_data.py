"""S16: small files and outputs that stand for a lot: aliases in aliases, deep nesting, long numbers, broken dates."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from orchestrator.adapters import safe_yaml
from orchestrator.adapters.ansible import document, playbook_yaml
from orchestrator.adapters.ansible.ledger import records_itself
from orchestrator.adapters.ansible.playbook_reader import PlaybookReader
from orchestrator.adapters.ansible.playbook_reader import reader as playbooks
from orchestrator.adapters.archive import galaxy, galaxy_lock, selection
from orchestrator.adapters.archive.galaxy_lock import entries_digest
from orchestrator.adapters.archive.references import references
from orchestrator.adapters.pulumi import inventory as inventories
from orchestrator.config import load_environment, load_project, load_release, source
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.model import digest_of
from orchestrator.domain.variables import inventory_document
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S16", "small data that stands for a lot"

SLOW = 20.0  # seconds
MOST = 2_000_000  # values


def _bomb(first: str, level: Callable[[int], str], levels: int = 40) -> str:
    return "\n".join([first, *(level(number) for number in range(1, levels))]) + "\n"


def _documents(chance: random.Random) -> dict[str, str]:
    """Texts of YAML, each by what is wrong with it."""
    width = chance.randint(7, 9)
    many = ", ".join
    return {
        "lists of aliases": _bomb("a0: &a0 [x]", lambda n: f"a{n}: &a{n} [{many([f'*a{n - 1}'] * width)}]"),
        "mappings of aliases": _bomb(
            "a0: &a0 {x: 1}", lambda n: f"a{n}: &a{n} {{{many(f'k{i}: *a{n - 1}' for i in range(width))}}}"
        ),
        "merged aliases": _bomb("a0: &a0 {x: 1}", lambda n: f"a{n}: &a{n} {{<<: *a{n - 1}, k: *a{n - 1}}}"),
        "lists of merged aliases": _bomb(
            "a0: &a0 {x: 1}", lambda n: f"a{n}: &a{n} {{<<: [{many([f'*a{n - 1}'] * 9)}]}}"
        ),
        "long texts in aliases": _bomb(f"a0: &a0 {'x' * 5000}", lambda n: f"a{n}: &a{n} [*a{max(0, n - 1)}, *a0]", 30),
        "aliases in aliases, nine deep": _bomb("a0: &a0 [x]", lambda n: f"a{n}: &a{n} [{many([f'*a{n - 1}'] * 9)}]", 9),
        "a list that is in itself": "a: &a [*a]\n",
        "a mapping that is in itself": "a: &a {b: *a}\n",
        "a mapping that is merged into itself": "a: &a {<<: *a, b: 1}\n",
        "a list that is in itself, far inside": "a: &a [[[[{b: [*a]}]]]]\n",
        "two lists in each other": "a: &a [&b [*a]]\nb: *b\n",
        "an alias of nothing": "a: *none\n",
        "an anchor twice": "a: &x 1\nb: &x 2\nc: *x\n",
        "many anchors": "".join(f"a{n}: &x{n} 1\n" for n in range(10_000)),
        "many keys": "".join(f"a{n}: 1\n" for n in range(10_000)),
        "one key many times": "a: 1\n" * 20_000,
        "deep lists": "a: " + "[" * 20_000 + "]" * 20_000 + "\n",
        "deep lists that are not closed": "a: " + "[" * 20_000 + "\n",
        "very deep lists": "a: " + "[" * 400_000 + "]" * 400_000 + "\n",
        "very deep mappings": "a: " + "{a: " * 200_000 + "\n",
        "very deep dashes": "- " * 400_000 + "a\n",
        "deep mappings": "a: " + "{b: " * 5_000 + "1" + "}" * 5_000 + "\n",
        "deep blocks": "".join(f"{' ' * n}a:\n" for n in range(1_000)),
        "deep dashes": "- " * 10_000 + "a\n",
        "a long number": f"a: {'9' * 50_000}\n",
        "a number with a large exponent": "a: 1e999999999\n",
        "a long number in base eight": f"a: 0o{'7' * 50_000}\n",
        "a number in base sixty": f"a: {':'.join(['59'] * 5_000)}\n",
        "a number with underscores": f"a: 1{'_' * 50_000}1\n",
        "no number": "a: .nan\nb: -.inf\n",
        "a day that is none": "a: 2001-99-99\n",
        "a year that is none": "a: 0000-01-01\n",
        "a time that is none": "a: 2001-01-01 99:99:99\n",
        "a time zone that is none": "a: 2001-01-01T00:00:00+99:99\n",
        "a tag of Python": "a: !!python/object/apply:os.system [id]\n",
        "a name of Python": "a: !!python/name:os.system\n",
        "a module of Python": "a: !!python/module:os\n",
        "a tag of an unknown kind": "a: !evil x\n",
        "a tag with a directive": "%TAG ! tag:evil,2000:\n---\na: !x y\n",
        "bytes that are none": "a: !!binary '***'\n",
        "a set": "a: !!set {x, y}\n",
        "an ordered mapping": "a: !!omap [x: 1, x: 2]\n",
        "pairs that are none": "a: !!pairs [1]\n",
        "a key that is a list": "? [a, b]\n: c\n",
        "a key that is a mapping": "? {a: b}\n: c\n",
        "a key that is an alias of a list": "a: &a [x]\n? *a\n: c\n",
        "a merge of a text": "<<: x\n",
        "a merge of a number in a list": "<<: [1]\n",
        "two documents": "a: 1\n---\nb: 2\n",
        "many documents": "---\na: 1\n" * 2_000,
        "no document": "# nothing\n",
        "only a document mark": "---\n",
        "a text that is not closed": "a: 'x\n",
        "a block without a key": ": : : :\n",
        "a tab": "a:\n\tb: 1\n",
        "a zero byte": "a: x\0y\n",
        "a byte order mark inside": "a: \ufeffx\n",
        "a version of YAML that is none": "%YAML 9.9\n---\na: 1\n",
        "a long line": f"a: {'x' * 500_000}\n",
        "a long comment": f"# {'x' * 500_000}\na: 1\n",
        "many colons": "a: " + "b:" * 50_000 + "\n",
        "many quotes": "a: " + "'" * 50_001 + "\n",
        "many brackets in turn": "a: " + "[{" * 3_000 + "\n",
        "a vaulted value": "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  zz\n",
    }


# -- who reads them ----------------------------------------------------------------------------------------------------

Reader = Callable[[str, Path], object]


def _file(name: str, read: Callable[[Path], object]) -> Reader:
    def work(text: str, folder: Path) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return read(path)

    return work


def _output(text: str, _folder: Path) -> object:
    found = inventories.from_output(text, "inventory")
    return digest_of(found.to_json()), document.dump(inventory_document(found, {}))


def _variables(text: str, _folder: Path) -> object:
    inner = "".join(f"      {line}\n" for line in text.splitlines())
    found = inventories.from_output(f"_meta:\n  hostvars:\n    web1:\n{inner}", "inventory")
    return digest_of(found.to_json()), document.dump(inventory_document(found, {}))


def _requirements(path: Path) -> object:
    return [entries_digest(wanted.entries) for wanted in galaxy._requirements(path.parent)]


def _playbook(path: Path) -> object:
    made: PlaybookReader = playbooks(path.parent, {"ANSIBLE_ROLES_PATH": "", "ANSIBLE_COLLECTIONS_PATH": ""})
    book = made.read(path)
    return [len(list(book.texts())), [task.name for task in book.tasks]]


READERS: dict[str, Reader] = {
    "an output": _output,
    "the variables of a host": _variables,
    "release.yaml": _file("release.yaml", load_release),
    "environment.yaml": _file("staging/environment.yaml", load_environment),
    "orchestrator.yaml": _file("orchestrator.yaml", lambda path: load_project(path.parent)),
    "requirements.yml": _file("requirements.yml", _requirements),
    "requirements.lock": _file("requirements.lock", galaxy_lock.read_lock),
    "the settings of a packed environment": _file(
        "environment.yaml", lambda path: selection.secrets(path.parent, frozenset({path.name}))
    ),
    "a playbook": _file("site.yml", _playbook),
    "the files that a playbook names": _file("site.yml", lambda path: len(list(references(path, path.name)))),
    "a playbook of our modules": _file("site.yml", records_itself),
    "a file of variables": _file(
        "vars.yml", lambda path: len(list(playbook_yaml.texts(playbook_yaml.load_playbook(path))))
    ),
}
LENIENT = (ValueError,)
"""What `playbook_yaml.load_playbook` and the reader of playbooks raise for a file that cannot be read; their callers skip it."""


def cases(seed: int) -> Iterator[Case]:
    """Every text for every reader."""
    chance = random.Random(seed)
    documents = _documents(chance)
    found = [
        Case(f"{what} in {who}", partial(_attempt, read, text))
        for what, text in documents.items()
        for who, read in READERS.items()
    ]
    chance.shuffle(found)
    yield from found


def _attempt(read: Reader, text: str, yard: Yard) -> Outcome:
    began = time.monotonic()
    try:
        size = _size(read(text, yard.inside))
    except (OrchestratorError, OrchestratorErrors):
        size = 0
    except ValueError as error:
        if type(error) not in LENIENT or read not in (READERS["a file of variables"], READERS["a playbook"]):
            raise
        size = 0
    seconds = time.monotonic() - began
    if seconds > SLOW:
        return Outcome(accepted=f"it takes {seconds:.0f} s")
    return Outcome(accepted=f"it has more than {MOST} values") if size > MOST else HELD


def _size(value: Any) -> int:
    """How many values *value* is when it is written out; counting ends at the limit."""
    count, waiting = 0, [value]
    while waiting and count <= MOST:
        item = waiting.pop()
        count += 1
        if isinstance(item, Mapping):
            waiting += list(item.values())
        elif isinstance(item, (list, tuple, set)):
            waiting += list(item)
    return count


def _unbounded(text: str) -> Any:
    """What there was before, up to the moment from which no test can wait: no signal ends what is written out in C."""
    value = yaml.safe_load(text)
    assert _size(value) <= MOST, "it would be written out"
    return value


DEFENCES: dict[str, Defence] = {
    "loader": lambda: replaced(safe_yaml, "load_yaml", _unbounded),
    "depth of files": lambda: replaced(source, "MAX_DEPTH", 1_000_000),
}
