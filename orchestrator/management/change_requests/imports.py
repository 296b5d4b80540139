"""The import of change requests: what would be added, changed and skipped. The same import again changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.model import Model
from orchestrator.management.change_requests.commits import CommitChange
from orchestrator.management.change_requests.file import ChangeFile
from orchestrator.management.change_requests.model import ChangeDraft, ChangeRequest, Source
from orchestrator.management.change_requests.state import ChangeState


class Incoming(Model):
    """A change to import: *draft*, with the *source_ref* that identifies it."""

    source: Source
    source_ref: str
    draft: ChangeDraft


class Skipped(Model):
    """What is not imported, and *why*."""

    source_ref: str
    title: str
    why: str


@dataclass(frozen=True)
class ChangeImport:
    """What an import adds, what it changes (drafts only), and what it skips."""

    added: tuple[Incoming, ...]
    changed: tuple[tuple[ChangeRequest, Incoming], ...]
    skipped: tuple[Skipped, ...]


def of_file(file: ChangeFile) -> tuple[Incoming, ...]:
    """The changes of *file*."""
    return tuple(
        Incoming(
            source=Source.FILE,
            source_ref=each.reference,
            draft=ChangeDraft.from_json({k: v for k, v in each.to_json().items() if k != "reference"}),
        )
        for each in file.requests
    )


def of_commits(found: Iterable[CommitChange]) -> tuple[tuple[Incoming, ...], tuple[Skipped, ...]]:
    """The commits that are changes, the oldest first, and those that are not."""
    incoming: list[Incoming] = []
    skipped: list[Skipped] = []
    for each in found:
        if each.draft is not None:
            incoming.insert(0, Incoming(source=Source.GIT, source_ref=each.commit.commit, draft=each.draft))
        else:
            title = each.commit.message.partition("\n")[0]
            skipped.append(Skipped(source_ref=each.commit.commit[:12], title=title, why=each.skipped))
    return tuple(incoming), tuple(skipped)


def compare_import(existing: Iterable[ChangeRequest], incoming: Iterable[Incoming]) -> ChangeImport:
    """What *incoming* adds to *existing*, and what it changes in it."""
    known = {(request.source, request.source_ref): request for request in existing if request.source_ref}
    added: dict[tuple[Source, str], Incoming] = {}
    changed: list[tuple[ChangeRequest, Incoming]] = []
    skipped: list[Skipped] = []
    for each in incoming:
        key = (each.source, each.source_ref)
        found = known.get(key)
        why = "its reference appears twice" if key in added else _why_skipped(found, each)
        if why:
            skipped.append(Skipped(source_ref=each.source_ref[:40], title=each.draft.title, why=why))
        elif found is None:
            added[key] = each
        else:
            changed.append((found, each))
    return ChangeImport(tuple(added.values()), tuple(changed), tuple(skipped))


def _why_skipped(found: ChangeRequest | None, each: Incoming) -> str:
    if found is None:
        return ""
    same = all(getattr(found, field) == getattr(each.draft, field) for field in ChangeDraft.model_fields)
    if same:
        return f"{found.id} is the same"
    return "" if found.state is ChangeState.DRAFT else f"{found.id} is {found.state}: only drafts change"
