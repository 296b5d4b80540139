"""The rollback plan of a promotion, as a document: what a rollback does, on which hosts, in which order."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.model import Digest, Model, digest_of
from orchestrator.domain.plan import Loss, PlannedReversal, PlannedUndo, PlaySpec, SecondPass, SkippedStep, SuiteSpec
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.release import PackageRef
from orchestrator.domain.sides import Side
from orchestrator.domain.stored_words import plan_as_made


class RollbackPlan(Model):
    """What the automatic rollback of *run* does, in the order of its fields; computed from what was started.

    *switch* sends the traffic to the side *live* again, if sides were switched. *undo* are the undo playbooks of
    the steps that were started, newest first, where they may have changed something.
    *reversals* are the implementation plans that undo those of steps, each after some of the undo playbooks.
    *restore* are the packaged steps of *release*, which is restored, on the hosts that were *touched*. *definition* is
    that of the stack that is restored after them (None: the stack stays). *second_pass* are the steps that hosts get
    after that. *skipped* are the steps that are neither undone nor run again. *verify* are the suites that verify it.
    Hosts that are *untouched* are left alone. *switch_plays* are all plays of the switch, *restore_plays* those of each
    step of *restore*, by its name.
    """

    apiVersion: Literal["orchestrator/v1", "orchestrator/v2"] = "orchestrator/v2"
    kind: Literal["RollbackPlan"] = "RollbackPlan"
    environment: str
    run: str
    release: PackageRef
    switch: PlaySpec | None = Field(default=None, exclude_if=lambda play: play is None)
    live: Side | None = Field(default=None, exclude_if=lambda side: side is None)
    undo: tuple[PlannedUndo, ...] = ()
    reversals: tuple[PlannedReversal, ...] = Field(default=(), exclude_if=lambda found: not found)
    restore: tuple[PlaySpec, ...] = ()
    definition: Digest | None = None
    second_pass: SecondPass | None = Field(default=None, exclude_if=lambda second: second is None)
    skipped: tuple[SkippedStep, ...] = Field(default=(), exclude_if=lambda steps: not steps)
    verify: tuple[SuiteSpec, ...] = ()
    touched: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    switch_plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
    restore_plays: dict[str, tuple[PlannedPlay, ...]] = Field(default_factory=dict, exclude_if=lambda plays: not plays)

    @property
    def digest(self) -> str:
        """The digest over all of it."""
        return digest_of(plan_as_made(self.to_json()))

    def document(self) -> dict[str, Any]:
        """The plan with its digest, as the journal keeps it and `plan --rollback --json` gives it."""
        return {**self.to_json(), "digest": self.digest}


class RollbackForecast(Model):
    """The forecast of a rollback's changes of the stack. It is not part of the plan's digest.

    *how* is `preview` if Pulumi was just queried; *counts* are then its words and numbers. It is `plan` if Pulumi could
    not be queried, with the reason in *why*: the forecast is then the reverse of the promotion's own plan. With
    *losses* (stateful resources that would be replaced or deleted), or if Pulumi would refuse (*refused*), the
    rollback leaves the stack as it is, and the run needs manual intervention. The rollback previews again before it
    changes the stack.
    """

    how: Literal["preview", "plan"]
    why: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    refused: str = ""

    @property
    def stays(self) -> bool:
        """Whether the stack would be left as it is."""
        return bool(self.losses or self.refused)
