"""Requests about an environment alone: its stack, and what is recorded of its hosts; and unknown requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.app.requests.base import Data, Fields, RunRequest, recorded_agreement
from orchestrator.domain.plan import NOTHING, Acknowledgements
from orchestrator.domain.release import PackageRef
from orchestrator.domain.sides import Side


@dataclass(frozen=True, kw_only=True)
class _ChangeStack(RunRequest):
    agreement: Acknowledgements = NOTHING

    @property
    def agreed(self) -> Acknowledgements:
        """What was agreed to by name."""
        return self.agreement

    def parameters(self) -> dict[str, object]:
        """The agreement."""
        return recorded_agreement(self.agreement)

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del data
        return {"agreement": Acknowledgements.from_json(about.get("acknowledgements") or {})}


@dataclass(frozen=True, kw_only=True)
class Provision(_ChangeStack):
    """Update the stack of an environment."""

    kind = "provision"


@dataclass(frozen=True, kw_only=True)
class Destroy(_ChangeStack):
    """Destroy the stack of an environment."""

    kind = "destroy"


@dataclass(frozen=True, kw_only=True)
class Resolve(RunRequest):
    """Resolve interrupted creates: *created* maps URNs to ids; *absent* are URNs, `*` for all others; *reason* why."""

    kind = "resolve"
    created: Mapping[str, str]
    absent: tuple[str, ...]
    reason: str = ""

    def parameters(self) -> dict[str, object]:
        """The decision of the user."""
        return {"created": dict(self.created), "absent": list(self.absent), "why": self.reason}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del data
        return {
            "created": about.get("created") or {},
            "absent": tuple(about.get("absent") or ()),
            "reason": about.get("why", ""),
        }


@dataclass(frozen=True, kw_only=True)
class Observe(RunRequest):
    """Inspect the hosts of an environment. Their fencing tokens up to *token* are taken over; None: as usual."""

    kind = "observe"
    token: int | None = None

    def parameters(self) -> dict[str, object]:
        """The token."""
        return {"token": self.token} if self.token else {}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del data
        return {"token": about.get("token")}


@dataclass(frozen=True, kw_only=True)
class AssumeHost(RunRequest):
    """Record that the host *host* runs *running* (None: no release), for the *reason*."""

    kind = "override"
    host: str
    running: PackageRef | None
    reason: str

    def parameters(self) -> dict[str, object]:
        """The decision of the user."""
        release = self.running.to_json() if self.running else None
        return {"host": self.host, "release": release, "why": self.reason}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del data
        running = PackageRef.from_json(about["release"]) if about.get("release") else None
        return {"host": about["host"], "running": running, "reason": about.get("why", "")}


@dataclass(frozen=True, kw_only=True)
class AssumeLiveSide(RunRequest):
    """Record that the side *live* is the live one, for the *reason*."""

    kind = "override"
    live: Side
    reason: str

    def parameters(self) -> dict[str, object]:
        """The decision of the user."""
        return {"live": self.live, "why": self.reason}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del data
        return {"live": about.get("live"), "reason": about.get("why", "")}


@dataclass(frozen=True, kw_only=True)
class Reap(RunRequest):
    """Destroy the ephemeral stack that the run *leftover* made."""

    kind = "reap"
    leftover: str

    def parameters(self) -> dict[str, object]:
        """The run that made the stack."""
        return {"run": self.leftover}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del data
        return {"leftover": str(about.get("run") or "")}


@dataclass(frozen=True, kw_only=True)
class Unknown(RunRequest):
    """A request of a kind that this program does not know, as it was recorded: a newer program can execute it."""

    kind = "promotion"  # never used: no run is made of it
    data: Data = field(default_factory=dict)

    @property
    def recorded_kind(self) -> str:
        """The kind that was recorded."""
        return str(self.data["kind"])

    @property
    def release(self) -> PackageRef | None:
        """The release that it is about."""
        return PackageRef.from_json(self.data["release"]) if self.data.get("release") else None

    @property
    def plan(self) -> str | None:
        """The digest of the plan that it is held to."""
        return self.data.get("plan")

    def to_json(self) -> dict[str, object]:
        """As it was recorded."""
        return dict(self.data)
