"""The register at scale: run requests with votes, overrides of the calendar, and the audit stream, beside the runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database import tables
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.admission.overrides import Override
from orchestrator.domain.approval.policy import Quorum, Requirement
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.votes import Decision, Vote
from orchestrator.domain.audit.chain import empty_head, record_by
from orchestrator.domain.journal import Run
from orchestrator.domain.model import Model
from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import OVERRIDES, REQUESTS, VOTES, CastVote, RecordKind

ANN = Actor(name="ann")
START = datetime(2026, 1, 1, tzinfo=UTC)
OVERRIDDEN = 50  # of so many promotions one passes the calendar


def request_of(run: Run, number: int) -> RunRequest:
    """The request that *run* executes; the one of a run that has not ended is started."""
    assert run.release is not None
    digest = run.release.digest
    return RunRequest(
        id=run.root,
        project="scale",
        environment=run.environment,
        package=digest,
        plan=run.plan or digest,
        rendered=digest,
        requirement=Requirement(quorums=(Quorum(count=1),)),
        requested_by=ANN,
        requested_at=START + timedelta(minutes=number),
        state=RequestState.FINISHED if run.ended else RequestState.STARTED,
        name=run.release.name,
        version=run.release.version,
        run=run.root,
    )


def records_of(run: Run, number: int) -> Iterator[tuple[RecordKind[Any], Model]]:
    """What the register has of a promotion."""
    request = request_of(run, number)
    yield REQUESTS, request
    vote = Vote(
        plan=request.plan, rendered=request.rendered, by="bob", decision=Decision.APPROVE, at=request.requested_at
    )
    yield VOTES, CastVote(request=request.id, number=1, vote=vote)
    if number % OVERRIDDEN == 0:
        yield (
            OVERRIDES,
            Override(
                package=request.package,
                environment=request.environment,
                entry="windows",
                text="windows",
                by="bob",
                reason="a customer waits",
                at=request.requested_at,
                until=request.requested_at + timedelta(hours=1),
            ),
        )


def fill_register(db: sa.Connection, runs: list[tuple[int, Run]], first: int) -> int:
    """Write the records and audit entries of *runs*, the first entry with the index *first*. Returns the next index."""
    rows: dict[str, list[dict[str, object]]] = {}
    entries: list[dict[str, object]] = []
    record = record_by(ANN, project="scale", at=START, action="promote", object="run:x", environment="e")
    entry = MemoryKeys().chained(empty_head("scale"), record)
    for number, run in runs:
        at = START + timedelta(minutes=number)
        text = moment_text(at)
        stamp = {"created_at": text, "created_by": "ann", "changed_at": text, "changed_by": "ann", "version": 1}
        for kind, value in records_of(run, number):
            row = {"project": "scale", "key": kind.key(value), "part": kind.part(value), **stamp}
            position = {"position": kind.position(value)} if kind.position is not None else {}
            rows.setdefault(kind.name, []).append({**row, **position, "data": value.model_dump_json()})
        for action in ("promote", "approve", "promote"):
            changed = {"index": first, "at": at, "action": action, "object": f"run:{run.root}"}
            about = entry.model_copy(update={**changed, "environment": run.environment})
            row = {"project": "scale", "index": first, "call": f"{first:016x}", "at": text, "actor": "ann"}
            entries.append({**row, "action": action, "object": about.object, "data": about.model_dump_json()})
            first += 1
    for name, found in rows.items():
        db.execute(tables.register_tables[name].insert(), found)
    db.execute(tables.audit.insert(), entries)
    return first
