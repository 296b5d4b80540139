"""What we need from outside, one module a purpose.

Each port is small enough to fake by hand; `adapters/memory` ships the fakes.

A port method that does something outside takes a *job* (the key under which its child process runs exactly once
and is found again after a crash) and *emit* (called for each event as it happens; it only enqueues).

The ports of lists are in `ports/lists.py`; those of management records in `register_ports.py`.
"""

from orchestrator.ports.artifacts import Artifacts, Logs, Packages, Uploads
from orchestrator.ports.engines import DEFAULTS, Deployer, Engines, Provisioned, Provisioner, SavedPlan, Verifier
from orchestrator.ports.jobs import SECRETS_FOLDER, Emit, Job, JobOutcome, Jobs
from orchestrator.ports.keys import Keys
from orchestrator.ports.null import NullArtifacts, NullGates, NullImplementations, NullLogs, NullProber
from orchestrator.ports.questions import Gates, Implementations, ImplementationStatus, Prober, WantedImplementation
from orchestrator.ports.runtime import Clock, Durable, Notifier, Parallel, RunOwnership
from orchestrator.ports.store import Store

__all__ = [
    "DEFAULTS",
    "SECRETS_FOLDER",
    "Artifacts",
    "Clock",
    "Deployer",
    "Durable",
    "Emit",
    "Engines",
    "Gates",
    "ImplementationStatus",
    "Implementations",
    "Job",
    "JobOutcome",
    "Jobs",
    "Keys",
    "Logs",
    "Notifier",
    "NullArtifacts",
    "NullGates",
    "NullImplementations",
    "NullLogs",
    "NullProber",
    "Packages",
    "Parallel",
    "Prober",
    "Provisioned",
    "Provisioner",
    "RunOwnership",
    "SavedPlan",
    "Store",
    "Uploads",
    "Verifier",
    "WantedImplementation",
]
