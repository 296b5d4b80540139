"""Evidence of tasks: texts, links, and files, which are kept by their digests."""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from orchestrator.app.acting import Acting, Change, View, read_own, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.register import RecordKind
from orchestrator.management.implementation_plans.model import Evidence, ImplementationPlan, Task
from orchestrator.management.implementation_plans.queries import require_sight
from orchestrator.secret_values import process_secrets

MOST_EVIDENCE = 100
MOST_BYTES = 640 * 1024
"""Of one file: it is sent in one request, of which a server reads 1 MiB."""
LONGEST_NAME = 200


class EvidenceFile(Model):
    """The content of a file: its bytes in base64, with their *digest*."""

    digest: Digest
    content: Annotated[str, StringConstraints(max_length=2 * MOST_BYTES)] = Field(repr=False)

    @property
    def data(self) -> bytes:
        """The bytes."""
        return base64.b64decode(self.content)


EVIDENCE_FILES = RecordKind("evidence_files", EvidenceFile, lambda file: file.digest, noun="evidence-file")


@dataclass(frozen=True)
class FileDraft:
    """A file that a user gives: its *name*, and its bytes in base64 (*content*)."""

    name: str
    content: str


@dataclass(frozen=True)
class EvidenceDraft:
    """Evidence that a user gives: texts, URLs and files."""

    texts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    files: tuple[FileDraft, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.texts or self.links or self.files)


NO_EVIDENCE = EvidenceDraft()


def file_draft(name: str, data: bytes) -> FileDraft:
    """The file *name* with the bytes *data*. Raises G406 if there are too many."""
    _check_size(name, len(data))
    return FileDraft(name, base64.b64encode(data).decode())


def _check_size(name: str, size: int) -> None:
    if not 0 < size <= MOST_BYTES:
        raise OrchestratorError("G406", f"{name} has {size} bytes, and a file has 1 to {MOST_BYTES}")


def with_evidence(task: Change, found: Task, evidence: EvidenceDraft) -> Task:
    """*found* with more *evidence*, whose files are kept. Raises G406 for what cannot be recorded."""
    at, by = task.now.earliest, str(task.acting.actor)
    try:
        added = [Evidence(kind="text", text=text, at=at, by=by) for text in evidence.texts]
        added += [Evidence(kind="link", text=link, at=at, by=by) for link in evidence.links]
    except ValueError as error:
        raise OrchestratorError("G406", "a text of evidence has 1 to 20,000 characters") from error
    strange = [link for link in evidence.links if not link.startswith(("https://", "http://"))]
    if strange:
        raise OrchestratorError("G406", f"not a link: {strange[0]}")
    for name, digest, size in _kept(task, evidence.files):
        added.append(Evidence(kind="file", text=name, digest=digest, size=size, at=at, by=by))
    if len(found.evidence) + len(added) > MOST_EVIDENCE:
        raise OrchestratorError("G406", f"a task has at most {MOST_EVIDENCE} pieces of evidence")
    return found.model_copy(update={"evidence": (*found.evidence, *added)})


def with_fitting(task: Change, found: Task, evidence: EvidenceDraft) -> Task:
    """*found* with as many texts and files of *evidence* as it can have: the end of its work is recorded anyhow."""
    room = MOST_EVIDENCE - len(found.evidence)
    texts = evidence.texts[:room]
    return with_evidence(task, found, EvidenceDraft(texts, files=evidence.files[: room - len(texts)]))


def _kept(task: Change, files: tuple[FileDraft, ...]) -> Iterator[tuple[str, str, int]]:
    """The name, digest and size of each file. Known secrets in it are masked first."""
    for file in files:
        name = file_name(file.name)
        try:
            given = base64.b64decode(file.content, validate=True)
        except binascii.Error as error:
            raise OrchestratorError("G406", f"the content of {name} is not base64") from error
        _check_size(name, len(given))
        data = process_secrets().redactor.mask(given)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if not task.records.version(EVIDENCE_FILES, digest):
            task.records.put(EVIDENCE_FILES, EvidenceFile(digest=digest, content=base64.b64encode(data).decode()))
        yield name, digest, len(data)


def file_name(given: str) -> str:
    """The name of a file without its folder. Raises G406 if it is empty or cannot be shown."""
    name = given.replace("\\", "/").rpartition("/")[2].strip()
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME or name in {".", ".."}:
        raise OrchestratorError("G406", f"the name of a file has 1 to {LONGEST_NAME} characters that can be shown")
    return name


@dataclass(frozen=True)
class EvidenceContent:
    """A file of evidence: its *name*, *digest*, and bytes in base64 (*content*)."""

    name: str
    digest: str
    content: str

    @property
    def data(self) -> bytes:
        """The bytes."""
        return base64.b64decode(self.content)


@forwarded
def read_evidence(acting: Acting, key: str, name: str, file: str) -> EvidenceContent:
    """The *file* of the task *name* of a plan, by its digest or its name (the newest one counts).

    For users who may view the project, or do a task of the plan. Raises A101 and A110.
    """

    def work(view: View) -> EvidenceContent:
        plan = require_sight(view, key)
        evidence = _evidence(plan, name, file)
        found = view.records.get(EVIDENCE_FILES, evidence.digest or "")
        if found is None:
            raise OrchestratorError("S146", f"the content of {evidence.text} ({evidence.digest}) is not kept")
        return EvidenceContent(evidence.text, found.digest, found.content)

    return read_own(acting, work)


def _evidence(plan: ImplementationPlan, name: str, file: str) -> Evidence:
    task = plan.task(name)
    if task is None:
        raise unknown("task", name, [each.name for each in plan.tasks])
    files = [each for each in task.evidence if each.kind == "file"]
    mine = [each for each in files if file in {each.digest, each.text}]
    if not mine:
        raise unknown("file", file, [each.text for each in files])
    return mine[-1]
