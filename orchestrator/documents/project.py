"""The documents that commands print with `--json`, as models. Their JSON Schemas in `docs/schemas/` are stable."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.documents.definitions import MODELS as DEFINITION_MODELS
from orchestrator.documents.head import Document
from orchestrator.documents.hooks import MODELS as HOOK_MODELS
from orchestrator.documents.management import MODELS as MANAGEMENT_MODELS
from orchestrator.documents.notifications import MODELS as NOTIFICATION_MODELS
from orchestrator.documents.register import MODELS as REGISTER_MODELS
from orchestrator.documents.register import RequestItem
from orchestrator.domain.authentication import FIELD
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.downtime import AvailabilityReport
from orchestrator.domain.drift import Finding
from orchestrator.domain.environment_reports import DriftMark
from orchestrator.domain.facts import Activity, EnvironmentFacts, Problem, Remedy, RunFacts
from orchestrator.domain.journal import Lease, QueueEntry, Run
from orchestrator.domain.model import DIGEST, Digest, Model
from orchestrator.domain.parity import ProfileDifference
from orchestrator.domain.plan import HostState, Plan
from orchestrator.domain.promotion import State
from orchestrator.domain.register import Message
from orchestrator.domain.rehearsal import Rehearsal
from orchestrator.domain.release import PackageRef
from orchestrator.domain.release_marks import ReleaseMarks
from orchestrator.domain.requirements.check import RequirementReport
from orchestrator.domain.risk.assessment import Risk
from orchestrator.domain.rollback_plan import RollbackForecast, RollbackPlan
from orchestrator.domain.sides import Side
from orchestrator.domain.step import HostResult, Outcome, TestResult
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.domain.waves import Waves, WaveStatus


class WavesStatus(Model):
    """A list of waves of the project, its last promotion and the progress of that; *soaking* is a wave's number."""

    rollout: Waves
    last_run: RunFacts | None
    waves: tuple[WaveStatus, ...] | None
    soaking: int | None


class StatusDocument(Document):
    """`orchestrator status --json`. *waves* are the lists of waves that the environments are in, *requests* wait.

    *messages* are for the actor, and were not sent yet.
    """

    kind: Literal["Status"]
    project: str
    environments: tuple[EnvironmentFacts, ...]
    waves: tuple[WavesStatus, ...]
    requests: tuple[RequestItem, ...]
    messages: tuple[Message, ...]


class Coming(Model):
    """A promotion in waves with an environment in a later wave: it joins the queue when that wave starts."""

    run: str
    wave: int
    release: PackageRef
    by: str


class QueueStatus(Model):
    """The holder of an environment, the runs that wait for it in order, and the promotions that will reach it."""

    environment: str
    lease: Lease | None
    holder: RunFacts | None
    waiting: tuple[QueueEntry, ...]
    coming: tuple[Coming, ...]
    calendar: EnvironmentCalendar


class QueueDocument(Document):
    """`orchestrator queue --json`."""

    kind: Literal["Queue"]
    environments: tuple[QueueStatus, ...]


class LockDocument(Document):
    """`orchestrator lock status --json`."""

    kind: Literal["LockStatus"]
    environments: dict[str, Lease | None]
    calendar: dict[str, EnvironmentCalendar]


class MatrixCell(Model):
    """The state of a release in one environment. *hosts* are those that run it, *of* is how many the environment has.

    With `standby` it only runs on hosts of the standby side. *problem* is the run of the release
    that needs manual intervention. A run that changed nothing, such as a refused one, does not count. *by* requested
    the run that brought the release, if it runs on a host. *open_run* is a run of the release that has not ended, and
    *activity* what that does. *drifted* are hosts that lost the release that was verified last. *marks* are the numbers
    of hosts on which the release is declared, seen, and serves. *drift* is the newest check of drift since the
    release was verified there, if it is the one that was verified last.
    """

    state: Literal["current", "partly", "standby", "verified", "rolled back", "needs intervention", "absent"]
    hosts: tuple[str, ...]
    of: int
    problem: str | None
    verified_at: str | None
    run: str | None
    by: str | None
    open_run: str | None
    activity: Activity | None
    drifted: tuple[str, ...]
    marks: ReleaseMarks
    drift: DriftMark | None


class Row(Model):
    """One release, and what it is in each environment."""

    release: PackageRef
    places: dict[str, MatrixCell] = Field(alias="in")


class MatrixDocument(Document):
    """`orchestrator matrix --json`. *cursor* is for the next page; it is null on the last one.

    A page of the API has some of the environments: *environment_cursor* is for the next ones.
    """

    kind: Literal["Matrix"]
    project: str
    environments: tuple[str, ...]
    environment_cursor: str | None = None
    destroyed: tuple[str, ...]
    calendar: dict[str, EnvironmentCalendar]
    problems: tuple[Problem, ...]
    releases: tuple[Row, ...]
    cursor: str | None


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
    """A notice for the operator that did not stop the run."""

    at: str
    text: str


