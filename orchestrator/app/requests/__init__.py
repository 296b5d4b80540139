"""What can be requested: one type for each kind of run.

As JSON a request is what the journal records first and what the engine keeps as the input of its workflow. A request
of an earlier version is translated when it is read: a process resumes what any of them has started.
"""

from orchestrator.app.requests.base import Data, RetryFrom, RunRequest, common_of
from orchestrator.app.requests.environments import (
    AssumeHost,
    AssumeLiveSide,
    Destroy,
    Observe,
    Provision,
    Reap,
    Resolve,
    Unknown,
)
from orchestrator.app.requests.releases import Promote, PromoteInWaves, Rehearse, RollBack
from orchestrator.domain.journal import request_parameters
from orchestrator.domain.stored_words import read_request

__all__ = [
    "KINDS",
    "AssumeHost",
    "AssumeLiveSide",
    "Destroy",
    "Observe",
    "Promote",
    "PromoteInWaves",
    "Provision",
    "Reap",
    "Rehearse",
    "Request",
    "Resolve",
    "RetryFrom",
    "RollBack",
    "RunRequest",
    "Unknown",
    "parse_request",
]

Request = (
    Promote
    | PromoteInWaves
    | Rehearse
    | RollBack
    | Provision
    | Destroy
    | Resolve
    | Observe
    | AssumeHost
    | AssumeLiveSide
    | Reap
    | Unknown
)
"""Every request there is."""

KINDS: dict[str, type[Promote | Rehearse | RollBack | Provision | Destroy | Resolve | Observe | Reap]] = {
    "promotion": Promote,
    "rehearsal": Rehearse,
    "rollback": RollBack,
    "provision": Provision,
    "destroy": Destroy,
    "resolve": Resolve,
    "observe": Observe,
    "reap": Reap,
}


def parse_request(data: Data) -> Request:
    """The request in its recorded form, also of earlier versions."""
    data = read_request(data)
    about = request_parameters(data)
    if about.get("waves"):
        return PromoteInWaves.read(data, about)
    if data["kind"] == "override":
        return (AssumeHost if about.get("host") is not None else AssumeLiveSide).read(data, about)
    known = KINDS.get(str(data["kind"]))
    return Unknown(**common_of(data), data=dict(data)) if known is None else known.read(data, about)
