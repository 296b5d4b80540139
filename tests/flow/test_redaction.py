"""The records of runs stay readable whatever values are secret."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import flow
from orchestrator.domain.own_words import own_words
from orchestrator.domain.plan import differences, held
from orchestrator.domain.redaction import Redactor
from orchestrator.domain.secret import SHORTEST, Secret
from orchestrator.domain.snapshot import Snapshot
from orchestrator.domain.step import Outcome
from orchestrator.inspect.stacks import outputs_of
from orchestrator.planning import evidence, make, plan_store
from orchestrator.planning.survey import PlanRequest
from orchestrator.secret_values import SecretValues
from tests.flow.test_promotion import Stage, release

CANARY = "canary-of-the-outputs"


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from keys(item)


def written_keys() -> set[str]:
    """The keys that the flow writes, by its source."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in Path(flow.__file__).parent.rglob("*.py")]
    found = [node.keys for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    named = [key.value for names in found for key in names if isinstance(key, ast.Constant)]
    return {name for name in named if isinstance(name, str) and "." not in name}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_keys_of_records_are_own_words(stage: Stage) -> None:
    """A secret that is called like a field of a record cannot make the journal unreadable."""
    stage.walk("1.0.0")
    stage.world.faults.add(("deploy", "p2", "1.1.0"))
    stage.promote("1.1.0", "staging")
    stage.promote("1.1.0", "production")
    entries = [record for run in stage.store.runs() for record in stage.store.records(run.id)]
    hosts = {"s1", "p1", "p2", "p3"}
    words = {word for entry in entries for word in (entry.kind, *keys(entry.data))} - hosts | written_keys()
    assert not {word for word in words if len(word) >= SHORTEST and not _is_kept(word)}


def _is_kept(word: str) -> bool:
    filtered = Redactor([Secret("other", word.encode())], words=own_words())
    return bool(filtered.data({word: word, "list": [word]}) == {word: word, "list": [word]})


def test_a_plan_is_masked_before_its_digest(stage: Stage) -> None:
    """A secret that a plan would show is masked in it, and the plan that is kept is the one that was made."""
    services = stage.services()
    services.secrets.learn("here", [Secret("message", CANARY.encode())])
    package = stage.packages.put(release("1.0.0", description=CANARY))
    stage.world.unused_settings = (f"{CANARY} is set here",)
    made = make.make(services, PlanRequest(package, "staging", "promote"), "job", lambda _entry: None)
    assert "[secret] is set here" in made.notes
    assert CANARY not in str(made.document())


def test_what_a_plan_executes_is_not_masked(stage: Stage) -> None:
    """A play gets its variables as the release has them, also where one has the value of a secret, and the plan is kept under its digest."""
    services = stage.services()
    services.secrets.learn("vaults", [Secret("database", b"orders-of-the-shop")])
    steps = [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "vars": {"name": "orders-of-the-shop"}}]
    package = stage.packages.put(release("1.0.0", steps=steps))
    made = make.make(services, PlanRequest(package, "staging", "promote"), "job", lambda _entry: None)
    assert made.steps[0].play.vars == {"name": "orders-of-the-shop"}
    plan_store.save(services, made)
    services.secrets.learn("later", [Secret("other", made.steps[0].play.playbook.encode())])
    plan_store.save(services, made)
    assert plan_store.load_plan(services, made.digest) == made


def test_evidence_is_masked_before_its_digest(stage: Stage) -> None:
    """A snapshot that names a secret is kept masked, and is found by its digest."""
    services = stage.services()
    services.secrets.learn("vaults", [Secret("password", CANARY.encode())])
    seen = services.secrets.document(Snapshot(hosts={}, unknown={"s1": f"it is {CANARY}"}))
    evidence.store_document(services, "snapshots", seen.digest, seen.to_json())
    assert evidence.snapshot(services, seen.digest).unknown == {"s1": "it is [secret]"}
    assert not [path for path in services.state.rglob("*.json") if CANARY in path.read_text()]


def test_a_plan_names_ordinary_secrets(stage: Stage) -> None:
    """A plan warns of each secret that is too short or too common to be masked everywhere, and never repeats it; it holds also when more of them are known."""
    services = stage.services()
    services.secrets.learn("outputs of staging", [Secret("pin", b"4711"), Secret("password", CANARY.encode())])
    package = stage.packages.put(release("1.0.0"))
    made = make.make(services, PlanRequest(package, "staging", "promote"), "job", lambda _entry: None)
    (note,) = (note for note in made.notes if "S180" in note)
    assert note.startswith("outputs of staging: the values of pin are short")
    assert "4711" not in note
    services.secrets.learn("vaults of shop 1.0.0", [Secret("port", b"5432"), Secret("user", b"root")])
    later = make.make(services, PlanRequest(package, "staging", "promote"), "job", lambda _entry: None)
    assert any("port, user" in item for item in later.notes)
    assert differences(made, held(made, later)) == []


def test_declared_variables_are_learnt(stage: Stage) -> None:
    """The variables that an environment declares as secrets are known from its first use on, also in another process."""
    stage.rules["staging"] = {"secrets": ["LICENCE"]}
    for _ in range(2):
        services = stage.services()
        object.__setattr__(services, "environ", {"LICENCE": CANARY})
        outputs_of(services, "staging")
        assert services.secrets.text(f"it is {CANARY}") == "it is [secret]"


def test_outcomes_are_never_masked() -> None:
    """A secret that is an outcome is masked in text and under its key, and kept where a record has the outcome."""
    secrets = SecretValues()
    secrets.learn("here", [Secret("word", str(outcome).encode()) for outcome in Outcome])
    assert secrets.data({"outcome": "succeeded", "word": "succeeded"}) == {"outcome": "succeeded", "word": "[secret]"}
    assert secrets.data({"message": "it succeeded"}) == {"message": "it [secret]"}
    assert secrets.text("word=succeeded") == "word=[secret]"
