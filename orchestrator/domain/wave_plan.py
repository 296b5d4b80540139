"""The plan over all environments of a promotion in waves, as a document with a digest."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.model import Digest, Model, digest_of
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import PackageRef
from orchestrator.domain.stored_words import plan_as_made
from orchestrator.domain.waves import Waves


class PlannedEnvironment(Model):
    """The *plan* for one environment, with its *digest*; both are null if the environment already has the release."""

    environment: str
    digest: Digest | None = None
    plan: Plan | None = None


class WavePlan(Model):
    """What promoting one package in waves would do: the plan of each environment, wave by wave.

    *rollout* is the list of waves as the project's file had it. With *redeploy* the release also goes to
    environments that have it.
    """

    apiVersion: Literal["orchestrator/v1", "orchestrator/v2"] = "orchestrator/v2"
    kind: Literal["WavePlan"] = "WavePlan"
    project: str
    release: PackageRef
    rollout: Waves
    waves: tuple[tuple[PlannedEnvironment, ...], ...]
    redeploy: bool = Field(default=False, exclude_if=lambda yes: not yes)
    created_at: str = ""

    @property
    def planned(self) -> Iterator[PlannedEnvironment]:
        """Every environment, in the order of the waves."""
        return (item for wave in self.waves for item in wave)

    @property
    def project_definition(self) -> str | None:
        """The project definition that the plans were made with, if one was pushed."""
        return next((item.plan.project_definition for item in self.planned if item.plan is not None), None)

    @property
    def plans(self) -> dict[str, str]:
        """The digests of the plans, by environment."""
        return {item.environment: item.digest for item in self.planned if item.digest is not None}

    @property
    def already_deployed(self) -> tuple[str, ...]:
        """The environments that had the release already."""
        return tuple(item.environment for item in self.planned if item.digest is None)

    @property
    def digest(self) -> str:
        """The digest over the waves, their rules, and the digests of all plans."""
        waves = [[(item.environment, item.digest) for item in wave] for wave in self.waves]
        fields = plan_as_made(self.model_dump(mode="json", exclude={"created_at", "waves"}))
        return digest_of({**fields, "waves": waves})

    @property
    def whole(self) -> bool:
        """Whether each plan in it has the digest that is recorded for it."""
        return all((item.plan.digest if item.plan else None) == item.digest for item in self.planned)

    def document(self) -> dict[str, Any]:
        """The plan with its digest, as `plan --json` and `--out` give it, in the form in which it was made."""
        return {**plan_as_made(self.model_dump(mode="json", by_alias=True)), "digest": self.digest}
