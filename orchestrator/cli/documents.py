"""What commands say with `--json`, as models: their JSON Schemas are in `docs/schemas/`, and stable."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.authentication import FIELD
from orchestrator.domain.downtime import Measured
from orchestrator.domain.drift import Finding
from orchestrator.domain.facts import Activity, EnvironmentFacts, Problem, Remedy, RunFacts
from orchestrator.domain.journal import Lease, Run, Waiting
from orchestrator.domain.model import DIGEST, Digest, Model
from orchestrator.domain.parity import Disparity
from orchestrator.domain.plan import HostState, Plan
from orchestrator.domain.promotion import State
from orchestrator.domain.rehearsal import Rehearsal
from orchestrator.domain.release import PackageRef
from orchestrator.domain.sides import Side
from orchestrator.domain.step import HostResult, Outcome, TestResult
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.domain.waves import Waves, WaveStory
from orchestrator.domain.way_back import Outlook, RollbackPlan


class Document(Model):
    """The head that every document has."""

    apiVersion: Literal["orchestrator/v1"]


class WavesStatus(Model):
    """A list of waves of the project, the last walk through it, and how far that came; *soaking* is a wave's number."""

    walk: Waves
    last_run: RunFacts | None
    waves: tuple[WaveStory, ...] | None
    soaking: int | None


class StatusDocument(Document):
    """`orchestrator status --json`. *waves* are the lists of waves that the environments are in."""

    kind: Literal["Status"]
    project: str
    environments: tuple[EnvironmentFacts, ...]
    waves: tuple[WavesStatus, ...]


class Coming(Model):
    """A walk that comes to an environment with one of its later waves: it stands in no queue before."""

    run: str
    wave: int
    release: PackageRef
    by: str


class QueueStatus(Model):
    """Who holds one environment, who waits for it, in order, and which walks come to it."""

    environment: str
    lease: Lease | None
    holder: RunFacts | None
    waiting: tuple[Waiting, ...]
    coming: tuple[Coming, ...]


class QueueDocument(Document):
    """`orchestrator queue --json`."""

    kind: Literal["Queue"]
    environments: tuple[QueueStatus, ...]


class LockDocument(Document):
    """`orchestrator lock status --json`."""

    kind: Literal["LockStatus"]
    environments: dict[str, Lease | None]


class Place(Model):
    """What a release is in one environment. *hosts* are those it runs on, *of* is how many the environment has.

    *standing by*: it runs on hosts of the side that is not live, and on no others. *problem* is the run of the release
    that needs manual intervention. A run that changed nothing, such as a refused one, does not count.
    """

    state: Literal["current", "partly", "standing by", "verified", "rolled back", "needs intervention", "absent"]
    hosts: tuple[str, ...]
    of: int
    problem: str | None
    verified_at: str | None
    run: str | None


class Row(Model):
    """One release, and what it is in each environment."""

    release: PackageRef
    places: dict[str, Place] = Field(alias="in")


class MatrixDocument(Document):
    """`orchestrator matrix --json`."""

    kind: Literal["Matrix"]
    project: str
    environments: tuple[str, ...]
    destroyed: tuple[str, ...]
    problems: tuple[Problem, ...]
    releases: tuple[Row, ...]


class StepDocument(Model):
    """One step of a run. *about* is what was written when it was started; *code* is of the catalogue of errors."""

    name: str
    verb: str
    label: str
    about: dict[str, Any]
    started_at: str
    finished_at: str | None
    seconds: float | None
    outcome: Outcome | None
    message: str
    code: str | None
    log: str
    engine_seconds: float | None
    hosts: tuple[HostResult, ...]
    tests: tuple[TestResult, ...]
    resources: tuple[dict[str, Any], ...]
    notices: tuple[dict[str, Any], ...]


class Evidence(Model):
    """The evidence of a rehearsal: its *document*, the digest of that, and whether it is good."""

    evidence: Digest
    good: bool
    document: Rehearsal


class Moment(Model):
    """When a run came into a state."""

    at: str
    state: State


