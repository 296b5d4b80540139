"""Requests about a release: promotions, rehearsals and rollbacks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.app.requests.base import Data, Fields, RunRequest, recorded_agreement
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import NOTHING, Acknowledgements
from orchestrator.domain.release import PackageRef
from orchestrator.domain.waves import Waves


@dataclass(frozen=True, kw_only=True)
class ReleaseRequest(RunRequest):
    """A request about a *package*, held to the plan with the digest *plan_digest* if there is one."""

    package: PackageRef
    plan_digest: str | None = None

    @property
    def release(self) -> PackageRef:
        """The release that it is about."""
        return self.package

    @property
    def plan(self) -> str | None:
        """The digest of the plan that it is held to."""
        return self.plan_digest

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        del about
        return {"package": PackageRef.from_json(data["release"]), "plan_digest": data["plan"]}


@dataclass(frozen=True, kw_only=True)
class AgreedRequest(ReleaseRequest):
    """A request about a release with an agreement.

    *agreement* is what was agreed to by name, *reason* why a release may be promoted that was rolled back, *overrun*
    why it may last beyond the time at which its environment closes.
    """

    agreement: Acknowledgements = NOTHING
    reason: str = ""
    overrun: str = ""

    @property
    def agreed(self) -> Acknowledgements:
        """What was agreed to by name."""
        return self.agreement

    @property
    def override_reason(self) -> str:
        """Why a release that was rolled back may be promoted again; empty unless it may."""
        return self.reason

    @property
    def overrun_reason(self) -> str:
        """Why it may last longer than its environment is open; empty unless it may."""
        return self.overrun

    def parameters(self) -> dict[str, object]:
        """The agreement and the reasons, where there are any."""
        reasons = {"overrun": self.overrun, "override_reason": self.reason}
        return {**recorded_agreement(self.agreement), **{name: reason for name, reason in reasons.items() if reason}}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        agreement = Acknowledgements.from_json(about.get("acknowledgements") or {})
        reasons = {"reason": str(about.get("override_reason") or ""), "overrun": str(about.get("overrun") or "")}
        return {**super()._own(data, about), "agreement": agreement, **reasons}


@dataclass(frozen=True, kw_only=True)
class Promote(AgreedRequest):
    """Promote a release to its targets, one after the other."""

    kind = "promotion"


@dataclass(frozen=True, kw_only=True)
class PromoteInWaves(Promote):
    """Promote a release in the waves of *rollout*. *plans* are the digests of the plans by environments."""

    rollout: Waves
    plans: Mapping[str, str] = field(default_factory=dict)
    redeploy: bool = False

    @property
    def waves(self) -> Waves:
        """The waves that it goes in."""
        return self.rollout

    @property
    def name(self) -> str:
        """The run of the whole rollout."""
        return self.root

    def parameters(self) -> dict[str, object]:
        """The waves with the plans, and what a promotion has."""
        waves = {"rollout": self.rollout.to_json(), "plans": dict(self.plans)}
        return {"waves": {**waves, **({"redeploy": True} if self.redeploy else {})}, **super().parameters()}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        found = about["waves"]
        own = {"rollout": Waves.from_json(found["rollout"]), "plans": dict(found["plans"])}
        return {**super()._own(data, about), **own, "redeploy": bool(found.get("redeploy"))}

    def first(self, at: str) -> Run:
        """The run of the whole rollout, which has the name of its root."""
        return Run(
            id=self.root,
            root=self.root,
            kind="waves",
            environment=self.rollout.name,
            release=self.package,
            by=self.by,
            requested_at=at,
            project_definition=self.definition or None,
        )

    def alone(self, run: Run) -> "Promote | RollBack":
        """The request of *run*, which is one of this rollout, without the rest of it. Raises `ValueError`."""
        if run.release is None:
            raise ValueError(f"{run.id} is about no release")
        kind = RollBack if run.kind == "rollback" else Promote
        return kind(
            targets=(run.environment,),
            root=self.root,
            by=self.by,
            wait=self.wait,
            package=run.release,
            plan_digest=None if run.kind == "rollback" else self.plans.get(run.environment),
            agreement=self.agreement,
            reason=self.reason,
            definition=self.definition,
        )


@dataclass(frozen=True, kw_only=True)
class Rehearse(ReleaseRequest):
    """Promote a release, roll it back, and promote it again."""

    kind = "rehearsal"


@dataclass(frozen=True, kw_only=True)
class RollBack(AgreedRequest):
    """Roll an environment back to a release; *at* is the time to which it is restored, empty for none."""

    kind = "rollback"
    at: str = ""

    def parameters(self) -> dict[str, object]:
        """The time to which it is restored."""
        return {**super().parameters(), **({"at": self.at} if self.at else {})}

    @classmethod
    def _own(cls, data: Data, about: Data) -> Fields:
        return {**super()._own(data, about), "at": str(about.get("at") or "")}
