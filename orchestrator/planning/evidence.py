"""Evidence: what was found out about a release, kept by its digest; whether it can be had, and where it is."""

import json
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.plan import HostState, RollbackTarget
from orchestrator.domain.rehearsal import Rehearsal
from orchestrator.domain.release import PackageRef
from orchestrator.domain.snapshot import Snapshot
from orchestrator.file_system import write_whole
from orchestrator.ports.lists import each_run
from orchestrator.services import Services

REHEARSED = "rehearsed"
"""The kind, and the key, of the journal's entry with the evidence of a rehearsal."""


def obstacle(release: PackageRef, target: RollbackTarget, current_hosts: tuple[HostState, ...]) -> str | None:
    """Why *release* cannot be rehearsed; None when it can. *current_hosts* is what runs on each host.

    Standby hosts get the previous release at the start of the rehearsal.
    """
    previous = target.release
    if previous is None or not target.available:
        return target.reason or "it has no release to roll back to"
    if previous.digest == release.digest:
        return f"{previous} is deployed already: a rehearsal starts with the previous release"
    if target.impossible:
        return f"{', '.join(target.impossible)} cannot be undone"
    other = [state.host for state in current_hosts if not state.runs(previous.digest) and not state.is_standby]
    return f"{previous}, with which it starts, does not run on {', '.join(other)}" if other else None


def newest(services: Services, environment: str, previous: PackageRef, release: PackageRef) -> Rehearsal | None:
    """The newest evidence for this pair of packages from any environment but *environment*; None: there is none."""
    chosen = RunFilter(digest=release.digest, kinds=tuple(PROMOTION_KINDS))
    others = {*services.environments} - {environment}
    runs = [run for run in each_run(services.store, chosen) if run.environment in others]
    for run in sorted(runs, key=lambda run: run.requested_at, reverse=True):
        for document in documents(services, run.id):
            if document.back.digest == previous.digest and document.release.digest == release.digest:
                return document
    return None


def documents(services: Services, run: str) -> list[Rehearsal]:
    """The evidence that *run* has given, as far as it has its digest."""
    if not services.store.has_entry(run, REHEARSED):  # most runs have none, and many records
        return []
    records = [record for record in services.store.records(run) if record.kind == REHEARSED]
    found = [(Rehearsal.from_json(record.data["document"]), record.data["evidence"]) for record in records]
    return [document for document, digest in found if document.digest == digest]


# -- keeping -----------------------------------------------------------------------------------------------------------


def store_document(services: Services, what: str, digest: str, data: object) -> None:
    """Keep a masked document under its digest in the folder *what*, here and where it is shared. Raises S-codes."""
    file = _file(services, what, digest)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(file, json.dumps(data, sort_keys=True))
    name = f"{what}/{digest.removeprefix('sha256:')}"
    if services.artifacts.named(name) is None:
        services.artifacts.name(name, services.artifacts.put(file))


def snapshot(services: Services, digest: str) -> Snapshot:
    """The snapshot with this digest. Raises R185 when it is nowhere, or is another one, and S-codes."""
    file = _file(services, "snapshots", digest)
    shared = None if file.is_file() else services.artifacts.named(f"snapshots/{digest.removeprefix('sha256:')}")
    if shared is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        services.artifacts.get(shared, file)
    try:
        found = Snapshot.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise OrchestratorError("R185", f"the snapshot {digest} is not kept here, or cannot be read") from error
    if found.digest != digest:
        raise OrchestratorError("R185", f"the snapshot {digest} has been changed since it was taken")
    return found


def _file(services: Services, what: str, digest: str) -> Path:
    return services.state / what / f"{digest.removeprefix('sha256:')}.json"