class FlakyDocument(Model):
    """A failure that passed when it was repeated. *failed* is how often it failed before."""

    at: str
    step: str
    what: str
    failed: int
    message: str


class AlertDocument(Model):
    """What a person should know and the run did not stop for."""

    at: str
    text: str


class SwitchDocument(Model):
    """That a *step* has let the service lead to a side, which is *live* from then on; *unsure*: nobody knows."""

    at: str
    step: str
    live: Side | None
    unsure: bool
    sides: dict[Side, tuple[str, ...]]


class RunDocument(Document):
    """`orchestrator show RUN --json`.

    *recovery_seconds* are from the failure to the restored release's last proof; *way_back* is the plan that the
    rollback executed, as in `plan --rollback --json`; *rehearsed* the evidence of a rehearsal;
    *probe* how long the service was away, where that was measured. *switched* are the switches between sides, and
    *switch_back_seconds* from the failure to the end of the one that led back. *waves* is how far a walk in waves has
    come.
    """

    kind: Literal["Run"]
    run: Run
    planned: dict[str, Any] | None
    way_back: dict[str, Any] | None
    states: tuple[Moment, ...]
    steps: tuple[StepDocument, ...]
    hosts: tuple[HostState, ...]
    rehearsed: Evidence | None
    flaky: tuple[FlakyDocument, ...]
    alerts: tuple[AlertDocument, ...]
    switched: tuple[SwitchDocument, ...]
    switch_back_seconds: float | None
    probe: Measured | None
    waves: tuple[WaveStory, ...] | None
    ending: dict[str, Any] | None
    failed_at: str | None
    recovery_seconds: float | None
    interrupted: bool
    activity: Activity
    reason: str
    remedies: tuple[Remedy, ...]


class DriftDocument(Document):
    """`orchestrator drift ENV --json`. *none* says that all was asked, and nothing has changed *since* the *release*.

    *run* is the one that verified it there.
    """

    kind: Literal["Drift"]
    environment: str
    release: PackageRef
    run: str
    since: str
    none: bool
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


class ParityDocument(Document):
    """`orchestrator parity LEFT RIGHT --json`. *none* says that all was asked, and nothing differs that may not.

    *unused* are what the allow-lists name and what no difference fits.
    """

    kind: Literal["Parity"]
    left: str
    right: str
    none: bool
    differences: tuple[Disparity, ...]
    allowed: tuple[Disparity, ...]
    unknown: tuple[str, ...]
    unused: tuple[str, ...]


class WayBackDocument(RollbackPlan):
    """`orchestrator plan --rollback ENV --json` while a promotion is under way there.

    *outlook* is what it would do to the stack, as far as that can be known now; null when the stack stays anyway, or
    goes back already. The digest does not cover it.
    """

    outlook: Outlook | None = None


MODELS: dict[str, type[Model]] = {
    "status": StatusDocument,
    "matrix": MatrixDocument,
    "run": RunDocument,
    "plan": Plan,
    "rollback-plan": WayBackDocument,
    "wave-plan": WavePlan,
    "queue": QueueDocument,
    "lock": LockDocument,
    "drift": DriftDocument,
    "parity": ParityDocument,
}


AUTHENTICATION: dict[str, Any] = {
    "additionalProperties": False,
    "description": "The identifier of the project key, and the HMAC-SHA256 of the document made with that key.",
    "properties": {
        "key": {"pattern": "^[0-9a-f]{16}$", "type": "string"},
        "code": {"pattern": "^[0-9a-f]{64}$", "type": "string"},
    },
    "required": ["key", "code"],
    "title": "Authentication",
    "type": "object",
}


def document_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what a command says; `run` is that of `show`, the others are named alike."""
    made = MODELS[kind].model_json_schema(by_alias=True, mode="validation")
    if kind in {"plan", "rollback-plan", "wave-plan"}:  # a plan names itself; its digest covers everything else
        made["properties"]["digest"] = {"pattern": DIGEST.pattern, "title": "Digest", "type": "string"}
        made["required"] = [*made["required"], "digest"]
    if kind in {"plan", "wave-plan"}:
        made["properties"][FIELD] = AUTHENTICATION
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
