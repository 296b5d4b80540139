"""What every request has, and its recorded form."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from orchestrator.domain.journal import Kind, Run, run_id
from orchestrator.domain.plan import NOTHING, Acknowledgements
from orchestrator.domain.release import PackageRef
from orchestrator.domain.waves import Waves

Data = Mapping[str, Any]
"""The recorded form of a request, or of its parameters: JSON data of any version, which is read field by field."""
Fields = dict[str, Any]
"""The arguments that make a request of its recorded form."""


@dataclass(frozen=True)
class RetryFrom:
    """A retry of the run *run* from its step *step*: the results before that are taken over."""

    run: str
    step: str


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What every request has: *targets* are the environments, one after the other.

    *root* and *by* (the user) are set when it is submitted. *wait* is how many seconds a busy environment is waited
    for. *trace* is the `traceparent` of what requested it, if there are traces. *definition* is the digest of the
    project definition that it is executed with; empty where that is the folder of the project.
    """

    kind: ClassVar[Kind]

    targets: tuple[str, ...]
    root: str = ""
    by: str = ""
    wait: float = 0.0
    retry: RetryFrom | None = None
    trace: str = ""
    definition: str = ""

    @property
    def release(self) -> PackageRef | None:
        """The release that it is about."""
        return None

    @property
    def plan(self) -> str | None:
        """The digest of the plan that it is held to."""
        return None

    @property
    def waves(self) -> Waves | None:
        """The waves that it goes in; None where it goes along the path."""
        return None

    @property
    def agreed(self) -> Acknowledgements:
        """What was agreed to by name."""
        return NOTHING

    @property
    def override_reason(self) -> str:
        """Why a release that was rolled back may be promoted again; empty unless it may."""
        return ""

    @property
    def overrun_reason(self) -> str:
        """Why it may last longer than its environment is open; empty unless it may."""
        return ""

    @property
    def name(self) -> str:
        """The run by which a user follows it: its first one."""
        return run_id(self.root, self.targets[0])

    def parameters(self) -> dict[str, object]:
        """What only this kind of request has, as recorded."""
        return {}

    def to_json(self) -> dict[str, object]:
        """As the journal and the engine keep it."""
        return {
            "root": self.root,
            "kind": self.kind,
            "release": self.release.to_json() if self.release else None,
            "targets": list(self.targets),
            "by": self.by,
            "plan": self.plan,
            "wait": self.wait,
            "retry": {"run": self.retry.run, "step": self.retry.step} if self.retry else None,
            "parameters": self.parameters(),
            **({"trace": self.trace} if self.trace else {}),
            **({"definition": self.definition} if self.definition else {}),
        }

    @classmethod
    def read(cls, data: Data, about: Data) -> Self:
        """The reverse of :meth:`to_json`; *about* are its parameters."""
        return cls(**common_of(data), **cls._own(data, about))

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del data, about
        return {}

    def first(self, at: str) -> Run:
        """The run that exists from the moment of the request."""
        return self.run(self.targets[0], at)

    def run(self, environment: str, at: str) -> Run:
        """The run in one of its environments."""
        return Run(
            id=run_id(self.root, environment),
            root=self.root,
            kind=self.kind,
            environment=environment,
            release=self.release,
            by=self.by,
            requested_at=at,
            project_definition=self.definition or None,
        )

    def from_environment(self, environment: str) -> Self:
        """The rest of it, from *environment* on."""
        return replace(self, targets=self.targets[self.targets.index(environment) :])


def common_of(data: Data) -> Fields:
    """What every request has, out of its recorded form."""
    retry = data.get("retry")
    return {
        "root": data["root"],
        "by": data["by"],
        "targets": tuple(data["targets"]),
        "wait": float(data.get("wait", 0.0)),
        "retry": RetryFrom(retry["run"], retry["step"]) if retry else None,
        "trace": str(data.get("trace", "")),
        "definition": str(data.get("definition", "")),
    }


def recorded_agreement(named: Acknowledgements) -> dict[str, object]:
    """The agreement as recorded; nothing where there is none."""
    return {"acknowledgements": named.to_json()} if named.replace or named.no_return else {}
