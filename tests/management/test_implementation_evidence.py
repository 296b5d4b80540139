"""Files as evidence: kept once by their digests, with the task in one transaction, and readable by who sees the plan."""

import base64
import hashlib
from functools import partial

import pytest

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.secret import Secret
from orchestrator.management.implementation_plans import queries
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.evidence import (
    EVIDENCE_FILES,
    MOST_BYTES,
    EvidenceDraft,
    FileDraft,
    file_draft,
    read_evidence,
)
from orchestrator.register_ports import Register
from orchestrator.secret_values import SecretValues
from tests.contracts.test_register import opened, register
from tests.management.test_implementation_use_cases import Runbook

__all__ = ["opened", "register"]  # the fixtures
DATA = bytes(range(256)) * 4


def kept(book: Runbook) -> list[str]:
    return [file.digest for file in book.desk.register.reading(lambda records: records.all(EVIDENCE_FILES))]


def test_a_file_is_kept_once_by_its_digest_and_read_as_it_was(register: Register) -> None:
    """On every adapter: a file of any bytes is kept once by its digest, and is read by its name or digest as it was given."""
    book = Runbook(register)
    operator, digest = book.acting("operator"), f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    given = EvidenceDraft(files=(file_draft("C:\\shots\\a.png", DATA), file_draft("../b.png", DATA)))
    tasks.complete_task(operator, "IP-1", "announce", evidence=given)
    tasks.add_evidence(operator, "IP-1", "announce", EvidenceDraft(files=(file_draft("a.png", b"newer"),)))
    task = queries.show_plan(operator, "IP-1").plan.tasks[0]
    assert [(each.text, each.kind, each.size) for each in task.evidence] == [
        ("a.png", "file", 1024), ("b.png", "file", 1024), ("a.png", "file", 5)
    ]  # fmt: skip
    assert (len(kept(book)), digest in kept(book)) == (2, True)
    assert read_evidence(book.acting("viewer"), "IP-1", "announce", digest).data == DATA
    assert read_evidence(book.acting("viewer"), "IP-1", "announce", "a.png").data == b"newer"
    for task_, file in (("announce", "c.png"), ("check", "a.png"), ("nothing", "a.png")):
        with pytest.raises(OrchestratorError) as error:
            read_evidence(book.acting("viewer"), "IP-1", task_, file)
        assert error.value.code == "A110"


def test_a_file_that_cannot_be_kept_is_refused_with_everything_else() -> None:
    """A file that is empty, too large, not base64 or without a name is refused, and the task stays as it was."""
    book = Runbook()
    wrong = (
        FileDraft("a", ""), FileDraft("a", "%%%"), FileDraft("", "YQ=="), FileDraft("..", "YQ=="), FileDraft("a\x00b", "YQ=="),
        FileDraft("x" * 201, "YQ=="), FileDraft("a", base64.b64encode(b"x" * (MOST_BYTES + 1)).decode()),
    )  # fmt: skip
    for file in wrong:
        draft = EvidenceDraft(texts=("seen",), files=(file_draft("good", b"x"), file))
        code = book.refused(partial(tasks.complete_task, book.acting("operator"), "IP-1", "announce", "", draft))
        assert code == "G406", file
    with pytest.raises(OrchestratorError, match="655361 bytes"):
        file_draft("a", b"x" * (MOST_BYTES + 1))
    assert (book.states()[0], kept(book)) == ("ready", [])


def test_a_known_secret_in_a_file_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that the process knows is masked before the digest of the file is made, so the digest is of what is kept."""
    book, known = Runbook(), SecretValues()
    known.learn("test", [Secret("TOKEN", b"correct-horse-battery")])
    monkeypatch.setattr("orchestrator.management.implementation_plans.evidence.process_secrets", lambda: known)
    log = b"logged in with correct-horse-battery today"
    tasks.complete_task(
        book.acting("operator"), "IP-1", "announce", evidence=EvidenceDraft(files=(file_draft("log", log),))
    )
    found = read_evidence(book.acting("viewer"), "IP-1", "announce", "log")
    assert (b"correct-horse" in found.data, found.data[:14]) == (False, b"logged in with")
    assert found.digest == f"sha256:{hashlib.sha256(found.data).hexdigest()}"
