"""An export for auditors: the population, its filter as text, and a sample that can be drawn again by its seed."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from orchestrator.domain.audit.chain import AuditEntry, AuditHead
from orchestrator.domain.model import Digest, Model, canonical_json, digest_of
from orchestrator.domain.moments import Moment, moment_text

COLUMNS = (
    "index", "at", "actor", "actor_kind", "method", "credential", "action", "object", "environment", "outcome",
    "before", "after", "reason", "detail", "key", "previous", "leaf", "code",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class AuditFilter(Model):
    """Which entries an export has: *start* is included, *end* is not. *action* and *actor* are exact."""

    start: Moment
    end: Moment
    environment: str | None = None
    action: str | None = None
    actor: str | None = None

    def fits(self, entry: AuditEntry) -> bool:
        """Whether *entry* is part of the population."""
        return (
            self.start <= entry.at < self.end
            and self.environment in {None, entry.environment}
            and self.action in {None, entry.action}
            and self.actor in {None, entry.actor}
        )

    def __str__(self) -> str:
        fields = (("environment", self.environment), ("action", self.action), ("actor", self.actor))
        parts = [f"at >= {moment_text(self.start)}", f"at < {moment_text(self.end)}"]
        return " and ".join([*parts, *(f"{name} = {value}" for name, value in fields if value is not None)])


class Sample(Model):
    """A sample of *size* objects, drawn with *seed*."""

    seed: int
    size: int = Field(ge=1)
    objects: tuple[str, ...]


class AuditExport(Model):
    """What an export states: the *filter* as text, how many entries fit it, their digest, and the *head*.

    *whole* is the number of entries of the stream at the time of the export. *exceptions* are the indexes of denials
    and overrides in the population.
    """

    project: str
    filter: str
    population: int
    digest: Digest
    whole: int
    head: AuditHead
    exported_at: Moment
    exported_by: str
    sample: Sample | None = None
    exceptions: tuple[int, ...] = ()


def population(entries: Iterable[AuditEntry], chosen: AuditFilter) -> tuple[AuditEntry, ...]:
    """The entries that fit *chosen*, in the order of the stream."""
    return tuple(entry for entry in entries if chosen.fits(entry))


def about_run(entry: AuditEntry, run: str) -> bool:
    """Whether *entry* is about *run* (`run:ID`): the run or its request, its votes, its review or its messages."""
    name, of = run.partition(":")[2], entry.object.partition(":")[2]
    return of == name or of.startswith(f"{name} ")


def drawn(objects: Iterable[str], size: int, seed: int) -> Sample:
    """A sample of *size* of *objects*, or all of them if there are fewer.

    The objects are ranked by the SHA-256 of `SEED:OBJECT`, and the first ones are taken. The draw depends on nothing
    else: not on the order of the objects, the program's version or its random numbers.
    """
    ranked = sorted(set(objects), key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))
    return Sample(seed=seed, size=size, objects=tuple(ranked[:size]))


def describe(
    entries: Sequence[AuditEntry],
    chosen: AuditFilter,
    *,
    head: AuditHead,
    at: datetime,
    by: str,
    sample: tuple[int, int] | None = None,
) -> AuditExport:
    """The statement of an export of *entries* (the whole stream), with a *sample* of runs by its size and seed."""
    found = population(entries, chosen)
    runs = {entry.object for entry in found if entry.object.startswith("run:")}
    return AuditExport(
        project=head.project,
        filter=str(chosen),
        population=len(found),
        digest=digest_of([entry.leaf for entry in found]),
        whole=len(entries),
        head=head,
        exported_at=at,
        exported_by=by,
        sample=drawn(runs, *sample) if sample else None,
        exceptions=tuple(e.index for e in found if e.outcome == "denied" or e.detail.get("override")),
    )


def export_files(statement: AuditExport, entries: Sequence[AuditEntry], form: str) -> Iterator[tuple[str, str]]:
    """The files of an export by their paths: the population, one folder for each run of the sample, and the statement.

    *form* is `csv` or `json`.
    """

    def text(chosen: Sequence[AuditEntry]) -> str:
        return csv_text(chosen) if form == "csv" else json.dumps([each.to_json() for each in chosen], indent=1) + "\n"

    yield f"entries.{form}", text(entries)
    for name in statement.sample.objects if statement.sample else ():
        folder = name.replace(":", "-").replace("/", "-")
        yield f"{folder}/entries.{form}", text([entry for entry in entries if about_run(entry, name)])
    yield "statement.json", json.dumps(statement.to_json(), indent=1) + "\n"


def csv_text(entries: Iterable[AuditEntry]) -> str:
    """The *entries* as CSV (RFC 4180), with a header. A `'` precedes what a spreadsheet takes for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        data = entry.to_json()
        data["detail"] = canonical_json(data["detail"]).decode()
        writer.writerow([_cell(data[name]) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