class SwitchDocument(Model):
    """A switch by a *step*: the side that is *live* from then on. With *switch_uncertain* the live side is unknown."""

    at: str
    step: str
    live: Side | None
    switch_uncertain: bool
    sides: dict[Side, tuple[str, ...]]


class RunDocument(Document):
    """`orchestrator show RUN --json`.

    *recovery_seconds* is the time from the failure to the last test of the restored release. *rollback_plan* is the
    plan that the rollback executed, as in `plan --rollback --json`. *rehearsed* is the evidence of a rehearsal, and
    *probe* the measured downtime of the service. *switched* are the switches between sides, and *switch_back_seconds*
    is the time from the failure to the end of the switch back. *waves* is the progress of a promotion in waves.
    """

    kind: Literal["Run"]
    run: Run
    calendar: dict[str, EnvironmentCalendar]
    planned: dict[str, Any] | None
    rollback_plan: dict[str, Any] | None
    states: tuple[Moment, ...]
    steps: tuple[StepDocument, ...]
    hosts: tuple[HostState, ...]
    rehearsed: Evidence | None
    flaky: tuple[FlakyDocument, ...]
    alerts: tuple[AlertDocument, ...]
    switched: tuple[SwitchDocument, ...]
    switch_back_seconds: float | None
    probe: AvailabilityReport | None
    waves: tuple[WaveStatus, ...] | None
    ending: dict[str, Any] | None
    failed_at: str | None
    recovery_seconds: float | None
    interrupted: bool
    activity: Activity
    reason: str
    remedies: tuple[Remedy, ...]


class DriftDocument(Document):
    """`orchestrator drift ENV --json`. *none*: all checks were possible, and found no change *since* the *release*.

    *run* is the run that verified the release. *request* is the open change request about these differences.
    """

    kind: Literal["Drift"]
    environment: str
    release: PackageRef
    run: str
    since: str
    none: bool
    request: str | None
    calendar: dict[str, EnvironmentCalendar]
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


class CheckedRelease(RequirementReport):
    """A report. *met* is whether every requirement is met on every host."""

    met: bool


class RequirementsDocument(Document):
    """`orchestrator requirements RELEASE --in ENV --json`: a report for each package."""

    kind: Literal["Requirements"]
    environment: str
    reports: tuple[CheckedRelease, ...]


class ParityDocument(Document):
    """`orchestrator parity LEFT RIGHT --json`. *none*: all checks were possible, and found allowed differences only.

    *unused* are entries of the allow-lists that match no difference.
    """

    kind: Literal["Parity"]
    left: str
    right: str
    none: bool
    calendar: dict[str, EnvironmentCalendar]
    differences: tuple[ProfileDifference, ...]
    allowed: tuple[ProfileDifference, ...]
    unknown: tuple[str, ...]
    unused: tuple[str, ...]


class RollbackPlanDocument(RollbackPlan):
    """`orchestrator plan --rollback ENV --json` during a promotion.

    *outlook* is the forecast of its changes of the stack; null if the stack stays anyway, or is being rolled back
    already. The digest does not cover it.
    """

    outlook: RollbackForecast | None = None


MODELS: dict[str, type[Model]] = {
    "status": StatusDocument,
    "matrix": MatrixDocument,
    "run": RunDocument,
    "plan": Plan,
    "rollback-plan": RollbackPlanDocument,
    "wave-plan": WavePlan,
    "queue": QueueDocument,
    "lock": LockDocument,
    "drift": DriftDocument,
    "parity": ParityDocument,
    "requirements": RequirementsDocument,
    **REGISTER_MODELS,
    **MANAGEMENT_MODELS,
    **HOOK_MODELS,
    **NOTIFICATION_MODELS,
    **DEFINITION_MODELS,
}


class Calendars(Model):
    """Whether each environment of a document is open to promotions."""

    calendar: dict[str, EnvironmentCalendar]


class PlanRisk(Model):
    """The risk of a plan, and its arithmetic: the sum of the points of its lines."""

    risk: Risk
    arithmetic: str


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
    """The JSON Schema (2020-12) of a command's document: `run` is that of `show`, others have the command's name."""
    made = MODELS[kind].model_json_schema(by_alias=True, mode="validation")
    if kind in {"plan", "rollback-plan", "wave-plan"}:  # a plan names itself; its digest covers everything else
        made["properties"]["digest"] = {"pattern": DIGEST.pattern, "title": "Digest", "type": "string"}
        made["required"] = [*made["required"], "digest"]
    if kind in {"plan", "wave-plan"}:
        made["properties"][FIELD] = AUTHENTICATION
    if kind in {"plan", "rollback-plan", "wave-plan"}:  # printed with it, and not covered by the digest
        calendars = Calendars.model_json_schema()
        made["$defs"] |= calendars["$defs"]
        made["properties"]["calendar"] = calendars["properties"]["calendar"]
    if kind == "plan":  # likewise
        risks = PlanRisk.model_json_schema()
        made["$defs"] |= risks["$defs"]
        made["properties"] |= risks["properties"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
